package intake

import (
	"context"
	"errors"
)

// lookout reads the source before anything is taken from it, to learn whether a record names a
// source tenant that is not declared. It ends at the first one.
type lookout struct {
	*walked
	read *countingReader
	told int64
}

// errForeign ends a lookout that has found what it looks for.
var errForeign = errors.New("a record names another source tenant")

// lookEvery is how many bytes are read before the next word of how far it is.
const lookEvery = 8 << 20

// look reads all files and takes nothing. Where every source tenant is taken, or the records are
// taken whatever the others say, there is nothing to learn. What cannot be read is told when the
// file is read to be taken.
func (w *walked) look(files []foundPath) error {
	if w.tenant.AnySource || w.src.TakeNameless {
		return nil
	}
	var before int64
	for _, f := range files {
		if f.fault != "" {
			continue
		}
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		l := &lookout{walked: w, told: -lookEvery}
		switch err := l.scan(f.path, before); {
		case errors.Is(err, errForeign):
			w.foreign = true
			return nil
		case context.Cause(w.ctx) != nil:
			return context.Cause(w.ctx)
		}
		before += f.size
	}
	return nil
}

func (l *lookout) scan(path string, before int64) error {
	f, err := l.src.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	l.read = &countingReader{Reader: f, n: before}
	return scan(l.read, l)
}

func (l *lookout) record(it item) error {
	if l.read.n-l.told >= lookEvery {
		l.told = l.read.n
		if err := l.send(&entry{outcome: noted, looked: true, bytes: l.read.n, bytesTotal: l.total}); err != nil {
			return err
		}
	}
	m := it.rec
	if m == nil {
		read, err := decodeRecord(it.raw)
		if err != nil {
			return nil
		}
		m = &read
	}
	for _, n := range m.sourceTenants() {
		if !l.tenant.Takes(n.value) {
			return errForeign
		}
	}
	return nil
}

func (l *lookout) broken(flaw) error        { return nil }
func (l *lookout) foreign(looks) error      { return nil }
func (l *lookout) notice(int, string) error { return nil }
func (l *lookout) page(page) error          { return nil }
