package datadir

import (
	"errors"
	"io/fs"
	"os"
)

// cleanFile says that the last `up` of the directory stopped in order. It is
// taken away before anything starts.
const cleanFile = "clean"

// Begin says whether the last run of the directory ended in order, and takes that mark away,
// durably: from here on a kill or a power cut is seen at the next start. A directory without a
// run has not ended one in order.
func (l *Lock) Begin() (clean bool, err error) {
	err = os.Remove(l.dir.Path(cleanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, l.syncDir()
}

// End marks that this run ended in order: everything that it held is written. It
// is the last act before Close.
func (l *Lock) End() error {
	if err := WritePrivate(l.dir.Path(cleanFile), nil); err != nil {
		return err
	}
	return l.syncDir()
}

// syncDir makes names in the directory durable.
func (l *Lock) syncDir() error {
	d, err := os.Open(string(l.dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
