package source

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed"
)

// Position is where a walk over files is.
type Position struct {
	File     string
	Modified time.Time // of the file; zero where it is not known

	Read, Total int64 // bytes read so far, and of all files as they were listed
}

// receiver takes what a walk over files finds, in the order of the files and of what is in each.
// An error of its own ends the walk and is returned by it.
type receiver interface {
	// Record is called for each record, recognised; and, with nothing but a name, for a file that
	// is no JSON at all.
	Record(Position, Item) error
	// Broken is called for what should have been a record, and for what cannot be opened or read
	// to its end.
	Broken(Position, Flaw) error
	// Notice is called for what is wrong and costs no record. line is 0 for the file.
	Notice(at Position, line int, what string) error
	// Unknown is called once for a file none of whose records has a known name, after all of it.
	Unknown(Position, Looks) error
}

// Read reads all files, each once, and gives to what they hold. What is wrong with one file stops
// nothing. The error is ctx's cause, or the receiver's.
func (r *Recogniser) Read(ctx context.Context, l *folders.Listing, to receiver) error {
	w := newWalk(ctx, r, l, to)
	for _, f := range l.Found {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := w.file(f); err != nil {
			return err
		}
		w.done += f.Size
	}
	return w.missing()
}

// walk reads files one after the other.
type walk struct {
	forms *Recogniser
	ctx   context.Context
	src   *folders.Listing
	to    receiver

	done  int64             // bytes of the files that were read
	pages map[string]*pages // by folder and collection
}

func newWalk(ctx context.Context, r *Recogniser, l *folders.Listing, to receiver) *walk {
	return &walk{forms: r, ctx: ctx, src: l, to: to, pages: map[string]*pages{}}
}

// file reads a file.
func (w *walk) file(f folders.Found) error {
	return w.unpack(f, &unpacking{walk: w, found: f})
}

// walkedFile is one text being read, or one file of messages; it is the scan's visitor.
type walkedFile struct {
	*walk
	name     string
	folder   string // of what stands beside it
	modified time.Time
	src      *folders.File // that it is in; nil until that is open
	err      error         // the receiver's

	known   bool     // a record of a known name was found
	unnamed int      // records of none
	names   []string // how the first of those begins
	looks   *Looks   // what the first message is that is no JSON
}

// end tells how the reading ended, and of a file none of whose records has a known name. lines
// were read of it, 0 where that is not known.
func (f *walkedFile) end(err error, lines int) error {
	var damage *packed.Damage
	switch stopped := context.Cause(f.ctx); {
	case f.err != nil:
		return f.err
	case stopped != nil:
		return stopped
	case errors.As(err, &damage):
		return f.broken(Flaw{Line: lines, Reason: damage.Reason})
	case err != nil:
		return f.broken(Flaw{Line: lines, Reason: "cannot be read to its end: " + folders.ReasonOf(err)})
	case !f.known && f.looks != nil:
		return f.to.Unknown(f.position(), *f.looks)
	case !f.known && f.unnamed > 0:
		return f.to.Unknown(f.position(), f.forms.nameless(f.names))
	}
	return nil
}

func (f *walkedFile) position() Position {
	at := Position{File: f.name, Modified: f.modified, Read: f.done, Total: f.walk.src.Total}
	if f.src != nil {
		at.Read += f.src.Done
	}
	return at
}

// keep keeps an error of the receiver, so that it is not taken for one of reading.
func (f *walkedFile) keep(err error) error {
	f.err = err
	return err
}

func (f *walkedFile) record(it Item) error {
	it, err := f.forms.Recognise(it)
	var field *record.FieldError
	switch {
	case errors.As(err, &field):
		f.known = true
		return f.broken(Flaw{Line: it.Line, Number: it.Number, Field: field.Field, Reason: field.Reason})
	case err != nil:
		return f.broken(Flaw{Line: it.Line, Number: it.Number, Reason: err.Error()})
	case it.Kind.Named:
		f.known = true
	default:
		if f.unnamed++; f.unnamed == 1 {
			for _, name := range firstNames(it.Raw, 4) {
				f.names = append(f.names, record.SafeName(name))
			}
		}
	}
	return f.keep(f.to.Record(f.position(), it))
}

func (f *walkedFile) broken(b Flaw) error { return f.keep(f.to.Broken(f.position(), b)) }

func (f *walkedFile) notice(line int, what string) error {
	return f.keep(f.to.Notice(f.position(), line, what))
}

func (f *walkedFile) foreign(l Looks) error {
	if err := f.to.Record(f.position(), Item{Rec: &record.Record{}, Kind: kind{Name: l.Kind}}); err != nil {
		return f.keep(err)
	}
	return f.keep(f.to.Unknown(f.position(), l))
}

// pages is what was read of a collection in one folder.
type pages struct {
	more, ends int // pages that name one after them, and others
	file       string
	line       int // of the last that names one
}

// maxCollections bounds the collections that are followed.
const maxCollections = 10_000

func (f *walkedFile) page(p page) error {
	key := f.folder + "\x00" + p.collection
	of := f.pages[key]
	if of == nil {
		if len(f.pages) == maxCollections {
			return nil
		}
		of = &pages{}
		f.pages[key] = of
	}
	if !p.more {
		of.ends++
		return nil
	}
	of.more++
	of.file, of.line = f.name, p.line
	return nil
}

const leftUnread = "the page names one after it (@odata.nextLink), and its folder holds no last page: what the " +
	"export left out is not imported"

// missing tells of collections whose last page was not read: in a folder, each page of one names
// another. Pages do not say which they are, so that nothing closer can be told.
func (w *walk) missing() error {
	for _, key := range slices.Sorted(maps.Keys(w.pages)) {
		if of := w.pages[key]; of.ends == 0 && of.more > 0 {
			at := Position{File: of.file, Read: w.done, Total: w.src.Total}
			if err := w.to.Notice(at, of.line, leftUnread); err != nil {
				return err
			}
		}
	}
	return nil
}
