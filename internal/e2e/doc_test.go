// Package e2e holds tests of the whole: the real binary, its three servers in one process tree,
// and a checker that recomputes everything from the ledger's bytes. It has no code of its own.
package e2e
