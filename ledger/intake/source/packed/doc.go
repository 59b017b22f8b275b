// Package packed owns how content is packed: it takes a file for what its first bytes say, and
// hands out the plain texts and the messages in it: of gzip, of zip archives, of the Avro files
// that Event Hubs Capture writes, and of these in one another.
//
// It knows nothing of records. It loses nothing in silence: what is whole before a fault is handed
// out, and the fault is told with its place. It trusts nothing of a file: each size that one
// claims is checked against what is read, nothing is written anywhere, and what comes out of a
// file is bounded by what it measures (limits.go).
package packed
