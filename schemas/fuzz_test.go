package schemas

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func mapFS(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

// The form written out and the pattern that servers are given are one.
func FuzzStreamValid(f *testing.F) {
	for _, s := range []string{string(LedgerStream), "device-11111111-2222-4333-8444-555555555555", "d-11111111-2222-4333-8444-555555555555",
		"Device-11111111-2222-4333-8444-555555555555", "device-11111111-2222-4333-8444-55555555555g", "device-11111111-2222-4333-8444-555555555555\n", "", "$ce-device"} {
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
	f.Add("sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:inventory.202611:PCsaCY9-TWybWkk4JxYFBA:action.target-name~0~12:mOIyyq7YVNWPFF69ewrGTVb6940ffg-JpywkeJjUy1YQERITFBUWFxgZGhvBBa-AHcj0wjXwYmLb-BPwt_exORQcIWMPiteFsnRHos374vVVaEe6XIfYnkkdD48")
	f.Add("sealed:v1:::::")
	f.Fuzz(func(t *testing.T, s string) {
		h, body, err := Token(s).Parse()
		if err == nil && string(h.Token(body)) != s {
			t.Errorf("%q is accepted and written back as %q", s, h.Token(body))
		}
	})
}

// What the metadata parser accepts and the encoder would write must be the same metadata.
func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(`{"v":1,"tenant":"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051","occurredAt":"2026-11-23T22:15:04.076Z","recordedAt":"2026-11-24T00:00:00.500Z","source":"graph","policy":3,"subjects":[{"id":"adb4d9d6-5b2b-809e-9268-f6d09e6fed53","role":"user"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseMetadata(raw)
		if err != nil {
			return
		}
		b, err := m.Encode()
		if err != nil {
			return // accepted leniently, such as an empty source; never written by us
		}
		again, err := ParseMetadata(b)
		if err != nil {
			t.Fatalf("%s was accepted, written back as %s, which is not: %v", raw, b, err)
		}
		if b2, err := again.Encode(); err != nil || string(b2) != string(b) {
			t.Errorf("unstable: %s then %s", b, b2)
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
	meta := []byte(`{"v":1,"tenant":"7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051","recordedAt":"2026-11-24T00:00:00.500Z","source":"graph","policy":3,"subjects":[]}`)
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		d, err := Default().Decode(Recorded{Event: Event{Type: typ, Stream: LedgerStream, Data: data, Metadata: meta}})
		if err == nil {
			for _, v := range d.Values {
				if v.Attr == nil || (v.Token != "" && v.Plain != nil) {
					t.Errorf("value without attribute, or both plain and sealed: %+v", v)
				}
			}
		}
	})
}
