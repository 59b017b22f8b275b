// Package ledger owns the one way into and out of the event store: append, read, and follow in ledger order, with the
// only counter of the ledger sequence (FORMATS §6).
//
// It may lose nothing that an append acknowledged; its sequence index is a copy that is rebuilt from $all. It trusts the
// Store for durability and order, and checks the rest: limits before an append, anchors before following.
package ledger
