//go:build !unix

package datadir

import (
	"fmt"
	"os"
	"runtime"
)

// supported says that no data directory is kept here: Go does not see on this system who can reach
// a file, and the guarantee of this package is that nobody else does. What is below is never
// reached.
func supported() error {
	return fmt.Errorf("on %s this program cannot tell who else reaches a file, so it keeps no ledger, vault or "+
		"password here: run it on Linux or macOS; `fleet`, and `tail` and `views` against configured servers, work",
		runtime.GOOS)
}

func stat(path string) (info os.FileInfo, owner, group int, err error) {
	if info, err = os.Stat(path); err == nil {
		err = supported()
	}
	return info, 0, 0, err
}

func exclude(*os.File) error { return supported() }

func hold(*os.File) error { return supported() }

func holderOf(*os.File) (int, error) { return 0, supported() }
