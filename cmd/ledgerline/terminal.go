package main

import (
	"io"
	"os"
	"strconv"
)

// terminalWidth returns how many columns out shows, 0 for as many as needed: a file or a pipe.
func terminalWidth(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	if columns, ok := terminalSize(f); ok && columns > 0 {
		return columns
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 0
}

// isTerminal reports whether a person sits at the other end of f.
func isTerminal(f *os.File) bool {
	_, ok := terminalSize(f)
	return ok
}
