// Package entity owns what the ledger says of an entity and how a snapshot of it is compared:
// states folded from events, moments, differences, and the events that report one.
//
// It knows no kind of entity: a Definition says which attributes one has, and its caller whose
// each value is. It keeps nothing and may lose nothing. It trusts the vault for what opens, and no
// value that would stand open: what tells of a person or of the entity itself is sealed (FORMATS
// §4). The order of snapshots is FORMATS §2.
package entity
