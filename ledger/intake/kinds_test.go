package intake

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// The forms that are taken in, and what is only counted.
func TestKindsAreRecognisedByContent(t *testing.T) {
	forms := source.NewRecogniser(plan.NewKinds(schemas.Default(), kinds.All(schemas.Default())).Forms())
	const base = "https://graph.microsoft.com/beta/$metadata#"
	for _, c := range []struct {
		in, context, kind string
		taken             bool
	}{
		{`{"category":"AuditLogs","properties":{}}`, "", "AuditLogs", true},
		{`{"category":"auditlogs","properties":{}}`, "", "AuditLogs", true},
		{`{"category":"Devices","properties":{"DeviceId":"x"}}`, "", "Devices", true},
		{`{"category":"Devices","properties":{"Stats":{"RecordCount":2}}}`, "", "Devices/summary", false},
		{`{"category":"Devices","properties":"{}"}`, "", "Devices", true},
		{`{"category":"UpdateLogs","properties":{}}`, "", "UpdateLogs", false},
		{`{"category":"OperationalLogs","properties":{}}`, "", "OperationalLogs", true},
		{`{"category":"DeviceComplianceOrg","properties":{}}`, "", "DeviceComplianceOrg", true},
		{`{"category":"anna@contoso.example","properties":{}}`, "", "unnamed", false},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices", "managedDevices", true},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices(id,deviceName)/$entity", "managedDevices", true},
		{`{"@odata.context":"` + base + `deviceManagement/managedDevices(detectedApps())/$entity","id":"x"}`, "",
			"managedDevices", true},
		{`{"id":"x"}`, base + "users('a1a1a1a1-0000-4000-8000-000000000001')/managedDevices", "managedDevices", true},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices('x')/detectedApps",
			"deviceManagement/managedDevices/detectedApps", false},
		{`{"id":"x"}`, base + "deviceManagement/auditEvents", "auditEvents", true},
		{`{"@odata.type":"#microsoft.graph.auditEvent"}`, "", "auditEvents", true},
		{`{"@odata.type":"#microsoft.graph.managedDevice"}`, "", "managedDevices", true},
		{`{"@odata.type":"#microsoft.graph.iosCompliancePolicy"}`,
			base + "deviceManagement/deviceCompliancePolicies", "deviceCompliancePolicies", true},
		{`{"@odata.type":"#microsoft.graph.aNewPolicy"}`, base + "deviceManagement/deviceCompliancePolicies",
			"deviceCompliancePolicies", true},
		{`{"id":"x"}`, base + "deviceManagement/deviceConfigurations('x')/deviceStatuses",
			"deviceConfigurations/deviceStatuses", true},
		{`{"id":"x"}`, base + "users('x')/managedAppRegistrations", "managedAppRegistrations", true},
		{`{"@odata.type":"#microsoft.graph.vppToken"}`, "", "vppToken", true},
		{`{"@odata.type":"#microsoft.graph.notificationMessageTemplate"}`, "", "notificationMessageTemplate", false},
		{`{"id":"x"}`, base + "roleManagement/directory/roleDefinitions", "roleManagement/directory/roleDefinitions",
			false},
		{`{"id":"x"}`, base + "deviceManagement/roleDefinitions('x')/roleAssignments", "roleAssignments", true},
		{`{"id":"x","enrolledDateTime":"t","managementAgent":"mdm"}`, "", "managedDevices", true},
		{`{"id":"x","activityDateTime":"t","actor":{},"resources":[]}`, "", "auditEvents", true},
		{`{"id":"x"}`, base + "deviceAppManagement/mobileApps", "mobileApps", true},
		{`{"@odata.type":"#microsoft.graph.aNewApp","id":"x"}`, base + "deviceAppManagement/mobileApps", "mobileApps",
			true},
		{`{"id":"x"}`, base + "deviceAppManagement/mobileApps/microsoft.graph.aNewApp/$entity", "mobileApps", true},
		{`{"@odata.type":"#microsoft.graph.aNewApp","id":"x"}`, "", "aNewApp", false},
		{`{"id":"x"}`, base + "deviceAppManagement/mobileApps('x')/installSummary/$entity", "mobileAppInstallSummary",
			true},
		{`{"id":"x"}`, base + "deviceManagement/detectedApps", "detectedApps", true},
		{`{"id":"x"}`, base + "users", "users", true},
		{`{"id":"x"}`, base + "users/$entity", "users", true},
		{`{"id":"x"}`, base + "directory/deletedItems/microsoft.graph.user", "users", true},
		{`{"id":"x"}`, base + "directory/deletedItems/microsoft.graph.user(id,displayName)/$entity", "users", true},
		{`{"id":"x"}`, base + "directory/deletedItems/microsoft.graph.group",
			"directory/deletedItems/microsoft.graph.group", false},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices/microsoft.graph.windowsManagedDevice",
			"managedDevices", true},
		{`{"@odata.type":"#microsoft.graph.user","id":"x"}`, base + "directoryObjects", "users", true},
		{`{"id":"x","userPrincipalName":"a@x.example","businessPhones":[]}`, "", "users", true},
		{`{"Id":"x","UserPrincipalName":"a@x.example","BusinessPhones":[]}`, "", "users", true},
		{`{"id":"x","userPrincipalName":"a@x.example","appDisplayName":"y"}`, "", "unnamed", false},
		{`{"id":"x"}`, "", "unnamed", false},
		{`{}`, "", "unnamed", false},
		{`"text"`, "", "no object", false},
	} {
		it, err := forms.Recognise(source.Item{Raw: []byte(c.in), Context: c.context})
		if err != nil {
			t.Fatal(err)
		}
		if got := it.Kind.Name; got != c.kind || (it.Kind.Form != nil) != c.taken {
			t.Errorf("%s in %q is %s %v, want %s %v", c.in, c.context, got, it.Kind.Form != nil, c.kind, c.taken)
		}
	}
}

// What a record says of itself names one form, and never the one that happens to come last.
func TestNoTwoFormsClaimTheSame(t *testing.T) {
	claimed := map[string]string{}
	for _, f := range plan.NewKinds(schemas.Default(), kinds.All(schemas.Default())).Forms() {
		claims := []string{"name " + f.Name, "collection " + f.Collection, "category " + strings.ToLower(f.Category),
			"table " + strings.ToLower(f.Table)}
		for _, c := range f.Collections {
			claims = append(claims, "collection "+c)
		}
		for _, odata := range f.ODataTypes {
			claims = append(claims, "type "+odata)
		}
		claims = append(claims, "event "+f.Event)
		for _, c := range claims {
			if other := claimed[c]; other != "" && !strings.HasSuffix(c, " ") {
				t.Errorf("%s and %s both claim %s", other, f.Name, c)
			}
			claimed[c] = f.Name
		}
		if f.Name == "" || f.Origin == "" || len(f.ODataTypes) == 0 && f.Category == "" && f.Event == "" &&
			len(f.Tables) == 0 {
			t.Errorf("%q is no form of a source", f.Name)
		}
		for _, table := range f.Tables {
			members := map[string]string{}
			for _, c := range table.Columns {
				for _, h := range slices.Concat([]string{c.Member}, c.Headers, c.Dutch) {
					h = letterForm(h)
					if other := members[h]; other != "" && other != c.Member {
						t.Errorf("%s: the header %s is that of %s and of %s", f.Name, h, other, c.Member)
					}
					members[h] = c.Member
				}
			}
		}
	}
}

// FuzzParse: no record, however odd, panics or ends an import, as what it is recognised as, and
// read by the parser of any form (the nth); what is planned of it and its parts can be encoded.
func FuzzParse(f *testing.F) {
	w := newWorld(f, true)
	in := w.intake()
	all := in.kinds.Forms()
	for _, seed := range []string{`[]`, `{"category":{},"properties":[]}`,
		`{"category":"Devices","time":"2026-01-01T00:00:00Z","properties":{"DeviceId":"x","StorageTotal":1}}`,
		`{"@odata.type":"#microsoft.graph.auditEvent","id":` + asLine(guid(30, 1)) +
			`,"activityDateTime":"2026-01-01T00:00:00Z","actor":{},"resources":[{"modifiedProperties":[{}]}]}`,
	} {
		f.Add([]byte(seed), uint8(0))
	}
	for _, thing := range everyThing(f) {
		for _, content := range thing.forms {
			it, err := in.forms.Recognise(source.Item{Raw: []byte(content)})
			if err != nil || it.Kind.Form == nil {
				continue // a page, or a table
			}
			n := slices.IndexFunc(all, func(form source.Form) bool { return form.Name == it.Kind.Name })
			f.Add([]byte(content), uint8(n+1))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, form uint8) {
		it, err := in.forms.Recognise(source.Item{Raw: raw})
		if err != nil || it.Rec.Members == nil {
			return
		}
		if n := int(form); n > 0 && n <= len(all) {
			it.Kind.Name, it.Kind.Form, it.Kind.Named, it.Kind.Never = all[n-1].Name, &all[n-1], true, ""
		}
		e := in.head(w.tenant, it)
		in.parse(e, it, record.Dating{At: propertyStart})
		all := append([]*entry{e}, e.parts...)
		b := &batch{}
		for _, e := range all {
			if e.outcome == pending {
				b.entries = append(b.entries, e)
			}
		}
		if len(b.entries) == 0 {
			return
		}
		ctx, left := context.Background(), newLeftOut(w.config.Logger)
		b.known, err = in.know(ctx, w.tenant, left, b.entries, map[schemas.Stream]bool{}, nil)
		before, failed := in.remember(ctx, w.tenant, left, true)
		if err = cmp.Or(err, failed); err == nil {
			err = in.judge(ctx, w.tenant, left, before, b)
		}
		if err != nil {
			t.Fatalf("a record ends the import: %v", err)
		}
	})
}
