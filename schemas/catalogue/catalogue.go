// Package catalogue owns what the ledger knows of attributes and event types, all of it data: what
// each attribute is, whose key seals it, what of it may stand open and in which form it is kept;
// which attributes a type carries, and where; what is told by a value or a field's name alone.
//
// It is embedded and never changes while a program runs. It knows neither events nor keys.
package catalogue

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed attributes/*.yaml types/*.yaml items.yaml classes.yaml
var files embed.FS

// Catalogue holds the attributes and types that are known. It is immutable after loading.
type Catalogue struct {
	attributes map[string]*Attribute
	types      map[string]*Type
	items      []*Item
	classes    []Class
	version    [8]byte
}

// Default returns the catalogue compiled into the program. It panics when that is broken, which a
// test excludes.
var Default = sync.OnceValue(func() *Catalogue {
	c, err := Load(files)
	if err != nil {
		panic(err)
	}
	return c
})

// Load reads attributes/*.yaml, types/*.yaml and, where it is there, items.yaml. The error joins
// every fault found and names file and entry.
func Load(files fs.FS) (*Catalogue, error) {
	c := &Catalogue{attributes: map[string]*Attribute{}, types: map[string]*Type{}}
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
	if len(errs) == 0 {
		errs = append(errs, c.loadItems(files), c.loadClasses(files))
	}
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

// Attribute returns the attribute with that id, or nil.
func (c *Catalogue) Attribute(id string) *Attribute { return c.attributes[id] }

// MustAttribute returns the attribute with that id; it panics when there is none, for ids written
// in our code.
func (c *Catalogue) MustAttribute(id string) *Attribute {
	a := c.attributes[id]
	if a == nil {
		panic("catalogue: no attribute " + id)
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
		panic("catalogue: no event type " + name)
	}
	return t
}

func byID(a, b *Attribute) int { return strings.Compare(a.ID, b.ID) }

// Attributes returns all attributes, ordered by id.
func (c *Catalogue) Attributes() []*Attribute {
	out := make([]*Attribute, 0, len(c.attributes))
	for _, a := range c.attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, byID)
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
