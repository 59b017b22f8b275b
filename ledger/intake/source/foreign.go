package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed"
	"github.com/ledgerline/ledgerline/schemas"
)

// Foreign reports whether a record of the files names a source tenant that is not to be taken.
// looked is called now and then with how far it is; its error ends the look. What cannot be read
// is none of its business.
//
// A file is looked at as bytes first: one in which nothing can name such a tenant is not taken
// apart.
func (r *Recogniser) Foreign(
	ctx context.Context, l *folders.Listing, takes func(tenant string) bool, looked func(Position) error,
) (bool, error) {
	to := &lookout{takes: takes, looked: looked}
	w := newWalk(ctx, r, l, to)
	for _, f := range l.Found {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		may, err := w.mayName(f, to)
		if err == nil && may {
			err = w.file(f)
		}
		switch {
		case errors.Is(err, errForeign):
			return true, nil
		case err != nil:
			return false, err
		}
		w.done += f.Size
	}
	return false, nil
}

// lookout takes what a walk finds, to learn whether a record names a source tenant that is not to
// be taken.
type lookout struct {
	takes  func(tenant string) bool
	looked func(Position) error
	file   string
	told   int64 // bytes read when it last told how far it is
}

// errForeign ends a look that has found what it looks for.
var errForeign = errors.New("a record names another source tenant")

// lookEvery is how many bytes are read before the next word of how far it is.
const lookEvery = 8 << 20

func (l *lookout) tell(at Position) error {
	if at.File == l.file && at.Read-l.told < lookEvery {
		return nil
	}
	l.file, l.told = at.File, at.Read
	return l.looked(at)
}

func (l *lookout) Record(at Position, it Item) error {
	for _, n := range SourceTenants(*it.Rec) {
		if !l.takes(n.Value) {
			return errForeign
		}
	}
	return l.tell(at)
}

func (l *lookout) Broken(Position, Flaw) error        { return nil }
func (l *lookout) Notice(Position, int, string) error { return nil }
func (l *lookout) Unknown(Position, Looks) error      { return nil }

// mayName reports whether a record of the file may name a source tenant that is not to be taken.
func (w *walk) mayName(f folders.Found, to *lookout) (bool, error) {
	one := &naming{unpacking: &unpacking{walk: w, found: f}, to: to, names: namesOf(to.takes)}
	err := w.unpack(f, one)
	if errors.Is(err, errForeign) {
		return true, nil
	}
	return false, err
}

// naming looks through what is in a file for what may name a source tenant that is not to be
// taken, and ends with errForeign at the first. What cannot be read is none of its business.
type naming struct {
	*unpacking
	to    *lookout
	names *names
}

func (n *naming) Text(p packed.Place, text io.Reader) error {
	w, err := textOf(text)
	if err != nil {
		return context.Cause(n.ctx)
	}
	return n.text(n.at(p), w)
}

func (n *naming) Loose(p packed.Place, text io.Reader) error { return n.Text(p, text) }

func (n *naming) Messages(p packed.Place, m *packed.Messages) error {
	f := n.at(p)
	for {
		body, err := m.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := context.Cause(n.ctx); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		w, err := textIn(body, m.Number)
		if err == nil {
			err = n.text(f, w)
		}
		if err != nil {
			return err
		}
	}
}

// text looks through a text.
func (n *naming) text(f *walkedFile, w *window) error {
	if inHeader(w.ahead(2 * stretch)) { // it begins in the first, and is no longer than one
		return errForeign
	}
	for {
		if err := context.Cause(n.ctx); err != nil {
			return err
		}
		may, more := n.names.in(w)
		if may {
			return errForeign
		}
		if err := n.to.tell(f.position()); err != nil || !more {
			return err
		}
	}
}

func (n *naming) Fault(packed.Place, error) error      { return context.Cause(n.ctx) }
func (n *naming) Notice(packed.Place, string) error    { return nil }
func (n *naming) OtherAvro(packed.Place, string) error { return nil }
func (n *naming) Office(packed.Place, bool) error      { return nil }

// inHeader reports whether a text is no JSON and may name such a member where the header of a
// table would, without quotes.
func inHeader(begin []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")), " \t\r\n,")
	if len(text) == 0 || text[0] == '{' || text[0] == '[' {
		return false
	}
	lower := bytes.ToLower(text)
	return bytes.Contains(lower, []byte("tenantid")) || bytes.Contains(lower, []byte("resourceid"))
}

// namesOf looks in a text for what may name a source tenant: members of the names that
// SourceTenants reads, in any case, since transports write them otherwise. takes is asked for each
// once in a row.
func namesOf(takes func(tenant string) bool) *names {
	last := ""
	return &names{takes: func(tenant string) bool {
		if tenant == last || schemas.Nothing(tenant) || takes(strings.ToLower(tenant)) {
			last = tenant
			return true
		}
		return false
	}}
}

type names struct{ takes func(tenant string) bool }

const (
	stretch = 64 << 10 // looked at at a time
	reach   = 4 << 10  // of a name with what it says
)

// in looks at a stretch of the text and goes behind it. may says that something in it may name a
// tenant that is not to be taken; more, that there is more to look at.
func (n *names) in(w *window) (may, more bool) {
	text := w.ahead(stretch)
	upto := len(text)
	if more = upto == stretch; more {
		upto -= reach
	}
	if hidden(text[:min(upto+len(`\u0000`), len(text))]) {
		return true, more
	}
	at := 0
	for at < upto {
		i := bytes.IndexByte(text[at:upto], '"')
		if i < 0 {
			break
		}
		at += i + 1
		if at < len(text) && n.member(text[at:]) {
			return true, more
		}
	}
	w.r += upto
	return false, more
}

// hidden reports whether a letter or a quote of a name may be written as an escape, or a letter
// stand there that is i in small letters.
func hidden(text []byte) bool {
	if bytes.Contains(text, []byte("\u0130")) || bytes.Contains(text, []byte(`\u0130`)) {
		return true
	}
	for {
		i := bytes.Index(text, []byte(`\u00`))
		if i < 0 {
			return false
		}
		if text = text[i+4:]; len(text) > 1 && (text[0] >= '4' && text[0] <= '7' || text[0] == '2' && text[1] == '2') {
			return true
		}
	}
}

// member reports whether the member whose name begins here may name a tenant that is not to be
// taken: it has such a name, and says anything but nothing or one that is taken. The quotes of one
// in a text have backslashes before them, as many in front of the value as behind.
func (n *names) member(text []byte) bool {
	resource := false
	switch text[0] | 0x20 {
	case 't':
	case 'a':
		if !cutFolded(&text, "aad") {
			return false
		}
	case 'r':
		resource = true
	default:
		return false
	}
	if resource && !cutFolded(&text, "resourceid") || !resource && !cutFolded(&text, "tenantid") {
		return false
	}
	slashes := cutSlashes(&text)
	if len(text) == 0 {
		return true
	}
	if text[0] != '"' {
		return false // a longer name
	}
	text = bytes.TrimLeft(text[1:], " \t\r\n")
	if len(text) == 0 || text[0] != ':' {
		return true // what it says stands elsewhere: a table's column
	}
	text = bytes.TrimLeft(text[1:], " \t\r\n")
	if bytes.HasPrefix(text, []byte("null")) {
		return false
	}
	if cutSlashes(&text) != slashes || len(text) == 0 || text[0] != '"' {
		return true
	}
	text = text[1:]
	end := bytes.IndexAny(text, `"\`)
	if end < 0 {
		return true
	}
	value := strings.TrimSpace(string(text[:end]))
	text = text[end:]
	if cutSlashes(&text) != slashes || len(text) == 0 || text[0] != '"' {
		return true
	}
	if resource {
		value = tenantInResource(value)
	}
	return !n.takes(value)
}

// cutFolded cuts off what is given in small letters.
func cutFolded(text *[]byte, begin string) bool {
	t := *text
	if len(t) < len(begin) {
		return false
	}
	for i := range len(begin) {
		if t[i]|0x20 != begin[i] {
			return false
		}
	}
	*text = t[len(begin):]
	return true
}

// cutSlashes cuts off backslashes, and returns how many.
func cutSlashes(text *[]byte) int {
	rest := bytes.TrimLeft(*text, `\`)
	n := len(*text) - len(rest)
	*text = rest
	return n
}
