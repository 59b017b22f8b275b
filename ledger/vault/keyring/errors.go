package keyring

import "errors"

// Errors by which callers branch; package vault has them under the same names.
var (
	ErrErased  = errors.New("erased")            // the owner's key was destroyed, or its erasure has begun
	ErrExpired = errors.New("retention-expired") // the period's key was destroyed
	// the token is not one this vault sealed for this tenant, attribute and event
	ErrTampered = errors.New("tampered")
	// the vault was declared to have lost keys, and knows no such alias
	ErrLost      = errors.New("lost")
	ErrStaleView = errors.New("the view is older than keys may be used for; begin another")

	errTooLong = errors.New("transaction used after its function has returned") // a programming error
)
