package vaulttest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// FuzzOpen changes tokens the vault sealed, and opens them: only an unchanged one opens,
// everything else is ErrTampered. Each fuzzing process has a vault of its own, so the input says
// what to do to which token.
func FuzzOpen(f *testing.F, factory Factory) {
	e := NewEnv(f, factory)
	var sealed []vault.Sealed
	known := map[schemas.Token]string{}
	e.Update(func(tx *vault.Tx) {
		p := e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: e.Clock.Now()})
		for range 2 {
			d := e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), p, uuid.Nil, e.Clock.Now())
			if err := tx.Seal(d); err != nil {
				f.Fatal(err)
			}
			for _, s := range tokens(d) {
				sealed = append(sealed, s)
				known[s.Token] = s.Attr
			}
		}
	})
	f.Add(uint8(0), uint16(0), uint8(0), "", "", byte(0))
	f.Add(uint8(1), uint16(20), uint8(2), "AA", "device.name", byte(0))
	f.Add(uint8(2), uint16(90), uint8(0), "\n", "", byte(1))
	f.Add(uint8(3), uint16(0), uint8(255), "sealed:v1:::::", "device.user-upn", byte(0x80))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, cut uint8, insert, attr string, flip byte) {
		of := sealed[int(which)%len(sealed)]
		if attr == "" {
			attr = of.Attr
		}
		b := []byte(of.Token)
		i := int(at) % len(b)
		b[i] ^= flip
		token := schemas.Token(string(b[:i]) + insert + string(b[min(i+int(cut), len(b)):]))
		err := e.V.View(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
			got, err := tx.Open([]vault.Sealed{{Token: token, Attr: attr}})
			if err != nil {
				return err
			}
			want, ok := known[token]
			switch {
			case ok && want == attr:
				if got[0].Err != nil || !strings.Contains(string(got[0].Plain), "anna.devries") {
					t.Errorf("a sealed value opens to %s, %v", got[0].Plain, got[0].Err)
				}
			case !errors.Is(got[0].Err, vault.ErrTampered) || got[0].Plain != nil:
				t.Errorf("%q opens to %s, %v", token, got[0].Plain, got[0].Err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
