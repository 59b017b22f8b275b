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

// FuzzOpen opens whatever it is given: only a token the vault sealed opens, everything else is ErrTampered.
func FuzzOpen(f *testing.F, factory Factory) {
	e := NewEnv(f, factory)
	known := map[schemas.Token]string{}
	e.Update(func(tx *vault.Tx) {
		p := e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: e.Clock.Now()})
		for range 2 {
			d := e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), p, uuid.Nil, e.Clock.Now())
			if err := tx.Seal(d); err != nil {
				f.Fatal(err)
			}
			for _, s := range tokens(d) {
				known[s.Token] = s.Attr
				f.Add(string(s.Token), s.Attr, 0, byte(0))
				f.Add(string(s.Token), s.Attr, len(s.Token)-1, byte(1))
			}
		}
	})
	f.Add("", "", 0, byte(0))
	f.Add("sealed:v1:::::", "device.name", 3, byte(0x80))
	f.Fuzz(func(t *testing.T, token, attr string, at int, flip byte) {
		b := []byte(token)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		token = string(b)
		err := e.V.View(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
			got, err := tx.Open([]vault.Sealed{{Token: schemas.Token(token), Attr: attr}})
			if err != nil {
				return err
			}
			want, ok := known[schemas.Token(token)]
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
