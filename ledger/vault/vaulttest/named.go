package vaulttest

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// testNamed: forms lead to one stream of a kind, the first for good; they are forgotten with whom
// they concern, and with nobody else.
func testNamed(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	ofAnna, ofBob := schemas.NewStream("remoteaction", uuid.New()), schemas.NewStream("remoteaction", uuid.New())
	a, b, c := []byte("form a"), []byte("form b"), []byte("form c")
	find := func(want ...schemas.Stream) {
		t.Helper()
		e.View(func(tx *vault.Tx) {
			if got, err := tx.FindNamed("remoteaction", a, b, c); err != nil || !slices.Equal(got, want) {
				t.Errorf("found %v, %v, want %v", got, err, want)
			}
			if got, err := tx.FindNamed("alert", a); err != nil || got[0] != "" {
				t.Errorf("another kind found %v, %v", got, err)
			}
		})
	}
	find("", "", "")
	var anna uuid.UUID
	e.Update(func(tx *vault.Tx) {
		anna = e.Person(tx, vault.PersonHint{ObjectID: object1})
		bob := e.Person(tx, vault.PersonHint{ObjectID: object2})
		for _, name := range []struct {
			stream schemas.Stream
			whose  uuid.UUID
			forms  [][]byte
		}{{ofAnna, anna, [][]byte{a, b}}, {ofBob, bob, [][]byte{b, c}}} {
			if err := tx.NameStream(name.stream, name.whose, name.forms...); err != nil {
				t.Fatal(err)
			}
		}
	})
	find(ofAnna, ofAnna, ofBob)
	e.erase(anna)
	find("", "", ofBob)
}
