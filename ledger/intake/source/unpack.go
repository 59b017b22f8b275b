package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed"
)

// opened takes what is in a file.
type opened interface {
	packed.Visitor
	// opens is called with the file before the others.
	opens(*folders.File)
}

// unpack opens a file and hands out what is in it. What cannot be opened is a fault at no place
// within it. The error is of to.
func (w *walk) unpack(f folders.Found, to opened) error {
	src, err := w.src.Open(w.ctx, f)
	if err != nil {
		return to.Fault(packed.Place{}, &packed.Damage{Reason: err.Error()})
	}
	defer src.Close()
	to.opens(src)
	return packed.Unpack(packed.File{Reader: src.Reader(), At: src.At, Size: src.Size, Modified: f.Modified,
		Dated: w.src.Dated}, to)
}

// unpacking reads the records in a file.
type unpacking struct {
	*walk
	found folders.Found
	src   *folders.File
}

func (u *unpacking) opens(f *folders.File) { u.src = f }

// at returns the reading of what stands at a place of the file.
func (u *unpacking) at(p packed.Place) *walkedFile {
	f := &walkedFile{walk: u.walk, name: u.found.Path, folder: path.Dir(u.found.Path), modified: u.found.Modified,
		src: u.src}
	if p.Name != "" {
		f.name, f.folder, f.modified = packed.Join(f.name, p.Name), packed.Join(f.name, p.Folder), p.Modified
	}
	return f
}

func (u *unpacking) Text(p packed.Place, text io.Reader) error {
	f := u.at(p)
	in := &lineCounter{Reader: text}
	err := u.forms.scan(in, f)
	return f.end(err, in.lines+1)
}

// lineCounter counts the lines that were read.
type lineCounter struct {
	io.Reader
	lines int
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	l.lines += bytes.Count(p[:n], []byte{'\n'})
	return n, err
}

// Messages reads messages of Event Hubs, each as if it stood on a line of its own: their lines are
// their numbers.
func (u *unpacking) Messages(p packed.Place, m *packed.Messages) error {
	f := u.at(p)
	one, empty := &message{walkedFile: f}, 0
	for {
		body, err := m.Next()
		var damage *packed.Damage
		switch {
		case errors.As(err, &damage):
			if err := f.broken(Flaw{Line: m.Number, Reason: damage.Reason}); err != nil {
				return err
			}
			continue
		case err == nil && len(body) == 0:
			empty++
			err = context.Cause(u.ctx)
		case err == nil:
			one.line = m.Number
			err = u.forms.scanMessage(body, one.line, &one.records, one)
		case errors.Is(err, io.EOF) && empty > 0:
			if err := f.notice(0, fmt.Sprintf("%d of its messages have no Body", empty)); err != nil {
				return err
			}
			return f.end(nil, 0)
		case errors.Is(err, io.EOF):
			return f.end(nil, 0)
		}
		if err != nil {
			return f.end(err, m.Number)
		}
	}
}

// message is the visitor of a message.
type message struct {
	*walkedFile
	line    int // its own number
	records int // of all messages so far
}

// foreign counts a message that is no JSON: others send into the same hub.
func (m *message) foreign(l Looks) error {
	m.records++
	if m.unnamed++; m.looks == nil {
		m.looks = &l
	}
	return m.keep(m.to.Record(m.position(), Item{Rec: &record.Record{}, Kind: kind{Name: l.Kind}, Line: m.line,
		Number: m.records}))
}

func (u *unpacking) Loose(p packed.Place, r io.Reader) error {
	f := u.at(p)
	return f.end(u.forms.scanLoose(r, f), 0)
}

func (u *unpacking) OtherAvro(p packed.Place, schema string) error {
	return u.at(p).foreign(Looks{"Avro", "it is no file of Event Hubs Capture but of " + record.SafeName(schema) +
		": export the records as JSON"})
}

func (u *unpacking) Office(p packed.Place, workbook bool) error {
	if workbook {
		return u.at(p).foreign(Looks{"Excel workbook", "export the same records through Graph, as JSON"})
	}
	return u.at(p).foreign(Looks{"Office document", "export the records as JSON"})
}

func (u *unpacking) Fault(p packed.Place, err error) error { return u.at(p).end(err, 0) }

func (u *unpacking) Notice(p packed.Place, what string) error { return u.at(p).notice(0, what) }
