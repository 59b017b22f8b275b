package intake

import (
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
)

// look reads the source before anything is taken from it, to learn whether a record names a source
// tenant that is not declared, and takes nothing. Where every source tenant is taken, or the
// records are taken whatever the others say, there is nothing to learn. What cannot be read is
// told when the file is read to be taken.
func (w *walked) look(found *folders.Listing) (err error) {
	if w.tenant.AnySource || w.src.TakeNameless {
		return nil
	}
	w.foreign, err = w.in.forms.Foreign(w.ctx, found, w.tenant.Takes, func(at source.Position) error {
		return w.send(&entry{outcome: noted, looked: true, file: at.File, bytes: at.Read, bytesTotal: at.Total})
	})
	return err
}
