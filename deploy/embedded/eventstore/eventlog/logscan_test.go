package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// powerFailed is a store's files as a power failure in the middle of a session
// leaves them: what was synced, and the durable mark as it was long before. It
// returns the newest log's name and where its chunks begin, its end last.
func powerFailed(t *testing.T, appends int) (files map[string]string, log string, chunks []int) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s := newStore(t, mem)
	for range appends {
		put(t, s, "a", 2)
	}
	files = fileBytes(t, mem.CrashClone(vfs.CrashCloneCfg{}), "s")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".log") && len(files[name]) > 0 {
			log = name
		}
	}
	return files, log, chunksOf(t, files[log], log, walSyncChunks)
}

func chunksOf(t *testing.T, content, name string, f chunkFormat) (at []int) {
	t.Helper()
	s := &logScan{formats: []chunkFormat{f}}
	if f == walSyncChunks {
		s.numbered = true
		if _, err := fmt.Sscanf(name[strings.LastIndexByte(name, '/')+1:], "%d.log", &s.number); err != nil {
			t.Fatal(err)
		}
	}
	b := []byte(content)
	for i := 0; i < len(b); {
		block := b[i:min(len(b), (i/logBlock+1)*logBlock)]
		n, ok := s.chunk(block)
		if !ok {
			if s.padding(block) {
				i += len(block)
				continue
			}
			break
		}
		at = append(at, i)
		i += n
		if i == len(b) {
			return append(at, i)
		}
	}
	if len(at) < 2 {
		t.Fatalf("%s: no chunks found in %d bytes", name, len(b))
	}
	return at
}

func flipped(content string, bit int) string {
	b := []byte(content)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}

// After a power failure nothing but the log itself says where it ended. A
// write that was interrupted there is cut off, and all before it is there; but
// one changed bit of the very last record, which looks much like it, is refused
// with its file and offset, as is one of any record before.
func TestEndOfTheLogAfterAPowerFailure(t *testing.T) {
	rng := testRNG(t)
	for _, appends := range []int{5, 400} { // a log of one block, and of several
		files, log, chunks := powerFailed(t, appends)
		wantWhole(t, memFS(t, files), "s")
		last, end := chunks[len(chunks)-2], chunks[len(chunks)-1]
		for cut := range 40 {
			n := last + 1 + rng.IntN(end-last-1)
			torn := maps.Clone(files)
			torn[log] = files[log][:n]
			switch cut % 3 {
			case 1: // space was taken for it before
				torn[log] += strings.Repeat("\x00", end-n+rng.IntN(70_000))
			case 2: // the file was another log before
				torn[log] += randomBytes(rng, end-n+rng.IntN(70_000))
			}
			if strings.HasPrefix(torn[log], files[log]) {
				continue // what follows is what was there
			}
			disk := memFS(t, torn)
			wantWhole(t, disk, "s")
			s, err := Open("s", testOptions(disk))
			if err != nil {
				t.Fatalf("%d appends, the last record is cut to %d of %d bytes: %v", appends, n-last, end-last, err)
			}
			// One append is one record of one chunk here, or of two.
			if got := len(contents(t, s)); got != 2*(appends-1) {
				t.Errorf("%d appends, the last record is cut: %d events are left", appends, got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 150 {
			from, to := last, end
			if i%2 == 1 {
				from, to = 0, end
			}
			bit := 8*from + rng.IntN(8*(to-from))
			bad := maps.Clone(files)
			bad[log] = flipped(files[log], bit)
			err := openAndClose(memFS(t, bad))
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "offset") ||
				!strings.Contains(err.Error(), ".log") {
				t.Errorf("%d appends, bit %d of byte %d of %d: %v", appends, bit%8, bit/8, end, err)
			}
		}
	}
}

func openAndClose(fs vfs.FS) error {
	s, err := Open("s", testOptions(fs))
	if err != nil {
		return err
	}
	return s.Close()
}

func randomBytes(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

// Pebble would take any damage of its MANIFEST for its end, forget the tables
// that come after it, and delete them. Every bit of the current one counts.
func TestEveryBitOfTheManifestCounts(t *testing.T) {
	rng := testRNG(t)
	mem := vfs.NewMem()
	s := newStore(t, mem)
	for range 4 {
		put(t, s, "a", 5)
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := fileBytes(t, mem, "s")
	current := ""
	for name := range files {
		if i := strings.Index(name, "marker.manifest."); i >= 0 {
			current = "s/db/" + name[strings.LastIndexByte(name, '.')+1:]
		}
	}
	if chunks := chunksOf(t, files[current], current, legacyChunks); len(chunks) < 5 {
		t.Fatalf("%s has %d records only", current, len(chunks)-1)
	}
	for range 200 {
		bit := rng.IntN(8 * len(files[current]))
		bad := maps.Clone(files)
		bad[current] = flipped(files[current], bit)
		disk := memFS(t, bad)
		if err := openAndClose(disk); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "MANIFEST") {
			t.Errorf("bit %d of byte %d of %d: %v", bit%8, bit/8, len(files[current]), err)
		}
		for name, content := range fileBytes(t, disk, "s") {
			if content != bad[name] {
				t.Fatalf("bit %d of byte %d: the refused store's %s has changed", bit%8, bit/8, name)
			}
		}
	}
}

// scanLogs tells one changed bit from everything else by the chunk's checksum
// alone, wherever it is: in the checksum, length, type, number or payload.
func TestOneBitOfAChunk(t *testing.T) {
	rng := testRNG(t)
	files, log, chunks := powerFailed(t, 3)
	s := &logScan{formats: []chunkFormat{walSyncChunks, recycleChunks}, numbered: true}
	if _, err := fmt.Sscanf(log, "s/db/%d.log", &s.number); err != nil {
		t.Fatal(err)
	}
	chunk := files[log][chunks[0]:chunks[1]]
	for bit := range 8 * len(chunk) {
		if b := []byte(flipped(chunk, bit)); !s.oneBit(b) || string(b) != flipped(chunk, bit) {
			t.Errorf("bit %d of byte %d is not found, or the chunk was changed", bit%8, bit/8)
		}
	}
	wrong := 0
	for range 2000 {
		a, b := rng.IntN(8*len(chunk)), rng.IntN(8*len(chunk))
		if a != b && s.oneBit([]byte(flipped(flipped(chunk, a), b))) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of 2,000 chunks with two changed bits pass for one", wrong)
	}
}

// A log's file may have been an older log's: an unused one begins with what that
// one held, which may be no more than its end. That is no damage, whichever log it was.
func TestALogInAnOlderLogsFileIsNotDamaged(t *testing.T) {
	const number = 0x106
	for older := uint32(1); older < 4*number; older++ {
		if older == number {
			continue
		}
		end := binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 0, 0, recycleChunks.first}, older+1)
		mem := vfs.NewMem()
		f, err := mem.Create(fmt.Sprintf("%06d.log", number), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(append(end, make([]byte, 100)...))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := scanLogs(mem, "", func(string) {}); err != nil {
			t.Fatalf("log %d in the file of log %d: %v", number, older, err)
		}
	}
}
