package status

import (
	"regexp"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// sources are how sources write a state, on a page of its own or expanded in what it is of. Its id
// is made of those of whom and what it is of.
var sources = []resource.Source{
	policyStatus("deviceConfigurations", "deviceStatuses", "deviceConfigurationDeviceStatus", onDevice),
	policyStatus("deviceConfigurations", "userStatuses", "deviceConfigurationUserStatus", ofUser),
	policyStatus("deviceCompliancePolicies", "deviceStatuses", "deviceComplianceDeviceStatus", onDevice),
	policyStatus("deviceCompliancePolicies", "userStatuses", "deviceComplianceUserStatus", ofUser),
	{
		Form: source.Form{
			Name: "mobileApps/deviceStatuses", Origin: source.Graph, Collection: "mobileApps/deviceStatuses",
			ODataTypes: []string{"mobileAppInstallStatus"},
			Members:    [][]string{{"id", "deviceId", "installState", "installStateDetail"}},
			SDK:        [][]string{{"installState", "installStateDetail"}},
		},
		Thing: "mobileAppInstallStatus", Parent: "status.policy", Table: installed,
		Says: []resource.Constant{{Attr: "status.kind", Value: "mobileAppInstallStatus"}}, Left: leftOfApp,
		Inside: &resource.Inside{Of: []string{"mobileApps"}, Member: "deviceStatuses"}, AppsOn: "status.device",
	},
}

// policyStatus is how Graph writes the states of one kind of policy.
func policyStatus(policies, in, typ string, table []entity.Mapping) resource.Source {
	return resource.Source{
		Form: source.Form{Name: policies + "/" + in, Origin: source.Graph, Collection: policies + "/" + in,
			ODataTypes: []string{typ},
			SDK:        [][]string{{"status", "lastReportedDateTime"}}},
		Thing: typ, Parent: "status.policy", Table: table, Adapt: splitID, Left: left,
		Says:   []resource.Constant{{Attr: "status.kind", Value: typ}},
		Inside: &resource.Inside{Of: []string{policies}, Member: in},
	}
}

// Members that splitID makes of an id. Their names are nobody else's.
const (
	userInID   = "id#user"
	policyInID = "id#policy"
	deviceInID = "id#device"
)

var onDevice = []entity.Mapping{
	{Field: "id", Attr: "status.id", Unit: 1},
	{Field: userInID, Attr: "status.user", Unit: 1},
	{Field: policyInID, Attr: "status.policy", Unit: 1},
	{Field: deviceInID, Attr: "status.device", Unit: 1},
	{Field: "userPrincipalName", Attr: "status.user-upn", Unit: 1},
	{Field: "status", Attr: "status.state", Unit: 1},
	{Field: "complianceGracePeriodExpirationDateTime", Attr: "status.grace-until", Unit: 1},
}

var ofUser = []entity.Mapping{
	{Field: "id", Attr: "status.id", Unit: 1},
	{Field: "userPrincipalName", Attr: "status.user-upn", Unit: 1},
	{Field: "status", Attr: "status.state", Unit: 1},
	{Field: "devicesCount", Attr: "status.device-count", Unit: 1},
}

var installed = []entity.Mapping{
	{Field: "id", Attr: "status.id", Unit: 1},
	{Field: "deviceId", Attr: "status.device", Unit: 1},
	{Field: "userPrincipalName", Attr: "status.user-upn", Unit: 1},
	{Field: "installState", Attr: "status.state", Unit: 1},
	{Field: "mobileAppInstallStatusValue", Attr: "status.state", Unit: 1},
	{Field: "installStateDetail", Attr: "status.detail", Unit: 1},
	{Field: "errorCode", Attr: "status.error-code", Unit: 1},
	{Field: "displayVersion", Attr: "status.app-version", Unit: 1},
}

// left are names that the device's and the account's own records tell, and when a device last
// reported, which changes with each report and says nothing else.
var left = []string{"deviceDisplayName", "deviceModel", "userName", "userDisplayName", "lastReportedDateTime",
	"platform"}

// leftOfApp are likewise.
var leftOfApp = []string{"deviceName", "userName", "lastSyncDateTime", "osVersion", "osDescription"}

var guids = regexp.MustCompile(`[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)

// splitID reads whom and what a state on a device is of out of its id: user, policy and device in
// this order, joined by "_". A user of zeros is none.
func splitID(m *record.Members, _ *record.Shapes) {
	id := m.Text("id")
	parts := guids.FindAllString(id, 4)
	if len(parts) != 3 || id != strings.Join(parts, "_") {
		return
	}
	for i, name := range []string{userInID, policyInID, deviceInID} {
		if !schemas.Junk(parts[i]) {
			m.Set(name, schemas.JSON(parts[i]))
		}
	}
}
