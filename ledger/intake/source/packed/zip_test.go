package packed

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// An entry whose path leads out of its archive is told by its number and not read; the others are.
func TestAPathThatLeavesItsArchiveIsNotRead(t *testing.T) {
	for path, read := range map[string]bool{"../a": false, "a/../../b": false, "a/..": false, "/a": false, `\a`: false,
		`..\a`: false, `a\..\b`: false, "C:/a": false, `C:\a`: false, "c:a": false, "a\x00b": false,
		"a..b": true, "..a/b": true, "a/./b": true, `a\b`: true, "a.b:c": true} {
		got := unpackText(t, packedtest.Zip(t, entry1("a", "1"), entry1(path, "2")), theLimits).out
		told := slices.Contains(got, "FAULT DAMAGE the path of its entry 2 leads out of it: it is not read")
		text := slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, " 2") })
		if told == read || text != read || !slices.Contains(got, "a 1") || len(got) != 2 {
			t.Errorf("%q: %q", path, got)
		}
	}
}

// Entries are read by their names, or where they are dated by their times; one that cannot be
// right is the archive's.
func TestEntriesAreReadInOrder(t *testing.T) {
	day := func(n int) time.Time { return packedAt.AddDate(0, 0, n) }
	entries := []packedtest.Entry{{Name: "b", Text: "1", Modified: day(-3)}, {Name: "a", Text: "2", Modified: day(-1)},
		{Name: "f", Text: "3", Modified: day(-3)}, {Name: "d", Text: "4"}, {Name: "c", Text: "5", Modified: day(1)},
		{Name: "e", Text: "6", Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}}
	content := packedtest.Zip(t, entries...)
	for dated, want := range map[bool]string{false: "abcdef", true: "bfacde"} {
		f := &found{}
		in := File{Reader: strings.NewReader(content), At: strings.NewReader(content), Size: int64(len(content)),
			Modified: packedAt, Dated: dated}
		if err := Unpack(in, f); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range f.places {
			got += p.Name
			at := map[string]time.Time{"b": day(-3), "f": day(-3), "a": day(-1)}[p.Name]
			if at.IsZero() {
				at = packedAt
			}
			if !p.Modified.Equal(at) {
				t.Errorf("%s is dated %s, want %s", p.Name, p.Modified, at)
			}
		}
		if got != want {
			t.Errorf("dated %v: read in the order %s, want %s", dated, got, want)
		}
	}
}

// What stands in a folder of an archive is beside what stands there too, and beside nothing else.
func TestWhatStandsBesideAnEntry(t *testing.T) {
	inner := packedtest.Zip(t, entry1("x/a", "1"), entry1("b", "2"))
	f := unpackText(t, packedtest.Zip(t, entry1("x/a", "1"), entry1("x/b", "2"), entry1("c", "3"),
		entry1("y/z.zip", inner)), theLimits)
	got := map[string]string{}
	for _, p := range f.places {
		got[p.Name] = p.Folder
	}
	want := map[string]string{"x/a": "x", "x/b": "x", "c": ".", "y/z.zip » x/a": "y/z.zip » x",
		"y/z.zip » b": "y/z.zip » ."}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// zip64 is a small archive in the form of large ones: its list tells sizes and places in extra
// fields, and its end has a longer form before it.
func zip64(archive string) string {
	const end, long, locator = "PK\x05\x06", "PK\x06\x06", "PK\x06\x07"
	le := binary.LittleEndian
	to := strings.LastIndex(archive, end)
	from := int(le.Uint32([]byte(archive[to+16:])))
	var list []byte
	n := 0
	for rest := archive[from:to]; rest != ""; n++ {
		h := []byte(rest[:46])
		name, extra, comment := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
		field := le.AppendUint16(le.AppendUint16(nil, 1), 24)
		field = le.AppendUint64(field, uint64(le.Uint32(h[24:])))
		field = le.AppendUint64(field, uint64(le.Uint32(h[20:])))
		field = le.AppendUint64(field, uint64(le.Uint32(h[42:])))
		le.PutUint32(h[20:], 1<<32-1)
		le.PutUint32(h[24:], 1<<32-1)
		le.PutUint32(h[42:], 1<<32-1)
		le.PutUint16(h[30:], uint16(extra+len(field)))
		list = append(append(append(list, h...), rest[46:46+name]...), field...)
		list = append(list, rest[46+name:46+name+extra+comment]...)
		rest = rest[46+name+extra+comment:]
	}
	e := le.AppendUint64([]byte(long), 44)
	e = le.AppendUint16(le.AppendUint16(e, 45), 45)
	e = le.AppendUint32(le.AppendUint32(e, 0), 0)
	e = le.AppendUint64(le.AppendUint64(e, uint64(n)), uint64(n))
	e = le.AppendUint64(le.AppendUint64(e, uint64(len(list))), uint64(from))
	l := le.AppendUint32([]byte(locator), 0)
	l = le.AppendUint32(le.AppendUint64(l, uint64(from+len(list))), 1)
	tail := []byte(archive[to:])
	le.PutUint16(tail[8:], 1<<16-1)
	le.PutUint16(tail[10:], 1<<16-1)
	le.PutUint32(tail[12:], 1<<32-1)
	le.PutUint32(tail[16:], 1<<32-1)
	return archive[:from] + string(list) + string(e) + string(l) + string(tail)
}

func TestAnArchiveOfTheLongFormIsRead(t *testing.T) {
	archive := packedtest.Zip(t, entry1("a", "12345"), entry1("b", "2"))
	if got := unpackText(t, zip64(archive), theLimits).out; strings.Join(got, ";") != "a 12345;b 2" {
		t.Errorf("%q", got)
	}
	for at := range len(archive) {
		long := zip64(archive)
		unpackText(t, long[:len(long)-at], theLimits) // cut anywhere, it ends
	}
}
