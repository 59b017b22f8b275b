// Package projections turns the ledger's events into rows of views, and says what views can be
// asked.
//
// It owns the projector's loop and position, and the interfaces to what it reads (Source), writes
// (Sink, Positions) and answers (Reader, Opener). It may lose everything it wrote: rows are made
// again from the topics or the ledger. It trusts the source for the order within a partition and
// for nothing else: every event is decoded and its leaf computed here. It holds no key; protected
// values pass through it as tokens.
//
// See docs/DESIGN.md §5, and DESIGN.md beside this file for the guarantee and the walk through its
// failures.
package projections
