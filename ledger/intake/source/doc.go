// Package source owns how records are held and told apart: files, pages, lines, batches, tables,
// texts, encodings, and by which Form a record is recognised.
//
// It knows no kind but by its Form. It loses no record in silence: each is handed out, or told as
// broken with the place. It trusts nothing of a file: it looks no further ahead than one record
// may reach, and only regular files are read.
package source
