// Package source owns how records are held and told apart: files, pages, lines, batches, tables,
// texts, encodings, and by which Form a record is recognised.
//
// It knows no kind but by its Form. It loses no record in silence: each is handed out, or told as
// broken with the place. It trusts nothing of a file: it looks no further ahead than one record
// may reach, and only regular files are read.
//
// A file is opened by the package folders and unpacked by packed, to which unpack.go listens.
// What is in it is walked in walk.go, decoded in encoding.go and taken apart in scan.go, or in
// table_read.go where it is a table of separated values, whose header table.go knows;
// recognise.go says of which form a record is, transport.go brings other writings into it, and
// looks.go names what is not understood.
package source
