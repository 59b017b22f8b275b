package fleet

import "strconv"

// A doc is JSON being written, members in the order of the calls, as the sources
// have them; encoding/json would need a type for every variant. A key "" is none
// (an element of an array).
type doc struct{ b []byte }

func (d *doc) key(k string) {
	if n := len(d.b); n > 0 {
		if c := d.b[n-1]; c != '{' && c != '[' && c != '\n' {
			d.b = append(d.b, ',')
		}
	}
	if k != "" {
		d.b = appendString(d.b, k)
		d.b = append(d.b, ':')
	}
}

func (d *doc) object(k string) { d.key(k); d.b = append(d.b, '{') }
func (d *doc) endObject()      { d.b = append(d.b, '}') }
func (d *doc) array(k string)  { d.key(k); d.b = append(d.b, '[') }
func (d *doc) endArray()       { d.b = append(d.b, ']') }

func (d *doc) str(k, v string)       { d.key(k); d.b = appendString(d.b, v) }
func (d *doc) int(k string, v int)   { d.key(k); d.b = strconv.AppendInt(d.b, int64(v), 10) }
func (d *doc) bool(k string, v bool) { d.key(k); d.b = strconv.AppendBool(d.b, v) }
func (d *doc) null(k string)         { d.key(k); d.b = append(d.b, "null"...) }

// opt writes null for "".
func (d *doc) opt(k, v string) {
	if v == "" {
		d.null(k)
		return
	}
	d.str(k, v)
}

// empties writes "" under each of the keys, nulls writes null.
func (d *doc) empties(keys ...string) {
	for _, k := range keys {
		d.str(k, "")
	}
}

func (d *doc) nulls(keys ...string) {
	for _, k := range keys {
		d.null(k)
	}
}

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
