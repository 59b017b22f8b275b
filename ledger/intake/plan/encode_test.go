package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
)

// sealedAs returns the value as sealing leaves it.
func sealedAs(v schemas.Value, event uuid.UUID) schemas.Value {
	v.Token = schemas.TokenHeader{Alias: uuid.New(), Class: v.Attr.Class, Month: "202601", Event: event,
		Attr: v.Attr.ID, Path: v.Path}.Token(make([]byte, 32+12+(len(v.Plain)/32+1)*32+16))
	v.Plain = nil
	return v
}

// TestNoEventIsLargerThanItIsHeldToBe: what is encoded beside the planning cannot turn out too
// large, whatever its type, names and values are, and should every value be sealed.
func TestNoEventIsLargerThanItIsHeldToBe(t *testing.T) {
	c := schemas.Default()
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(c.Types()).Draw(t, "type")
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		plain := schemas.Draft{Type: typ, Tenant: uuid.New(), Stream: schemas.NewStream(typ.Kind(), uuid.New()),
			ID: uuid.New(), Occurred: at, Recorded: at, Source: strings.Repeat("s", 32), Policy: 1,
			Correlation: uuid.New(), Causation: uuid.New()}
		for _, r := range typ.Roles {
			for range schemas.MaxSubjects / len(typ.Roles) {
				plain.Subjects = append(plain.Subjects, schemas.SubjectRef{Role: r.Role, Class: r.Class,
					Alias: uuid.New()})
			}
		}
		sealed := plain
		state := typ.Form == schemas.FormState
		for _, a := range typ.Attributes() {
			name, list := typ.Member(a)
			entries := 1
			if list && state {
				entries = rapid.IntRange(1, 30).Draw(t, "entries")
			}
			if state && !slices.Contains(plain.Silent, name) {
				plain.Silent = append(plain.Silent, name)
			}
			for range entries {
				v := schemas.Value{Attr: a}
				v.Plain = schemas.JSON(strings.Repeat("ä", rapid.IntRange(0, 200).Draw(t, "length")))
				for state && list && len(v.Path) < 1 {
					v.Path = append(v.Path, uuid.NewString())
				}
				if state {
					v.Observed = at.Add(-time.Hour)
				}
				alone := plain
				for !state && len(v.Path) < 4 { // levels of lists that the type has above it
					alone.Values = []schemas.Value{sealedAs(v, plain.ID)}
					alone.Silent = nil
					if _, err := c.Encode(alone); err == nil {
						break
					}
					v.Path = append(v.Path, "0")
				}
				plain.Values = append(plain.Values, v)
				sealed.Values = append(sealed.Values, sealedAs(v, plain.ID))
			}
		}
		slices.Sort(plain.Silent)
		sealed.Silent = plain.Silent
		e, err := c.Encode(sealed)
		if err != nil && !errors.Is(err, schemas.ErrTooLarge) {
			t.Fatal(err)
		}
		if most := maxSize(&plain); err == nil && e.Size() > most || err != nil && most <= schemas.MaxEventBytes {
			t.Fatalf("%s takes %d bytes and is held to take %d: %v", typ.Name, e.Size(), most, err)
		}
	})
}
