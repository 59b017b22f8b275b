package schemas

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// An event of an old version says as the next one what it always said: the same values, tokens and
// silent members.
func TestAnOldVersionIsReadAsTheNextWithItsValuesAsTheyAre(t *testing.T) {
	grown := 0
	for _, typ := range Default().Types() {
		from, to := typ.Grows, typ.Name
		if from == "" {
			continue
		}
		grown++
		raw, err := os.ReadFile(filepath.Join("testdata", "golden", from+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var f fixture
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		e := enveloped(t, RecordedEvent{Event: Event{ID: f.ID, Stream: f.Stream, Type: f.Type, Data: f.Data,
			Metadata: f.Metadata}})
		plain, err := Load(os.DirFS("catalogue")) // without upcasters
		if err != nil {
			t.Fatal(err)
		}
		was, err := plain.Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		is, err := Default().Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		if was.Type.Name != from || is.Type.Name != to || !slices.Equal(was.Silent, is.Silent) {
			t.Errorf("%s is read as %s, silent of %v", was.Type.Name, is.Type.Name, is.Silent)
		}
		for i, v := range was.Values {
			n := is.Values[i]
			if v.Attr.ID != n.Attr.ID || v.Token != n.Token || string(v.Plain) != string(n.Plain) {
				t.Errorf("%s: %s became %s", from, v.Attr.ID, n.Attr.ID)
			}
		}
		if len(was.Values) != len(is.Values) || len(was.Values) == 0 {
			t.Errorf("%s: %d values became %d", from, len(was.Values), len(is.Values))
		}
	}
	if grown < 2 {
		t.Errorf("%d types grow another", grown)
	}
}
