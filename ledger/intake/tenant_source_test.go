package intake

import (
	"context"
	"crypto/sha256"
	"fmt"
	"github.com/ledgerline/ledgerline/schemas/words"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// customer is a folder of records: n that name the source tenant, and as many of Graph, which
// names none.
func customer(tenant string, n int) map[string]string {
	var lines, rows []string
	for i := range n {
		lines = append(lines, `{"time":"2026-03-01T08:00:00Z","tenantId":"`+tenant+`","category":"Devices",`+
			`"properties":{"DeviceId":"`+guid(20, i+1)+`"}}`)
		rows = append(rows, strings.TrimSpace(device(i+100, "2026-03-01T08:00:00Z", nil)))
	}
	return map[string]string{"1-graph.json": `{"value":[` + strings.Join(rows, ",") + `]}`,
		"2-monitor.json": strings.Join(lines, "\n")}
}

func (w *world) importWith(files map[string]string, src Source) Summary {
	w.t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = aFile(content)
	}
	src.Paths, src.FS = []string{"."}, fsys
	return w.importPath(src)
}

// Where a record of a run names a tenant that is not declared, nothing is taken that names none:
// it may be that customer's. It does not matter which comes first.
func TestAnotherCustomersFolderIsNotTaken(t *testing.T) {
	for name, c := range map[string]struct {
		files          map[string]string
		src            Source
		recorded, held int
	}{
		"another's":            {files: customer(caseTenant, 5), held: 5},
		"another's, meant":     {files: customer(caseTenant, 5), src: Source{TakeNameless: true}, recorded: 5},
		"its own":              {files: customer(sourceTenant, 5), recorded: 10},
		"its own, in capitals": {files: customer(strings.ToUpper(sourceTenant), 5), recorded: 10},
		"only Graph's":         {files: map[string]string{"x": customer("", 5)["1-graph.json"]}, recorded: 5},
		"named by a resource of a kind not taken": {files: map[string]string{"1": customer("", 5)["1-graph.json"],
			"2": `{"resourceId":"/tenants/` + caseTenant +
				`/providers/Microsoft.aadiam","category":"SignInLogs","properties":{}}`},
			held: 5},
		"in a text": {files: map[string]string{"1": customer("", 5)["1-graph.json"],
			"2": `{"message":"{\"category\":\"SignInLogs\",\"tenantId\":\"` + caseTenant +
				`\",\"properties\":{}}"}`}, held: 5},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false)
			s := w.importWith(c.files, c.src)
			if s.Recorded != c.recorded || s.HeldBack != c.held || len(w.events()) != s.EventsAppended ||
				(s.EventsAppended == 0) != (c.recorded == 0) {
				t.Errorf("%d recorded of %d, %d held back of %d: %s", s.Recorded, c.recorded, s.HeldBack, c.held,
					asJSON(t, s))
			}
			any := newWorld(t, true)
			if s := any.importWith(c.files, Source{}); s.FailedCount != 0 {
				t.Errorf("a tenant that takes any: %s", asJSON(t, s))
			}
		})
	}
}

// vaultFiles returns what the vault's files hold.
func vaultFiles(t *testing.T, w *world) map[string][32]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(t.TempDir()), "*", "vault*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files of the vault: %v", err)
	}
	out := map[string][32]byte{}
	for _, n := range names {
		raw, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(n, "-shm") { // locks of those who read
			out[n] = sha256.Sum256(raw)
		}
	}
	return out
}

// A dry run says what an import would make of the records, and writes nothing: neither ledger nor
// vault.
func TestADryRunSaysWhatAnImportDoesAndWritesNothing(t *testing.T) {
	w := newWorld(t, false)
	known := customer(sourceTenant, 3)
	w.importFiles(known)
	files := maps.Clone(known)
	files["3.json"] = strings.Join([]string{
		device(500, "2026-03-01T08:00:00Z", nil), // new
		device(100, "2026-03-02T08:00:00Z", map[string]any{"deviceName": "OTHER"}),
		`{"time":"2026-03-01T09:00:00Z","tenantId":"` + sourceTenant +
			`","category":"AuditLogs","operationName":"Patch MobileApp",` +
			`"properties":{"AuditEventId":"` + guid(30, 1) + `","Actor":{"ActorType":1,"ObjectId":"` + guid(10, 1) +
			`"}}}`,
		`{"category":"UpdateLogs","tenantId":"` + sourceTenant + `","properties":{}}`,
		`{"tenantId":"` + sourceTenant + `","category":"Devices","properties":{}}`,
		device(501, "2026-03-01T08:00:00Z", map[string]any{"deviceName": "sealed:v1:x"}),
	}, "\n")
	before, events := vaultFiles(t, w), len(w.events())
	dry := w.importWith(files, Source{DryRun: true})
	if after := vaultFiles(t, w); !maps.Equal(before, after) || len(w.events()) != events {
		t.Errorf("the dry run left %d events, and the vault changed: %v", len(w.events())-events,
			!maps.Equal(before, after))
	}
	if !dry.DryRun || dry.EventsAppended != 0 {
		t.Errorf("%d events appended", dry.EventsAppended)
	}
	real := w.importWith(files, Source{})
	if dry.Recorded != 3 || dry.Recorded != real.Recorded || dry.Unchanged != real.Unchanged ||
		dry.FailedCount != real.FailedCount ||
		!maps.Equal(dry.Refused, real.Refused) || !maps.Equal(dry.Unrecognised, real.Unrecognised) ||
		sum(dry.Refused) != 1 {
		t.Errorf("dry\n%s\nreal\n%s", asJSON(t, dry), asJSON(t, real))
	}
	if k := dry.Kinds["managedDevices"]; k.Read != 6 || k.Recorded != 2 || k.Refused != 1 {
		t.Errorf("by kind: %s", asJSON(t, dry.Kinds))
	}
	if dry.SourceTenants[sourceTenant] != 6 || dry.NamesNoTenant != 6 {
		t.Errorf("by tenant: %v, %d name none", dry.SourceTenants, dry.NamesNoTenant)
	}
	var text strings.Builder
	if err := dry.WriteText(&text, words.Default().Base()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3  would be recorded", "managedDevices: 2 would be recorded", "6  " + sourceTenant,
		"UpdateLogs: 1 not taken in"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// An ordinary summary shows no id of a source tenant; a dry run is asked for them.
func TestTheSummaryOfADryRunNamesSourceTenants(t *testing.T) {
	w := newWorld(t, false)
	files := map[string]string{"1": customer(sourceTenant, 2)["2-monitor.json"],
		"2": customer(caseTenant, 1)["2-monitor.json"],
		"3": `{"tenantId":"Anna's","category":"Devices","properties":{}}`}
	for dry, want := range map[bool]map[string]int{false: {"declared": 2, "not declared": 2},
		true: {sourceTenant: 2, caseTenant: 1, "(no id of a tenant)": 1}} {
		s := w.importWith(files, Source{DryRun: dry})
		if !maps.Equal(s.SourceTenants, want) {
			t.Errorf("dry %v: %v, want %v", dry, s.SourceTenants, want)
		}
		if !dry && strings.Contains(asJSON(t, s), caseTenant) {
			t.Error("the summary shows the id of a source tenant")
		}
	}
}

// Progress has a total, which is reached, and begins with the look at whose records they are.
func TestProgressHasATotal(t *testing.T) {
	for _, any := range []bool{false, true} {
		w := newWorld(t, any)
		w.config.BatchSize = 1
		fsys, total := fstest.MapFS{}, int64(0)
		for name, content := range customer(sourceTenant, 4) {
			fsys[name] = aFile(content)
			total += int64(len(content))
		}
		var shown []Summary
		s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"."}, FS: fsys},
			func(s Summary) { shown = append(shown, s) })
		if err != nil || s.Bytes != total || s.BytesTotal != total {
			t.Errorf("%v, %d of %d bytes, want %d", err, s.Bytes, s.BytesTotal, total)
		}
		looked := slices.ContainsFunc(shown, func(s Summary) bool { return s.Looked > 0 })
		ordered := slices.IsSortedFunc(shown, func(a, b Summary) int { return int(a.Bytes - b.Bytes) })
		if looked == any || !ordered || shown[len(shown)-1].Looked != 0 || shown[len(shown)-1].BytesTotal != total {
			t.Errorf("any source %v: looked %v, %s", any, looked, fmt.Sprint(len(shown)))
		}
	}
}
