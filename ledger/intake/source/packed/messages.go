package packed

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hamba/avro/v2"
	"github.com/klauspost/compress/s2"
)

// Messages are those of a file of Event Hubs Capture.
type Messages struct {
	// Number is of the message that was read last, from 1.
	Number int

	in     *input
	marker []byte                                   // behind each block
	open   func(*Messages, []byte) (bytesOf, error) // by the codec
	fields []avro.Schema
	body   int // which of the fields
	budget *budget

	unpacked     io.ReadCloser // of deflate
	content      bytesOf       // of the block, unpacked; nil between two
	size         int           // of it and its marker, in the file
	sound        bool          // that stands where the block says
	blocks       int           // the number of the block, from 1
	claims, read int64         // messages of the block
	err          error         // io.EOF once nothing can be read any more
}

// codecs are those that are understood, by which Capture (the first two) and others pack blocks.
var codecs = map[string]func(*Messages, []byte) (bytesOf, error){
	"": (*Messages).plain, "null": (*Messages).plain, "deflate": (*Messages).deflate, "snappy": (*Messages).snappy,
}

func newMessages(in *input, h header, fields []avro.Schema, body int, b *budget) *Messages {
	return &Messages{in: in, marker: h.marker[:], open: codecs[h.codec], fields: fields, body: body, budget: b}
}

// Next returns the body of the next message, owned by the caller, which may be empty. The error is
// io.EOF at the end. Any other is told once, and Next may be called again: a Damage may be of one
// block.
func (m *Messages) Next() ([]byte, error) {
	for m.err == nil {
		body, err := m.next()
		switch {
		case errors.Is(err, errMalformed):
			return nil, m.lost()
		case errors.Is(err, errLargeBlock):
			m.lost()
			return nil, &Damage{Reason: fmt.Sprintf("block %d measures more than %d MiB: it is not read", m.blocks,
				m.budget.limits.block>>20)}
		case errors.Is(err, errLargeBody):
			return nil, &Damage{Reason: fmt.Sprintf("message %d measures more than %d MiB: it is not read", m.Number,
				m.budget.body>>20)}
		case err != nil:
			m.err = io.EOF // an error is told once
			return nil, err
		case body != nil:
			return body, nil
		}
	}
	return nil, m.err
}

var errLargeBlock, errLargeBody = errors.New("a block is too large"), errors.New("a body is too large")

// next goes one step: into the next block, to its next message, or past it, where the body is nil.
func (m *Messages) next() (body []byte, err error) {
	switch {
	case m.content == nil:
		return nil, m.enter()
	case m.read == m.claims:
		return nil, m.leave()
	}
	tooLarge := false
	for i, f := range m.fields {
		if i == m.body {
			body, tooLarge, err = readBody(m.content, f, m.budget.body)
		} else {
			err = skip(m.content, f)
		}
		if err != nil {
			return nil, err
		}
	}
	m.read++
	m.Number++
	switch {
	case tooLarge:
		return nil, errLargeBody
	case body == nil:
		return []byte{}, nil
	}
	return body, nil
}

// enter goes into the next block. It ends where it says, if its marker stands behind that, and
// else before the next marker.
func (m *Messages) enter() error {
	begin := m.in.ahead(2 * binary.MaxVarintLen64)
	if len(begin) == 0 {
		return m.in.err
	}
	m.blocks++
	m.claims, m.read, m.size = 0, 0, 0
	sizes := bytes.NewReader(begin)
	claims, err := readLong(sizes)
	if err != nil || claims < 0 {
		return orMalformed(err)
	}
	m.claims = claims
	size, err := readLong(sizes)
	most := int(m.budget.limits.block)
	switch {
	case err != nil || size < 0:
		return orMalformed(err)
	case size > int64(most):
		return errLargeBlock
	}
	m.in.skip(len(begin) - sizes.Len())
	seen := m.in.ahead(int(size) + len(m.marker))
	end := int(size)
	if m.sound = len(seen) == end+len(m.marker) && bytes.Equal(seen[end:], m.marker); !m.sound {
		seen = m.in.ahead(most)
		if end = bytes.Index(seen, m.marker); end < 0 {
			end = len(seen)
		}
	}
	m.size = end
	m.content, err = m.open(m, seen[:end])
	return err
}

// leave goes past the block, which holds no more than its messages.
func (m *Messages) leave() error {
	if _, err := m.content.ReadByte(); !errors.Is(err, io.EOF) {
		return orMalformed(err)
	}
	if !m.sound {
		return errMalformed
	}
	m.in.skip(m.size + len(m.marker))
	m.content = nil
	return nil
}

// lost goes to where the next block begins, which is behind the next marker, and says what is lost
// of this one.
func (m *Messages) lost() error {
	m.content = nil
	m.in.skip(m.size)
	if m.in.skipPast(m.marker) {
		return &Damage{Reason: fmt.Sprintf("block %d is broken: %d of the %d messages that it claims are read, and "+
			"the blocks behind it", m.blocks, m.read, m.claims)}
	}
	m.err = io.EOF
	if !errors.Is(m.in.err, io.EOF) {
		return m.in.err
	}
	return &Damage{Reason: fmt.Sprintf("block %d is cut off or broken, and none is found behind it: %d of the %d "+
		"messages that it claims are read", m.blocks, m.read, m.claims)}
}

func (m *Messages) plain(block []byte) (bytesOf, error) { return bytes.NewReader(block), nil }

func (m *Messages) deflate(block []byte) (bytesOf, error) {
	src := bytes.NewReader(block)
	if m.unpacked == nil {
		m.unpacked = flate.NewReader(src)
	} else if err := m.unpacked.(flate.Resetter).Reset(src, nil); err != nil {
		return nil, err
	}
	return bufio.NewReader(counted{&inflated{m.unpacked, m.budget.unpacked}, m.budget}), nil
}

// inflated is the content of a block of deflate, of which so much is taken.
type inflated struct {
	io.Reader
	most int64
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errMalformed
	}
	if i.most -= int64(n); i.most < 0 {
		return 0, errLargeBlock
	}
	return n, err
}

// snappy unpacks a block of snappy, which is in memory for that; behind it stands a checksum.
func (m *Messages) snappy(block []byte) (bytesOf, error) {
	at := len(block) - crc32.Size
	if at < 0 {
		return nil, errMalformed
	}
	if n, err := s2.DecodedLen(block[:at]); err != nil || int64(n) > m.budget.limits.block {
		return nil, errMalformed
	} else if err := m.budget.take(n); err != nil {
		return nil, err
	}
	out, err := s2.Decode(nil, block[:at])
	if err != nil || crc32.ChecksumIEEE(out) != binary.BigEndian.Uint32(block[at:]) {
		return nil, errMalformed
	}
	return bytes.NewReader(out), nil
}

// input is what is read of a file, a part of which may be looked at before it is passed.
type input struct {
	src  io.Reader
	buf  []byte
	r, w int
	err  error // of src, io.EOF at its end
}

// ahead returns up to n bytes of what comes. They stay until more is asked for. As much is held as
// there is, whatever n.
func (in *input) ahead(n int) []byte {
	for in.w-in.r < n && in.err == nil {
		if in.r > 0 && in.w == len(in.buf) {
			in.w = copy(in.buf, in.buf[in.r:in.w])
			in.r = 0
		}
		if in.w == len(in.buf) {
			in.buf = append(in.buf, make([]byte, max(64<<10, len(in.buf)))...)
		}
		var got int
		got, in.err = in.src.Read(in.buf[in.w:])
		in.w += got
	}
	return in.buf[in.r:min(in.w, in.r+n)]
}

// skip passes n bytes, which were looked at.
func (in *input) skip(n int) { in.r += n }

// skipPast passes the next marker, and reports whether there is one.
func (in *input) skipPast(marker []byte) bool {
	for {
		seen := in.ahead(max(in.w-in.r, 32<<10))
		if at := bytes.Index(seen, marker); at >= 0 {
			in.skip(at + len(marker))
			return true
		}
		if in.err != nil {
			return false
		}
		in.skip(len(seen) - len(marker) + 1)
	}
}

func (in *input) Read(p []byte) (int, error) {
	seen := in.ahead(1)
	if len(seen) == 0 {
		return 0, in.err
	}
	n := copy(p, in.buf[in.r:in.w])
	in.skip(n)
	return n, nil
}
