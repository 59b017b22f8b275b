// Package reconcile compares the views with the ledger: every row of events with the event it was
// made from, and every view with what its definition makes of events.
//
// It owns how far a comparison has come and what the last one found, both kept beside the views;
// it may lose both, and then compares from the beginning. It trusts the ledger that it is given
// and this program's definitions, and nothing in the views' database.
//
// What a Result claims is what was compared: nothing that a Result does not name was looked at.
package reconcile
