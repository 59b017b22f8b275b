package catalogue

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

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
	Grows  string            `yaml:"grows"`  // the version before, which it only adds to; "" where none is
	Roles  []Role            `yaml:"roles"`  // in the order in which subjects are written
	Fields map[string]string `yaml:"fields"` // JSON pointer → attribute id; "*" stands for an array index or element
	Leads  []string          `yaml:"leads"`  // attributes by which people tell events apart, first first

	root     *Node
	pointers map[string]*Pointer // by attribute id
	attrs    []*Attribute        // in order of pointer
}

// Pointer is a JSON pointer of a type.
type Pointer struct {
	Steps  []string // its parts; "*" stands for an array index or a list's element
	Levels int      // of arrays
	member string   // of a state type: see Type.Member
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

// Root returns the node of the type's data as a whole.
func (t *Type) Root() *Node { return t.root }

// Child returns the node of a member of the type's data, empty where the type has none.
func (t *Type) Child(name string) *Node {
	if n := t.root.Children[name]; n != nil {
		return n
	}
	return noNode
}

var noNode = &Node{}

// Pointer returns where the type has the attribute, nil where it does not carry it.
func (t *Type) Pointer(attr *Attribute) *Pointer { return t.pointers[attr.ID] }

// Member returns the name under which a state type holds the attribute ("osVersion"), and whether
// it is a list.
func (t *Type) Member(attr *Attribute) (name string, list bool) {
	if p := t.pointers[attr.ID]; p != nil {
		return p.member, p.list
	}
	return "", false
}

// Node is a step of the pointers of a type: an object's members, or "*" for an array's elements.
type Node struct {
	Attr     *Attribute       // where a value stands; nil above
	Children map[string]*Node // nil where there are none
	Order    []string         // the children's names
	Index    int              // its own among them
}

func (t *Type) compile(c *Catalogue) error {
	if t.Form != FormFact && t.Form != FormState {
		return fmt.Errorf("form %q is not fact or state", t.Form)
	}
	for i, r := range t.Roles {
		switch before := t.Roles[:i]; {
		case !slices.Contains(Roles, r.Role) || !looks.IsClass(r.Class):
			return fmt.Errorf("role %q of class %q is not allowed", r.Role, r.Class)
		case slices.Contains(before, r):
			return fmt.Errorf("role %q stands twice in class %q: once per class", r.Role, r.Class)
		case i > 0 && before[i-1].Role != r.Role &&
			slices.ContainsFunc(before, func(b Role) bool { return b.Role == r.Role }):
			return fmt.Errorf("role %q stands apart: its classes come one behind the other", r.Role)
		}
	}
	t.root = &Node{}
	t.pointers = map[string]*Pointer{}
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
		at := &Pointer{Steps: strings.Split(strings.TrimPrefix(p, "/"), "/"), Levels: strings.Count(p, "*")}
		if at.member, at.list = strings.CutPrefix(p, "/lists/"); at.list {
			at.member = strings.TrimSuffix(at.member, "/set/*")
		} else {
			at.member = strings.TrimPrefix(p, "/set/")
		}
		t.pointers[id] = at
		t.attrs = append(t.attrs, a)
		n := t.root
		for _, step := range at.Steps {
			if n.Children == nil {
				n.Children = map[string]*Node{}
			}
			if n.Children[step] == nil {
				n.Children[step] = &Node{Index: len(n.Order)}
				n.Order = append(n.Order, step)
			}
			n = n.Children[step]
		}
		n.Attr = a
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
