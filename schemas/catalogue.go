package schemas

import (
	"fmt"
	"io/fs"
	"sync"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// What the catalogue holds, under the names by which events speak of it.
type (
	Attribute = catalogue.Attribute
	Type      = catalogue.Type
	Role      = catalogue.Role
	Shape     = catalogue.Shape
	Names     = catalogue.Names
	Label     = catalogue.Label
	KeyKind   = catalogue.KeyKind
)

// Forms of an event type's data (FORMATS §2).
const (
	FormFact  = catalogue.FormFact
	FormState = catalogue.FormState
)

// Kinds of key owners.
const (
	OwnerPerson = catalogue.OwnerPerson
	OwnerDevice = catalogue.OwnerDevice
	OwnerTenant = catalogue.OwnerTenant
)

// Whose key seals a value of an attribute (FORMATS §4).
const (
	KeyPerson      = catalogue.KeyPerson
	KeyDeviceOwner = catalogue.KeyDeviceOwner
	KeyDevice      = catalogue.KeyDevice
	KeyTenant      = catalogue.KeyTenant
)

// Nothing reports whether a text means "there is no value" in any field.
func Nothing(text string) bool { return catalogue.Nothing(text) }

// Junk reports whether a value, of whatever kind, is one that sources write for "not known": it
// must never identify a person or device and never overwrite a value.
func Junk(value string) bool { return catalogue.Junk(value) }

// Catalogue is what is known of attributes and types, and how events of theirs are written and
// read. It does not change once it is loaded and its upcasters are declared.
type Catalogue struct {
	*catalogue.Catalogue
	upcasters map[string]Upcaster
}

// Default returns the catalogue compiled into the program, with its upcasters. It panics when
// those are broken, which a test excludes.
var Default = sync.OnceValue(func() *Catalogue {
	c := events(catalogue.Default())
	if err := c.declareUpcasters(); err != nil {
		panic(err)
	}
	return c
})

// Load reads attributes/*.yaml and types/*.yaml. The error joins every fault found and names file
// and entry.
func Load(files fs.FS) (*Catalogue, error) {
	c, err := catalogue.Load(files)
	if err != nil {
		return nil, err
	}
	return events(c), nil
}

func events(c *catalogue.Catalogue) *Catalogue { return &Catalogue{c, map[string]Upcaster{}} }

// Upcaster turns a decoded draft of an old version into the next version of its type. It moves
// values and tokens and never rewrites a token.
type Upcaster struct {
	To    string
	Apply func(Draft) (Draft, error)
}

// RegisterUpcaster declares how events of an old type are read as the next version. Call it while
// loading only.
func (c *Catalogue) RegisterUpcaster(from string, u Upcaster) error {
	if c.Type(from) == nil || c.Type(u.To) == nil || u.Apply == nil {
		return fmt.Errorf("upcaster %s → %s: both types must be in the catalogue", from, u.To)
	}
	if _, dup := c.upcasters[from]; dup {
		return fmt.Errorf("upcaster of %s is declared twice", from)
	}
	c.upcasters[from] = u
	return nil
}
