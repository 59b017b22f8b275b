// Package working keeps the rows that a transaction works on, so that it asks the store for many
// at once and stores what it changed at once.
//
// It owns no row: what it says is what the store says to the transaction, and what a failed
// transaction changed is dropped with it. Rows that were read serve the next transactions too, as
// long as the store's count of the tenant's changes stands and not longer than cacheAge. It knows
// no cryptography and nobody: rows hold what is wrapped.
package working
