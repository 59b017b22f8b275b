// Package record owns how a source's record is read: its members and their shapes, and their
// values brought into the catalogue's forms; and what of it is a secret, or never collected.
//
// It knows no kind and no transport, and keeps nothing. It trusts no value: each is bounded, and
// what has another shape than it must have is a fault of the record, by field and never by
// content.
package record
