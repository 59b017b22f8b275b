package catalogue

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// Item is one data item that device management collects, may collect or never collects.
type Item struct {
	ID              string `yaml:"item"`            // "1" to "70", "X1" to "X6"
	Section         string `yaml:"section"`         // of the list
	Requirement     string `yaml:"requirement"`     // Required, Optional or Never
	Identifiability string `yaml:"identifiability"` // identified, pseudonymous, non-personal, secret
	Subject         string `yaml:"subject"`         // whom it tells of
	Owner           string `yaml:"owner"`           // whose it is: person, device-owner, withheld, none
	Class           string `yaml:"class"`           // retention class; none where nothing is stored
	AccessCopy      bool   `yaml:"accessCopy"`      // in the access package (Art. 15)
	Portable        bool   `yaml:"portable"`        // in what is handed over (Art. 20)

	Rule       string   `yaml:"rule"`       // one of the rules below; "" for none
	Categories []string `yaml:"categories"` // of RuleNever: as what its refusals are told
	In         []string `yaml:"in"`         // attributes that hold it beside their own item
	Value      string   `yaml:"value"`      // the one value of those that it is; "" for any

	Label Label `yaml:"-"`

	attrs []*Attribute
}

// Whether an item is collected.
const (
	Required = "required"
	Optional = "optional" // only where the tenant's policy says so
	Never    = "never"
)

// Rules by which an item, or its value, is kept out.
const (
	RuleWithheld = "withheld"        // a secret: that there was one is told, what it was is not
	RuleNever    = "never-collected" // refused wherever it is met
	RuleOptIn    = "opt-in"          // dropped unless the tenant's policy takes it
	RuleReplaced = "replaced"        // never stored: an id of the ledger's own stands for it
)

// Attributes returns those that hold the item, ordered by id; none where a rule keeps it out.
func (i *Item) Attributes() []*Attribute { return i.attrs }

// Home reports whether the item has one: an attribute, or a rule that keeps it out whole.
func (i *Item) Home() bool {
	return len(i.attrs) > 0 || i.Rule == RuleNever || i.Rule == RuleReplaced
}

// Types returns the event types that carry an attribute of the item, ordered by name.
func (i *Item) Types(c *Catalogue) (out []*Type) {
	for _, t := range c.Types() {
		if slices.ContainsFunc(i.attrs, t.Has) {
			out = append(out, t)
		}
	}
	return out
}

// Items returns all items, in the order of the list.
func (c *Catalogue) Items() []*Item { return c.items }

// loadItems reads items.yaml, where there is one, and finds the home of each.
func (c *Catalogue) loadItems(files fs.FS) error {
	raw, err := fs.ReadFile(files, "items.yaml")
	if err != nil {
		return ignoreMissing(err)
	}
	if err := strictYAML(raw, &c.items); err != nil {
		return fmt.Errorf("items.yaml: %w", err)
	}
	var errs []error
	by := map[string]*Item{}
	for _, i := range c.items {
		if by[i.ID] != nil {
			errs = append(errs, fmt.Errorf("items.yaml: item %q stands twice", i.ID))
		}
		by[i.ID] = i
		i.Label = Label("item." + i.ID)
		if err := i.validate(c); err != nil {
			errs = append(errs, fmt.Errorf("items.yaml: item %q: %w", i.ID, err))
		}
	}
	for _, a := range c.Attributes() {
		switch of := by[a.Item]; {
		case a.Item == "": // our own bookkeeping
		case of == nil:
			errs = append(errs, fmt.Errorf("items.yaml: attribute %q is of item %q, which is not there", a.ID, a.Item))
		default:
			of.attrs = append(of.attrs, a)
		}
	}
	for _, i := range c.items {
		slices.SortFunc(i.attrs, byID)
	}
	return errors.Join(errs...)
}

// ignoreMissing lets a catalogue do without a file.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (i *Item) validate(c *Catalogue) error {
	switch {
	case !slices.Contains([]string{Required, Optional, Never}, i.Requirement):
		return fmt.Errorf("requirement %q is not required, optional or never", i.Requirement)
	case !slices.Contains([]string{"identified", "pseudonymous", "non-personal", "secret"}, i.Identifiability):
		return fmt.Errorf("identifiability %q is not known", i.Identifiability)
	case !slices.Contains([]string{KeyPerson, KeyDeviceOwner, "withheld", "none"}, i.Owner):
		return fmt.Errorf("owner %q is not known", i.Owner)
	case !looks.IsClass(i.Class):
		return fmt.Errorf("class %q is none", i.Class)
	case (i.Requirement == Never) != (i.Rule == RuleNever), (i.Requirement == Optional) != (i.Rule == RuleOptIn),
		(i.Identifiability == "secret") != (i.Rule == RuleWithheld):
		return fmt.Errorf("rule %q does not fit what it is", i.Rule)
	case (i.Rule == RuleNever) != (len(i.Categories) > 0):
		return fmt.Errorf("what is never collected, and nothing else, has categories")
	}
	for _, id := range i.In {
		a := c.attributes[id]
		if a == nil {
			return fmt.Errorf("attribute %q is not in the catalogue", id)
		}
		if i.Value != "" && (a.Shape == nil || !slices.Contains(a.Shape.Values, i.Value)) {
			return fmt.Errorf("attribute %q has no value %q", id, i.Value)
		}
		i.attrs = append(i.attrs, a)
	}
	return nil
}
