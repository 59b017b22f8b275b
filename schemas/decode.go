package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Decode reads an event through its type, the only place where upcasters run. A Draft with tenant,
// times and subjects is returned even where the error says that the type is unknown
// (ErrUnknownType) or that the data does not fit it, so that a reader can store what it cannot
// understand.
func (c *Catalogue) Decode(e Envelope) (Draft, error) {
	m := e.Meta()
	d := Draft{Stream: e.Stream, ID: e.ID}
	d.Tenant, d.Occurred, d.Recorded, d.Source = m.Tenant, KnownTime(m.Occurred), m.Recorded, m.Source
	d.Correlation, d.Causation, d.Policy = m.Correlation, m.Causation, m.Policy
	for _, s := range m.Subjects {
		d.Subjects = append(d.Subjects, SubjectRef{Role: s.Role, Alias: s.ID})
	}
	d.Type = c.types[e.Type]
	if d.Type == nil {
		return d, fmt.Errorf("decode %s: %w: %s", e.ID, ErrUnknownType, e.Type)
	}
	var err error
	if d.Type.Form == FormState {
		err = d.decodeState(e.Data)
	} else {
		err = d.decodeFact(d.Type.root, "", e.Data, nil)
	}
	if err != nil {
		d.Values = nil
		return d, fmt.Errorf("decode %s (%s): %w", e.ID, e.Type, err)
	}
	for hops := 0; ; hops++ {
		up, ok := c.upcasters[d.Type.Name]
		if !ok {
			return d, nil
		}
		if hops > len(c.types) {
			return d, fmt.Errorf("decode %s: upcasters of %s go in a circle", e.ID, e.Type)
		}
		if d, err = up.Apply(d); err != nil {
			return d, fmt.Errorf("decode %s: upcast to %s: %w", e.ID, up.To, err)
		}
		d.Type = c.types[up.To]
	}
}

// value builds a Value from JSON read at an attribute's place.
func readValue(a *Attribute, path []string, raw json.RawMessage) (Value, error) {
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

func (d *Draft) decodeFact(n *node, at string, raw json.RawMessage, path []string) error {
	if n.attr != nil {
		v, err := readValue(n.attr, path, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		d.Values = append(d.Values, v)
		return nil
	}
	if elem := n.children["*"]; elem != nil {
		var items []json.RawMessage
		if err := strictJSON(raw, &items); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		for i, item := range items {
			if err := d.decodeFact(elem, fmt.Sprintf("%s/%d", at, i), item,
				append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	var members map[string]json.RawMessage
	if err := strictJSON(raw, &members); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	for name := range members {
		if n.children[name] == nil {
			return fmt.Errorf("%s/%s: the type has no such member", at, name)
		}
	}
	for _, name := range n.order {
		if item, ok := members[name]; ok {
			if err := d.decodeFact(n.children[name], at+"/"+name, item, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Draft) decodeState(raw json.RawMessage) error {
	var w struct {
		Set   map[string]json.RawMessage `json:"set"`
		Unset []string                   `json:"unset"`
		Lists map[string]struct {
			Set   map[string]json.RawMessage `json:"set"`
			Unset []string                   `json:"unset"`
		} `json:"lists"`
		Observed map[string]string `json:"observed"`
		Silent   []string          `json:"silent"`
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
	set, lists := d.Type.child("set"), d.Type.child("lists")
	for _, name := range set.order {
		item, ok := w.Set[name]
		if !ok {
			continue
		}
		delete(w.Set, name)
		v, err := readValue(set.children[name].attr, nil, item)
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
		n := set.children[name]
		if n == nil {
			return fmt.Errorf("unset %s: the type has no such attribute", name)
		}
		d.Values = append(d.Values, Value{Attr: n.attr, Removed: true, Observed: observed[name]})
	}
	for _, name := range lists.order {
		l, ok := w.Lists[name]
		if !ok {
			continue
		}
		delete(w.Lists, name)
		a := lists.children[name].children["set"].children["*"].attr
		elements := make([]string, 0, len(l.Set))
		for e := range l.Set {
			elements = append(elements, e)
		}
		slices.Sort(elements)
		for _, e := range elements {
			if _, err := ParseUUID(e); err != nil {
				return fmt.Errorf("lists %s: element %w", name, err)
			}
			v, err := readValue(a, []string{e}, l.Set[e])
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

// child returns the node of a member of the type's data, empty where the type has none.
func (t *Type) child(name string) *node {
	if n := t.root.children[name]; n != nil {
		return n
	}
	return &node{}
}

func strictJSON(raw json.RawMessage, v any) error {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return errors.New("null where a value was expected")
	}
	return json.Unmarshal(raw, v)
}

// NewID returns a random event id.
func NewID() uuid.UUID { return uuid.New() }
