// Package plan owns what becomes of one record: the contract of a Kind, and the planner that asks
// one what a record adds to what is known of its stream, refuses what rules keep out, seals and
// encodes, inside one transaction of the vault.
//
// Records are planned one after another, since whom one names hangs on those before it, and so
// does what it adds. What is left once that is decided, sealing and encoding, hangs on a draft and
// its keys alone: it is done beside the planning, by as many goroutines as there are cores, and
// changes no outcome (encode.go). So results do not depend on timing.
//
// It knows no kind by name, no file, and nothing of how events are appended. It keeps for whom no
// stream waits, by our own random numbers alone. It trusts the vault, and nothing that a record
// says.
package plan
