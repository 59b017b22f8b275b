package intake

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
	err  error // of src; io.EOF at the end
	line int   // of the next byte, from 1
}

const windowStep = 64 << 10

func newWindow(src io.Reader) *window {
	return &window{src: src, buf: make([]byte, windowStep), line: 1}
}

// more reads further bytes into the window and reports whether there are any.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	if w.r > 0 && w.w == len(w.buf) {
		w.w = copy(w.buf, w.buf[w.r:w.w])
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
		if b == '\n' {
			w.line++
		}
	}
	return b, ok
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

// lineFrom returns the line that begins off bytes ahead, without its line feed, and the offset after it. whole is false where the
// line does not end within limit bytes.
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
