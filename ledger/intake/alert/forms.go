// Package alert is the kind of what Intune's operational logs tell: that a device does not comply,
// by which setting, and how an enrolment ended. Each record is a fact.
//
// It keeps nothing, and trusts no record. A record may have no id: it is told apart by all that it
// tells of when, of which device and of what, which the vault keeps as an HMAC.
package alert

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// form is how Azure Monitor writes one.
var form = source.Form{
	Name: "OperationalLogs", Origin: source.AzureMonitor, Category: "OperationalLogs",
	Own:   []string{"OperationalLogCategory"},
	Table: "IntuneOperationalLogs", Columns: []string{"TimeGenerated", "OperationName", "Properties"},
}

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
	{Field: "FailureCategory", Attr: "alert.failure-category", Unit: 1},
	{Field: "FailureReason", Attr: "alert.failure-reason", Unit: 1},
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
)

var (
	fields = record.NamesOf("category", "properties", "time", "tenantId", "operationName", "resultType", "result",
		"resourceId")
	properties = record.NamesOf(entity.FieldNames(table, "AADDeviceId", "AADTenantId", "EnrollmentTimeUTC",
		"IntuneAccountId", "IntuneDeviceId", "IntuneUserId", "MessageId", "ScaleUnit", "ScenarioName",
		"DeviceDnsDomain", "DeviceNetBiosName", "DeviceOperatingSystem", "StartTimeUtc", "UPNSuffix",
		"UserName")...)
)
