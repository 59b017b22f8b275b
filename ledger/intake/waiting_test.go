package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
)

// endlessFS holds one file of rows, each a record, and tells how much of it was read.
type endlessFS struct {
	row  string
	rows int
	read atomic.Int64
}

func (e *endlessFS) Open(name string) (fs.File, error) {
	open, err := fstest.MapFS{"a.json": {Data: []byte("x")}}.Open(name)
	if err != nil || name == "." {
		return open, err
	}
	return &endlessFile{File: open, of: e, rest: io.MultiReader()}, nil
}

type endlessFile struct {
	fs.File
	of   *endlessFS
	next int
	rest io.Reader
}

func (f *endlessFile) Read(p []byte) (int, error) {
	for {
		n, err := f.rest.Read(p)
		f.of.read.Add(int64(n))
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, nil
		}
		if f.next == f.of.rows {
			return 0, io.EOF
		}
		f.rest = strings.NewReader(strings.ReplaceAll(f.of.row, "%", fmt.Sprintf("%012d", f.next)) + "\n")
		f.next++
	}
}

func deviceWithApps(apps int) string {
	var b strings.Builder
	b.WriteString(`{"id":"20000000-0000-4000-8000-%","enrolledDateTime":"2026-01-01T00:00:00Z",` +
		`"managementAgent":"mdm","lastSyncDateTime":"2026-01-02T00:00:00Z","detectedApps":[`)
	for i := range apps {
		fmt.Fprintf(&b, `{"id":"%064d","displayName":"Invented app %d","version":"1.2.%d","sizeInByte":0},`, i,
			i, i)
	}
	return strings.TrimSuffix(b.String(), ",") + `]}`
}

// What is read and not yet planned is bounded by bytes, however large the records are and however
// long planning takes: so many large devices take no more memory than a few.
func TestWhatWaitsToBePlannedIsBoundedByBytes(t *testing.T) {
	w := newWorld(t, false)
	w.tenant.AnySource = true // the look reads nothing ahead
	in := w.intake()
	for name, row := range map[string]string{"large": deviceWithApps(20_000), "small": deviceWithApps(1)} {
		files := &endlessFS{row: row, rows: 100<<20/len(row) + 1}
		live := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := live()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			found, done := make(chan *entry), make(chan error, 1)
			go func() {
				done <- in.walk(ctx, w.tenant, Source{Paths: []string{"a.json"}, FS: files}, nil, found)
				close(found)
			}()
			synctest.Wait() // until nothing goes on: nobody takes what is found
			const window = 16 << 20
			if read, most := files.read.Load(), int64(maxWaiting/waitingTimes+window+2*len(row)); read > most {
				t.Errorf("%s records: %d bytes were read ahead, want %d at most", name, read, most)
			}
			if grown := live() - before; grown > maxWaiting+window {
				t.Errorf("%s records: the heap grew by %d bytes", name, grown)
			}
			stop := errors.New("enough")
			cancel(stop)
			if err := <-done; !errors.Is(err, stop) {
				t.Errorf("%s records: the walk ended with %v", name, err)
			}
			if _, more := <-found; more {
				t.Errorf("%s records: something was sent after the end", name)
			}
		})
	}
}

// Records are parsed beside each other, and come in the order in which they stand all the same,
// with the line each stands on, also those that are none.
func TestWhatIsParsedBesideEachOtherComesInOrder(t *testing.T) {
	w := newWorld(t, false)
	w.tenant.AnySource = true
	var content strings.Builder
	var want, got []string
	for i := range 1000 {
		switch {
		case i%7 == 3:
			content.WriteString("{broken\n")
		case i%50 == 9:
			content.WriteString(strings.ReplaceAll(deviceWithApps(2000), "%", fmt.Sprintf("%012d", i)) + "\n")
		default:
			content.WriteString(strings.ReplaceAll(deviceWithApps(i%3), "%", fmt.Sprintf("%012d", i)) + "\n")
		}
		want = append(want, fmt.Sprintf("%d %v", i+1, i%7 == 3))
	}
	found, done := make(chan *entry), make(chan error, 1)
	go func() {
		done <- w.intake().walk(t.Context(), w.tenant, Source{Paths: []string{"a"},
			FS: fstest.MapFS{"a": {Data: []byte(content.String())}}}, nil, found)
		close(found)
	}()
	for e := range found {
		got = append(got, fmt.Sprintf("%d %v", e.line, e.outcome == failed))
	}
	if err := <-done; err != nil || !slices.Equal(got, want) {
		t.Errorf("%d entries, %v: %v", len(got), err, got)
	}
}
