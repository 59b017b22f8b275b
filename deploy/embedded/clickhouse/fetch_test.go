//go:build unix

package clickhouse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeNPM puts an npm into PATH that hands out a package with the given library, and counts its
// calls in the file that it returns.
func fakeNPM(t *testing.T, library []byte, script string) (rel release, calls string) {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for name, content := range map[string][]byte{"package/package.json": []byte("{}"), "package/" + libName: library} {
		if err := errors.Join(tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}),
			func() error { _, err := tw.Write(content); return err }()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	if script == "" {
		script = `cp "` + dir + `/package.bin" "$5/package.tgz"`
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "package.bin"), buf.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho \"$*\" >> '"+calls+"'\n"+script+"\n"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	tarball, lib := sha512.Sum512(buf.Bytes()), sha256.Sum256(library)
	return release{pkg: "@chdb/lib-test", tarball: base64.StdEncoding.EncodeToString(tarball[:]),
		lib: hex.EncodeToString(lib[:]), size: int64(len(library))}, calls
}

func countCalls(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func TestFetch(t *testing.T) {
	library := bytes.Repeat([]byte("engine"), 1000)
	rel, calls := fakeNPM(t, library, "")
	base := t.TempDir()
	// Several at the same time fetch once, and all get a whole library.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			f := &fetcher{rel: rel, base: base, dir: filepath.Join(base, "p"), progress: func(FetchProgress) {}}
			path, err := f.fetch(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, library) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	wg.Wait()
	if n := countCalls(t, calls); n != 1 {
		t.Errorf("npm ran %d times", n)
	}
	b, err := os.ReadFile(calls)
	if err != nil || !strings.HasPrefix(string(b), "pack @chdb/lib-test@"+Version+" --silent --pack-destination ") {
		t.Errorf("npm was called as %q, %v", b, err)
	}
	left, err := filepath.Glob(filepath.Join(base, "fetch-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	f := &fetcher{rel: rel, base: base, dir: filepath.Join(base, "p"), progress: func(FetchProgress) {}}
	if err := f.intact(false); err != nil {
		t.Error(err)
	}
	// A new time alone costs one reading, not a fetch.
	if err := os.Chtimes(f.lib(), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f.intact(false) == nil {
		t.Error("a changed file was taken unread")
	}
	if _, err := f.fetch(t.Context()); err != nil || f.intact(false) != nil || countCalls(t, calls) != 1 {
		t.Errorf("after a new time: %v, npm ran %d times", err, countCalls(t, calls))
	}
	// Damage is repaired: other bytes of the same size, and a shorter file.
	for _, damage := range [][]byte{bytes.Repeat([]byte("broken"), 1000), library[:100]} {
		before := countCalls(t, calls)
		if err := errors.Join(os.Chmod(f.lib(), 0o600), os.WriteFile(f.lib(), damage, 0o600),
			os.Chtimes(f.lib(), time.Now(), time.Now().Add(2*time.Hour))); err != nil {
			t.Fatal(err)
		}
		if _, err := f.fetch(t.Context()); err != nil || countCalls(t, calls) != before+1 {
			t.Errorf("after damage: %v, npm ran %d times more", err, countCalls(t, calls)-before)
		}
		if b, err := os.ReadFile(f.lib()); err != nil || !bytes.Equal(b, library) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	// Without pinned digests npm's check stands, and what was fetched is held on to.
	rel.lib, rel.tarball, rel.size = "", "", 0
	f = &fetcher{rel: rel, base: base, dir: filepath.Join(base, "q"), progress: func(FetchProgress) {}}
	if _, err := f.fetch(t.Context()); err != nil || f.intact(false) != nil {
		t.Errorf("not pinned: %v", err)
	}
}

func TestFetchFailures(t *testing.T) {
	const host = "registry.private.example"
	fetch := func(rel release) error {
		base := t.TempDir()
		f := &fetcher{rel: rel, base: base, dir: filepath.Join(base, "p"), progress: func(FetchProgress) {}}
		_, err := f.fetch(t.Context())
		if _, serr := os.Stat(f.dir); serr == nil {
			t.Errorf("after %v a directory is there", err)
		}
		return err
	}
	rel, _ := fakeNPM(t, []byte("x"), "echo 'npm error code E404\nnpm error 404 Not Found - GET https://"+host+
		"/x' >&2; exit 1")
	err := fetch(rel)
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "E404") || strings.Contains(err.Error(), host) {
		t.Errorf("npm fails: %v", err)
	}
	rel, _ = fakeNPM(t, []byte("x"), "true")
	if err := fetch(rel); !errors.Is(err, ErrNoLibrary) {
		t.Errorf("npm fetches nothing: %v", err)
	}
	rel, _ = fakeNPM(t, []byte("x"), "")
	wrong := rel
	wrong.tarball = base64.StdEncoding.EncodeToString(make([]byte, 64))
	if err := fetch(wrong); err == nil || !strings.Contains(err.Error(), "SHA-512") {
		t.Errorf("another package: %v", err)
	}
	wrong = rel
	wrong.lib = strings.Repeat("0", 64)
	if err := fetch(wrong); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("another library: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := fetch(rel); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "npm") ||
		!strings.Contains(err.Error(), "ClickHouse server") {
		t.Errorf("no npm: %v", err)
	}
}

func TestFetchIsCancelled(t *testing.T) {
	rel, calls := fakeNPM(t, []byte("x"), "exec sleep 1000")
	base := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	f := &fetcher{rel: rel, base: base, dir: filepath.Join(base, "p"), progress: func(FetchProgress) {}}
	done := make(chan error, 2)
	go func() { _, err := f.fetch(ctx); done <- err }()
	for countCalls(t, calls) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("npm never ran")
		}
	}
	// A second one waits for the first, and gives up with its own context.
	waiting := make(chan struct{})
	g := &fetcher{rel: rel, base: base, dir: f.dir, progress: func(p FetchProgress) {
		if p.Stage != "waiting" {
			t.Errorf("stage %q", p.Stage)
		}
		close(waiting)
	}}
	go func() { _, err := g.fetch(ctx); done <- err }()
	<-waiting
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// The library that the tests run on is the pinned one.
func TestFetchedLibrary(t *testing.T) {
	if os.Getenv("EMBEDDED_CLICKHOUSE_LIB") != "" {
		return // the caller chose another
	}
	var stages []string
	cfg := testConfig(t.TempDir())
	cfg.Progress = func(p FetchProgress) { stages = append(stages, fmt.Sprint(p)) }
	path, err := Fetch(t.Context(), cfg)
	if err != nil || len(stages) > 0 {
		t.Fatalf("%v %v", err, stages)
	}
	info, err := os.Stat(path)
	if rel := releases["linux/amd64"]; err != nil || strings.Contains(path, "linux-amd64") && info.Size() != rel.size {
		t.Errorf("%v %v", info, err)
	}
	cfg.LibPath = path
	if again, err := Fetch(t.Context(), cfg); err != nil || again != path {
		t.Errorf("a given path: %q %v", again, err)
	}
}
