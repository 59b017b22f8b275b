package cloudevents

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// What stands in data comes out of it, however it is written there; what the specification does
// not name is told apart.
func TestDataIsReadHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		data, err := json.Marshal(map[string]string{"a": value})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(string(data))
		m := record.NewMembers(0)
		for name, raw := range map[string]string{"specversion": `"1.0"`, "id": `"1"`, "source": `"/a"`, "type": `"b"`,
			"extra": `7`} {
			m.Set(name, json.RawMessage(raw))
		}
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			m.Set(Data, data)
		case 1:
			m.Set(Data, text)
		default:
			encoded, _ := json.Marshal(base64.StdEncoding.EncodeToString(data))
			m.Set("data_base64", encoded)
		}
		e := Read(m)
		if e.Fault != nil || !e.Extensions.Has("extra") || e.Extensions.Len() != 1 {
			t.Fatalf("%v, %d extensions", e.Fault, e.Extensions.Len())
		}
		got, fault := DataOf(m)
		if fault != nil {
			t.Fatal(fault)
		}
		var want, have string
		_ = json.Unmarshal(got.Get("a"), &have)
		if want = strings.ToValidUTF8(value, "\uFFFD"); have != want {
			t.Fatalf("%q instead of %q", have, want)
		}
	})
}

// Data of a kind that is never collected is told by its content type, whatever else is wrong.
func TestMediaIsNeverCollected(t *testing.T) {
	m := record.ReadMembers(json.RawMessage(`{"specversion":"9","datacontenttype":"image/png","data_base64":"AA=="}`))
	if e := Read(m); !Is(m) || e.Never != "photos" {
		t.Errorf("%q", e.Never)
	}
}

// FuzzEvent: no object panics; one without a fault has what the specification requires; a fault
// quotes nothing of the content but a version.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{
		`{"specversion":"1.0","id":"1","source":"/a","type":"b","data":{"c":1},"time":"2026-01-01T00:00:00Z"}`,
		`{"specversion":"0.3","id":7,"source":"%zz","type":null,"data_base64":"e30=","datacontenttype":"text/plain"}`,
		`{"specversion":"1.0","data":"{\"a\":1}","datacontenttype":"application/x+json; a=b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := record.ReadMembers(raw)
		if m == nil || !Is(m) {
			return
		}
		e := Read(m)
		data, fault := DataOf(m)
		switch {
		case e.Fault == nil && (e.ID == "" || e.Source == "" || e.Type == ""):
			t.Errorf("no fault, and an attribute is missing: %q", raw)
		case (data == nil) == (fault == nil):
			t.Errorf("data %v, fault %v", data, fault)
		case e.Fault != nil && len(e.Fault.Reason) > 120:
			t.Errorf("a long reason: %s", e.Fault)
		}
		if e.Fault == nil && len(Key(e)) != 8+len(e.Source)+len(e.ID) {
			t.Errorf("the key is not of source and id alone")
		}
	})
}
