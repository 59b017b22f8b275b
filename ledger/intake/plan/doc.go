// Package plan owns what becomes of one record: the contract of a Kind, and the planner that asks
// one what a record adds to what is known of its stream, refuses what rules keep out, seals and
// encodes, inside one transaction of the vault.
//
// It knows no kind by name, no file, and nothing of how events are appended. It keeps for whom no
// stream waits, by our own random numbers alone. It trusts the vault, and nothing that a record
// says.
package plan
