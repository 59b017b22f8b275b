// Package tenant owns what a tenant is declared as: its name, whose records are its own, why its
// data may be seen, what it chose to hold. It keeps nothing.
package tenant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Tenant is a customer whose devices are managed. Sources are the tenant ids its source systems
// use, lower-cased; with AnySource it takes records of every source tenant.
type Tenant struct {
	ID        uuid.UUID
	Name      string
	AnySource bool
	Sources   []string
	Purposes  []string      // for which its data may be unsealed; none: all that there are
	Policy    policy.Policy // its collection policy
	TimeZone  string        // IANA name
	Language  string        // code of one of schemas/words
	Created   time.Time
}

// Takes reports whether a record that names that source tenant is this tenant's.
func (t Tenant) Takes(source string) bool {
	return t.AnySource || slices.Contains(t.Sources, normalise(source))
}

// New declares a tenant. TimeZone defaults to UTC and Language to words.Base.
type New struct {
	Name      string
	AnySource bool
	Sources   []string
	TimeZone  string
	Language  string
}

// Validate joins all that is wrong with the declaration.
func (n New) Validate() error {
	var errs []error
	if strings.TrimSpace(n.Name) == "" {
		errs = append(errs, errors.New("tenant: a name is required"))
	}
	errs = append(errs, CheckSources(n.AnySource, n.Sources))
	if _, err := time.LoadLocation(n.TimeZone); err != nil {
		errs = append(errs, errors.New("tenant: the time zone is unknown"))
	}
	if _, known := words.Default().Language(n.Language); n.Language != "" && !known {
		errs = append(errs, fmt.Errorf("tenant: the language is neither %s", strings.Join(words.Languages(), " nor ")))
	}
	return errors.Join(errs...)
}

// CheckSources joins what is wrong with source tenants. Their ids are GUIDs; a name or a
// domain would take no record.
func CheckSources(all bool, sources []string) error {
	var errs []error
	if all == (len(sources) > 0) {
		errs = append(errs, errors.New("tenant: name its source tenants, or take any of them"))
	}
	for i, s := range sources {
		id, err := uuid.Parse(strings.TrimSpace(s))
		if err != nil || id == uuid.Nil || len(strings.TrimSpace(s)) != len(uuid.Nil.String()) {
			errs = append(errs, fmt.Errorf("tenant: source %d is no tenant id: that is a GUID such as "+
				"5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11, and no name or domain", i+1))
		}
	}
	return errors.Join(errs...)
}

// DistinctSources returns the source tenants as they are kept, each once.
func DistinctSources(sources []string) (out []string) {
	for _, s := range sources {
		if s = normalise(s); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// normalise is the form in which ids of source tenants are compared.
func normalise(id string) string { return schemas.LowerASCII(strings.TrimSpace(id)) }
