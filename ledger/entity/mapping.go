package entity

import (
	"encoding/json"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// Mapping is of a source's field to an attribute.
type Mapping struct {
	Field, Attr string
	Unit        int64 // a number is multiplied by it: sizes come to bytes
}

// FieldNames returns the fields of a table, and more.
func FieldNames(table []Mapping, more ...string) []string {
	for _, m := range table {
		more = append(more, m.Field)
	}
	return more
}

// Read takes in the mapped fields of a record. An attribute that an earlier field reported stays.
// judge, where it is not nil, has the last word on what a value says. Its error is a
// *record.FieldError.
func (s *Snapshot) Read(
	c *schemas.Catalogue, m *record.Members, table []Mapping,
	judge func(a *schemas.Attribute, value json.RawMessage, found record.Finding) record.Finding,
) error {
	for _, f := range table {
		raw := m.Get(f.Field)
		if raw == nil {
			continue
		}
		a := c.MustAttribute(f.Attr)
		value, found, err := record.Normalise(a, raw, f.Unit)
		if err != nil {
			return &record.FieldError{Field: f.Field, Reason: err.Error()}
		}
		if judge != nil {
			found = judge(a, value, found)
		}
		s.Tell(a, value, found)
	}
	return nil
}
