package eventlog

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var flips = flag.Int("flips", 160, "bits to flip in the files of closed stores")

// memFS makes a file system of files.
func memFS(t testing.TB, files map[string]string) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	for name, content := range files {
		if err := fs.MkdirAll(path.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// flipOptions make small blocks: Pebble looks for the flipped bit of a damaged
// one by trying them all.
func flipOptions(fs vfs.FS) Options {
	o := testOptions(fs)
	o.blockBytes = 1 << 10
	return o
}

// flipVariants are stores in the states in which a store can lie on a disk.
func flipVariants(t *testing.T, rng *rand.Rand) map[string]map[string]string {
	t.Helper()
	small := func(fs vfs.FS) Options {
		o := flipOptions(fs)
		o.MemTable = 64 << 10 // logs rotate, tables are flushed and compacted
		return o
	}
	out := map[string]map[string]string{}
	for _, v := range []struct {
		name     string
		options  func(vfs.FS) Options
		sessions int
		requests int
		crash    bool
		percent  int
	}{
		{"new", flipOptions, 0, 0, false, 0},
		{"closed with all in the log", flipOptions, 1, 200, false, 0},
		{"closed with many tables", small, 3, 600, false, 0},
		{"killed", flipOptions, 2, 150, true, 100},
		{"killed with many tables", small, 2, 600, true, 100},
		{"power failure", flipOptions, 2, 150, true, 0},
		{"power failure with a log of many blocks", flipOptions, 1, 900, true, 0},
		{"power failure with many tables", small, 2, 600, true, 0},
	} {
		fs := vfs.NewCrashableMem()
		if err := Create("s", v.options(fs)); err != nil {
			t.Fatal(err)
		}
		disk := fs
		for i := range v.sessions {
			s, err := Open("s", v.options(fs))
			if err != nil {
				t.Fatal(err)
			}
			populate(t, s, rng, v.requests)
			if i == v.sessions-1 && v.crash {
				disk = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: v.percent, RNG: rng})
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		out[v.name] = fileBytes(t, disk, "s")
	}
	return out
}

// One bit that flips anywhere in a closed store's files is reported by Open or
// by Check, or changes nothing that anybody is told: no reader is ever told
// something else, or nothing, without an error.
func TestBitFlips(t *testing.T) {
	rng := testRNG(t)
	variants := flipVariants(t, rng)
	original := map[string]string{}
	for name, files := range variants {
		fs := memFS(t, files)
		wantWhole(t, fs, "s")
		s := reopen(t, fs)
		d, err := dump(s)
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		original[name] = d
	}
	names := slices.Sorted(maps.Keys(variants))
	outcomes := map[string]int{}
	for i := range *flips {
		name := names[i%len(names)]
		files := maps.Clone(variants[name])
		target := randomFile(rng, files, i/len(names)%2 == 0)
		bit := rng.IntN(8 * len(files[target]))
		b := []byte(files[target])
		b[bit/8] ^= 1 << (bit % 8)
		files[target] = string(b)
		what := fmt.Sprintf("%s: bit %d of byte %d of %s (%d bytes)", name, bit%8, bit/8, target, len(b))

		fs := memFS(t, files)
		r := checkStore(t, fs, "s")
		if !maps.Equal(files, withoutLocks(fileBytes(t, fs, "s"), files)) {
			t.Fatalf("%s: check has changed the files", what)
		}
		s, openErr := Open("s", testOptions(fs))
		var got string
		var readErr, closeErr error
		if openErr == nil {
			got, readErr = dump(s)
			closeErr = s.Close()
		}
		kind := strings.TrimRight(path.Base(target), "0123456789-")
		kind = kind[strings.LastIndexByte(kind, '.')+1:]
		switch {
		case openErr != nil:
			outcomes[kind+" refused by Open"]++
			if r.Whole() {
				t.Errorf("%s: Open refuses it, check finds nothing: %v", what, openErr)
			}
		case readErr != nil:
			outcomes[kind+" error to a reader"]++
			if r.Whole() {
				t.Errorf("%s: a reader gets an error, check finds nothing: %v", what, readErr)
			}
		case got != original[name]:
			t.Errorf("%s: readers are told something else (%d findings, close: %v)", what, r.Found, closeErr)
		case !r.Whole():
			outcomes[kind+" found by Check only"]++
		default:
			outcomes[kind+" changes nothing"]++
			if kind == "sst" {
				t.Logf("%s: changes nothing", what)
			}
		}
	}
	t.Log(outcomes)
}

// withoutLocks leaves out lock files that were not there before.
func withoutLocks(after, before map[string]string) map[string]string {
	maps.DeleteFunc(after, func(name, _ string) bool {
		_, ok := before[name]
		return !ok && strings.HasSuffix(name, lockFile)
	})
	return after
}

// randomFile picks a file, each byte or each file being as likely as another.
func randomFile(rng *rand.Rand, files map[string]string, byByte bool) string {
	names := slices.Sorted(maps.Keys(files))
	names = slices.DeleteFunc(names, func(n string) bool { return len(files[n]) == 0 })
	if !byByte {
		return names[rng.IntN(len(names))]
	}
	total := 0
	for _, n := range names {
		total += len(files[n])
	}
	at := rng.IntN(total)
	for _, n := range names {
		if at -= len(files[n]); at < 0 {
			return n
		}
	}
	panic("unreachable")
}
