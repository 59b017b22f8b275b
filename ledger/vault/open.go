package vault

import (
	"fmt"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
)

// Sealed asks for a token to be opened, Opened says what became of it, and Unlocked are tokens
// whose keys were looked up.
type (
	Sealed   = keyring.Sealed
	Opened   = keyring.Opened
	Unlocked = keyring.Unlocked
)

// Open opens tokens of the transaction's tenant, in order. The returned error is the store's; what
// is wrong with a token is said in its place; ErrStaleView asks for smaller portions, each in a
// View of its own. A token is called erased or expired only where a tombstone or a destroyed slot
// says so, and lost only where AcceptLoss declared it.
func (tx *Tx) Open(sealed []Sealed) ([]Opened, error) {
	u, err := tx.Unlock(sealed)
	if err != nil {
		return nil, err
	}
	return u.Open()
}

// Unlock looks up whose keys tokens of the transaction's tenant need, each once, and opens
// nothing. Errors are those of Open.
func (tx *Tx) Unlock(sealed []Sealed) (*Unlocked, error) {
	u, err := tx.keys.Unlock(sealed, tx.lost)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return u, nil
}
