package vault

import (
	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/register"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Seal seals every value of the draft that may not stand open, and gives each subject the aliases
// of its person for the role's classes. Each token's value then says whose key sealed it. The
// aliases' index rows are part of this transaction: append the event after Update returned.
// Removed and open values are left alone, and so are values sealed in an earlier transaction that
// was committed; on those of one that was not it errs with ErrTampered: build such a draft anew.
// On error the draft is as it was.
//
// ErrErased: an owner or subject is erased or being erased. ErrExpired: the event's month is past
// the retention of a class it needs. ErrNotFound: an owner the vault does not know. Errors name
// the attribute, never its value.
func (tx *Tx) Seal(d *schemas.Draft) error {
	s, err := tx.Prepare(d)
	if err != nil {
		return err
	}
	return s.Seal()
}

// Sealing is a draft with the keys that sealing it takes. It needs no transaction, and may be used
// beside one.
type Sealing = keyring.Sealing

// Prepare is the part of Seal that needs the transaction: it finds or mints the keys, and errs
// where Seal would for those. The draft must not be changed between the two, and stays as it was.
func (tx *Tx) Prepare(d *schemas.Draft) (*Sealing, error) {
	return tx.keys.Prepare(d, tx.lost)
}

// lost reports whether a loss was declared that an unknown alias of that month may
// be due to; "" is any month.
func (tx *Tx) lost(month string) (bool, error) {
	var ok bool
	l, err := read(tx, func(rows store.Rows) (l register.Loss, err error) {
		l, ok, err = register.LossOf(rows)
		return l, err
	})
	if err != nil || !ok {
		return false, err
	}
	return month == "" || month <= schemas.Month(l.Until, l.Until), nil
}
