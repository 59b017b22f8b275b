package schemas

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// stateReading is a state's data while they are read: what repeats replaces what stood before it,
// and null takes it back, wherever they stand.
type stateReading struct {
	set      []member // in the order of the type's
	lists    []list
	unset    []string
	stray    error             // of a member of set that the type does not have
	noList   error             // of a list that it does not have
	observed map[string]string // of names that the type does not have; nil mostly
}

// member is what the data say of an attribute, or of a list as a whole.
type member struct {
	value    Value
	there    bool
	observed string // its text; "" where dated is false
	dated    bool
}

// list is what the data say of a list.
type list struct {
	member
	set   []element
	unset []string
}

type element struct {
	name  string
	value Value
}

// named says which member of the data's frame that is: in whatever case it is written, as events
// were always read.
func named(name string, members ...string) string {
	for _, m := range members {
		if strings.EqualFold(name, m) {
			return m
		}
	}
	return ""
}

func noMember(name string) error { return fmt.Errorf("%s: a state has no such member", name) }

// ofState reads a state's data.
func (r *decoder) ofState(t *Type) (silent []string, err error) {
	set, lists := t.Child("set"), t.Child("lists")
	s := &r.state
	s.set = slices.Grow(s.set[:0], len(set.Order))[:len(set.Order)]
	s.lists = slices.Grow(s.lists[:0], len(lists.Order))[:len(lists.Order)]
	defer s.forget()
	err = r.members(func(name string) (err error) {
		switch m := named(name, "set", "unset", "lists", "observed", "silent"); {
		case m == "unset":
			s.unset, err = r.strings(s.unset)
		case m == "silent":
			silent, err = r.strings(nil)
		case m == "":
			return noMember(name)
		case r.null():
			s.drop(m)
		case m == "set":
			return r.members(func(name string) error { return r.stateMember(set, name) })
		case m == "lists":
			return r.members(func(name string) error { return r.stateList(lists, name) })
		default:
			return r.members(func(name string) error { return r.date(set, lists, name) })
		}
		return err
	})
	if err == nil {
		err = r.stateValues(set, lists)
	}
	if err != nil {
		return nil, err
	}
	return silent, nil
}

// forget lets go of what was read.
func (s *stateReading) forget() {
	clear(s.set)
	for i := range s.lists {
		l := &s.lists[i]
		clear(l.set[:cap(l.set)])
		clear(l.unset[:cap(l.unset)])
		*l = list{set: l.set[:0], unset: l.unset[:0]}
	}
	clear(s.unset[:cap(s.unset)])
	*s = stateReading{set: s.set[:0], lists: s.lists[:0], unset: s.unset[:0]}
}

// drop takes back what was read of set, lists or observed.
func (s *stateReading) drop(what string) {
	switch what {
	case "set":
		s.stray = nil
		for i := range s.set {
			s.set[i].value, s.set[i].there = Value{}, false
		}
	case "lists":
		s.noList = nil
		for i := range s.lists {
			l := &s.lists[i]
			l.there, l.set, l.unset = false, l.set[:0], l.unset[:0]
		}
	default:
		s.observed = nil
		for i := range s.set {
			s.set[i].observed, s.set[i].dated = "", false
		}
		for i := range s.lists {
			s.lists[i].observed, s.lists[i].dated = "", false
		}
	}
}

func (r *decoder) stateMember(set *catalogue.Node, name string) error {
	n := set.Children[name]
	if n == nil {
		r.state.stray = fmt.Errorf("set %s: the type has no such attribute", name)
		r.walk.value()
		return nil
	}
	m := &r.state.set[n.Index]
	m.value, m.there = r.readValue(n.Attr, nil), true
	return nil
}

func (r *decoder) stateList(lists *catalogue.Node, name string) error {
	n := lists.Children[name]
	var other list
	l := &other
	if n == nil {
		r.state.noList = fmt.Errorf("lists %s: the type has no such list", name)
	} else {
		l = &r.state.lists[n.Index]
		n = n.Children["set"].Children["*"]
	}
	l.there, l.set, l.unset = true, l.set[:0], l.unset[:0]
	if r.null() {
		return nil
	}
	return r.members(func(name string) (err error) {
		switch m := named(name, "set", "unset"); {
		case m == "":
			return noMember(name)
		case m == "unset":
			l.unset, err = r.strings(l.unset)
			return err
		case r.null():
			l.set = l.set[:0]
			return nil
		}
		return r.members(func(name string) error {
			if n == nil {
				r.walk.value()
				return nil
			}
			l.set = append(l.set, element{name, r.readValue(n.Attr, nil)})
			return nil
		})
	})
}

// date reads when something was observed.
func (r *decoder) date(set, lists *catalogue.Node, name string) error {
	text, err := r.optional()
	if err != nil {
		return err
	}
	known := false
	if n := set.Children[name]; n != nil {
		m := &r.state.set[n.Index]
		m.observed, m.dated, known = text, true, true
	}
	if n := lists.Children[name]; n != nil {
		l := &r.state.lists[n.Index]
		l.observed, l.dated, known = text, true, true
	}
	if !known {
		if r.state.observed == nil {
			r.state.observed = map[string]string{}
		}
		r.state.observed[name] = text
	}
	return nil
}

// optional passes a string, or null, which is "".
func (r *decoder) optional() (string, error) {
	if r.null() {
		return "", nil
	}
	if r.peek() != '"' {
		return "", errNotString
	}
	return r.str(), nil
}

// strings passes an array of strings, or null, and puts them in the place of those in out.
func (r *decoder) strings(out []string) ([]string, error) {
	if r.null() {
		return nil, nil
	}
	if out = out[:0]; out == nil {
		out = []string{}
	}
	err := r.items('[', errNotArray, func() error {
		s, err := r.optional()
		out = append(out, s)
		return err
	})
	return out, err
}

// stateValues puts the values in the type's order: what is set and then what is unset, of the
// attributes and of each list.
func (r *decoder) stateValues(set, lists *catalogue.Node) error {
	s := &r.state
	for name, text := range s.observed {
		if _, err := observedAt(name, text); err != nil {
			return err
		}
	}
	if err := cmp.Or(s.stray, s.noList); err != nil {
		return err
	}
	var times [64]time.Time
	dates := slices.Grow(times[:0], len(set.Order))
	for i, name := range set.Order {
		m := &s.set[i]
		at, err := m.at(name)
		if err != nil {
			return err
		}
		dates = append(dates, at)
		if m.there {
			m.value.Observed = at
			r.values = append(r.values, m.value)
		}
	}
	for _, name := range s.unset {
		n := set.Children[name]
		if n == nil {
			return fmt.Errorf("unset %s: the type has no such attribute", name)
		}
		r.values = append(r.values, Value{Attr: n.Attr, Removed: true, Observed: dates[n.Index]})
	}
	for i, name := range lists.Order {
		l := &s.lists[i]
		at, err := l.at(name)
		if err == nil && l.there {
			err = r.listValues(lists.Children[name].Children["set"].Children["*"].Attr, l, at)
		}
		if err != nil {
			return fmt.Errorf("lists %s: %w", name, err)
		}
	}
	return nil
}

func (r *decoder) listValues(a *Attribute, l *list, at time.Time) error {
	byName := func(a, b element) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(l.set, byName) {
		slices.SortStableFunc(l.set, byName)
	}
	paths := make([]string, 0, len(l.set)+len(l.unset))
	path := func(name string) ([]string, error) {
		if _, err := ParseUUID(name); err != nil {
			return nil, fmt.Errorf("element %w", err)
		}
		paths = append(paths, name)
		return paths[len(paths)-1 : len(paths) : len(paths)], nil
	}
	for i, e := range l.set {
		if i+1 < len(l.set) && l.set[i+1].name == e.name {
			continue // the last one holds
		}
		p, err := path(e.name)
		if err != nil {
			return err
		}
		e.value.Path, e.value.Observed = p, at
		r.values = append(r.values, e.value)
	}
	for _, name := range l.unset {
		p, err := path(name)
		if err != nil {
			return err
		}
		r.values = append(r.values, Value{Attr: a, Path: p, Removed: true, Observed: at})
	}
	return nil
}

// at returns when it was observed, zero where the data do not say.
func (m *member) at(name string) (time.Time, error) {
	if !m.dated {
		return time.Time{}, nil
	}
	return observedAt(name, m.observed)
}

// observedAt reads the time of an observation.
func observedAt(name, text string) (time.Time, error) {
	const form = "2006-01-02T15:04:05Z"
	if len(text) == len(form) { // as it is written; Parse takes three times as long
		var b [25]byte
		copy(b[copy(b[:], text[:19]):], `.000Z"`)
		s := metadataScanner{rest: b[:]}
		if t, ok := s.time(true); ok && text[19] == 'Z' {
			return t, nil
		}
	}
	t, err := time.Parse(form, text)
	if err != nil {
		return t, fmt.Errorf("observed %s: not a time in whole seconds", name)
	}
	return t, nil
}
