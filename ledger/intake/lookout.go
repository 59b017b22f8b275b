package intake

import (
	"errors"

	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// lookout reads the source before anything is taken from it, to learn whether a record names a
// source tenant that is not declared. It ends at the first one, and takes nothing.
type lookout struct {
	*walked
	file string
	told int64 // bytes read when it last told how far it is, in this file
}

// errForeign ends a lookout that has found what it looks for.
var errForeign = errors.New("a record names another source tenant")

// lookEvery is how many bytes are read before the next word of how far it is.
const lookEvery = 8 << 20

// look reads all files and takes nothing. Where every source tenant is taken, or the records are
// taken whatever the others say, there is nothing to learn. What cannot be read is told when the
// file is read to be taken.
func (w *walked) look(files *source.Listing) error {
	if w.tenant.AnySource || w.src.TakeNameless {
		return nil
	}
	err := w.in.forms.Read(w.ctx, files, &lookout{walked: w})
	if errors.Is(err, errForeign) {
		w.foreign = true
		return nil
	}
	return err
}

func (l *lookout) Record(at source.Position, it source.Item) error {
	if at.File != l.file || at.Read-l.told >= lookEvery {
		l.file, l.told = at.File, at.Read
		if err := l.send(at, &entry{outcome: noted, looked: true}); err != nil {
			return err
		}
	}
	for _, n := range source.SourceTenants(*it.Rec) {
		if !l.tenant.Takes(n.Value) {
			return errForeign
		}
	}
	return nil
}

func (l *lookout) Broken(source.Position, source.Flaw) error   { return nil }
func (l *lookout) Notice(source.Position, int, string) error   { return nil }
func (l *lookout) Unknown(source.Position, source.Looks) error { return nil }
