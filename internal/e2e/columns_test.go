package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a report shows in each column of rows drawn at random is what the source's own record says,
// read by nothing of the program.
func TestColumnsSayWhatTheSourceSaid(t *testing.T) {
	dir, gen := smallFleet(t, 200, 16)
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 1))
	actions, devices := sourceActions(t, dir), sourceDevices(t, dir)
	compareColumns(t, draw, "admin-actions", rowsOf(t, n, "admin-actions"), actions,
		func(row map[string]any) string { return textAt(row, "time", "utc") + " " + textAt(row, "operation") })
	compareColumns(t, draw, "remote-actions", rowsOf(t, n, "remote-actions"), actions,
		func(row map[string]any) string { return textAt(row, "requested", "utc") + " " + textAt(row, "action") })
	compareColumns(t, draw, "device-inventory", rowsOf(t, n, "device-inventory"), devices,
		func(row map[string]any) string { return textAt(row, "intuneId") })
	named := map[string]map[string]string{} // by name and serial number, which a report of people has
	for _, d := range devices {
		named[d["device"]+" "+d["serial"]] = d
	}
	compareColumns(t, draw, "compliance-status", rowsOf(t, n, "compliance-status"), named,
		func(row map[string]any) string { return textAt(row, "device") + " " + textAt(row, "serial") })
}

// compareColumns compares every column that the source tells, of 20 rows of which it tells.
func compareColumns(
	t *testing.T, draw *rand.Rand, report string, rows []map[string]any, source map[string]map[string]string,
	key func(map[string]any) string,
) {
	t.Helper()
	compared := 0
	for _, i := range draw.Perm(len(rows)) {
		want, ok := source[key(rows[i])]
		if !ok || compared == 20 {
			continue
		}
		compared++
		for column, value := range want {
			if other, is := called[report][column]; is {
				column = other
			}
			if column == "" {
				continue
			}
			if got := textAt(rows[i], column); got != value {
				t.Errorf("%s, %s: %q, the source said %q", report, column, got, value)
			}
		}
	}
	if compared < 20 {
		t.Errorf("%s: the source tells of %d of its %d rows, want 20", report, compared, len(rows))
	}
}

// called are columns that a report calls otherwise; "" is one that it does not have.
var called = map[string]map[string]string{"remote-actions": {"actor": "by", "target": "", "delegated": "",
	"application": "", "applicationId": ""}, "compliance-status": {"encrypted": "", "enrolled": "", "model": ""}}

func rowsOf(t *testing.T, n *node, report string) []map[string]any {
	t.Helper()
	var rep struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(n.must("", "report", report, "--purpose", "audit", "--output", "json")),
		&rep); err != nil {
		t.Fatal(err)
	}
	return rep.Rows
}

// textAt writes what stands at a path of an object: several values with a bar between them.
func textAt(of any, path ...string) string {
	for _, p := range path {
		o, _ := of.(map[string]any)
		of = o[p]
	}
	switch v := of.(type) {
	case nil:
		return ""
	case []any:
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = textAt(e)
		}
		return strings.Join(texts, "|")
	case map[string]any:
		raw, _ := json.Marshal(v)
		return string(raw)
	}
	return fmt.Sprint(of)
}

// sourceLines are the records of the Azure Monitor files of that name, in the order of their days.
func sourceLines(t *testing.T, dir, name string) (out []map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", name))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", name, err)
	}
	slices.Sort(files)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var r map[string]any
			if json.Unmarshal([]byte(line), &r) == nil && textAt(r, "properties") != "" {
				out = append(out, r)
			}
		}
	}
	return out
}

// sourceActions are the audit records, by time and operation; of two alike, none.
func sourceActions(t *testing.T, dir string) map[string]map[string]string {
	out, twice := map[string]map[string]string{}, map[string]bool{}
	for _, r := range sourceLines(t, dir, "audit.ndjson") {
		p, _ := r["properties"].(map[string]any)
		when, err := time.Parse(time.RFC3339Nano, textAt(r, "time"))
		if err != nil {
			continue
		}
		key := when.UTC().Format("2006-01-02T15:04:05.999Z07:00") + " " + textAt(r, "operationName")
		twice[key] = out[key] != nil
		actor := textAt(p, "Actor", "UPN")
		if actor == "" {
			actor = textAt(p, "Actor", "ApplicationName")
		}
		want := map[string]string{"actor": actor, "result": strings.ToLower(textAt(r, "resultType")),
			"delegated": textAt(p, "Actor", "IsDelegatedAdmin"), "application": textAt(p, "Actor", "ApplicationName"),
			"applicationId": textAt(p, "Actor", "Application")}
		if names := textAt(p, "TargetDisplayNames"); names != "" && !strings.Contains(names, "<null>") {
			want["target"] = names
		}
		if out[key] = want; twice[key] {
			delete(out, key)
		}
	}
	return out
}

// sourceDevices are the last snapshots of the devices that no Graph response tells of, by Intune
// id.
func sourceDevices(t *testing.T, dir string) map[string]map[string]string {
	graph, err := filepath.Glob(filepath.Join(dir, "*", "graph-device*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for _, f := range graph {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		told.Write(raw)
	}
	ownership := map[string]string{"Corporate": "company", "Personal": "personal", "Unknown": ""}
	compliance := map[string]string{"Compliant": "compliant", "NonCompliant": "noncompliant",
		"InGracePeriod": "inGracePeriod"}
	second := func(s string) string { return strings.Replace(s, " ", "T", 1)[:len("2006-01-02T15:04:05")] + "Z" }
	out := map[string]map[string]string{}
	for _, r := range sourceLines(t, dir, "devices.ndjson") {
		p, _ := r["properties"].(map[string]any)
		id := textAt(p, "DeviceId")
		if id == "" || strings.Contains(told.String(), id) {
			continue
		}
		want := map[string]string{"device": textAt(p, "DeviceName"), "user": textAt(p, "UPN"),
			"model":     textAt([]any{p["Manufacturer"], p["Model"]}),
			"os":        textAt([]any{p["OS"], p["OSVersion"]}),
			"encrypted": strings.ToLower(textAt(p, "EncryptionStatusString")),
			"enrolled":  second(textAt(p, "CreatedDate")), "lastContact": second(textAt(p, "LastContact"))}
		if serial := textAt(p, "SerialNumber"); len(serial) == 10 { // others are what makers write for none
			want["serial"] = serial
		}
		if word, ok := ownership[textAt(p, "Ownership")]; ok {
			want["ownership"] = word
		}
		if word, ok := compliance[textAt(p, "CompliantState")]; ok {
			want["compliance"] = word
		}
		out[id] = want
	}
	return out
}
