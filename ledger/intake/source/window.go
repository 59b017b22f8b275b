package source

import (
	"bytes"
	"errors"
	"io"
)

// window reads a file once, forwards, holding only what is being looked at.
type window struct {
	src  io.Reader
	buf  []byte
	r, w int
	gone int   // bytes that were before buf
	err  error // of src; io.EOF at the end
	line int   // of the next byte, from 1
	one  bool  // a text within a record: all of it stands on the record's line
}

const windowStep = 64 << 10

func newWindow(src io.Reader) *window {
	return &window{src: src, buf: make([]byte, windowStep), line: 1}
}

// textOf returns a window on what src reads, in UTF-8.
func textOf(src io.Reader) (*window, error) {
	w := newWindow(src)
	order, mark := utf16Order(w.ahead(4))
	if order == nil {
		return w, nil
	}
	w.skip(mark)
	rest := bytes.Clone(w.ahead(w.w - w.r))
	if err := w.fault(); err != nil {
		return nil, err
	}
	return newWindow(&utf16Reader{src: io.MultiReader(bytes.NewReader(rest), src), order: order}), nil
}

// windowOn returns a window on text that is in memory and begins at that line.
func windowOn(text []byte, line int, one bool) *window {
	return &window{buf: text, w: len(text), err: io.EOF, line: line, one: one}
}

// more reads further bytes into the window and reports whether there are any.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	if w.r > 0 && w.w == len(w.buf) {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.gone += w.r
		w.r = 0
	}
	if w.w == len(w.buf) {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	for range 100 {
		n, err := w.src.Read(w.buf[w.w:])
		w.w += n
		if err != nil {
			w.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	w.err = io.ErrNoProgress
	return false
}

// fault returns an error of the source that is not its end.
func (w *window) fault() error {
	if w.err != nil && !errors.Is(w.err, io.EOF) {
		return w.err
	}
	return nil
}

// place is where in all that is read the window stands.
func (w *window) place() int { return w.gone + w.r }

func (w *window) peek() (byte, bool) {
	for w.r == w.w {
		if !w.more() {
			return 0, false
		}
	}
	return w.buf[w.r], true
}

func (w *window) next() (byte, bool) {
	b, ok := w.peek()
	if ok {
		w.r++
		if b == '\n' && !w.one {
			w.line++
		}
	}
	return b, ok
}

// skip goes n bytes on, which are in the window.
func (w *window) skip(n int) {
	if !w.one {
		w.line += bytes.Count(w.buf[w.r:w.r+n], []byte{'\n'})
	}
	w.r += n
}

// ahead returns up to n bytes of what comes, without going there.
func (w *window) ahead(n int) []byte {
	for w.w-w.r < n && w.more() {
	}
	return w.buf[w.r:min(w.w, w.r+n)]
}

// valueAhead returns the text of the value that begins here, and whether it ends within limit
// bytes; where it does not, the text is what there is. Only quotes and brackets are looked at.
func (w *window) valueAhead(limit int) (text []byte, whole bool) {
	var b bounds
	for n := 0; ; n++ {
		if n == w.w-w.r {
			if n > limit {
				return w.buf[w.r:w.w], false
			}
			if !w.more() {
				return w.buf[w.r:w.w], b.word
			}
		}
		switch b.next(w.buf[w.r+n]) {
		case endsBefore:
			return w.buf[w.r : w.r+n], n <= limit
		case endsHere:
			return w.buf[w.r : w.r+n+1], n < limit
		}
	}
}

// bounds finds the end of a JSON value by its quotes and brackets.
type bounds struct {
	depth                    int
	begun, quoted, esc, word bool
}

type boundary int

const (
	goesOn     boundary = iota
	endsHere            // with this byte
	endsBefore          // with the byte before: a number or a word
)

func (v *bounds) next(b byte) boundary {
	switch {
	case v.esc:
		v.esc = false
		return goesOn
	case v.quoted:
		v.esc = b == '\\'
		if v.quoted = b != '"'; !v.quoted && v.depth == 0 {
			return endsHere
		}
		return goesOn
	case v.word && endsWord(b):
		return endsBefore
	}
	switch b {
	case '"':
		v.quoted = true
	case '{', '[':
		v.depth++
	case '}', ']':
		v.depth--
		if v.depth <= 0 {
			return endsHere
		}
	default:
		v.word = !v.begun || v.word
	}
	v.word = v.word && v.depth == 0 && !v.quoted
	v.begun = true
	return goesOn
}

// skipSpace goes to the next byte that is no JSON white space.
func (w *window) skipSpace() (byte, bool) {
	for {
		b, ok := w.peek()
		if !ok || b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b, ok
		}
		w.next()
	}
}

// skipLine goes past the next line feed.
func (w *window) skipLine() {
	for {
		if b, ok := w.next(); !ok || b == '\n' {
			return
		}
	}
}

// lineFrom returns the line that begins off bytes ahead, without its line feed, and the offset
// after it. whole is false where the line does not end within limit bytes.
func (w *window) lineFrom(off, limit int) (line []byte, next int, whole bool) {
	for seen := off; ; {
		if i := bytes.IndexByte(w.buf[min(w.r+seen, w.w):w.w], '\n'); i >= 0 {
			return w.buf[w.r+off : w.r+seen+i], seen + i + 1, true
		}
		seen = max(seen, w.w-w.r)
		if seen-off > limit {
			return nil, 0, false
		}
		if !w.more() {
			from := min(w.r+off, w.w)
			return w.buf[from:w.w], w.w - w.r, w.fault() == nil
		}
	}
}

// startsWith reports whether the window continues with prefix.
func (w *window) startsWith(prefix string) bool {
	for w.w-w.r < len(prefix) {
		if !w.more() {
			return false
		}
	}
	return bytes.HasPrefix(w.buf[w.r:w.w], []byte(prefix))
}
