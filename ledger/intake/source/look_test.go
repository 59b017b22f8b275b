package source

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// A value that is seen to be JSON ends where its quotes and brackets do, and is what encoding/json
// takes; what is no such value is left to those.
func FuzzAValueIsSeenAsItIs(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[1,{"a":"]"}] x`, `"a\"b" `, `12,`, `12x`, `nullx`, `null`,
		`{"a":{}}}`, `{"a":"` + "\n" + `"}`,
		`{"a":1,"a":2}`, "{\"\xff\":\"\xff\"}", `["\ud800"]`, `{"a":[}`, `-0.5e+1]`, `01`, `{`, `[1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w := windowOn(text, 1, true)
		if _, ok := w.skipSpace(); !ok {
			return
		}
		s := &scanner{window: w, seen: &record.Scanner{}}
		ahead, whole := w.valueAhead(maxRecordBytes)
		seen := s.look()
		if seen.valid != (whole && json.Valid(ahead)) {
			t.Fatalf("%q is seen %v, and is %v, %v", text, seen.valid, whole, json.Valid(ahead))
		}
		if seen.valid && !bytes.Equal(seen.text, ahead) {
			t.Fatalf("%q is seen as %q, and is %q", text, seen.text, ahead)
		}
		if again := s.look(); again.valid != seen.valid || !bytes.Equal(again.text, seen.text) {
			t.Fatalf("%q is seen otherwise the second time", text)
		}
	})
}

// Names and contexts are told as the regular expression and the walk over letters told them that
// stood here.
func FuzzNamesOfKindsAreToldAsEver(f *testing.F) {
	form := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}(/[A-Za-z][A-Za-z0-9_.-]{0,63}){0,5}$`)
	link := map[string]bool{"@odata.nextlink": true, "odata.nextlink": true, "nextlink": true}
	for _, s := range []string{"a/b", "a//b", "/a", "a/", "1", "a.b-c_d/e/f/g/h/i/j", strings.Repeat("x", 65),
		"@odata.nextLink",
		"nextL\u0130nk", "https://x/$metadata#a(b(c))/d/$entity", "$metadata#/a/$entity", "NEXTLIN\u212a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if isKindName(s) != form.MatchString(s) {
			t.Errorf("%q: a kind's name %v", s, isKindName(s))
		}
		if isLink(s) != link[strings.ToLower(s)] {
			t.Errorf("%q: a link %v", s, isLink(s))
		}
		s = strings.ToValidUTF8(s, "?")
		_, path, _ := strings.Cut(s, "$metadata#")
		var b strings.Builder
		depth := 0
		for _, r := range path {
			switch {
			case r == '(':
				depth++
			case r == ')':
				depth--
			case depth == 0:
				b.WriteRune(r)
			}
		}
		if want := strings.Trim(strings.TrimSuffix(b.String(), "/$entity"), "/"); contextPath(s) != want {
			t.Errorf("%q names %q, want %q", s, contextPath(s), want)
		}
	})
}

// declared are the source tenants that the tests of the look take.
func declared(tenant string) bool {
	return tenant == "t" || tenant == "7e2e6b8d-1111-4b1b-9b57-8d0a5d1f2a05"
}

// namingAnother is a receiver that notes whether a record names a source tenant that is not taken.
type namingAnother struct {
	*collector
	another bool
}

func (n *namingAnother) Record(_ Position, it Item) error {
	for _, tenant := range SourceTenants(*it.Rec) {
		n.another = n.another || !declared(tenant.Value)
	}
	return nil
}

// sameLook fails the test unless the look finds another's tenant where one who reads all does.
func sameLook(t interface {
	Fatalf(format string, args ...any)
}, content []byte) (another bool) {
	files := folders.Source{Paths: []string{"."}, FS: fstest.MapFS{"x": {Data: content}}}
	l, err := files.List(context.Background())
	if err != nil {
		t.Fatalf("%v", err)
	}
	all := &namingAnother{collector: &collector{flaws: map[string]Flaw{}}}
	if err := testRecogniser.Read(context.Background(), l, all); err != nil {
		t.Fatalf("%v", err)
	}
	found, err := testRecogniser.Foreign(context.Background(), l, declared, func(Position) error { return nil })
	if err != nil || found != all.another {
		t.Fatalf("another's tenant is found: %v, %v, want %v, in\n%s", found, err, all.another, content)
	}
	return all.another
}

// Whatever holds a record that names a tenant, and however the name is written: the look misses
// none.
func TestTheLookMissesNoTenant(t *testing.T) {
	found := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(t, what) }
		tenant := pick("tenant", "t", "other", "T", "", "<null>", `oth\"er`, `t\u0020`, ` t `, "ot/her")
		name := pick("name", "tenantId", "TenantId", "tenant\\u0049d", "TENANTID", "remoteTenantId",
			"resourceId", "ResourceId",
			"AADTenantId", "AadTenantId")
		value := pick("value", `"`+tenant+`"`, `"/tenants/`+tenant+`/providers/microsoft.intune"`,
			`"\/tenants\/`+tenant+`\/x"`,
			`null`, `7`, `{"a":1}`)
		colon := pick("colon", ":", " : ", "\t:\r\n")
		member := `"` + name + `"` + colon + value
		rec := pick("record", `{"time":"x",`+member+`,"category":"Devices","properties":{"DeviceId":"1"}}`,
			`{"time":"x","category":"Devices","properties":{"DeviceId":"1",`+member+`}}`,
			`{"time":"x","category":"Devices","properties":`+quoted(`{"DeviceId":"1",`+member+`}`)+`}`,
			`{"TimeGenerated":"x","Type":"IntuneDevices","DeviceId":"1",`+member+`}`,
			`{"Id":"1","LastSyncDateTime":"x",`+member+`}`,
			`{"Id":"1","LastSyncDateTime":"x","AdditionalProperties":{`+member+`}}`,
			`{"columns":[{"name":"category"},{"name":"`+name+`"},{"name":"properties"}],`+
				`"rows":[["Devices",`+value+`,{"a":1}]]}`,
			`{"id":"1","enrolledDateTime":"x","managementAgent":"mdm",`+member+`}`, `{"a":{`+member+`}}`)
		wrap := rapid.SampledFrom([]func(string) string{wrappers["bare"], wrappers["filebeat"], wrappers["wazuh"],
			wrappers["text records"], wrappers["records"], wrappers["elastic"],
			func(r string) string { return strings.ReplaceAll(`{"message":`+quoted(r)+`}`, `\"`, `\u0022`) },
			func(r string) string { return toUTF16("\ufeff"+r, "", false) },
			func(r string) string {
				return strings.Repeat(" ", rapid.IntRange(60<<10, 66<<10).Draw(t, "blanks")) + r
			},
		}).Draw(t, "wrapper")
		content := wrap(rec)
		switch rapid.IntRange(0, 3).Draw(t, "packed") {
		case 1:
			content = pack(t, content)
		case 2:
			content = packedtest.Capture(t, "deflate", 2, aDevice, content)
		case 3:
			content = packedtest.Capture(t, "null", 1, content)
			content = content[:4] + "\xff" + content[5:] // its header is broken
		}
		found[sameLook(t, []byte(content))]++
	})
	if found[true] == 0 || found[false] == 0 {
		t.Errorf("found in %d, and not in %d", found[true], found[false])
	}
}

// Nor in a table, whose header names its members without quotes.
func TestTheLookMissesNoTenantInATable(t *testing.T) {
	found := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(t, what) }
		name := pick("name", "TenantId", "tenantId", "AADTenantId", "ResourceId", "Id", "Properties", "properties")
		tenant := pick("tenant", "t", "other", "", "<null>")
		value := pick("value", tenant, "/tenants/"+tenant+"/x", `{""AADTenantId"":""`+tenant+`""}`)
		quote := pick("quote", "", `"`)
		if strings.HasPrefix(value, "{") {
			quote = `"`
		}
		header := pick("header", "TimeGenerated,Type,DeviceId,", "TimeGenerated,Category,OperationName,",
			"LastSyncDateTime,Id,x,", "time,category,resourceId,", "id,enrolledDateTime,managementAgent,")
		row := "x," + pick("second", "IntuneDevices", "IntuneAuditLogs", "Devices", "AuditLogs") + ",1,"
		begin := pick("begin", "", "sep=,\n", "#TYPE X\r\n", "\ufeff", strings.Repeat("\n", 65_000),
			strings.Repeat(" \n", 4))
		content := begin + header + quote + name + quote + "\n" + row + quote + value + quote + "\n"
		if rapid.Bool().Draw(t, "UTF-16") {
			content = toUTF16(strings.TrimPrefix(content, "\ufeff"), "\xff\xfe", false)
		}
		found[sameLook(t, []byte(content))]++
	})
	if found[true] == 0 || found[false] == 0 {
		t.Errorf("found in %d, and not in %d", found[true], found[false])
	}
}

// testFiles are the test data of this repository: whatever is understood is among them.
func testFiles(tb testing.TB) (out [][]byte) {
	tb.Helper()
	err := filepath.WalkDir("../testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out = append(out, text)
		return err
	})
	if err != nil || len(out) == 0 {
		tb.Fatalf("%d files: %v", len(out), err)
	}
	return out
}

func TestTheLookMissesNoTenantInTheTestData(t *testing.T) {
	for _, text := range testFiles(t) {
		sameLook(t, text)
	}
}

// A file in which no record can name another's tenant is not taken apart.
func TestTheLookTakesNothingApartThatNamesOnlyItsOwn(t *testing.T) {
	for content, may := range map[string]bool{
		`{"tenantId":"t","properties":{"AADTenantId" : "T","remoteTenantId":"other"}}`: false,
		`{"message":"{\"tenantId\":\"t\",\"resourceId\":\"/TENANTS/t/providers/x\"}"}`: false,
		`{"resourceId":"/subscriptions/x","tenantId":null,"x":"\u00e4 tenantId"}`:      false,
		`{"resources":[{"resourceId":"5a14a52f-0f3b-4d12-9fac-2d2b1c1a8e33"}]}`:        false,
		`{"tenantId":"other"}`: true, `{"message":"{\"tenantId\":\"other\"}"}`: true, `{"tenantId":7}`: true,
		`{"columns":[{"name":"tenantId"}]}`: true, `{"tenant\u0049d":"other"}`: true, `{"tenantId":"t\"`: true,
		`{"AADTenantId":"other"}`: true, `{"resourceId":"/tenants/other/x"}`: true,
	} {
		got, _ := namesOf(declared).in(windowOn([]byte(content), 1, true))
		if got != may {
			t.Errorf("%s may name another's: %v", content, got)
		}
	}
}

func FuzzTheLookMissesNoTenant(f *testing.F) {
	for _, text := range testFiles(f) {
		f.Add(text[:min(len(text), 4<<10)])
	}
	for _, wrap := range wrappers {
		f.Add([]byte(wrap(`{"time":"x","tenantId":"other","category":"Devices","properties":{"AADTenantId":"t"}}`)))
		f.Add([]byte(wrap(`{"resourceId":"/tenants/t/x","category":"Devices","properties":{"DeviceId":"1"}}`)))
		other := wrap(`{"tenantId":"other","category":"Devices","properties":{}}`)
		f.Add([]byte(packedtest.Zip(f, packedEntry("a", other))))
		f.Add([]byte(packedtest.Capture(f, "null", 1, other)))
	}
	f.Add([]byte("TimeGenerated,Type,AADTenantId\nx,IntuneDevices,other\n"))
	f.Add([]byte("Id;LastSyncDateTime;TenantId\n1;x;other\n"))
	f.Add([]byte("TimeGenerated,OperationName,Category,Properties\n" +
		"x,y,AuditLogs,\"{\"\"AADTenantId\"\":\"\"other\"\"}\"\n"))
	f.Fuzz(func(t *testing.T, content []byte) { sameLook(t, content) })
}
