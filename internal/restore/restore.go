// Package restore makes stores fit one another again after one was lost, or an older copy of it
// was put back: the event store from the topics, the vault from a copy, the topics and the
// sequence index from the event store.
//
// Each act may be interrupted and run again: it looks at everything first, changes nothing where
// something does not fit, and makes last the note by which `up` serves again. It loses nothing by
// itself; what is gone for good it declares lost only when that was asked for. It trusts the
// vault to tell genuine events from forged ones, and no topic.
package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
)

// Codes of a Problem.
var (
	ErrNoLedger = errors.New("the data directory holds no ledger")              // Path, Lacks, At
	ErrNoVault  = errors.New("the data directory holds no vault")               // Path, Files
	ErrNoCopy   = errors.New("the folder holds no copy of a vault")             // Files, Cause
	ErrInTheWay = errors.New("a vault is there, and nothing is replaced")       // Path, At
	ErrOlder    = errors.New("this copy of the vault is older than the ledger") // Unknown
)

// Problem is why nothing is restored. It unwraps to its code, and to what caused it.
type Problem struct {
	Code    error
	Path    string          // the data directory
	Lacks   string          // what it lacks, as people call it
	At      string          // where that should be, or what is in the way
	Files   [2]string       // names of a vault's two files
	Unknown custody.Unknown // what the copy does not know
	Cause   error
}

func (p *Problem) Error() string {
	if p.Cause != nil {
		return fmt.Sprintf("%v: %v", p.Code, p.Cause)
	}
	return p.Code.Error()
}

// Unwrap returns the code and the cause.
func (p *Problem) Unwrap() []error {
	if p.Cause == nil {
		return []error{p.Code}
	}
	return []error{p.Code, p.Cause}
}

// files are the names of a vault's two files.
func files(path string) [2]string {
	return [2]string{filepath.Base(path), filepath.Base(sqlite.SlotsPath(path))}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
