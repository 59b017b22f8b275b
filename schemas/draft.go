package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// Owner names whose subject key seals a value: a person, a device (its current generation) or the
// tenant. It is the vault's own knowledge and is never encoded.
type Owner struct {
	Kind KeyKind
	ID   uuid.UUID // of the person or device in the vault; uuid.Nil for the tenant
}

// Value is one attribute's value in an event: plain or sealed, never both.
type Value struct {
	Attr     *Attribute
	Path     []string        // per array level a decimal index; for a list entry the element's uuid; empty otherwise
	Plain    json.RawMessage // the JSON text of the value
	Token    Token
	Protect  bool      // it has to be sealed although its shape fits: it tells of a person or device
	Removed  bool      // state: no longer set; Plain and Token are empty
	Observed time.Time // state: when it was observed, where that is not Occurred
	// Owner is whose key seals it; after sealing, whose key sealed it. Of a removed value it is
	// who owned what was there. It is ignored where the value stands open, and decoding leaves it
	// empty.
	Owner Owner
}

// MayStandOpen reports whether the plain value may be stored without sealing.
func (v Value) MayStandOpen() bool { return !v.Protect && v.Attr.MayStandOpen(v.Plain) }

// Element returns the path in the form it has in views: levels joined by "~", "" for none.
func (v Value) Element() string { return strings.Join(v.Path, "~") }

// Text returns the value as a view shows it: the token, the string itself, or
// the JSON text of anything else.
func (v Value) Text() string {
	if v.Token != "" {
		return string(v.Token)
	}
	if s, ok := catalogue.Text(v.Plain); ok {
		return s
	}
	return string(v.Plain)
}

// SubjectRef names a person in a role. Before sealing Role and Person are set. Sealing makes one
// of each class that the type's role has, with the alias of that class, and only role and alias
// are encoded.
type SubjectRef struct {
	Role   string
	Person uuid.UUID
	Class  string // of the alias; empty before sealing, and after decoding
	Alias  uuid.UUID
}

// Draft is an event before it has bytes, and after they were read.
type Draft struct {
	Type        *Type
	Tenant      uuid.UUID
	Stream      Stream
	ID          uuid.UUID
	Occurred    time.Time // zero when unknown
	Recorded    time.Time // our clock, set once before sealing
	Source      string
	Correlation uuid.UUID
	Causation   uuid.UUID
	Policy      uint64
	Subjects    []SubjectRef
	Values      []Value
	// Silent names what the state holds and its snapshot did not report, as the type's data does:
	// the event confirms all else that it does not change (FORMATS §2). In order, each once.
	Silent []string
}

// Errors by which callers tell why an event was not encoded or decoded.
var (
	ErrNotSealed   = errors.New("protected value is not sealed")
	ErrNotNamed    = errors.New("the person whose it is or was is not in subjects, in a role of its class")
	ErrUnknownType = errors.New("event type is not in the catalogue")
	ErrTooLarge    = errors.New("event is larger than the limit")
)

// AttributeError is a validation error that names the attribute, never its value.
type AttributeError struct {
	Type      string
	Attribute string
	Path      []string
	Err       error
}

func (e *AttributeError) Error() string {
	at := e.Attribute
	if len(e.Path) > 0 {
		at += "~" + strings.Join(e.Path, "~")
	}
	return fmt.Sprintf("%s: attribute %s: %v", e.Type, at, e.Err)
}

func (e *AttributeError) Unwrap() error { return e.Err }

// Encode returns the event's bytes but for its origin, which Sign adds. It refuses, naming the
// attribute: a protected value that is not sealed, a token sealed for another event or attribute,
// an attribute the type does not carry, a subject without alias, an event over MaxEventBytes, and
// a person's value whose person the subjects do not name (ErrNotNamed).
//
// It cannot resolve an alias. Whose a value is it takes from Value.Owner, which sealing sets to
// what it sealed under: a draft that was decoded, or a removed value whose maker does not say
// whose it was, passes. Only a checker with the vault sees those.
func (c *Catalogue) Encode(d Draft) (Event, error) {
	if d.Type == nil || c.Type(d.Type.Name) != d.Type {
		return Event{}, fmt.Errorf("encode: %w", ErrUnknownType)
	}
	fail := func(err error) (Event, error) { return Event{}, fmt.Errorf("encode %s: %w", d.Type.Name, err) }
	switch {
	case !d.Stream.Valid():
		return fail(fmt.Errorf("stream %q is not a ledger stream", d.Stream))
	case d.Stream.Kind() != d.Type.Kind():
		return fail(fmt.Errorf("stream of kind %q cannot hold it", d.Stream.Kind()))
	case d.ID.Version() != 4:
		return fail(errors.New("event id is not a random uuid (version 4)"))
	case d.Tenant == uuid.Nil && d.Stream != LedgerStream:
		return fail(errors.New("tenant is missing"))
	}
	m := Metadata{Tenant: d.Tenant, Occurred: d.Occurred, Recorded: d.Recorded, Source: d.Source,
		Correlation: d.Correlation, Causation: d.Causation, Policy: d.Policy}
	for i, role := range d.Type.Roles {
		first := i == 0 || d.Type.Roles[i-1].Role != role.Role
		for _, s := range d.Subjects {
			// One that was decoded has no class: its role's keep the order they have.
			if s.Role != role.Role || s.Class != role.Class && !(s.Class == "" && first) {
				continue
			}
			if s.Alias == uuid.Nil {
				return fail(fmt.Errorf("subject %s: %w", s.Role, ErrNotSealed))
			}
			m.Subjects = append(m.Subjects, Subject{ID: s.Alias, Role: s.Role})
		}
	}
	if len(m.Subjects) != len(d.Subjects) {
		return fail(errors.New("a subject has a role or class that the type does not declare"))
	}
	nodes := make([]tree, 0, len(d.Values)+8) // most are values
	root := &tree{all: &nodes}
	if d.Type.Form == FormState {
		root.fixed = stateOrder
		if err := root.silence(d.Silent); err != nil {
			return fail(err)
		}
	} else if len(d.Silent) > 0 {
		return fail(errors.New("only a state tells what its snapshot did not report"))
	}
	size := 256 + 32*len(d.Silent) // about
	var body []byte
	for i := range d.Values {
		size += 64 + len(d.Values[i].Token) + len(d.Values[i].Plain)
		if err := c.place(root, &d, &d.Values[i], &body); err != nil {
			return Event{}, &AttributeError{Type: d.Type.Name, Attribute: attrID(d.Values[i].Attr),
				Path: d.Values[i].Path, Err: err}
		}
	}
	meta, err := m.Encode()
	if err != nil {
		return fail(err)
	}
	e := Event{ID: d.ID, Stream: d.Stream, Type: d.Type.Name, Data: root.encode(make([]byte, 0, size)), Metadata: meta}
	if n := e.Size() + originBytes; n > MaxEventBytes {
		return fail(fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, MaxEventBytes))
	}
	return e, nil
}

func attrID(a *Attribute) string {
	if a == nil {
		return "(none)"
	}
	return a.ID
}

// names reports whether the subjects name the person whose the value is or was, as far as the
// draft tells that. alias is that of its token.
func (d *Draft) names(v *Value, alias uuid.UUID) bool {
	if v.Owner.Kind != OwnerPerson || v.Token == "" && !v.Removed {
		return true
	}
	for i := range d.Subjects {
		s := &d.Subjects[i]
		if v.Removed && s.Person == v.Owner.ID && s.Class == v.Attr.Class || !v.Removed && s.Alias == alias {
			return true
		}
	}
	return false
}

// place checks one value and puts it where the type's pointer says. body is memory for tokens'.
func (c *Catalogue) place(root *tree, d *Draft, v *Value, body *[]byte) error {
	if v.Attr == nil || c.Attribute(v.Attr.ID) != v.Attr {
		return errors.New("not in the catalogue")
	}
	at := d.Type.Pointer(v.Attr)
	if at == nil {
		return errors.New("the type does not carry it")
	}
	steps := at.Steps
	if at.Levels != len(v.Path) && !(v.Removed && len(v.Path) == 0) {
		return fmt.Errorf("path has %d levels, /%s has %d", len(v.Path), strings.Join(steps, "/"), at.Levels)
	}
	var h TokenHeader
	var err error
	if v.Token != "" {
		h, *body, err = v.Token.ParseInto(*body)
	}
	if !d.names(v, h.Alias) {
		return ErrNotNamed
	}
	if v.Removed {
		if d.Type.Form != FormState || v.Token != "" || v.Plain != nil {
			return errors.New("only a state's attribute can be removed, without a value")
		}
		if steps[0] == "lists" {
			if len(v.Path) != 1 {
				return errors.New("a list entry is removed by its element")
			}
			return root.listsChild().child(steps[1]).child("unset").add(v.Path[0])
		}
		return root.child("unset").add(steps[1])
	}
	var raw json.RawMessage
	switch {
	case v.Token != "" && v.Plain != nil:
		return errors.New("both plain and sealed")
	case err != nil:
		return err
	case v.Token != "":
		if h.Attr != v.Attr.ID || !slices.Equal(h.Path, v.Path) || h.Event != d.ID || h.Class != v.Attr.Class {
			return errors.New("the token was sealed for another attribute, class or event")
		}
		raw = JSONText(string(v.Token))
	case v.Plain == nil:
		return errors.New("no value")
	case !v.MayStandOpen():
		return ErrNotSealed
	default:
		raw = v.Plain
	}
	if d.Type.Form == FormState && !v.Observed.IsZero() && !v.Observed.Equal(d.Occurred) {
		// Whole seconds: an observation is kept no finer (FORMATS §2).
		if err := root.child("observed").put(steps[1],
			JSON(v.Observed.UTC().Truncate(time.Second).Format(time.RFC3339))); err != nil {
			return err
		}
	}
	if steps[0] == "lists" {
		root.listsChild()
	}
	return root.insert(steps, v.Path, raw)
}

// tree builds JSON: a value, an array, or an object with members in the order in which they first
// came, or in that of fixed.
type tree struct {
	name  string // as a member
	raw   json.RawMessage
	below []*tree          // members, elements
	all   *[]tree          // memory for the nodes of the whole tree
	index map[string]*tree // of members, where they are many
	array bool
	lists bool     // the "lists" member of a state: each child is {"set","unset"}
	fixed []string // when set, the order in which members are written
}

// manyMembers is from how many members on they are found by an index.
const manyMembers = 32

// node returns a new one. Where the memory moves, those that there are stay where they were.
func (t *tree) node(name string, raw json.RawMessage) *tree {
	*t.all = append(*t.all, tree{name: name, raw: raw, all: t.all})
	return &(*t.all)[len(*t.all)-1]
}

func (t *tree) child(name string) *tree {
	if n := t.index[name]; n != nil {
		return n
	}
	if t.index == nil {
		for _, n := range t.below {
			if n.name == name {
				return n
			}
		}
	}
	n := t.node(name, nil)
	if t.lists {
		n.fixed = listOrder
	}
	t.below = append(t.below, n)
	switch {
	case t.index != nil:
		t.index[name] = n
	case len(t.below) == manyMembers:
		t.index = make(map[string]*tree, 4*manyMembers)
		for _, n := range t.below {
			t.index[n.name] = n
		}
	}
	return n
}

var (
	stateOrder = []string{"set", "unset", "lists", "observed", "silent"}
	listOrder  = []string{"set", "unset"}
)

func (t *tree) listsChild() *tree {
	n := t.child("lists")
	n.lists = true
	return n
}

var errTwice = errors.New("given twice")

func (t *tree) put(name string, raw json.RawMessage) error {
	n := t.child(name)
	if n.raw != nil && string(n.raw) != string(raw) {
		return errTwice
	}
	n.raw = raw
	return nil
}

// add adds a text to an array of texts.
func (t *tree) add(text string) error {
	raw := JSONText(text)
	for _, have := range t.below {
		if string(have.raw) == string(raw) {
			return errTwice
		}
	}
	t.array, t.below = true, append(t.below, t.node("", raw))
	return nil
}

// silence adds the names that a snapshot did not report.
func (t *tree) silence(names []string) error {
	for i, name := range names {
		if name == "" || i > 0 && names[i-1] >= name {
			return errors.New("what a snapshot did not report is named in order, each once")
		}
		if err := t.child("silent").add(name); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) insert(steps, path []string, raw json.RawMessage) error {
	list := steps[0] == "lists"
	for _, step := range steps {
		if step != "*" {
			t = t.child(step)
			continue
		}
		index := path[0]
		path = path[1:]
		if list {
			t = t.child(index)
			continue
		}
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i > len(t.below) {
			return fmt.Errorf("index %s: array elements come in order, from 0", index)
		}
		if t.array = true; i == len(t.below) {
			t.below = append(t.below, t.node("", nil))
		}
		t = t.below[i]
	}
	if t.raw != nil {
		return errTwice
	}
	t.raw = raw
	return nil
}

func (t *tree) encode(b []byte) []byte {
	if t.raw != nil {
		return append(b, t.raw...)
	}
	begin := len(b)
	if t.array {
		for _, n := range t.below {
			b = n.encode(append(b, ','))
		}
		b = append(b, ']')
	} else {
		for _, n := range t.below {
			if t.fixed == nil {
				b = n.member(b)
			}
		}
		for _, name := range t.fixed {
			for _, n := range t.below {
				if n.name == name {
					b = n.member(b)
				}
			}
		}
		b = append(b, '}')
	}
	switch { // in place of the first comma
	case len(b) == begin+1 && t.array:
		return append(b[:begin], "[]"...)
	case len(b) == begin+1:
		return append(b[:begin], "{}"...)
	case t.array:
		b[begin] = '['
	default:
		b[begin] = '{'
	}
	return b
}

func (t *tree) member(b []byte) []byte {
	return t.encode(append(appendText(append(b, ','), t.name), ':'))
}
