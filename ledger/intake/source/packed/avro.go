package packed

import (
	"bytes"
	"errors"
	"io"

	"github.com/hamba/avro/v2"
)

// avro reads a file of Avro: the messages of Event Hubs Capture, or what else it is.
//
// The library reads the schema. Its reader of files takes a block, and all that a block unpacks
// to, into memory whatever they measure, and its skipping of fields goes on for as many as a map
// claims to have behind the end of the file. So blocks and values are read here.
func (u *unpacker) avro(src io.Reader, p Place) error {
	in := &input{src: src}
	begin := bytes.NewReader(in.ahead(int(u.header)))
	h, err := readHeader(begin)
	if err != nil {
		return u.to.Loose(p, in)
	}
	schema, err := avro.ParseBytesWithCache(h.schema, "", &avro.SchemaCache{})
	if err != nil {
		return u.to.Loose(p, in)
	}
	in.skip(int(begin.Size()) - begin.Len())
	fields, body := captured(schema)
	switch {
	case fields == nil:
		return u.to.OtherAvro(p, nameOf(schema))
	case codecs[h.codec] == nil:
		return u.fail(p, "is a file of Avro whose blocks are packed by a codec that is not understood: write it by "+
			"null, deflate or snappy")
	}
	return u.to.Messages(p, newMessages(in, h, fields, body, &u.budget))
}

// errMalformed: what is read is no Avro.
var errMalformed = errors.New("malformed Avro")

// bytesOf is what values are read from: no byte more than they have.
type bytesOf interface {
	io.Reader
	io.ByteReader
}

// header is what a file of Avro begins with.
type header struct {
	schema []byte
	codec  string
	marker [16]byte // at the end of each block
}

func readHeader(src bytesOf) (h header, err error) {
	if _, err = io.ReadFull(src, make([]byte, len(avroBegins))); err != nil {
		return h, malformed(err)
	}
	meta := map[string][]byte{}
	err = eachPart(src, func() error {
		key, err := readBytes(src)
		if err != nil {
			return err
		}
		meta[string(key)], err = readBytes(src)
		return err
	})
	if err != nil {
		return h, err
	}
	h.schema, h.codec = meta["avro.schema"], string(meta["avro.codec"])
	if _, err = io.ReadFull(src, h.marker[:]); err != nil {
		return h, malformed(err)
	}
	return h, nil
}

// malformed returns an end where none should be as errMalformed, and other errors as they are.
func malformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMalformed
	}
	return err
}

// readLong reads a number.
func readLong(src bytesOf) (n int64, err error) {
	var u uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := src.ReadByte()
		if err != nil {
			return 0, malformed(err)
		}
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1), nil
		}
	}
	return 0, errMalformed
}

// readBytes reads bytes or a text.
func readBytes(src bytesOf) ([]byte, error) {
	n, err := readLong(src)
	if err != nil || n < 0 {
		return nil, orMalformed(err)
	}
	return readN(src, n)
}

// readN reads n bytes. Where there may be fewer, no more is held than there is.
func readN(src bytesOf, n int64) ([]byte, error) {
	if n <= 64<<10 {
		b := make([]byte, n)
		_, err := io.ReadFull(src, b)
		return b, malformed(err)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, src, n); err != nil {
		return nil, malformed(err)
	}
	return b.Bytes(), nil
}

// orMalformed returns the error, and where there is none that what was read cannot be.
func orMalformed(err error) error {
	if err == nil {
		return errMalformed
	}
	return err
}

// skipBytes goes past n bytes.
func skipBytes(src bytesOf, n int64) error {
	if n < 0 {
		return errMalformed
	}
	_, err := io.CopyN(io.Discard, src, n)
	return malformed(err)
}

// eachPart calls read for each element of a map or a list.
func eachPart(src bytesOf, read func() error) error {
	for {
		n, err := readLong(src)
		if err != nil || n == 0 {
			return err
		}
		if n < 0 { // and how many bytes they have
			if _, err := readLong(src); err != nil {
				return err
			}
		}
		for ; n != 0; n -= sign(n) {
			if err := read(); err != nil {
				return err
			}
		}
	}
}

func sign(n int64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}

// skip goes past a value. Each takes a byte at least where it may stand in a list.
func skip(src bytesOf, s avro.Schema) error {
	switch s.Type() {
	case avro.Null:
		return nil
	case avro.Boolean:
		return skipBytes(src, 1)
	case avro.Int, avro.Long, avro.Enum:
		_, err := readLong(src)
		return err
	case avro.Float:
		return skipBytes(src, 4)
	case avro.Double:
		return skipBytes(src, 8)
	case avro.Fixed:
		return skipBytes(src, int64(s.(*avro.FixedSchema).Size()))
	case avro.String, avro.Bytes:
		n, err := readLong(src)
		if err != nil {
			return err
		}
		return skipBytes(src, n)
	case avro.Array:
		return eachPart(src, func() error { return skip(src, s.(*avro.ArraySchema).Items()) })
	case avro.Map:
		return eachPart(src, func() error {
			if err := skip(src, text); err != nil {
				return err
			}
			return skip(src, s.(*avro.MapSchema).Values())
		})
	case avro.Union:
		of, err := readBranch(src, s)
		if err != nil {
			return err
		}
		return skip(src, of)
	}
	return errMalformed // captured takes no other
}

var text = avro.NewPrimitiveSchema(avro.String, nil)

// readBranch reads of which of its types a union is.
func readBranch(src bytesOf, s avro.Schema) (avro.Schema, error) {
	types := s.(*avro.UnionSchema).Types()
	n, err := readLong(src)
	if err != nil || n < 0 || n >= int64(len(types)) {
		return nil, orMalformed(err)
	}
	return types[n], nil
}

// readBody reads a message's body; nil where it has none. One of more than most bytes is passed.
func readBody(src bytesOf, s avro.Schema, most int64) (body []byte, tooLarge bool, err error) {
	if s.Type() == avro.Union {
		if s, err = readBranch(src, s); err != nil {
			return nil, false, err
		}
	}
	if s.Type() == avro.Null {
		return nil, false, nil
	}
	n, err := readLong(src)
	switch {
	case err != nil || n < 0:
		return nil, false, orMalformed(err)
	case n > most:
		return nil, true, skipBytes(src, n)
	}
	body, err = readN(src, n)
	return body, false, err
}

// captured returns the types of the fields of a schema of Event Hubs Capture, and which of them is
// the body: bytes, a text or nothing. Beside it stand numbers, texts, and maps of such. A schema
// that may hold more is none, and fields is nil: no value of it is nested without end, and none
// takes no bytes in a list of any length.
func captured(s avro.Schema) (fields []avro.Schema, body int) {
	record, is := s.(*avro.RecordSchema)
	if !is {
		return nil, 0
	}
	body = -1
	for i, f := range record.Fields() {
		switch {
		case f.Name() == "Body" && isBody(f.Type()):
			body = i
		case !isPlain(f.Type(), 2):
			return nil, 0
		}
		fields = append(fields, f.Type())
	}
	if body < 0 {
		return nil, 0
	}
	return fields, body
}

func isBody(s avro.Schema) bool {
	holds := false
	for _, t := range branches(s) {
		switch t.Type() {
		case avro.Bytes, avro.String:
			holds = true
		case avro.Null:
		default:
			return false
		}
	}
	return holds
}

// branches returns the types that a value may be of.
func branches(s avro.Schema) []avro.Schema {
	if u, is := s.(*avro.UnionSchema); is {
		return u.Types()
	}
	return []avro.Schema{s}
}

func isPlain(s avro.Schema, depth int) bool {
	for _, t := range branches(s) {
		switch t := t.(type) {
		case *avro.PrimitiveSchema, *avro.NullSchema, *avro.EnumSchema, *avro.FixedSchema:
		case *avro.MapSchema:
			if depth == 0 || !isPlain(t.Values(), depth-1) {
				return false
			}
		case *avro.ArraySchema:
			items := t.Items()
			if _, fixed := items.(*avro.FixedSchema); fixed || items.Type() == avro.Null || depth == 0 ||
				!isPlain(items, depth-1) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// nameOf returns what a schema calls itself, else its type.
func nameOf(s avro.Schema) string {
	if n, is := s.(avro.NamedSchema); is {
		return n.FullName()
	}
	return string(s.Type())
}
