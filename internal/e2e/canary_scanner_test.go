//go:build canary

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/uuid"
)

func utf16Bytes(order binary.AppendByteOrder, s string) (out []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

// written is a value as somebody might leave it behind; how it is written is
// not taken from the scanner.
func written(s string) map[string][]byte {
	out := map[string][]byte{
		"plain": []byte(s), "lower": []byte(strings.ToLower(s)), "upper": []byte(strings.ToUpper(s)),
		"cut at the front": []byte(s)[1:], "cut at the end": []byte(s)[:len(s)-1],
		"hex": []byte(hex.EncodeToString([]byte(s))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(s)))),
		"hex of upper": []byte(hex.EncodeToString([]byte(strings.ToUpper(s)))),
		"UTF-16 LE":    utf16Bytes(binary.LittleEndian, s), "UTF-16 BE": utf16Bytes(binary.BigEndian, s),
		"form": []byte(url.Values{"q": {"<" + s + ">"}}.Encode()), "URL path": []byte(url.PathEscape("/é/" + s)),
	}
	quoted, err := json.Marshal(map[string]string{"a<b>": "x&\"\n" + s + "\u2028"})
	if err != nil {
		panic(err)
	}
	out["JSON"] = quoted
	var percent strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&percent, "%%%02X", s[i])
	}
	out["percent throughout"] = []byte(percent.String())
	for before := range 4 {
		for after := range 4 {
			around := strings.Repeat("#", before) + s + strings.Repeat("~", after)
			out[fmt.Sprintf("base64 %d %d", before, after)] = []byte(base64.StdEncoding.EncodeToString([]byte(around)))
			out[fmt.Sprintf("base64url %d %d", before, after)] = []byte(
				base64.RawURLEncoding.EncodeToString([]byte(around)))
			out[fmt.Sprintf("base64 of UTF-16 %d %d", before, after)] = []byte(
				base64.StdEncoding.EncodeToString(utf16Bytes(binary.LittleEndian, around)))
		}
	}
	return out
}

func TestCanaryScannerFindsEveryEncodingAtAnyPlaceAndNothingElse(t *testing.T) {
	p := newCanaryPlan(t)
	word, guid, digits, mac, moment := p.word(never, ""), p.guid(never, ""), p.digits(never, "", 15), p.mac(never, ""),
		p.moment(never, "")
	s := newCanaryScanner(p.all)

	planted := map[*canary]map[string][]byte{word: written(word.text), guid: written(guid.text),
		digits: written(digits.text), mac: written(mac.text),
		moment: written(moment.at.Format("2006-01-02T15:04:05"))}
	for _, c := range []*canary{digits, mac, moment} { // too short to be told from chance by a part
		delete(planted[c], "cut at the front")
		delete(planted[c], "cut at the end")
	}
	u := uuid.MustParse(guid.text)
	more := func(c *canary, name string, b []byte) { planted[c][name] = b }
	more(guid, "bytes", u[:])
	more(guid, "base64 of bytes", []byte(base64.StdEncoding.EncodeToString(append([]byte("x"), u[:]...))))
	more(guid, ".NET", []byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12],
		u[13], u[14], u[15]})
	more(guid, "ClickHouse", append(binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(u[:8])),
		binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(u[8:]))...))
	more(guid, "no dashes", []byte(strings.ReplaceAll(guid.text, "-", "")))
	more(guid, "braces", []byte("{"+strings.ToUpper(guid.text)+"}"))
	more(mac, "colons", []byte(fmt.Sprintf("%s:%s:%s:%s:%s:%s", mac.text[:2], mac.text[2:4], mac.text[4:6],
		mac.text[6:8], mac.text[8:10], mac.text[10:])))
	more(moment, "ClickHouse", []byte(moment.at.Format("2006-01-02 15:04:05.000")))
	more(moment, "milliseconds", binary.LittleEndian.AppendUint64(nil, uint64(moment.at.UnixMilli())))
	more(moment, "epoch", fmt.Appendf(nil, `{"t":%d}`, moment.at.UnixMilli()))

	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(p.random.Uint32())
	}
	if found := s.scan("noise", noise); len(found) > 0 {
		t.Fatalf("found in noise: %v", found)
	}
	for c, forms := range planted {
		for name, b := range forms {
			for _, at := range []int{0, 1 + p.random.IntN(4000), 5000 - len(b)} {
				hay := append([]byte(nil), noise[:5000]...)
				copy(hay[at:], b)
				found := s.scan("hay", hay)
				if len(found) == 0 {
					t.Errorf("%d, written as %s at %d, was not found", c.form, name, at)
				}
				for _, f := range found {
					// UTF-16 written one way is, a byte earlier and after a zero,
					// UTF-16 written the other way.
					if f.canary != c || f.offset < at-1 || f.offset >= at+len(b) {
						t.Errorf("%d, written as %s at %d, was taken for %v", c.form, name, at, f)
					}
				}
			}
		}
	}
}

// A value over the edge of a page, with the page's header in the middle of it, is
// found by one of its halves.
func TestCanaryScannerFindsAValueThatAPageBreaks(t *testing.T) {
	p := newCanaryPlan(t)
	c := p.word(never, "")
	s := newCanaryScanner(p.all)
	for cut := 1; cut < len(c.text); cut++ {
		broken := c.text[:cut] + "\x00\x01\x02 header \xff" + c.text[cut:]
		if len(s.scan("broken", []byte(broken))) == 0 {
			t.Errorf("broken after %d characters, it was not found", cut)
		}
	}
}

func TestCanaryScannerReadsEveryFileAndTheNamesOfFiles(t *testing.T) {
	p := newCanaryPlan(t)
	inside, name := p.word(never, ""), p.word(never, "")
	s := newCanaryScanner(p.all)
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", name.text)
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	content := append(bytes.Repeat([]byte{0}, 3<<20), inside.text...)
	if err := os.WriteFile(filepath.Join(deep, "f"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	found, sizes, err := s.scanFiles(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	var content1, names int
	for _, f := range found {
		switch f.canary {
		case inside:
			content1++
		case name:
			names++
		}
	}
	if content1 != 1 || names == 0 || sizes["a"] != int64(len(content)) {
		t.Errorf("found %d in the file and %d in names, sizes %v", content1, names, sizes)
	}
}
