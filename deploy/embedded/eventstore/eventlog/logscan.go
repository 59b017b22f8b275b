package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Pebble's logs and its MANIFEST are sequences of checksummed chunks in blocks
// of 32 KiB. Where a chunk is bad, Pebble takes it for the end of the file
// unless a later block proves otherwise; so damage in a file's last block, and
// any damage in a MANIFEST, would silently cut off what follows, and Pebble
// would then delete the tables that it no longer knows. scanLogs reads these
// files before Pebble does, and tells the end that an interrupted write leaves
// from damage by two more signs: a whole chunk behind the bad one, in its own
// block too, that was written after it was synced; or a single bit that makes
// the chunk good again.
//
// The second sign mistakes an interrupted write for damage with a probability
// of at most 1 in 10,000 (a chunk's 2^18 bits against its checksum's 2^32
// values); it then refuses a store that was whole, and never the other way round.
const logBlock = 32 << 10

// chunkFormat is one layout of chunks: checksum[4] length[2] type[1], then
// log number[4] and sync offset[8] where the format has them, then the payload.
type chunkFormat struct {
	first, last byte // types
	header      int
}

var (
	legacyChunks  = chunkFormat{1, 4, 7}
	recycleChunks = chunkFormat{5, 8, 11}
	walSyncChunks = chunkFormat{9, 12, 19}
)

// logScan is the scan of one file.
type logScan struct {
	name      string
	formats   []chunkFormat
	number    uint32 // log number that chunks carry; the MANIFEST's carry none
	numbered  bool
	blockAt   int64
	block     []byte
	f         vfs.File
	lastBlock bool
}

// scanLogs scans the logs and the current MANIFEST in dir. Errors: ErrCorrupt
// with every damaged place, joined. Ends of interrupted writes go to torn.
func scanLogs(fs vfs.FS, dir string, torn func(where string)) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("scan logs: %w", err)
	}
	slices.Sort(names)
	current, best := "", -1
	var scans []*logScan
	for _, name := range names {
		if stem, ok := strings.CutSuffix(name, ".log"); ok {
			if n, err := strconv.ParseUint(stem, 10, 64); err == nil {
				scans = append(scans, &logScan{
					name: name, number: uint32(n), numbered: true,
					formats: []chunkFormat{walSyncChunks, recycleChunks},
				})
			}
		}
		// marker.manifest.NNNNNN.MANIFEST-NNNNNN; the highest number counts.
		if rest, ok := strings.CutPrefix(name, "marker.manifest."); ok {
			if iter, target, ok := strings.Cut(rest, "."); ok {
				if n, err := strconv.Atoi(iter); err == nil && n > best {
					current, best = target, n
				}
			}
		}
	}
	if slices.Contains(names, current) {
		scans = append(scans, &logScan{name: current, formats: []chunkFormat{legacyChunks}})
	}
	var damage []error
	for _, s := range scans {
		if s.f, err = fs.Open(fs.PathJoin(dir, s.name)); err != nil {
			return fmt.Errorf("scan logs: %w", err)
		}
		tornAt, err := s.run()
		err = errors.Join(err, s.f.Close())
		switch {
		case errors.Is(err, ErrCorrupt):
			damage = append(damage, err)
		case err != nil:
			return fmt.Errorf("scan %s: %w", s.name, err)
		case tornAt >= 0:
			torn(fmt.Sprintf("%s offset %d", s.name, tornAt))
		}
	}
	return errors.Join(damage...)
}

// load reads the block that begins at offset at.
func (s *logScan) load(at int64) error {
	if s.block == nil {
		s.block = make([]byte, logBlock)
	}
	n, err := s.f.ReadAt(s.block[:logBlock], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.blockAt, s.block, s.lastBlock = at, s.block[:n], n < logBlock
	return nil
}

// run returns the offset of an interrupted write, -1 for a clean end.
func (s *logScan) run() (int64, error) {
	for at := int64(0); ; at += logBlock {
		if err := s.load(at); err != nil {
			return 0, err
		}
		for i := 0; ; {
			rest := s.block[i:]
			if len(rest) == 0 {
				break // the block's end, or the file's
			}
			n, ok := s.chunk(rest)
			switch {
			case ok:
				i += n
				continue
			case s.trailer(rest):
				return -1, nil
			case s.padding(rest) && (!s.lastBlock || s.numbered):
				i = len(s.block)
				continue
			}
			return s.bad(i)
		}
		if s.lastBlock {
			return -1, nil
		}
	}
}

// chunk returns the size of the chunk that b begins with, if it is whole.
func (s *logScan) chunk(b []byte) (int, bool) {
	if len(b) < 7 {
		return 0, false
	}
	for _, f := range s.formats {
		if b[6] < f.first || b[6] > f.last {
			continue
		}
		n := f.header + int(binary.LittleEndian.Uint16(b[4:]))
		if n > len(b) || s.numbered && binary.LittleEndian.Uint32(b[7:]) != s.number {
			return 0, false
		}
		return n, maskCRC(crc32.Checksum(b[6:n], layout.Castagnoli)) == binary.LittleEndian.Uint32(b)
	}
	return 0, false
}

// padding tells whether b is what fills a block that has no room for a header.
func (s *logScan) padding(b []byte) bool {
	if len(b) >= s.formats[0].header {
		return false
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// trailer tells whether b begins with the empty chunk that ends a closed log.
func (s *logScan) trailer(b []byte) bool {
	return s.numbered && len(b) >= 11 && binary.LittleEndian.Uint32(b) == 0 && b[4] == 0 && b[5] == 0 &&
		b[6] == recycleChunks.first && binary.LittleEndian.Uint32(b[7:]) == s.number+1
}

// bad judges the place at which no whole chunk is.
func (s *logScan) bad(i int) (int64, error) {
	at := s.blockAt + int64(i)
	b := s.block[i:]
	if s.oneBit(b) {
		return 0, fmt.Errorf("%w: %s: one bit of the record at offset %d has changed", ErrCorrupt, s.name, at)
	}
	begun := !s.numbered || len(b) >= 11 && binary.LittleEndian.Uint32(b[7:]) == s.number
	for from := i + 1; ; from = 0 {
		for j := from; j+7 <= len(s.block); j++ {
			if n, ok := s.chunk(s.block[j:]); ok && s.proves(s.block[j:j+n], at) {
				return 0, fmt.Errorf("%w: %s: the record at offset %d is damaged, one at %d was written after it",
					ErrCorrupt, s.name, at, s.blockAt+int64(j))
			}
		}
		if s.lastBlock && !begun {
			return -1, nil // space that was never written, or what the file held before it was reused
		}
		if s.lastBlock {
			return at, nil
		}
		if err := s.load(s.blockAt + logBlock); err != nil {
			return 0, err
		}
	}
}

// proves tells whether a whole chunk was written after what is at offset at
// had been synced. In a MANIFEST each record is synced before the next is written.
func (s *logScan) proves(chunk []byte, at int64) bool {
	if !s.numbered {
		return true
	}
	return chunk[6] >= walSyncChunks.first && binary.LittleEndian.Uint64(chunk[11:]) > uint64(at)
}

func maskCRC(c uint32) uint32   { return bits.RotateLeft32(c, 17) + 0xa282ead8 }
func unmaskCRC(v uint32) uint32 { return bits.RotateLeft32(v-0xa282ead8, -17) }

// oneBit tells whether changing one bit makes b begin with a whole chunk, or
// padding all zero, or this log's trailer.
func (s *logScan) oneBit(b []byte) bool {
	if len(b) < s.formats[0].header {
		ones := 0
		for _, c := range b {
			ones += bits.OnesCount8(c)
		}
		return ones == 1
	}
	// A trailer with another number counts as none: it may be that of a log
	// whose file this one has been before. Nothing is lost by it: it holds nothing.
	if s.numbered && binary.LittleEndian.Uint32(b[7:]) == s.number+1 {
		ones := bits.OnesCount8(b[6] ^ recycleChunks.first)
		for _, c := range b[:6] {
			ones += bits.OnesCount8(c)
		}
		if ones == 1 {
			return true
		}
	}
	header := append([]byte(nil), b[:7]...)
	for bit := range 16 { // of the length
		binary.LittleEndian.PutUint16(b[4:], binary.LittleEndian.Uint16(header[4:])^1<<bit)
		_, ok := s.chunk(b)
		copy(b, header)
		if ok {
			return true
		}
	}
	for _, f := range s.formats {
		n := f.header + int(binary.LittleEndian.Uint16(b[4:]))
		if n <= len(b) && s.oneBitOf(f, b[:n]) {
			return true
		}
	}
	return false
}

// oneBitOf looks for the bit in a chunk whose length is right: of its stored
// checksum, or of what that covers. A checksum is linear, so the difference
// that a bit makes depends only on how far it is from the end.
func (s *logScan) oneBitOf(f chunkFormat, chunk []byte) bool {
	is := func(bit int) bool { // would the chunk be one of format f with the bit changed?
		h := append([]byte(nil), chunk[:min(len(chunk), 19)]...)
		if bit>>3 < len(h) {
			h[bit>>3] ^= 1 << (bit & 7)
		}
		return h[6] >= f.first && h[6] <= f.last && (!s.numbered || binary.LittleEndian.Uint32(h[7:]) == s.number)
	}
	stored, actual := binary.LittleEndian.Uint32(chunk), crc32.Checksum(chunk[6:], layout.Castagnoli)
	if bits.OnesCount32(stored^maskCRC(actual)) == 1 && is(0) {
		return true
	}
	want := unmaskCRC(stored) ^ actual
	var diff [8]uint32 // that a change of each bit of the byte makes
	for bit := range diff {
		diff[bit] = crc32.Checksum([]byte{1 << bit}, layout.Castagnoli) ^ crc32.Checksum([]byte{0}, layout.Castagnoli)
	}
	for i := len(chunk) - 1; i >= 6; i-- {
		for bit, d := range diff {
			if d == want && is(8*i+bit) {
				return true
			}
			diff[bit] = layout.Castagnoli[d&0xff] ^ d>>8
		}
	}
	return false
}
