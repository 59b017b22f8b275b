// Package account is the kind of a directory's accounts: how Graph writes a user, and how a
// snapshot changes what is known of one. Each account is a person's: its stream is found by the
// person, all that tells of them is sealed under their key, and both are forgotten with them.
//
// It keeps nothing, and trusts the record for nothing but what it says of its own account.
package account
