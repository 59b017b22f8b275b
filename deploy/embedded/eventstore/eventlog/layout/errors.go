package layout

import "errors"

// Errors that callers branch on; package eventlog has them under the same names.
var (
	// ErrGone says that the directory held a store and the events' files are
	// gone. It is never made anew.
	ErrGone = errors.New("the event store's files are gone: restore a backup, or empty the directory to begin anew")
	// ErrFormat says that the files were written by another version of this program.
	ErrFormat = errors.New("unsupported on-disk format")
	// ErrCorrupt says that the files contradict themselves. Nothing is skipped or repaired.
	ErrCorrupt = errors.New("event store is corrupt")
)
