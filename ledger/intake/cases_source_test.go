package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// caseTenant is the source tenant that the cases name.
const caseTenant = "9e8e4e5b-1dc2-5f56-8e55-4847ce9ef1b4"

// caseWorld is a world whose tenant is the cases'.
func caseWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, false)
	w.tenant.Sources = []string{caseTenant}
	return w
}

// importPath imports a file or folder as the operating system has it.
func (w *world) importPath(src Source) Summary {
	w.t.Helper()
	s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if !s.Balanced() {
		w.t.Errorf("the summary does not add up: %+v", s)
	}
	return s
}

func readCase(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "cases", name, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("case %s: %v, %v", name, files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// What people hand in becomes what it should, however it is held.
func TestCasesOfSources(t *testing.T) {
	for _, c := range []struct {
		name                              string
		recorded, failed, decoded, notice int
		other                             map[string]int // unrecognised
		looks                             string
		says                              string // in a failure or notice
	}{
		{name: "bad-row-in-a-batch-of-lines", recorded: 3, failed: 1, says: "malformed JSON"},
		{name: "stray-comma-in-records", recorded: 2, notice: 1, says: "comma"},
		{name: "entra-auditlogs-in-the-same-hub", other: map[string]int{"microsoft.aadiam/AuditLogs": 1,
			"MicrosoftGraphActivityLogs": 1, "NonInteractiveUserSignInLogs": 1}},
		{name: "context-after-value", recorded: 1},
		{name: "properties-as-json-text", recorded: 1, decoded: 1},
		{name: "log-analytics-intuneauditlogs", recorded: 1, decoded: 1},
		{name: "log-analytics-intunedevices", recorded: 1},
		{name: "sdk-pascal-case", recorded: 1},
		{name: "capture-body-as-text", recorded: 1, decoded: 1},
		{name: "batch-with-throttled-parts", recorded: 1, failed: 3, says: "429, TooManyRequests"},
		{name: "utf16-with-bom", recorded: 1},
		{name: "utf16-without-bom", recorded: 1},
		{name: "gzip-blob", other: map[string]int{"gzip": 1}, looks: "gzip"},
		{name: "event-hubs-capture-avro", other: map[string]int{"Avro": 1}, looks: "Avro"},
		{name: "portal-csv-devices", other: map[string]int{"CSV": 1}, looks: "CSV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := caseWorld(t)
			s := w.importPath(Source{Paths: []string{filepath.Join("testdata", "cases", c.name)}})
			if c.other == nil {
				c.other = map[string]int{}
			}
			if s.Recorded != c.recorded || s.FailedCount != c.failed || s.Decoded != c.decoded || s.NoticeCount != c.notice ||
				!maps.Equal(s.Unrecognised, c.other) {
				t.Errorf("not as it should be, want %+v: %s", c, asJSON(t, s))
			}
			if (s.UnknownCount == 1) != (c.looks != "") || c.looks != "" && s.UnknownFiles[0].LooksLike != c.looks {
				t.Errorf("files not understood: %+v, want %q", s.UnknownFiles, c.looks)
			}
			if s.OK() != (c.failed == 0 && c.looks == "") {
				t.Errorf("ok is %v", s.OK())
			}
			if told := asJSON(t, []any{s.Failed, s.Notices}); !strings.Contains(told, c.says) {
				t.Errorf("%s does not say %q", told, c.says)
			}
			if again := w.importPath(Source{Paths: []string{filepath.Join("testdata", "cases", c.name)}}); again.EventsAppended != 0 {
				t.Errorf("importing again appended %d events", again.EventsAppended)
			}
		})
	}
}

// A row of Log Analytics, as object or in a table of its API, gives the events of Azure Monitor's form.
func TestLogAnalyticsGivesTheEventsOfAzureMonitor(t *testing.T) {
	for _, name := range []string{"log-analytics-intuneauditlogs", "log-analytics-intunedevices"} {
		var rows []map[string]any
		if err := json.Unmarshal([]byte(readCase(t, name)), &rows); err != nil {
			t.Fatal(err)
		}
		row := rows[0]
		monitor := map[string]any{"time": row["TimeGenerated"], "tenantId": caseTenant}
		if row["Type"] == "IntuneAuditLogs" {
			monitor["category"], monitor["operationName"] = "AuditLogs", row["OperationName"]
			monitor["identity"], monitor["correlationId"] = row["Identity"], row["CorrelationId"]
			monitor["resultType"], monitor["resultDescription"] = row["ResultType"], row["ResultDescription"]
			var p any
			if err := json.Unmarshal([]byte(row["Properties"].(string)), &p); err != nil {
				t.Fatal(err)
			}
			monitor["properties"] = p
		} else {
			p := maps.Clone(row)
			for _, own := range []string{"TimeGenerated", "Type", "SourceSystem", "TenantId"} {
				delete(p, own)
			}
			monitor["category"], monitor["operationName"], monitor["properties"] = "Devices", "Devices", p
		}
		var columns []map[string]any
		var cells []any
		for _, k := range slices.Sorted(maps.Keys(row)) {
			columns = append(columns, map[string]any{"name": k, "type": "string"})
			cells = append(cells, row[k])
		}
		table := map[string]any{"name": "PrimaryResult", "columns": columns, "rows": []any{cells, []any{"too few"}}}
		cli := maps.Clone(row) // `az monitor log-analytics query`: every cell a text
		for k, v := range cli {
			cli[k] = fmt.Sprint(v)
		}
		nameless := maps.Clone(row) // a query that projects the table's name away
		delete(nameless, "Type")
		var want string
		for i, form := range []any{monitor, row, rows, map[string]any{"tables": []any{table}}, []any{cli}, nameless} {
			w := caseWorld(t)
			s := w.importFiles(map[string]string{"x.json": asLine(form)})
			if s.Recorded != 1 {
				t.Fatalf("%s, form %d: %s", name, i, asJSON(t, s))
			}
			got := strings.ReplaceAll(w.canonical(), "Z none", "Z none")
			if i == 0 {
				want = got
			} else if got != want {
				t.Errorf("%s, form %d gives\n%s\nand Azure Monitor's form\n%s", name, i, got, want)
			}
			if s := w.importFiles(map[string]string{"x.json": asLine(monitor)}); s.EventsAppended != 0 {
				t.Errorf("%s, form %d: Azure Monitor's form is new after it", name, i)
			}
		}
	}
}

// What PowerShell's SDK writes gives the events of Graph's form.
func TestTheSDKsObjectsGiveTheEventsOfGraph(t *testing.T) {
	graph := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1), "deviceName": "LT-1",
		"managedDeviceOwnerType": "company", "managementAgent": "mdm", "operatingSystem": "Windows",
		"enrolledDateTime": "2026-01-05T08:00:00Z", "lastSyncDateTime": "2026-03-01T08:00:00Z",
		"azureADDeviceId": guid(21, 1), "userId": guid(10, 1), "userPrincipalName": "anna@example.com",
		"wiFiMacAddress": "001122334455", "skuFamily": "Enterprise",
		"hardwareInformation": map[string]any{"wifiMac": "001122334455", "operatingSystemEdition": "Pro"},
		"usersLoggedOn":       []any{map[string]any{"userId": guid(10, 2), "lastLogOnDateTime": "2026-03-01T07:00:00Z"}},
		"detectedApps":        []any{map[string]any{"id": "app-1", "displayName": "Reader", "version": "1", "sizeInByte": 4096}}}
	audit := map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1), "displayName": "Create",
		"activityDateTime": "2026-03-01T09:00:00Z", "activityType": "Create MobileApp", "activityOperationType": "Create",
		"activityResult": "Success", "componentName": "MobileApp", "category": "Application",
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 1), "userPrincipalName": "anna@example.com",
			"applicationId": guid(40, 1), "ipAddress": "192.0.2.7", "userPermissions": []any{"*"}},
		"resources": []any{map[string]any{"displayName": "Reader", "auditResourceType": "MobileApp",
			"resourceId": guid(41, 1), "modifiedProperties": []any{map[string]any{"displayName": "Title",
				"oldValue": nil, "newValue": "Reader"}}}}}
	for name, record := range map[string]map[string]any{"device": graph, "audit": audit} {
		w := caseWorld(t)
		if s := w.importFiles(map[string]string{"x.json": asLine(record)}); s.Recorded != 1 {
			t.Fatalf("%s: %s", name, asJSON(t, s))
		}
		want := w.canonical()
		for i, date := range []bool{false, true} {
			sdk := pascal(record, date).(map[string]any)
			w := caseWorld(t)
			s := w.importFiles(map[string]string{"x.json": asLine([]any{sdk})})
			if s.Recorded != 1 || len(s.UnknownFields) > 0 {
				t.Errorf("%s, form %d: %s", name, i, asJSON(t, s))
			}
			if got := w.canonical(); got != want {
				t.Errorf("%s, form %d gives\n%s\nand Graph's form\n%s", name, i, got, want)
			}
		}
	}
}

// pascal writes a record as the SDK does: names with a capital, what it has no member for in
// AdditionalProperties, times as PowerShell 5.1 has them where dates is set.
func pascal(v any, dates bool) any {
	switch v := v.(type) {
	case map[string]any:
		out, more := map[string]any{"Nothing": nil}, map[string]any{}
		for k, inner := range v {
			switch k {
			case "@odata.type", "skuFamily":
				more[k] = inner
			case "azureADDeviceId":
				out["AzureAdDeviceId"] = inner
			default:
				out[strings.ToUpper(k[:1])+k[1:]] = pascal(inner, dates)
			}
		}
		out["AdditionalProperties"] = more
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, pascal(e, dates))
		}
		return out
	case string:
		if at, ok := parseTime(v); ok && dates {
			return fmt.Sprintf("/Date(%d)/", at.UnixMilli())
		}
	}
	return v
}

// wrappers are the ways in which pipelines hold one record: as an object or as a text in one.
var wrappers = map[string]func(record string) string{
	"bare":  func(r string) string { return r },
	"wazuh": func(r string) string { return `{"integration":"ms-graph","ms-graph":` + r + `}` },
	"wazuh full": func(r string) string {
		return `{"rule":{"level":3},"data":{"integration":"ms-graph","ms-graph":` + r + `}}`
	},
	"filebeat": func(r string) string {
		return `{"@timestamp":"2026-03-01T00:00:00Z","agent":{"type":"filebeat"},"message":` + asLine(r) + `}`
	},
	"filebeat batch": func(r string) string {
		return `{"@metadata":{},"message":` + asLine(`{"records":[`+r+`]}`) + `}`
	},
	"capture":      func(r string) string { return `{"SequenceNumber":1,"Properties":{},"Body":` + asLine(r) + `}` },
	"avro-tools":   func(r string) string { return `{"SequenceNumber":{"long":1},"Body":{"bytes":` + asLine(r) + `}}` },
	"elastic":      func(r string) string { return `{"_index":"x","_source":{"event":{"original":` + asLine(r) + `}}}` },
	"hits":         func(r string) string { return `{"took":1,"hits":{"hits":[{"_source":` + r + `}]}}` },
	"splunk":       func(r string) string { return `{"preview":false,"result":{"_raw":` + asLine(r) + `}}` },
	"records":      func(r string) string { return `{"Records":[` + r + `]}` },
	"value":        func(r string) string { return `{"Value":[` + r + `],"Count":1}` },
	"one value":    func(r string) string { return `{"value":` + r + `}` },
	"response":     func(r string) string { return `[{"url":"u","body":` + r + `}]` },
	"a text body":  func(r string) string { return `{"responses":[{"id":"1","status":200,"body":` + asLine(r) + `}]}` },
	"a text":       func(r string) string { return asLine(r) },
	"text lines":   func(r string) string { return asLine(r) + "\n" },
	"texts":        func(r string) string { return `[` + asLine(r) + `]` },
	"text rows":    func(r string) string { return `{"records":[` + asLine(r) + `]}` },
	"text records": func(r string) string { return `{"records":` + asLine(`[`+r+`]`) + `}` },
	"array":        func(r string) string { return `[` + r + `]` },
	"row of value": func(r string) string { return `{"value":[{"message":` + asLine(r) + `}]}` },
}

// A record is recorded whatever is wrapped around it.
func TestWrappersAreOpened(t *testing.T) {
	record := strings.TrimSpace(device(1, "2026-03-01T08:00:00Z", nil))
	for name, wrap := range wrappers {
		w := newWorld(t, false)
		s := w.importFiles(map[string]string{"x.json": wrap(record)})
		if s.Read != 1 || s.Recorded != 1 || !s.OK() {
			t.Errorf("%s: %s", name, asJSON(t, s))
		}
		if text := strings.Contains(wrap("{}"), `"{`) || strings.Contains(wrap("{}"), `"[`); text != (s.Decoded == 1) {
			t.Errorf("%s: %d decoded", name, s.Decoded)
		}
	}
}

// A record of a known name is one, whatever members it has and wherever they stand.
func TestARecordIsToldByContentAndNotByItsMembersOrder(t *testing.T) {
	monitor := func(odd string) string {
		return `{` + odd + `"time":"2026-03-01T08:00:00Z","tenantId":"` + sourceTenant + `","category":"Devices",` +
			`"properties":{"DeviceId":"` + guid(20, 1) + `"}}`
	}
	graph := func(odd string) string {
		return `{` + odd + `"id":"` + guid(20, 1) + `","managedDeviceOwnerType":"company",` +
			`"lastSyncDateTime":"2026-03-01T08:00:00Z"}`
	}
	entity := func(odd string) string {
		return `{` + odd + `"@odata.context":"https://x/$metadata#deviceManagement/managedDevices/$entity","id":"` +
			guid(20, 1) + `"}`
	}
	for _, odd := range []string{`"value":[1],`, `"value":{"id":"x"},`, `"records":[{"id":"x"}],`, `"body":{"a":1},`,
		`"responses":[],`, `"tables":[{}],`, `"rows":[[1]],"columns":[{"name":"a"}],`, `"value":[` + graph("") + `],`} {
		for i, record := range []string{monitor(odd), graph(odd), entity(odd)} {
			for _, file := range []string{record, record + "\n" + monitor("") + "\n", `{"value":[` + record + `]}`} {
				w := newWorld(t, false)
				s := w.importFiles(map[string]string{"x.json": file})
				if s.Recorded < 1 || s.FailedCount+sum(s.Unrecognised) > 0 || s.Read > 2 {
					t.Errorf("%s, form %d: %s", odd, i, asJSON(t, s))
				}
			}
		}
	}
}

// A page that names another is told of where its folder holds none that ends the collection.
func TestAPageThatWasNotFollowedIsTold(t *testing.T) {
	page := func(n int, more string) string {
		return `{"@odata.context":"https://x/$metadata#deviceManagement/managedDevices",` + more +
			`"value":[{"id":"` + guid(20, n) + `"}]}`
	}
	link := `"@odata.nextLink":"https://x/next",`
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"one page, followed by none":  {map[string]string{"a/1.json": page(1, link)}, 1},
		"the last one is there":       {map[string]string{"a/1.json": page(1, link), "a/2.json": page(2, "")}, 0},
		"the last one comes first":    {map[string]string{"a/1.json": page(1, ""), "a/2.json": page(2, link)}, 0},
		"the last one is elsewhere":   {map[string]string{"a/1.json": page(1, link), "b/2.json": page(2, "")}, 1},
		"two, and the last is absent": {map[string]string{"a/1.json": page(1, link), "a/2.json": page(2, link)}, 1},
		"an empty link":               {map[string]string{"a/1.json": page(1, `"@odata.nextLink":"",`)}, 0},
	} {
		w := newWorld(t, false)
		s := w.importFiles(c.files)
		if s.NoticeCount != c.want || s.Recorded != len(c.files) {
			t.Errorf("%s: %+v", name, s.Notices)
		}
	}
}

// A file none of whose records has a known name is named; a kind that is only not taken in is not.
func TestAFileThatIsNotUnderstoodIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		content, looks string
	}{
		"CSV":              {"Device ID,Name\n1,a\n", "CSV"},
		"CSV of Excel":     {"sep=;\nDevice ID;Name\n1;a\n", "CSV"},
		"CSV in UTF-16":    {toUTF16("Device ID\tName\n1\ta\n", "\xff\xfe", false), "CSV"},
		"quoted CSV":       {"\"Device ID\",\"Name\"\n\"1\",\"a\"\n", "CSV"},
		"a zip archive":    {"PK\x03\x04\x14\x00abc.txt", "zip archive"},
		"a workbook":       {"PK\x03\x04\x14\x00xl/workbook.xml", "Excel workbook"},
		"XML":              {"<?xml version=\"1.0\"?><a/>", "XML"},
		"a sign-in page":   {"<!DOCTYPE html><html></html>", "HTML page"},
		"UTF-32":           {"\xff\xfe\x00\x00{\x00\x00\x00", "text in UTF-32"},
		"binary":           {"\x01\x02\x03", "binary data"},
		"notes":            {"Dear all", "text without JSON"},
		"unknown JSON":     {`[{"surprise":1},{"surprise":2}]`, "JSON whose records have no known name"},
		"a kind by name":   {`{"category":"OperationalLogs","properties":{}}`, ""},
		"a page by name":   {`{"@odata.context":"https://x/$metadata#users","value":[{"id":"a"}]}`, ""},
		"an entity":        {`{"@odata.type":"#microsoft.graph.vppToken","id":"a"}`, ""},
		"a table's name":   {`[{"TimeGenerated":"2026-03-01T00:00:00Z","Type":"SigninLogs"}]`, ""},
		"known and other":  {`[{"surprise":1},{"category":"OperationalLogs","properties":{}}]`, ""},
		"an empty page":    {`{"value":[]}`, ""},
		"nothing":          {"", ""},
		"an unusual name":  {`{"category":"Anna's things","properties":{}}`, "JSON whose records have no known name"},
		"only a scalar":    {"17", "text without JSON"},
		"a comma and text": {", and so on", "text without JSON"},
	} {
		w := newWorld(t, false)
		s := w.importFiles(map[string]string{"x": c.content})
		switch {
		case c.looks == "" && (s.UnknownCount != 0 || !s.OK()):
			t.Errorf("%s is named: %+v", name, s.UnknownFiles)
		case c.looks != "" && (s.UnknownCount != 1 || s.UnknownFiles[0].LooksLike != c.looks || s.OK() ||
			s.UnknownFiles[0].Help == ""):
			t.Errorf("%s: %+v, want %q", name, s.UnknownFiles, c.looks)
		}
		var text strings.Builder
		if err := s.WriteText(&text); err != nil || c.looks != "" && !strings.Contains(text.String(), "looks like "+c.looks) {
			t.Errorf("%s: %v, %s", name, err, text.String())
		}
	}
}

func toUTF16(s, mark string, big bool) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// A text in UTF-16 is read, and what is no text in it costs the record it stands in.
func TestUTF16(t *testing.T) {
	good := device(1, "2026-03-01T08:00:00Z", map[string]any{"deviceName": "Ÿ 𝄞"})
	for _, big := range []bool{false, true} {
		for _, mark := range []string{"", "\ufeff"} {
			w := newWorld(t, false)
			s := w.importFiles(map[string]string{"x": toUTF16(mark+good, "", big)})
			if s.Recorded != 1 || !s.OK() {
				t.Errorf("big %v, mark %q: %s", big, mark, asJSON(t, s))
			}
			if !strings.Contains(w.canonical(), "Ÿ 𝄞") {
				t.Errorf("big %v, mark %q: the name is not what it was", big, mark)
			}
		}
		half := strings.Replace(toUTF16(good, "", big), toUTF16("𝄞", "", big), toUTF16("𝄞", "", big)[:2], 1)
		w := newWorld(t, false)
		s := w.importFiles(map[string]string{"x": half + toUTF16(device(2, "2026-03-01T08:00:00Z", nil), "", big)})
		if s.Recorded != 1 || s.FailedCount != 1 || s.Failed[0].Reason != "not valid UTF-8" {
			t.Errorf("half a pair: %s", asJSON(t, s))
		}
	}
}

// Equal failures are one line with a count; the list of each stays, bounded.
func TestEqualFailuresAreOneLine(t *testing.T) {
	w := newWorld(t, false)
	other := `{"time":"2026-03-01T08:00:00Z","tenantId":"` + caseTenant + `","category":"Devices","properties":{"DeviceId":"` +
		guid(20, 1) + `"}}` + "\n"
	s := w.importFiles(map[string]string{"a.json": strings.Repeat(other, 40), "b.json": strings.Repeat(other, 9)})
	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if s.FailedCount != 49 || len(s.Failed) != 49 || len(s.Failures) != 1 || s.Failures[0].Count != 49 {
		t.Errorf("%d failed, %d of them told, in %+v", s.FailedCount, len(s.Failed), s.Failures)
	}
	if n := strings.Count(text.String(), "names a source tenant"); n != 1 || !strings.Contains(text.String(), "48 more like it, in 2 files") {
		t.Errorf("%d lines: %s", n, text.String())
	}
	s = w.importFiles(map[string]string{"a.json": strings.Repeat(other, maxFailures+5)})
	if s.FailedCount != maxFailures+5 || len(s.Failed) != maxFailures || s.Failures[0].Count != maxFailures+5 {
		t.Errorf("%d failed, %d of them told, in %+v", s.FailedCount, len(s.Failed), s.Failures)
	}
}
