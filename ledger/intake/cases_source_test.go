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

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas/words"
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
		{name: "gzip-blob", recorded: 1},
		// Its header lacks the length of its schema.
		{name: "event-hubs-capture-avro", recorded: 1, notice: 1, says: "header is broken"},
		{name: "portal-csv-devices", recorded: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := caseWorld(t)
			src := Source{Paths: []string{filepath.Join("testdata", "cases", c.name)}}
			s := w.importPath(src)
			if c.other == nil {
				c.other = map[string]int{}
			}
			if s.Recorded != c.recorded || s.FailedCount != c.failed || s.Decoded != c.decoded ||
				s.NoticeCount != c.notice || !maps.Equal(s.Unrecognised, c.other) {
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
			if again := w.importPath(src); again.EventsAppended != 0 {
				t.Errorf("importing again appended %d events", again.EventsAppended)
			}
		})
	}
}

// A row of Log Analytics, as object or in a table of its API, gives the events of Azure Monitor's
// form.
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
			got := w.canonical()
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
		"usersLoggedOn": []any{map[string]any{"userId": guid(10, 2),
			"lastLogOnDateTime": "2026-03-01T07:00:00Z"}},
		"detectedApps": []any{map[string]any{"id": "app-1", "displayName": "Reader", "version": "1",
			"sizeInByte": 4096}}}
	audit := map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1), "displayName": "Create",
		"activityDateTime": "2026-03-01T09:00:00Z", "activityType": "Create MobileApp",
		"activityOperationType": "Create",
		"activityResult":        "Success", "componentName": "MobileApp", "category": "Application",
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 1),
			"userPrincipalName": "anna@example.com",
			"applicationId":     guid(40, 1), "ipAddress": "192.0.2.7", "userPermissions": []any{"*"}},
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
		if at, ok := record.ParseTime(v); ok && dates {
			return fmt.Sprintf("/Date(%d)/", at.UnixMilli())
		}
	}
	return v
}

// A file none of whose records has a known name is named, and the import not in order; one whose
// kind is only not taken in is not.
func TestAFileThatIsNotUnderstoodIsToldInTheSummary(t *testing.T) {
	for content, looks := range map[string]string{
		"Device ID,Name\n1,a\n":                     "CSV",
		`[{"surprise":1}]`:                          "JSON whose records have no known name",
		`{"category":"UpdateLogs","properties":{}}`: "",
	} {
		w := newWorld(t, false)
		s := w.importFiles(map[string]string{"x": content})
		if s.OK() != (looks == "") || (s.UnknownCount == 1) != (looks != "") ||
			looks != "" && s.UnknownFiles[0].LooksLike != looks {
			t.Errorf("%s: %+v, want %q", content, s.UnknownFiles, looks)
		}
		var text strings.Builder
		err := s.WriteText(&text, words.Default().Base())
		if err != nil || looks != "" && !strings.Contains(text.String(), "looks like "+looks) {
			t.Errorf("%s: %v, %s", content, err, text.String())
		}
	}
}

// Equal failures are one line with a count; the list of each stays, bounded.
func TestEqualFailuresAreOneLine(t *testing.T) {
	w := newWorld(t, false)
	other := `{"time":"2026-03-01T08:00:00Z","tenantId":"` + caseTenant + `","category":"Devices",` +
		`"properties":{"DeviceId":"` + guid(20, 1) + `"}}` + "\n"
	s := w.importFiles(map[string]string{"a.json": strings.Repeat(other, 40), "b.json": strings.Repeat(other, 9)})
	var text strings.Builder
	if err := s.WriteText(&text, words.Default().Base()); err != nil {
		t.Fatal(err)
	}
	if s.FailedCount != 49 || len(s.Failed) != 49 || len(s.Failures) != 1 || s.Failures[0].Count != 49 {
		t.Errorf("%d failed, %d of them told, in %+v", s.FailedCount, len(s.Failed), s.Failures)
	}
	if n := strings.Count(text.String(), "names a source tenant"); n != 1 ||
		!strings.Contains(text.String(), "48 more like it, in 2 files") {
		t.Errorf("%d lines: %s", n, text.String())
	}
	s = w.importFiles(map[string]string{"a.json": strings.Repeat(other, maxFailures+5)})
	if s.FailedCount != maxFailures+5 || len(s.Failed) != maxFailures || s.Failures[0].Count != maxFailures+5 {
		t.Errorf("%d failed, %d of them told, in %+v", s.FailedCount, len(s.Failed), s.Failures)
	}
}
