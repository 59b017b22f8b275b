package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/ledgerline/ledgerline/schemas"
)

// Sealing is a draft with the keys that sealing it takes. They are found in a transaction; sealing
// needs none, and may be done beside one, from one goroutine. It holds keys: seal at once, and
// drop it.
type Sealing struct {
	draft *schemas.Draft
	keys  []Derived // of which most values share few
	// under is for each value the number of its key, from 1; 0: it stays as it is. One that was
	// sealed before has minus the number of its owner in sealed: its key may be of another time.
	under    []int
	sealed   []schemas.Owner
	subjects []schemas.SubjectRef
}

// NewSealing returns one of the draft that seals nothing yet.
func NewSealing(d *schemas.Draft) *Sealing {
	return &Sealing{draft: d, under: make([]int, len(d.Values)),
		subjects: make([]schemas.SubjectRef, 0, len(d.Subjects))}
}

// Before says whose key sealed a value earlier.
func (s *Sealing) Before(value int, owner schemas.Owner) {
	s.sealed = append(s.sealed, owner)
	s.under[value] = -len(s.sealed)
}

// Under has a value sealed under the owner's present key. Its errors are those of Tx.Derive.
func (s *Sealing) Under(tx *Tx, value int, owner schemas.Owner, month string) (err error) {
	s.under[value], err = s.key(tx, owner, s.draft.Values[value].Attr.Class, month)
	return err
}

// Keep leaves a subject as it is.
func (s *Sealing) Keep(subject schemas.SubjectRef) { s.subjects = append(s.subjects, subject) }

// Name gives a subject the alias of its person for the class. Its errors are those of Tx.Derive.
func (s *Sealing) Name(tx *Tx, subject schemas.SubjectRef, class, month string) error {
	n, err := s.key(tx, schemas.Owner{Kind: schemas.OwnerPerson, ID: subject.Person}, class, month)
	if err == nil {
		subject.Class, subject.Alias = class, s.keys[n-1].Alias
		s.Keep(subject)
	}
	return err
}

// key returns the number of the owner's key of the class.
func (s *Sealing) key(tx *Tx, owner schemas.Owner, class, month string) (int, error) {
	for i := range s.keys {
		if k := &s.keys[i]; k.Owner == owner && k.Class == class {
			return i + 1, nil
		}
	}
	d, err := tx.Derive(owner, class, month)
	if err != nil {
		return 0, err
	}
	s.keys = append(s.keys, d)
	return len(s.keys), nil
}

// SealError is why a part of a draft cannot be sealed; it names no value.
func SealError(d *schemas.Draft, what string, err error) error {
	return fmt.Errorf("seal %s: %s: %w", d.Type.Name, what, err)
}

// scratches are what sealing has used: no plaintext stays in one.
var scratches = sync.Pool{New: func() any { return new(Scratch) }}

// Seal seals the draft, once. On error the draft is as it was.
func (s *Sealing) Seal() error {
	d := s.draft
	tokens := make([]schemas.Token, len(d.Values))
	sealers := make([]*Sealer, len(s.keys))
	buf := scratches.Get().(*Scratch)
	defer scratches.Put(buf)
	for i, n := range s.under {
		if n <= 0 {
			continue
		}
		v, k := &d.Values[i], &s.keys[n-1]
		if !json.Valid(v.Plain) {
			return SealError(d, "attribute "+v.Attr.ID, errors.New("its value is not JSON"))
		}
		h := schemas.TokenHeader{Alias: k.Alias, Class: k.Class, Month: k.Month, Event: d.ID,
			Attr: v.Attr.ID, Path: v.Path}
		err := h.Validate()
		if err == nil && sealers[n-1] == nil {
			sealers[n-1], err = NewSealer(*k, d.Tenant, d.ID, buf)
		}
		if err != nil {
			return SealError(d, "attribute "+v.Attr.ID, err)
		}
		tokens[i] = sealers[n-1].Seal(h, v.Plain)
	}
	for i, n := range s.under {
		switch v := &d.Values[i]; {
		case n > 0:
			v.Token, v.Plain, v.Owner = tokens[i], nil, s.keys[n-1].Owner
		case n < 0:
			v.Plain, v.Owner = nil, s.sealed[-n-1]
		}
	}
	d.Subjects = s.subjects
	return nil
}
