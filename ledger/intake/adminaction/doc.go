// Package adminaction is the kind of admin actions: how Graph and Azure Monitor write one, whom
// and what it names, and how a further telling of the same action supplements or disputes what is
// recorded.
//
// It keeps nothing: an id that nobody knows yet waits in the vault. It trusts no record for what a
// target is beyond what the target says of itself, and keeps no secret.
package adminaction
