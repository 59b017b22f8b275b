package source

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Reader gives the UTF-8 form of a text in UTF-16. What is no text there (half a pair, an odd
// last byte) becomes a byte that is no UTF-8, so that the record it stands in fails.
type utf16Reader struct {
	src   io.Reader
	order binary.ByteOrder
	in    []byte // read and not yet decoded
	out   []byte // decoded and not yet given
	err   error
}

const notText = 0xff

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// fill reads and decodes a piece.
func (u *utf16Reader) fill() {
	const piece = 32 << 10
	at := len(u.in)
	u.in = append(u.in, make([]byte, piece)...)
	n, err := u.src.Read(u.in[at:])
	u.in, u.err = u.in[:at+n], err
	u.out = u.out[:0]
	i := 0
	for ; i+2 <= len(u.in); i += 2 {
		r := rune(u.order.Uint16(u.in[i:]))
		switch {
		case !utf16.IsSurrogate(r):
			u.out = utf8.AppendRune(u.out, r)
		case i+4 <= len(u.in):
			low := rune(u.order.Uint16(u.in[i+2:]))
			if whole := utf16.DecodeRune(r, low); whole != utf8.RuneError {
				u.out = utf8.AppendRune(u.out, whole)
				i += 2
			} else {
				u.out = append(u.out, notText)
			}
		case u.err == nil: // its second half is still to be read
			u.in = append(u.in[:0], u.in[i:]...)
			return
		default:
			u.out = append(u.out, notText)
		}
	}
	u.in = append(u.in[:0], u.in[i:]...)
	if errors.Is(u.err, io.EOF) && len(u.in) > 0 {
		u.in, u.out = u.in[:0], append(u.out, notText)
	}
}

// utf16Order tells by its first bytes that a text is in UTF-16, and how long its byte order mark
// is. Without a mark it is by the zero beside a bracket or a quote.
func utf16Order(begin []byte) (order binary.ByteOrder, mark int) {
	if len(begin) < 2 {
		return nil, 0
	}
	if len(begin) >= 4 && binary.LittleEndian.Uint32(begin) == 0xfeff { // UTF-32
		return nil, 0
	}
	plain := func(b byte) bool { return b == '\t' || b == '\n' || b == '\r' || b >= ' ' && b < 0x7f }
	switch a, b := begin[0], begin[1]; {
	case a == 0xff && b == 0xfe:
		return binary.LittleEndian, 2
	case a == 0xfe && b == 0xff:
		return binary.BigEndian, 2
	case plain(a) && b == 0 && (len(begin) < 4 || begin[2] != 0 || begin[3] != 0):
		return binary.LittleEndian, 0
	case a == 0 && plain(b):
		return binary.BigEndian, 0
	}
	return nil, 0
}
