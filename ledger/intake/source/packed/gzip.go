package packed

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// gzip unpacks members of gzip, one behind the other.
func (u *unpacker) gzip(src io.Reader, p Place, layers int) error {
	m := &members{src: bufio.NewReaderSize(src, 64<<10), number: 1}
	var err error
	if m.Reader, err = gzip.NewReader(m.src); err != nil {
		return u.to.Fault(p, damage(err, "the header of its gzip is broken", gzip.ErrHeader, io.EOF))
	}
	m.Multistream(false)
	return u.content(File{Reader: counted{m, &u.budget}, Modified: p.Modified}, p, layers)
}

// members reads the content of all members.
type members struct {
	*gzip.Reader
	src    *bufio.Reader
	number int // of the member being read, from 1
	err    error
}

func (m *members) Read(p []byte) (int, error) {
	for m.err == nil {
		n, err := m.Reader.Read(p)
		switch {
		case errors.Is(err, io.EOF):
			m.err = m.next()
		case err != nil:
			m.err = m.damage(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, m.err
}

// next goes to the next member. Zeros behind the last one are none: whoever writes whole blocks
// fills them up.
func (m *members) next() error {
	zeros := false
	for {
		b, err := m.src.Peek(1)
		switch {
		case err != nil:
			return err
		case b[0] == 0:
			zeros = true
			if _, err := m.src.Discard(1); err != nil {
				return err
			}
			continue
		}
		if zeros {
			err = gzip.ErrHeader
		} else {
			err = m.Reset(m.src)
		}
		if err != nil {
			return damage(err, fmt.Sprintf("what stands behind member %d of its gzip is no gzip", m.number),
				gzip.ErrHeader, io.EOF)
		}
		m.Multistream(false)
		m.number++
		return nil
	}
}

func (m *members) damage(err error) error {
	err = damage(err, fmt.Sprintf("member %d of its gzip is cut off: what stands before that is read", m.number))
	err = damage(err, fmt.Sprintf("member %d of its gzip has another checksum than was written: what was read of it "+
		"may be wrong", m.number), gzip.ErrChecksum)
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) {
		return &Damage{Reason: fmt.Sprintf("member %d of its gzip is broken: what stands before that is read",
			m.number)}
	}
	return err
}
