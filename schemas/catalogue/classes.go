package catalogue

import (
	"fmt"
	"io/fs"
	"strconv"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// Period is how long something is kept: whole months, or days.
type Period struct {
	Months, Days int
}

// maxPeriod bounds what a period may say, in months and in days: a hundred years.
const maxPeriod = 1200

// ParsePeriod reads "24m" or "90d".
func ParsePeriod(s string) (Period, error) {
	bad := fmt.Errorf("%q is no period: write 24m for months or 90d for days", s)
	if len(s) < 2 {
		return Period{}, bad
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	switch unit := s[len(s)-1]; {
	case err != nil || strconv.FormatUint(n, 10) != s[:len(s)-1]:
		return Period{}, bad
	case unit == 'm' && n <= maxPeriod:
		return Period{Months: int(n)}, nil
	case unit == 'd' && n <= maxPeriod*30:
		return Period{Days: int(n)}, nil
	case unit == 'm' || unit == 'd':
		return Period{}, fmt.Errorf("%q is longer than a hundred years: nothing is kept for ever", s)
	}
	return Period{}, bad
}

// String returns what ParsePeriod reads.
func (p Period) String() string {
	if p.Months > 0 {
		return strconv.Itoa(p.Months) + "m"
	}
	return strconv.Itoa(p.Days) + "d"
}

// Class is a retention class, with what holds where the tenant's policy says nothing else.
type Class struct {
	Name string
	Keep Period
}

// Classes returns the retention classes there are, in the order of the list.
func (c *Catalogue) Classes() []Class { return c.classes }

// loadClasses reads classes.yaml, where there is one.
func (c *Catalogue) loadClasses(files fs.FS) error {
	raw, err := fs.ReadFile(files, "classes.yaml")
	if err != nil {
		return ignoreMissing(err)
	}
	var list []struct {
		Class string `yaml:"class"`
		Keep  string `yaml:"keep"`
	}
	if err := strictYAML(raw, &list); err != nil {
		return fmt.Errorf("classes.yaml: %w", err)
	}
	known := map[string]bool{}
	for _, l := range list {
		keep, err := ParsePeriod(l.Keep)
		if err != nil || !looks.IsClass(l.Class) || known[l.Class] {
			return fmt.Errorf("classes.yaml: class %q: %w", l.Class, err)
		}
		known[l.Class] = true
		c.classes = append(c.classes, Class{l.Class, keep})
	}
	for _, a := range c.attributes {
		if !known[a.Class] {
			return fmt.Errorf("classes.yaml: the class %q of attribute %q is not there", a.Class, a.ID)
		}
	}
	return nil
}
