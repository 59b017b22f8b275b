package schemas

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed attributes/*.yaml types/*.yaml
var catalogueFiles embed.FS

// Forms of an event type's data (FORMATS §2).
const (
	FormFact  = "fact"  // data is the record's own shape, by JSON pointers
	FormState = "state" // data is {"set","unset","lists","observed","silent"}
)

// Type is one version of an event type.
type Type struct {
	Name   string            `yaml:"type"` // <kind>.<past-tense>.v<N>
	Form   string            `yaml:"form"`
	Label  Label             `yaml:"-"`
	Item   string            `yaml:"item"`   // row of a list of data items, where the type as a whole is one
	Roles  []Role            `yaml:"roles"`  // in the order in which subjects are written
	Fields map[string]string `yaml:"fields"` // JSON pointer → attribute id; "*" stands for an array index or element
	Leads  []string          `yaml:"leads"`  // attributes by which people tell events apart, first first

	root     *node
	pointers map[string]*pointer // by attribute id
	attrs    []*Attribute        // in order of pointer
}

// pointer is a JSON pointer of a type.
type pointer struct {
	steps  []string
	levels int    // of arrays
	member string // of a state type: see Type.Member
	list   bool
}

// Role declares a subject role of a type and the retention class of its aliases. A role stands
// once per class, its classes one behind the other: who has it is named by an alias of each
// (FORMATS §3).
type Role struct {
	Role  string `yaml:"role"`
	Class string `yaml:"class"`
}

// Kind returns the part of the type's name before the first dot.
func (t *Type) Kind() string { k, _, _ := strings.Cut(t.Name, "."); return k }

// RoleClasses returns the classes of the aliases of a role, none where the type has no such role.
func (t *Type) RoleClasses(role string) (classes []string) {
	for _, r := range t.Roles {
		if r.Role == role {
			classes = append(classes, r.Class)
		}
	}
	return classes
}

// Attributes returns the attributes the type can carry, ordered by JSON pointer.
func (t *Type) Attributes() []*Attribute { return t.attrs }

// Has reports whether the type can carry the attribute.
func (t *Type) Has(attr *Attribute) bool { _, ok := t.pointers[attr.ID]; return ok }

// Member returns the name under which a state type holds the attribute ("osVersion"), and whether
// it is a list.
func (t *Type) Member(attr *Attribute) (name string, list bool) {
	if p := t.pointers[attr.ID]; p != nil {
		return p.member, p.list
	}
	return "", false
}

// node is a step of the pointers of a type: an object's members, or "*" for an array's elements.
type node struct {
	attr     *Attribute
	children map[string]*node
	order    []string // the children's names
	index    int      // its own among them
}

// Catalogue holds the attributes and types that are known. It is immutable after loading.
type Catalogue struct {
	attributes map[string]*Attribute
	types      map[string]*Type
	upcasters  map[string]Upcaster
	version    [8]byte
}

// Upcaster turns a decoded draft of an old version into the next version of its type. It moves
// values and tokens and never rewrites a token.
type Upcaster struct {
	To    string
	Apply func(Draft) (Draft, error)
}

// Default returns the catalogue compiled into the program. It panics when that is broken, which a
// test excludes.
var Default = sync.OnceValue(func() *Catalogue {
	c, err := Load(catalogueFiles)
	if err != nil {
		panic(err)
	}
	return c
})

// Load reads attributes/*.yaml and types/*.yaml. The error joins every fault found and names file
// and entry.
func Load(files fs.FS) (*Catalogue, error) {
	c := &Catalogue{attributes: map[string]*Attribute{}, types: map[string]*Type{}, upcasters: map[string]Upcaster{}}
	sum := sha256.New()
	var errs []error
	each := func(dir string, load func(name string, raw []byte) error) {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			errs = append(errs, err)
			return
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			raw, err := fs.ReadFile(files, name)
			if err == nil {
				fmt.Fprintf(sum, "%s %d\n%s", name, len(raw), raw)
				err = load(name, raw)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	each("attributes", func(_ string, raw []byte) error {
		var as []*Attribute
		if err := strictYAML(raw, &as); err != nil {
			return err
		}
		var errs []error
		for _, a := range as {
			if err := a.validate(); err != nil {
				errs = append(errs, err)
			}
			if c.attributes[a.ID] != nil {
				errs = append(errs, fmt.Errorf("attribute %q is declared twice", a.ID))
			}
			a.Label = Label("attribute." + a.ID)
			c.attributes[a.ID] = a
		}
		return errors.Join(errs...)
	})
	each("types", func(name string, raw []byte) error {
		t := new(Type)
		if err := strictYAML(raw, t); err != nil {
			return err
		}
		if strings.TrimSuffix(path.Base(name), ".yaml") != t.Name {
			return fmt.Errorf("type %q must be in a file of its name", t.Name)
		}
		t.Label = Label("type." + t.Name)
		c.types[t.Name] = t
		return t.compile(c)
	})
	copy(c.version[:], sum.Sum(nil))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return c, nil
}

func strictYAML(raw []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	return dec.Decode(v)
}

func (t *Type) compile(c *Catalogue) error {
	if t.Form != FormFact && t.Form != FormState {
		return fmt.Errorf("form %q is not fact or state", t.Form)
	}
	for i, r := range t.Roles {
		switch before := t.Roles[:i]; {
		case !slices.Contains(Roles, r.Role) || !validClass(r.Class):
			return fmt.Errorf("role %q of class %q is not allowed", r.Role, r.Class)
		case slices.Contains(before, r):
			return fmt.Errorf("role %q stands twice in class %q: once per class", r.Role, r.Class)
		case i > 0 && before[i-1].Role != r.Role &&
			slices.ContainsFunc(before, func(b Role) bool { return b.Role == r.Role }):
			return fmt.Errorf("role %q stands apart: its classes come one behind the other", r.Role)
		}
	}
	t.root = &node{}
	t.pointers = map[string]*pointer{}
	pointers := make([]string, 0, len(t.Fields))
	for p := range t.Fields {
		pointers = append(pointers, p)
	}
	sort.Strings(pointers)
	for _, p := range pointers {
		id := t.Fields[p]
		a := c.attributes[id]
		if a == nil {
			return fmt.Errorf("%s: attribute %q is not in the catalogue", p, id)
		}
		if t.pointers[id] != nil {
			return fmt.Errorf("%s: attribute %q stands elsewhere already", p, id)
		}
		if t.Form == FormState && !strings.HasPrefix(p, "/set/") &&
			!(strings.HasPrefix(p, "/lists/") && strings.HasSuffix(p, "/set/*")) {
			return fmt.Errorf("%s: a state type has /set/<name> and /lists/<name>/set/*", p)
		}
		if err := t.namesOwner(a); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		at := &pointer{steps: strings.Split(strings.TrimPrefix(p, "/"), "/"), levels: strings.Count(p, "*")}
		if at.member, at.list = strings.CutPrefix(p, "/lists/"); at.list {
			at.member = strings.TrimSuffix(at.member, "/set/*")
		} else {
			at.member = strings.TrimPrefix(p, "/set/")
		}
		t.pointers[id] = at
		t.attrs = append(t.attrs, a)
		n := t.root
		for _, step := range at.steps {
			if n.children == nil {
				n.children = map[string]*node{}
			}
			if n.children[step] == nil {
				n.children[step] = &node{index: len(n.order)}
				n.order = append(n.order, step)
			}
			n = n.children[step]
		}
		n.attr = a
	}
	for _, id := range t.Leads {
		if t.pointers[id] == nil {
			return fmt.Errorf("leads: attribute %q is none of the type's", id)
		}
	}
	return nil
}

// namesOwner checks that the type can name every person whose key may seal a value of the
// attribute: by a role of the attribute's class, of which the value's key has its alias.
// Completeness is proved over subjects.
func (t *Type) namesOwner(a *Attribute) error {
	if !a.SealedBy(OwnerPerson) {
		return nil
	}
	role := "of any name"
	if a.Key == KeyPerson {
		role = fmt.Sprintf("%q", a.Role)
	}
	var have []string
	for _, r := range t.Roles {
		if r.Class == a.Class && (a.Key != KeyPerson || r.Role == a.Role) {
			return nil
		}
		have = append(have, r.Role+" of class "+r.Class)
	}
	roles := "there are none"
	if len(have) > 0 {
		roles = "there is " + strings.Join(have, ", ")
	}
	return fmt.Errorf("type %q: attribute %q may be sealed under a person's key and needs a role %s of class %q; %s",
		t.Name, a.ID, role, a.Class, roles)
}

// Attribute returns the attribute with that id, or nil.
func (c *Catalogue) Attribute(id string) *Attribute { return c.attributes[id] }

// MustAttribute returns the attribute with that id; it panics when there is none, for ids written
// in our code.
func (c *Catalogue) MustAttribute(id string) *Attribute {
	a := c.attributes[id]
	if a == nil {
		panic("schemas: no attribute " + id)
	}
	return a
}

// Type returns the type of that name, or nil.
func (c *Catalogue) Type(name string) *Type { return c.types[name] }

// MustType returns the type of that name; it panics when there is none, for names written in our
// code.
func (c *Catalogue) MustType(name string) *Type {
	t := c.types[name]
	if t == nil {
		panic("schemas: no event type " + name)
	}
	return t
}

// Attributes returns all attributes, ordered by id.
func (c *Catalogue) Attributes() []*Attribute {
	out := make([]*Attribute, 0, len(c.attributes))
	for _, a := range c.attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *Attribute) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Types returns all types, ordered by name.
func (c *Catalogue) Types() []*Type {
	out := make([]*Type, 0, len(c.types))
	for _, t := range c.types {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Type) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Version identifies the catalogue's content: the first 8 bytes of a hash over its files.
func (c *Catalogue) Version() [8]byte { return c.version }

// RegisterUpcaster declares how events of an old type are read as the next version. Call it while
// loading only.
func (c *Catalogue) RegisterUpcaster(from string, u Upcaster) error {
	if c.types[from] == nil || c.types[u.To] == nil || u.Apply == nil {
		return fmt.Errorf("upcaster %s → %s: both types must be in the catalogue", from, u.To)
	}
	if _, dup := c.upcasters[from]; dup {
		return fmt.Errorf("upcaster of %s is declared twice", from)
	}
	c.upcasters[from] = u
	return nil
}
