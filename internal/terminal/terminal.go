// Package terminal owns how this program speaks to the person at the other end: whether there is
// one, how wide the screen is, a line that says how far long work is, tables and sizes that are
// read easily, a password that is typed unseen.
//
// It keeps nothing. It trusts its callers with what it shows: what sources wrote may steer a
// terminal, and is made visible where it is written (projections/report/render).
package terminal

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Is reports whether a person sits at the other end of what is read or written.
func Is(end any) bool {
	f, ok := end.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns how many columns out shows, 0 for as many as needed: a file or a pipe. COLUMNS
// says it where out does not.
func Width(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
		return columns
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 0
}
