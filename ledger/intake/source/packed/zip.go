package packed

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// zip unpacks the entries of an archive, each as a file of its own.
func (u *unpacker) zip(f File, p Place, layers int) error {
	at, size, err := u.whole(f)
	if err != nil {
		return u.to.Fault(p, err)
	}
	dir := &directory{ReaderAt: at, limits: &u.limits}
	archive, err := zip.NewReader(dir, size)
	switch {
	case errors.Is(err, zip.ErrInsecurePath): // asked of each entry
	case err != nil:
		return u.to.Fault(p, damage(err, "is a zip archive whose directory cannot be read: it is cut off, broken, or "+
			"one part of several", zip.ErrFormat, zip.ErrAlgorithm, zip.ErrChecksum, io.EOF))
	}
	dir.done = true
	if len(archive.File) > u.limits.entries {
		return u.to.Fault(p, tooMany(u.limits.entries))
	}
	if named(archive, "[Content_Types].xml") {
		return u.to.Office(p, named(archive, "xl/workbook.xml"))
	}
	entries := make([]*entry, 0, len(archive.File))
	for i, of := range archive.File {
		e := &entry{File: of, number: i + 1, path: slashed(of.Name)}
		if strings.HasSuffix(e.path, "/") && of.UncompressedSize64 == 0 { // a folder
			continue
		}
		entries = append(entries, e)
	}
	if a, b := overlap(entries); a != nil {
		return u.fail(p, fmt.Sprintf("its entries %d and %d claim the same bytes: such an archive is made to "+
			"deceive, and nothing of it is read", a.number, b.number))
	}
	if err := u.order(entries, p); err != nil {
		return err
	}
	for i, e := range entries {
		if err := u.enter(); err != nil {
			if err := u.to.Fault(p, err); err != nil {
				return err
			}
		} else if err := u.entry(e, p, layers); err != nil {
			return err
		} else {
			i++
		}
		if rest := len(entries) - i; u.spent != nil && rest > 0 {
			return u.fail(p, fmt.Sprintf("%d further entries of it are not read", rest))
		}
	}
	return nil
}

// whole returns the bytes of an archive, which is read from its end: those of what is packed
// itself are held.
func (u *unpacker) whole(f File) (io.ReaderAt, int64, error) {
	if f.At != nil {
		return f.At, f.Size, nil
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f.Reader, u.held+1))
	switch {
	case err != nil:
		return nil, 0, err
	case n > u.held:
		return nil, 0, &Damage{Reason: fmt.Sprintf("is a zip archive of more than %d MiB inside another: unpack the "+
			"outer one first", u.held>>20)}
	}
	return bytes.NewReader(b.Bytes()), n, nil
}

// directory reads an archive, and while that lists its entries, only so many. How many there are
// the list itself tells, and may lie; each takes more than it measures.
type directory struct {
	io.ReaderAt
	*limits
	read    int64 // bytes of the list
	entries int
	done    bool // it is read
}

func (d *directory) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.ReaderAt.ReadAt(p, off)
	if d.done {
		return n, err
	}
	d.read += int64(n)
	d.entries += bytes.Count(p[:n], []byte("PK\x01\x02"))
	switch {
	case d.entries > 2*d.limits.entries: // those at the end are read twice
		return 0, tooMany(d.limits.entries)
	case d.read > d.directory:
		return 0, &Damage{Reason: fmt.Sprintf("is a zip archive whose directory measures more than %d MiB: unpack it "+
			"first", d.directory>>20)}
	}
	return n, err
}

// entry is a file in an archive.
type entry struct {
	*zip.File
	number int    // of the archive, from 1
	path   string // its name, with slashes
	twice  bool   // an entry before it has the same
}

// slashed returns a name with slashes: PowerShell's Compress-Archive separated folders by
// backslashes for years.
func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }

func named(z *zip.Reader, name string) bool {
	return slices.ContainsFunc(z.File, func(f *zip.File) bool { return f.Name == name })
}

// overlap returns two entries that claim the same bytes. Nobody who packs files writes such an
// archive: it holds more than its ratio tells.
func overlap(entries []*entry) (a, b *entry) {
	type claim struct {
		from, to int64
		by       *entry
	}
	var claims []claim
	for _, e := range entries {
		from, err := e.DataOffset()
		if to := from + int64(e.CompressedSize64); err == nil && to > from {
			claims = append(claims, claim{from, to, e})
		}
	}
	slices.SortFunc(claims, func(a, b claim) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(claims); i++ {
		if claims[i].from < claims[i-1].to {
			return claims[i-1].by, claims[i].by
		}
	}
	return nil, nil
}

// order puts entries in the order in which they are read.
func (u *unpacker) order(entries []*entry, p Place) error {
	seen := make(map[string]bool, len(entries))
	again := 0
	for _, e := range entries {
		if e.twice = seen[e.path]; e.twice {
			again++
		}
		seen[e.path] = true
	}
	slices.SortStableFunc(entries, func(a, b *entry) int {
		if u.dated {
			if c := a.modified(p).Compare(b.modified(p)); c != 0 {
				return c
			}
		}
		return strings.Compare(a.path, b.path)
	})
	if again == 0 {
		return nil
	}
	return u.notice(p, fmt.Sprintf("%d of its entries have the name of another: each is read", again))
}

// intune is when there was nothing of Intune yet.
var intune = time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)

// modified returns when an entry was modified: by itself where that can be, else by the archive.
// Whoever packs a month of exports into one file has their times in it, and the archive's is that
// of a download. But what writes archives may set none (1980), or one of its own clock; what was
// modified after the archive was not, and nothing of Intune's is older than Intune. Many write the
// time of their zone and not which; it is read as UTC, and may be off by some hours.
func (e *entry) modified(p Place) time.Time {
	if at := e.Modified; !at.Before(intune) && (p.Modified.IsZero() || !at.After(p.Modified)) {
		return at.UTC()
	}
	return p.Modified
}

// entry unpacks an entry of the archive at p.
func (u *unpacker) entry(e *entry, p Place, layers int) error {
	if !e.stays() {
		return u.fail(p, fmt.Sprintf("the path of its entry %d leads out of it: it is not read", e.number))
	}
	at := e.place(p)
	switch {
	case e.Flags&encrypted != 0:
		return u.fail(at, "is encrypted: unpack it with its password first")
	case e.Mode()&fs.ModeSymlink != 0: // what came from a pipe is one there, and has content all the same
		return u.fail(at, "is a link in its archive, and no file: it is not read")
	case e.UncompressedSize64 == 0 && e.CompressedSize64 == 0:
		return nil
	}
	raw, err := e.OpenRaw()
	if err != nil {
		return u.to.Fault(at, damage(err, "its place in the archive holds no such entry", zip.ErrFormat, io.EOF))
	}
	switch e.Method {
	case zip.Deflate:
		inflating := inflaters.Get().(*inflater)
		defer inflaters.Put(inflating)
		raw = inflating.of(raw)
	case zip.Store:
	default:
		return u.fail(at, fmt.Sprintf("is packed by method %d%s, which is not understood: pack it anew by Deflate",
			e.Method, methods[e.Method]))
	}
	return u.content(File{Reader: counted{&unzipped{Reader: raw, entry: e}, &u.budget}, Modified: at.Modified}, at,
		layers)
}

// inflater unpacks Deflate, one entry after the other: one takes 100 KiB, and archives may be of
// many small entries.
type inflater struct {
	in  *bufio.Reader
	out io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	in := bufio.NewReaderSize(nil, 64<<10)
	return &inflater{in, flate.NewReader(in)}
}}

func (i *inflater) of(packed io.Reader) io.Reader {
	i.in.Reset(packed)
	_ = i.out.(flate.Resetter).Reset(i.in, nil) // never fails
	return i.out
}

// encrypted are the flags of an entry of which nothing can be read.
const encrypted = 1<<0 | 1<<6 | 1<<13

// methods are those by which archives are packed now and then.
var methods = map[uint16]string{9: " (Deflate64)", 12: " (bzip2)", 14: " (LZMA)", 93: " (zstd)", 95: " (xz)",
	98: " (PPMd)"}

// stays reports whether the entry's path leads to a place in the archive. Nothing is ever written
// there; but whoever made one that does not meant to deceive.
func (e *entry) stays() bool {
	drive := len(e.path) > 1 && e.path[1] == ':'
	return !drive && !strings.HasPrefix(e.path, "/") && !strings.Contains(e.path, "\x00") &&
		!slices.Contains(strings.Split(e.path, "/"), "..")
}

// separator stands between an archive and its entry.
const separator = " » "

// Join returns how something in an archive is named.
func Join(archive, name string) string { return archive + separator + name }

// place names an entry in the archive at p. A name is shown only if it has the form of a file's:
// whoever made the archive chose it. One of an address is shown as a number.
func (e *entry) place(p Place) Place {
	name := e.path
	switch {
	case !isFileName(name):
		name = fmt.Sprintf("#%d", e.number)
	case e.twice:
		name = fmt.Sprintf("%s (#%d)", name, e.number)
	}
	in := Place{Name: name, Folder: path.Dir(e.path), Modified: e.modified(p),
		ofMacOS: strings.Contains(e.path, "__MACOSX/") || strings.HasPrefix(path.Base(e.path), "._")}
	if p.Name != "" {
		in.Name, in.Folder = Join(p.Name, in.Name), Join(p.Name, in.Folder)
	}
	return in
}

// maxName is how many bytes of a name are shown.
const maxName = 255

func isFileName(s string) bool {
	return len(s) > 0 && len(s) <= maxName && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '@' || r == '»' })
}

// unzipped is the content of an entry. The library's own, asked by Open, drops what it read last
// where that is not as the archive says.
type unzipped struct {
	io.Reader
	entry *entry
	size  uint64
	sum   uint32
}

func (z *unzipped) Read(p []byte) (int, error) {
	n, err := z.Reader.Read(p)
	z.size += uint64(n)
	z.sum = crc32.Update(z.sum, crc32.IEEETable, p[:n])
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		err = &Damage{Reason: "is broken in its archive: what stands before that is read"}
	case !errors.Is(err, io.EOF):
		err = damage(err, "does not measure what its archive says: what was read of it may be wrong")
	case z.size != z.entry.UncompressedSize64:
		err = &Damage{Reason: "does not measure what its archive says: what was read of it may be wrong"}
	case z.entry.CRC32 != 0 && z.sum != z.entry.CRC32: // some write none
		err = &Damage{Reason: "has another checksum than its archive says: what was read of it may be wrong"}
	}
	return n, err
}
