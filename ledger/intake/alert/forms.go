// Package alert is the kind of what Intune's operational logs and its troubleshooting events tell:
// that a device does not comply, by which setting, and how an enrolment ended. Each record is a
// fact.
//
// It keeps nothing, and trusts no record. A log's record may have no id: it is told apart by all
// that it tells of when, of which device and of what, which the vault keeps as an HMAC. Nothing
// that a log and a troubleshooting event both tell says that they are of the same enrolment.
package alert

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// logForm is how Azure Monitor writes one.
var logForm = source.Form{
	Name: "OperationalLogs", Origin: source.AzureMonitor, Category: "OperationalLogs",
	Own:   []string{"OperationalLogCategory"},
	Table: "IntuneOperationalLogs", Columns: []string{"TimeGenerated", "OperationName", "Properties"},
}

// eventForm is how Graph writes an enrolment that failed.
var eventForm = source.Form{
	Name: "deviceManagementTroubleshootingEvents", Origin: source.Graph,
	ODataTypes:  []string{"enrollmentTroubleshootingEvent", "deviceManagementTroubleshootingEvent"},
	Collection:  "troubleshootingEvents",
	Collections: []string{"deviceManagementTroubleshootingEvents", "enrollmentTroubleshootingEvents"},
	Members:     [][]string{{"id", "eventDateTime", "failureCategory"}, {"id", "eventDateTime", "failureReason"}},
	SDK:         [][]string{{"eventDateTime", "failureCategory"}, {"eventDateTime", "failureReason"}},
	Fields:      eventFields,
}

// event is what is kept of it as it stands there.
var event = []entity.Mapping{
	{Field: "operatingSystem", Attr: attrSystem, Unit: 1},
	{Field: "osVersion", Attr: attrVersion, Unit: 1},
	{Field: "enrollmentType", Attr: "alert.enrolment-type", Unit: 1},
	{Field: "failureCategory", Attr: attrFailureCategory, Unit: 1},
	{Field: "failureReason", Attr: attrFailureReason, Unit: 1},
}

// details is what an event of the beta tells of what went wrong; what could be done about it and
// where Microsoft tells more is left.
var details = []entity.Mapping{
	{Field: "failure", Attr: "alert.title", Unit: 1},
	{Field: "failureDetails", Attr: "alert.description", Unit: 1},
}

var (
	eventFields = entity.FieldNames(slices.Concat(event, details), "id", "eventDateTime", "correlationId",
		"managedDeviceIdentifier",
		"deviceId", "userId", detailsMember, "context",
		"activity", "remediation", "resources", "additionalInformation")
	eventNames  = record.NamesOf(eventFields...)
	detailNames = record.NamesOf(entity.FieldNames(details, "context", "activity", "remediation", "resources")...)
)

const detailsMember = "troubleshootingErrorDetails"

// table is what is kept of its properties as it stands there.
var table = []entity.Mapping{
	{Field: "OperationalLogCategory", Attr: attrCategory, Unit: 1},
	{Field: "AlertType", Attr: "alert.kind", Unit: 1},
	{Field: "AlertDisplayName", Attr: "alert.title", Unit: 1},
	{Field: "Description", Attr: "alert.description", Unit: 1},
	{Field: "DeviceName", Attr: "alert.device-name", Unit: 1},
	{Field: "DeviceHostName", Attr: "alert.device-name", Unit: 1},
	{Field: "Os", Attr: attrSystem, Unit: 1},
	{Field: "OsVersion", Attr: attrVersion, Unit: 1},
	{Field: "EnrollmentType", Attr: "alert.enrolment-type", Unit: 1},
	{Field: "FailureCategory", Attr: attrFailureCategory, Unit: 1},
	{Field: "FailureReason", Attr: attrFailureReason, Unit: 1},
	{Field: "UserDisplayName", Attr: "alert.user-name", Unit: 1},
}

// Attributes that are made of several fields, or judged.
const (
	attrCategory = "alert.category"
	attrResult   = "alert.result"
	attrSystem   = "alert.operating-system"
	attrVersion  = "alert.os-version"
	attrDevice   = "alert.device"
	attrUserID   = "alert.user-id"
	attrUserUPN  = "alert.user-upn"
	attrPolicy   = "alert.policy"
	attrSetting  = "alert.setting"

	attrFailureCategory = "alert.failure-category"
	attrFailureReason   = "alert.failure-reason"
)

var (
	fields = record.NamesOf("category", "properties", "time", "tenantId", "operationName", "resultType", "result",
		"resourceId")
	properties = record.NamesOf(entity.FieldNames(table, "AADDeviceId", "AADTenantId", "EnrollmentTimeUTC",
		"IntuneAccountId", "IntuneDeviceId", "IntuneUserId", "MessageId", "ScaleUnit", "ScenarioName",
		"DeviceDnsDomain", "DeviceNetBiosName", "DeviceOperatingSystem", "StartTimeUtc", "UPNSuffix",
		"UserName")...)
)
