package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Codes of a Problem.
var (
	ErrAlreadyUp   = errors.New("another `ledgerline up` runs on this directory") // Holder, where it is known
	ErrNoFolder    = errors.New("is no directory")
	ErrOthersOwn   = errors.New("belongs to another user")        // Owner
	ErrOthersReach = errors.New("is open to others")              // its Mode
	ErrOthersWrite = errors.New("is below what others write")     // the Mode of the folder Above
	ErrOthersAbove = errors.New("is below another user's folder") // the Owner of the folder Above
)

// Problem is why a data directory is not used. It unwraps to its code. Where another directory
// would do, the door says how to give it.
type Problem struct {
	Code   error
	Path   string // the directory
	Above  string // a folder above it
	Owner  int
	Mode   fs.FileMode
	Holder *Running
}

func (p *Problem) Error() string {
	switch p.Code {
	case ErrAlreadyUp:
		holder := ""
		if p.Holder != nil {
			since := p.Holder.Started.Local().Format(time.DateTime)
			holder = fmt.Sprintf(" (process %d, since %s)", p.Holder.PID, since)
		}
		return fmt.Sprintf("%v%s: use it, or stop it", p.Code, holder)
	case ErrOthersOwn:
		return fmt.Sprintf("data directory: %s belongs to user %d and this is user %d: whoever owns it can read it",
			p.Path, p.Owner, os.Geteuid())
	case ErrOthersReach:
		return fmt.Sprintf("data directory: %s has mode %04o, so that others can reach keys and events in it: "+
			"chmod 700 %s", p.Path, p.Mode, p.Path)
	case ErrOthersWrite:
		return fmt.Sprintf("data directory: others can write in %s (mode %04o) and so replace %s: chmod o-w,g-w %s",
			p.Above, p.Mode, p.Path, p.Above)
	case ErrOthersAbove:
		return fmt.Sprintf("data directory: %s belongs to user %d, who can replace %s", p.Above, p.Owner, p.Path)
	}
	return fmt.Sprintf("data directory: %s %v", p.Path, p.Code)
}

func (p *Problem) Unwrap() error { return p.Code }
