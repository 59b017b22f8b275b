package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// The rows of an old ledger are made from its bytes, so data must read as they always did: as
// encoding/json read them into maps, which is written out below. Members may repeat, and what is
// null is taken back or refused, as it was.
func FuzzDataReadsAsItAlwaysDid(f *testing.F) {
	names, odd := dataToRead(f)
	for i, name := range names {
		for _, data := range odd[name] {
			f.Add(i, []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		if i < 0 || i >= len(names) || !isObject(data) {
			return
		}
		readsAsItDid(t, Default().Type(names[i]), data)
	})
}

// Every type's data, with parts of them repeated, emptied, renamed and put elsewhere.
func TestAlteredDataReadAsTheyAlwaysDid(t *testing.T) {
	names, data := dataToRead(t)
	n := 0
	for _, name := range names {
		for _, text := range data[name] {
			for _, other := range altered(text) {
				if isObject([]byte(other)) {
					readsAsItDid(t, Default().Type(name), []byte(other))
					n++
				}
			}
		}
	}
	if n < 5000 {
		t.Errorf("only %d were tried", n)
	}
}

// dataToRead returns the types, and data of each: that of its golden file, and odd ones.
func dataToRead(t testing.TB) (names []string, data map[string][]string) {
	data = map[string][]string{}
	for _, typ := range Default().Types() {
		names = append(names, typ.Name)
		raw, err := os.ReadFile(filepath.Join("testdata", "golden", typ.Name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(raw, &golden); err != nil {
			t.Fatal(err)
		}
		data[typ.Name] = append(data[typ.Name], string(golden.Data), `{}`, `{"set":{}}`)
	}
	const a, b = "11111111-2222-8333-8444-555555555555", "01111111-2222-8333-8444-555555555555"
	data["device.restated.v1"] = append(data["device.restated.v1"],
		`{"SET":{"osVersion":"1"},"set":{"model":"x"},"unSet":["name"],"\u0073et":{"osVersion":"2"}}`,
		`{"set":{"unheardOf":1},"set":null}`, `{"set":{"osVersion":1},"set":null,"set":{"model":null}}`,
		`{"lists":{"detectedApps":{"set":{"`+a+`":"x","`+b+`":"y","`+a+`":"\u00e9\ud800"},"unset":["`+a+`"]}}}`,
		`{"lists":{"detectedApps":{"set":{"`+a+`":"x"}},"detectedApps":{"unset":["`+b+`"]}}}`,
		`{"lists":{"detectedApps":{"set":{"A":"x"}},"detectedApps":null}}`, `{"lists":{"other":{}},"lists":null}`,
		`{"lists":{"other":{"set":{"x":1},"set":null,"unset":["x",null]}}}`, `{"lists":{"detectedApps":{"more":1}}}`,
		`{"observed":{"osVersion":"2026-01-02T03:04:05Z","x":"2026-01-02T03:04:05.678Z"},"set":{"osVersion":"1"}}`,
		`{"observed":{"osVersion":"2026-02-30T03:04:05Z","osVersion":"0000-02-29T23:59:59Z"},"unset":["osVersion"]}`,
		`{"observed":{"x":null},"observed":null}`, `{"observed":{"x":"2026-01-02"}}`, `{"observed":{"x":1}}`,
		`{"silent":["a","b"],"silent":[]}`, `{"silent":null,"unset":[""]}`, `{"silent":[1]}`,
		`{"set":{"osVersion":{"a": [1, 2]},"model":" sealed:v1:","name":"sealed:\"","serialNumber":-0.5e+3}}`)
	return names, data
}

// altered returns the data with each member and each value repeated, replaced or taken back.
func altered(text string) (out []string) {
	out = append(out, text)
	for at := range len(text) {
		switch text[at] {
		case '{':
			out = append(out, text[:at+1]+`"set":null,`+text[at+1:], text[:at+1]+`"a":1,`+text[at+1:],
				text[:at+1]+" \n"+text[at+1:])
		case ':', '[', ',':
			to := at + 1
			w := jsonScanner{data: []byte(text), at: to}
			if !w.value() {
				continue
			}
			to = w.at
			for _, other := range []string{"null", "7", `""`, `"sealed:"`, "[]", "{}", `[null,"a"]`, `{"a":{}}`,
				`"\u0041\ud83d\ude00\n"`, "true"} {
				out = append(out, text[:at+1]+other+text[to:])
			}
			if text[at] == ':' {
				from := strings.LastIndexAny(text[:at], "{,")
				member := text[from+1 : to]
				out = append(out, text[:to]+","+member+text[to:], text[:to]+","+strings.ToUpper(member)+text[to:])
				if name := text[from+1 : at]; name[0] == '"' {
					out = append(out, text[:to]+","+name+":null"+text[to:], text[:to]+","+name+":{}"+text[to:])
				}
			}
		}
	}
	return out
}

func readsAsItDid(t testing.TB, typ *Type, data []byte) {
	t.Helper()
	got, want := Draft{Type: typ}, Draft{Type: typ}
	err := got.decode(data)
	var old error
	if typ.Form == FormState {
		old = want.oldState(data)
	} else {
		old = want.oldFact(typ.Root(), "", data, nil)
	}
	if (err == nil) != (old == nil) {
		t.Fatalf("%s: %s\nis read with %v\nand was with %v", typ.Name, data, err, old)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %s\nis read as %+v\nand was as %+v", typ.Name, data, got, want)
	}
	for i := range got.Values {
		if g, w := got.Values[i].Text(), want.Values[i].oldText(); err == nil && g != w {
			t.Fatalf("%s: %s\nvalue %d says %q and said %q", typ.Name, data, i, g, w)
		}
	}
}

// afresh is an array of names. Only here differs what is read: where such an array repeats, null
// in the later one was what stood in its place in the earlier.
type afresh []string

func (a *afresh) UnmarshalJSON(raw []byte) error {
	var names []string
	err := json.Unmarshal(raw, &names)
	*a = names
	return err
}

func (v Value) oldText() string {
	if v.Token != "" {
		return string(v.Token)
	}
	var s string
	if json.Unmarshal(v.Plain, &s) == nil && len(v.Plain) > 0 && v.Plain[0] == '"' {
		return s
	}
	return string(v.Plain)
}

func oldValue(a *Attribute, path []string, raw json.RawMessage) (Value, error) {
	v := Value{Attr: a, Path: slices.Clone(path)}
	var s string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			return v, err
		}
		if IsSealed(s) {
			v.Token = Token(s)
			return v, nil
		}
	}
	v.Plain = raw
	return v, nil
}

func (d *Draft) oldFact(n *catalogue.Node, at string, raw json.RawMessage, path []string) error {
	if n.Attr != nil {
		v, err := oldValue(n.Attr, path, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		d.Values = append(d.Values, v)
		return nil
	}
	if elem := n.Children["*"]; elem != nil {
		var items []json.RawMessage
		if err := oldJSON(raw, &items); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		for i, item := range items {
			if err := d.oldFact(elem, fmt.Sprintf("%s/%d", at, i), item,
				append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	var members map[string]json.RawMessage
	if err := oldJSON(raw, &members); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	for name := range members {
		if n.Children[name] == nil {
			return fmt.Errorf("%s/%s: the type has no such member", at, name)
		}
	}
	for _, name := range n.Order {
		if item, ok := members[name]; ok {
			if err := d.oldFact(n.Children[name], at+"/"+name, item, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Draft) oldState(raw json.RawMessage) error {
	var w struct {
		Set   map[string]json.RawMessage `json:"set"`
		Unset afresh                     `json:"unset"`
		Lists map[string]struct {
			Set   map[string]json.RawMessage `json:"set"`
			Unset afresh                     `json:"unset"`
		} `json:"lists"`
		Observed map[string]string `json:"observed"`
		Silent   afresh            `json:"silent"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return err
	}
	observed := map[string]time.Time{}
	for name, s := range w.Observed {
		t, err := time.Parse("2006-01-02T15:04:05Z", s)
		if err != nil {
			return fmt.Errorf("observed %s: not a time in whole seconds", name)
		}
		observed[name] = t
	}
	d.Silent = w.Silent
	set, lists := d.Type.Child("set"), d.Type.Child("lists")
	for _, name := range set.Order {
		item, ok := w.Set[name]
		if !ok {
			continue
		}
		delete(w.Set, name)
		v, err := oldValue(set.Children[name].Attr, nil, item)
		if err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		v.Observed = observed[name]
		d.Values = append(d.Values, v)
	}
	for name := range w.Set {
		return fmt.Errorf("set %s: the type has no such attribute", name)
	}
	for _, name := range w.Unset {
		n := set.Children[name]
		if n == nil {
			return fmt.Errorf("unset %s: the type has no such attribute", name)
		}
		d.Values = append(d.Values, Value{Attr: n.Attr, Removed: true, Observed: observed[name]})
	}
	for _, name := range lists.Order {
		l, ok := w.Lists[name]
		if !ok {
			continue
		}
		delete(w.Lists, name)
		a := lists.Children[name].Children["set"].Children["*"].Attr
		elements := make([]string, 0, len(l.Set))
		for e := range l.Set {
			elements = append(elements, e)
		}
		slices.Sort(elements)
		for _, e := range elements {
			if _, err := ParseUUID(e); err != nil {
				return fmt.Errorf("lists %s: element %w", name, err)
			}
			v, err := oldValue(a, []string{e}, l.Set[e])
			if err != nil {
				return fmt.Errorf("lists %s: %w", name, err)
			}
			v.Observed = observed[name]
			d.Values = append(d.Values, v)
		}
		for _, e := range l.Unset {
			if _, err := ParseUUID(e); err != nil {
				return fmt.Errorf("lists %s: element %w", name, err)
			}
			d.Values = append(d.Values, Value{Attr: a, Path: []string{e}, Removed: true, Observed: observed[name]})
		}
	}
	for name := range w.Lists {
		return fmt.Errorf("lists %s: the type has no such list", name)
	}
	return nil
}

func oldJSON(raw json.RawMessage, v any) error {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return errors.New("null where a value was expected")
	}
	return json.Unmarshal(raw, v)
}
