package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// testForms are forms such as kinds have: two of Graph, two of Azure Monitor.
var testForms = []Form{
	{Name: "managedDevices", Origin: Graph, ODataTypes: []string{"managedDevice"}, Collection: "managedDevices",
		Members: [][]string{{"id", "enrolledDateTime", "managementAgent"}}, SDK: [][]string{{"lastSyncDateTime"}}},
	{Name: "auditEvents", Origin: Graph, ODataTypes: []string{"auditEvent"}, Collection: "auditEvents"},
	{Name: "AuditLogs", Origin: AzureMonitor, Category: "AuditLogs", Own: []string{"AuditEventId"},
		Table: "IntuneAuditLogs", Columns: []string{"TimeGenerated", "OperationName", "Properties"}},
	{Name: "Devices", Origin: AzureMonitor, Category: "Devices", Table: "IntuneDevices", Flat: true},
}

var testRecogniser = NewRecogniser(testForms)

// incidents are the forms of a kind that exists nowhere.
var incidents = []Form{
	{Name: "serviceIncidents", Origin: Graph, ODataTypes: []string{"serviceIncident", "planIncident"},
		Collection: "serviceIncidents", Members: [][]string{{"id", "impactBegan", "affectedURLs"}},
		SDK: [][]string{{"impactBegan"}}, Fields: []string{"id", "impactBegan", "affectedURLs", "severity"}},
	{Name: "ServiceIncidents", Origin: AzureMonitor, Category: "ServiceIncidents",
		Own: []string{"IncidentId"}, Overview: Overview{Has: "Totals", Lacks: "IncidentId"},
		Table: "IntuneServiceIncidents", Flat: true, Columns: []string{"TimeGenerated", "IncidentId", "Severity"},
		Unshared: []string{"IncidentId", "Totals"}},
}

// A kind that has a form is recognised however its records are held: no code knows it.
func TestAFormIsAllThatAKindNeeds(t *testing.T) {
	const (
		directory = `"activityDisplayName":"a","loggedByService":"b",`
		columns   = `"TimeGenerated":"t","IncidentId":"7","Severity":"high","Totals":""}`
		page      = `"@odata.context":"https://x/$metadata#admin/serviceIncidents"`
		graph     = `{"@odata.type":"#microsoft.graph.serviceIncident","id":"7","severity":"high"}`
		whole     = `{"id":"7","impactBegan":"2026-03-01T08:00:00Z","affectedURLs":["u"],"severity":"high"}`
		sdk       = `{"Id":"7","ImpactBegan":"/Date(1772352000000)/","AffectedUrls":["u"],"Severity":"high"}`
		monitor   = `{"time":"t","category":"ServiceIncidents","properties":{"IncidentId":"7","Severity":"high"}}`
		row       = `{"Type":"IntuneServiceIncidents",` + columns
		known     = `{` + columns
		table     = `{"tables":[{"columns":[{"name":"TimeGenerated"},{"name":"IncidentId"},{"name":"Severity"}],` +
			`"rows":[["t","7","high"]]}]}`
	)
	for name, c := range map[string]struct {
		content string
		form    string
		n       int
	}{
		"by its type":        {graph, "serviceIncidents", 1},
		"by its second type": {strings.Replace(graph, "service", "plan", 1), "serviceIncidents", 1},
		"a page": {`{` + page + `,"value":[{"id":"7","severity":"high"},` + whole + `]}`,
			"serviceIncidents", 2},
		"an entity": {`{` + strings.Replace(page, `ts"`, `ts/$entity"`, 1) +
			`,"id":"7","severity":"high"}`, "serviceIncidents", 1},
		"whole and nameless":  {whole, "serviceIncidents", 1},
		"JSON lines":          {graph + "\n" + whole + "\n" + graph + "\n", "serviceIncidents", 3},
		"a wrapper":           {`{"agent":{"type":"x"},"data":{"event":` + whole + `}}`, "serviceIncidents", 1},
		"a text in a wrapper": {`{"agent":{"type":"x"},"message":` + quoted(whole) + `}`, "serviceIncidents", 1},
		"a batch of responses": {`{"responses":[{"id":"1","status":200,"body":` + whole + `}]}`,
			"serviceIncidents", 1},
		"the SDK's spelling":       {`[` + sdk + `,` + sdk + `]`, "serviceIncidents", 2},
		"behind a broken row":      {`{"value":[{"id":},` + graph + `]}`, "serviceIncidents", 1},
		"a category":               {monitor, "ServiceIncidents", 1},
		"a category in capitals":   {strings.Replace(monitor, "ServiceI", "SERVICEI", 1), "ServiceIncidents", 1},
		"a batch of Event Hubs":    {`{"records":[` + monitor + `,` + monitor + `]}`, "ServiceIncidents", 2},
		"a wrapped category":       {`{"message":` + quoted(monitor) + `}`, "ServiceIncidents", 1},
		"the directory's members":  {strings.Replace(monitor, `"Sev`, directory+`"Sev`, 1), "ServiceIncidents", 1},
		"a row of Log Analytics":   {row, "ServiceIncidents", 1},
		"rows of a nameless table": {`[` + known + `,` + known + `]`, "ServiceIncidents", 2},
		"a table of Log Analytics": {table, "ServiceIncidents", 1},
		"an empty unshared column": {strings.Replace(row, `"Totals":""`, `"Totals":null`, 1), "ServiceIncidents", 1},
		"a row among JSON lines":   {row + "\n" + known + "\n", "ServiceIncidents", 2},
		"a row in a text of a hub": {`{"Body":` + quoted(row) + `}`, "ServiceIncidents", 1},
		"a row with other columns": {strings.Replace(row, `"TimeG`, `"TenantId":"w","_ResourceId":"","TimeG`, 1),
			"ServiceIncidents", 1},
		"a page that names no kind": {`{"value":[` + whole + `],"@odata.count":1}`, "serviceIncidents", 1},
	} {
		forms := NewRecogniser(slices.Concat(testForms, incidents))
		got := collect(t, forms, oneFile(c.content))
		n := 0
		for _, it := range got.items {
			if it.Kind.Form == nil || it.Kind.Name != c.form {
				t.Errorf("%s: %s", name, it.Kind.Name)
				continue
			}
			n++
			p, id := it.Rec.Properties, "IncidentId"
			if it.Kind.Form.Origin == Graph {
				p, id = it.Rec.Members, "id"
			}
			if p.Text(id) != "7" || p.Text("Severity")+p.Text("severity") != "high" || p.Has("Totals") {
				t.Errorf("%s: it holds %v", name, p)
			}
			if p.Has("impactBegan") && (!p.Has("affectedURLs") || p.Text("impactBegan") != "2026-03-01T08:00:00Z") {
				t.Errorf("%s: it holds %v", name, p)
			}
		}
		if n != c.n || slices.ContainsFunc(got.out, func(s string) bool { return strings.Contains(s, "unknown") }) {
			t.Errorf("%s: %d of %d: %q", name, n, c.n, got.out)
		}
		for _, it := range collect(t, testRecogniser, oneFile(c.content)).items {
			if it.Kind.Form != nil {
				t.Errorf("%s: without its form it is taken in as %s", name, it.Kind.Name)
			}
		}
	}
	overview := `{"category":"ServiceIncidents","properties":{"Totals":{"n":1}}}`
	got := collect(t, NewRecogniser(slices.Concat(testForms, incidents)), oneFile(overview)).items
	if len(got) != 1 || got[0].Kind.Form != nil || got[0].Kind.Name != "ServiceIncidents/summary" {
		t.Errorf("what is about all is %+v", got)
	}
}

// A row of a union of tables has the columns of all: its category says of which it is.
func TestARowOfAUnionIsOfTheTableItsCategoryNames(t *testing.T) {
	forms := NewRecogniser(slices.Concat(incidents, testForms))
	for category, want := range map[string]string{"AuditLogs": "AuditLogs", "": "ServiceIncidents"} {
		row := `{"TimeGenerated":"t","Category":` + quoted(category) + `,"OperationName":"a","Properties":"{}",` +
			`"IncidentId":"","Severity":""}`
		if got := collect(t, forms, oneFile(row)).items; len(got) != 1 || got[0].Kind.Name != want {
			t.Errorf("category %q: %+v", category, got)
		}
	}
}

// Of two forms whose members a nameless record has, the one with the larger set is meant, in
// whatever order they are given.
func TestOfTwoFormsTheMoreCompleteIsMeant(t *testing.T) {
	small := Form{Name: "small", Members: [][]string{{"id", "a"}}}
	large := Form{Name: "large", Members: [][]string{{"id", "a", "b"}, {"id", "c"}}}
	for _, forms := range [][]Form{{small, large}, {large, small}} {
		got := collect(t, NewRecogniser(forms), oneFile(`[{"id":"1","a":1,"b":2},{"id":"1","a":1},{"id":"1","c":1}]`))
		if want := []string{"x:1 1 large", "x:1 2 small", "x:1 3 large"}; !slices.Equal(got.out, want) {
			t.Errorf("%q, want %q", got.out, want)
		}
	}
}

// What a record names as its source's tenant, and where. Log Analytics' own is the workspace's.
func TestSourceTenantsARecordNames(t *testing.T) {
	for in, want := range map[string]string{
		`{"tenantId":"AB"}`: "[{tenantId ab}]",
		`{"category":"Devices","properties":{"AADTenantId":"cd"}}`:            "[{properties.AADTenantId cd}]",
		`{"resourceId":"/tenants/EF/providers/x"}`:                            "[{resourceId ef}]",
		`{"resourceId":"/subscriptions/EF/providers/x","tenantId":"<null>"}`:  "[]",
		`{"TimeGenerated":"t","Type":"IntuneDevices","TenantId":"workspace"}`: "[]",
		`{"id":"x"}`: "[]",
	} {
		rec, err := testRecogniser.decode([]byte(in))
		if got := fmt.Sprint(SourceTenants(rec)); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}
