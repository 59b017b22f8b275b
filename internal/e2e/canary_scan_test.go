//go:build canary

package e2e

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"
)

// needle is one written form of a canary.
type needle struct {
	canary   *canary
	encoding string
	bytes    []byte
	folded   bool // matches whatever the case of its ASCII letters
}

// keyLength is how many bytes of a needle are looked up; none is shorter.
const keyLength = 6

// sieveBits is the size of the first, inexact test of a key: 22 bits pass some percent of random
// keys for 100,000 needles.
const sieveBits = 22

// canaryScanner finds all needles in one pass: the folded first bytes of each are looked up at
// every offset, behind a bitmap that turns almost all offsets away.
type canaryScanner struct {
	needles []needle
	byKey   map[uint64][]int32
	sieve   [1 << (sieveBits - 6)]uint64
	bytes   int64 // scanned so far
}

// finding says what was found where; the value itself is never printed.
type finding struct {
	canary   *canary
	encoding string
	place    string
	offset   int // of the first, in bytes
	times    int
}

func (f finding) String() string {
	return fmt.Sprintf("%s as %s in %s at offset %d (%d times)", f.canary.id, f.encoding, f.place, f.offset, f.times)
}

func newCanaryScanner(all []*canary) *canaryScanner {
	s := &canaryScanner{byKey: map[uint64][]int32{}}
	for _, c := range all {
		s.needles = append(s.needles, needlesOf(c)...)
	}
	for i, n := range s.needles {
		if len(n.bytes) < keyLength {
			panic(fmt.Sprintf("canary %s as %s has %d bytes, too few to be told from chance", n.canary.id,
				n.encoding, len(n.bytes)))
		}
		var k uint64
		for _, b := range n.bytes[:keyLength] {
			k = k<<8 | uint64(foldedByte[b])
		}
		s.byKey[k] = append(s.byKey[k], int32(i))
		h := sieveOf(k)
		s.sieve[h>>6] |= 1 << (h & 63)
	}
	return s
}

func sieveOf(k uint64) uint64 { return k * 0x9e3779b97f4a7c15 >> (64 - sieveBits) }

var foldedByte = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// scan returns what is in data, one finding for each canary and encoding.
func (s *canaryScanner) scan(place string, data []byte) []finding {
	type ref struct {
		c        *canary
		encoding string
	}
	found := map[ref]finding{}
	var k uint64
	for i, b := range data {
		k = (k<<8 | uint64(foldedByte[b])) & (1<<(8*keyLength) - 1)
		h := sieveOf(k)
		if i < keyLength-1 || s.sieve[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		at := i - keyLength + 1
		for _, j := range s.byKey[k] {
			n := &s.needles[j]
			if !n.matches(data[at:]) {
				continue
			}
			r := ref{n.canary, n.encoding}
			f, ok := found[r]
			if !ok {
				f = finding{n.canary, n.encoding, place, at, 0}
			}
			f.times++
			found[r] = f
		}
	}
	s.bytes += int64(len(data))
	return slices.SortedFunc(maps.Values(found), func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.canary.id, b.canary.id), cmp.Compare(a.encoding, b.encoding))
	})
}

func (n *needle) matches(data []byte) bool {
	if len(data) < len(n.bytes) {
		return false
	}
	if !n.folded {
		return bytes.Equal(data[:len(n.bytes)], n.bytes)
	}
	for i, b := range n.bytes {
		if foldedByte[data[i]] != foldedByte[b] {
			return false
		}
	}
	return true
}

// scanFiles scans every file under dir, its name included. With live set, files that go while it
// looks are no fault. It returns how many bytes it saw under each first part of a path.
func (s *canaryScanner) scanFiles(dir string, live bool) (out []finding, sizes map[string]int64, err error) {
	sizes = map[string]int64{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			rel, relErr := filepath.Rel(dir, path)
			if relErr != nil {
				return relErr
			}
			out = append(out, s.scan("the name of a file or folder", []byte(rel))...)
			if !d.Type().IsRegular() {
				return nil
			}
			var data []byte
			if data, err = os.ReadFile(path); err == nil {
				out = append(out, s.scan(rel, data)...)
				top, _, _ := strings.Cut(rel, string(filepath.Separator))
				sizes[top] += int64(len(data))
			}
		}
		if live && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return out, sizes, err
}

// needlesOf returns every form in which a canary is looked for. Long texts are looked for by
// halves: a store may break a value at the edge of a page or a log block, and only one half can
// lie on the edge; and a value cut short is a leak too.
func needlesOf(c *canary) (out []needle) {
	text := func(name, s string) { out = append(out, textNeedles(c, name, s)...) }
	raw := func(name string, b []byte) {
		out = append(out, needle{c, name, b, false})
		out = append(out, base64Needles(c, name+" in base64", b)...)
	}
	integer := func(name string, n int64) {
		out = append(out, needle{c, name + " little-endian", binary.LittleEndian.AppendUint64(nil, uint64(n)), false},
			needle{c, name + " big-endian", binary.BigEndian.AppendUint64(nil, uint64(n)), false})
	}
	switch c.form {
	case formWord:
		if c.in == standing {
			text("text", c.text) // a control must be there whole
			break
		}
		for _, half := range halves(c.text) {
			text("text", half)
		}
	case formGUID:
		u := uuid.MustParse(c.text)
		for _, half := range halves(u.String()) {
			text("text", half)
		}
		net, clickHouse := u, u
		slices.Reverse(net[:4])
		slices.Reverse(net[4:6])
		slices.Reverse(net[6:8])
		slices.Reverse(clickHouse[:8])
		slices.Reverse(clickHouse[8:])
		for name, b := range map[string]uuid.UUID{"RFC 9562 bytes": u, ".NET bytes": net,
			"ClickHouse bytes": clickHouse} {
			for _, half := range [][]byte{b[:8], b[8:]} {
				raw(name, half)
				text(name+" in hex", hex.EncodeToString(half))
			}
		}
	case formDigits:
		text("text", c.text)
		if n, err := strconv.ParseInt(c.text, 10, 64); err == nil {
			integer("integer", n)
			integer("negative integer", -n)
		}
	case formMAC:
		b, err := hex.DecodeString(c.text)
		if err != nil {
			panic(err)
		}
		text("text", c.text)
		for _, sep := range []string{":", "-"} {
			var parts []string
			for i := range b {
				parts = append(parts, c.text[2*i:2*i+2])
			}
			text("text", strings.Join(parts, sep))
		}
		out = append(out, needle{c, "bytes", b, false})
	case formMoment:
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006 3:04:05 PM"} {
			text("text", c.at.Format(layout))
		}
		text("seconds since 1970", strconv.FormatInt(c.at.Unix(), 10))
		integer("milliseconds since 1970", c.at.UnixMilli())
	}
	return out
}

func halves(s string) []string {
	if len(s) < 20 {
		return []string{s}
	}
	return []string{s[:len(s)/2], s[len(s)/2:]}
}

// textNeedles are the encodings of one text.
func textNeedles(c *canary, name, s string) (out []needle) {
	seen := map[string]bool{}
	add := func(encoding string, b []byte, folded bool) {
		key := fmt.Sprint(folded, string(b))
		if !seen[key] {
			seen[key] = true
			out = append(out, needle{c, name + encoding, b, folded})
		}
	}
	add("", []byte(s), true)
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s)} {
		add(", URL-encoded", []byte(escaped), true)
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	add(", JSON-escaped", quoted[1:len(quoted)-1], true)
	units := utf16.Encode([]rune(s))
	var le, be []byte
	for _, u := range units {
		le, be = binary.LittleEndian.AppendUint16(le, u), binary.BigEndian.AppendUint16(be, u)
	}
	add(", UTF-16 LE", le, true)
	add(", UTF-16 BE", be, true)
	for _, cased := range []string{s, strings.ToLower(s), strings.ToUpper(s)} {
		add(", hex", []byte(hex.EncodeToString([]byte(cased))), true)
		for _, form := range []struct{ name, format string }{{", URL-encoded throughout", "%%%02x"},
			{", JSON-escaped throughout", `\u%04x`}, {", escaped throughout", `\x%02x`}} {
			var b strings.Builder
			for i := range len(cased) {
				fmt.Fprintf(&b, form.format, cased[i])
			}
			add(form.name, []byte(b.String()), true)
		}
		for _, n := range base64Needles(c, ", base64", []byte(cased)) {
			add(n.encoding, n.bytes, false)
		}
		var wide []byte
		for _, u := range utf16.Encode([]rune(cased)) {
			wide = binary.LittleEndian.AppendUint16(wide, u)
		}
		for _, n := range base64Needles(c, ", UTF-16 LE in base64", wide) {
			add(n.encoding, n.bytes, false)
		}
	}
	return out
}

// base64Needles are, for each place that b may have in groups of three bytes, the characters
// that depend on nothing but b.
func base64Needles(c *canary, name string, b []byte) (out []needle) {
	for skip, drop := range []int{0, 2, 3} { // characters in which bytes before b have a part
		padded := append(make([]byte, skip), b...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			n := needle{c, name, []byte(enc.EncodeToString(padded)[drop : 8*len(padded)/6]), false}
			if len(out) == 0 || !bytes.Equal(out[len(out)-1].bytes, n.bytes) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Forms of canaries.
type canaryForm int

const (
	formWord   canaryForm = iota // text of letters and digits
	formGUID                     // 32 hex digits with dashes
	formDigits                   // decimal digits
	formMAC                      // 12 hex digits
	formMoment                   // a second
)

// canary is a value that nobody else writes.
type canary struct {
	id   string // what it stands for, as failures name it
	form canaryForm
	text string
	at   time.Time // formMoment
	in   keeper
	// attributes are those whose sealed values must hold it
	attributes map[string]bool
}
