package packed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// File is what is to be unpacked.
type File struct {
	io.Reader             // from its beginning
	At        io.ReaderAt // the same bytes; nil where only Reader has them
	Size      int64       // bytes
	Modified  time.Time   // zero where it is not known
	Dated     bool        // entries of an archive are wanted in the order of their times, not their names
}

// Place is where in a file something stands.
type Place struct {
	Name     string    // within the file; "" for the file itself, else "a.json", "b.zip » c.json"
	Folder   string    // of what stands beside it: Name without its last part
	Modified time.Time // an entry's own, else its archive's or the file's

	ofMacOS bool // its name is one of those that macOS gives what it keeps beside a file
}

// Visitor receives what is in a file, in order. An error of its own ends the unpacking, and is
// returned by it.
type Visitor interface {
	// Text is called for content that is not packed any more. Reading it may end with a Damage,
	// which is the visitor's to tell.
	Text(Place, io.Reader) error
	// Messages is called for a file of Event Hubs Capture.
	Messages(Place, *Messages) error
	// Loose is called for a file of Avro whose header cannot be read: messages that are not
	// compressed still stand somewhere in its text.
	Loose(Place, io.Reader) error
	// OtherAvro is called for a file of Avro that is none of Capture's. schema is the name that it
	// gives itself, of a source's choice.
	OtherAvro(p Place, schema string) error
	// Office is called for a document of Office, which is an archive.
	Office(p Place, workbook bool) error
	// Fault is called for what should have been content and cannot be read: of a Damage, or an
	// error of reading the file.
	Fault(Place, error) error
	// Notice is called for what is odd and costs nothing.
	Notice(p Place, what string) error
}

// Unpack hands out what is in the file. The error is the visitor's.
func Unpack(f File, v Visitor) error { return unpack(f, v, theLimits) }

func unpack(f File, v Visitor, l limits) error {
	u := &unpacker{budget: budget{limits: l, size: f.Size}, to: v, dated: f.Dated}
	return u.content(f, Place{Modified: f.Modified}, 0)
}

// unpacker unpacks one file.
type unpacker struct {
	budget
	to    Visitor
	dated bool
}

func (u *unpacker) fail(p Place, reason string) error { return u.to.Fault(p, &Damage{reason}) }
func (u *unpacker) notice(p Place, what string) error { return u.to.Notice(p, what) }

// beginnings tell how content is packed.
const (
	gzipBegins  = "\x1f\x8b"
	zipBegins   = "PK\x03\x04"
	emptyZip    = "PK\x05\x06"
	onePartZip  = "PK\x07\x08" // was to be one of several, and is the only one
	avroBegins  = "Obj\x01"
	macOSBegins = "\x00\x05\x16\x07" // what macOS keeps of a file beside its content
)

// content takes what stands at a place for what it is. layers are around it.
func (u *unpacker) content(f File, p Place, layers int) error {
	begin := make([]byte, 4)
	n, err := io.ReadFull(f.Reader, begin)
	begin = begin[:n]
	f.Reader = resume(begin, err, f.Reader)
	is := func(s string) bool { return strings.HasPrefix(string(begin), s) }
	zipped := is(zipBegins) || is(emptyZip) || is(onePartZip)
	switch {
	case is(macOSBegins) && p.ofMacOS:
		return nil
	case !is(gzipBegins) && !zipped && !is(avroBegins):
		return u.to.Text(p, f.Reader)
	case layers == u.layers:
		return u.fail(p, fmt.Sprintf("is packed in more than %d layers: unpack it first", u.layers))
	case is(gzipBegins):
		return u.gzip(f.Reader, p, layers+1)
	case is(avroBegins):
		return u.avro(f.Reader, p)
	}
	return u.zip(f, p, layers+1)
}

// resume returns a reader of what was read, its error or else the rest.
func resume(read []byte, err error, rest io.Reader) io.Reader {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		rest = failed{err}
	}
	return io.MultiReader(bytes.NewReader(read), rest)
}

// failed is a reader that has failed.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// counted is content that came out of something packed.
type counted struct {
	io.Reader
	budget *budget
}

func (c counted) Read(p []byte) (int, error) {
	if c.budget.spent != nil {
		return 0, c.budget.spent
	}
	n, err := c.Reader.Read(p)
	if over := c.budget.take(n); over != nil {
		return 0, over
	}
	return n, err
}
