package schemas

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/uuid"
)

func readVectorsMetadata(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v.Expected.Metadata
}

func mapFS(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

// The form written out and the pattern that servers are given are one.
func FuzzStreamValid(f *testing.F) {
	for _, s := range []string{string(LedgerStream), "device-11111111-2222-4333-8444-555555555555",
		"d-11111111-2222-4333-8444-555555555555",
		"Device-11111111-2222-4333-8444-555555555555", "device-11111111-2222-4333-8444-55555555555g",
		"device-11111111-2222-4333-8444-555555555555\n", "", "$ce-device"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := Stream(s).Valid(), StreamPattern().MatchString(s); got != want {
			t.Errorf("%q: valid %v, the pattern says %v", s, got, want)
		}
	})
}

// What a token parser accepts must be written back to the same bytes: there is one spelling.
func FuzzTokenParse(f *testing.F) {
	f.Add("sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:inventory.202611:PCsaCY9-TWybWkk4JxYFBA:action.target-name~0~12:" +
		"mOIyyq7YVNWPFF69ewrGTVb6940ffg-JpywkeJjUy1YQERITFBUWFxgZGhvBBa-AHcj0wjXwYmLb-BPwt_exORQcIWMPiteFsnRHos3" +
		"74vVVaEe6XIfYnkkdD48")
	f.Add("sealed:v1:::::")
	f.Fuzz(func(t *testing.T, s string) {
		h, body, err := Token(s).Parse()
		if err == nil && string(h.Token(body)) != s {
			t.Errorf("%q is accepted and written back as %q", s, h.Token(body))
		}
	})
}

// The metadata parser and the scanner inside InLedger accept the same bytes.
func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(readVectorsMetadata(f)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseMetadata(raw)
		e := Event{ID: NewID(), Stream: "device-11111111-2222-4333-8444-555555555555", Type: "x",
			Data: []byte("{}"), Metadata: raw}
		if m.Tenant == uuid.Nil {
			e.Stream = LedgerStream
		}
		if InLedger(e) != (err == nil && e.Size() <= MaxEventBytes) {
			t.Errorf("%s: parsed with %v, in the ledger %v", raw, err, InLedger(e))
		}
	})
}

// The grammar written out accepts what encoding/json does, of objects that
// are not too deep and are UTF-8.
func FuzzIsObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5e+10,true,false,null,"\u00e9\ud800\n"],"b":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		deep := bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) > maxDepth
		want := len(raw) > 0 && raw[0] == '{' && raw[len(raw)-1] == '}' && utf8.Valid(raw) && json.Valid(raw)
		if got := isObject(raw); got != want && !(deep && want) {
			t.Errorf("%q: %v, encoding/json says %v", raw, got, want)
		}
	})
}

// Decoding never panics, and what it accepts of a known type is encoded again.
func FuzzDecode(f *testing.F) {
	paths, _ := filepath.Glob("testdata/golden/*.json")
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Base(p)[:len(filepath.Base(p))-5], raw)
	}
	meta := []byte(`{"v":1,"tenant":"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051","recordedAt":"2026-11-24T00:00:00.500Z",` +
		`"source":"graph","policy":3,"subjects":[],"origin":"7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXWGs"}`)
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		e, err := NewEnvelope(RecordedEvent{Event: Event{ID: NewID(), Type: typ, Data: data, Metadata: meta,
			Stream: "device-11111111-2222-4333-8444-555555555555"}})
		if err != nil {
			return
		}
		if d, err := Default().Decode(e); err == nil {
			for _, v := range d.Values {
				if v.Attr == nil || (v.Token != "" && v.Plain != nil) {
					t.Errorf("value without attribute, or both plain and sealed: %+v", v)
				}
			}
		}
	})
}

// A text is written in JSON as encoding/json writes it.
func FuzzTextsAreWrittenAsEver(f *testing.F) {
	for _, s := range []string{"", "a", `a"\`, "<&>", "\u2028", "\xff", "é\x7f", "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil || strings.TrimSuffix(b.String(), "\n") != string(JSON(s)) {
			t.Errorf("%q is written as %s: %v", s, JSON(s), err)
		}
	})
}
