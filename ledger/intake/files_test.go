//go:build unix

package intake

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// What is no regular file, and a folder that cannot be listed, is one failure, by name and reason;
// the rest is imported and nothing waits for a pipe's writer.
func TestOnlyRegularFilesAreReadAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t, true)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "z.json"), []byte(`{"none":"of ours"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for link, to := range map[string]string{"link-to-pipe": "pipe", "link-to-nothing": "none",
		"link-to-device": "/dev/zero", "link-to-folder": "/"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"pipe": "a pipe", "socket": "a socket", "link-to-pipe": "a pipe",
		"link-to-nothing": "cannot be opened", "link-to-device": "a device", "link-to-folder": "a folder"}
	if os.Geteuid() != 0 { // root lists any folder
		if err := os.Mkdir(filepath.Join(dir, "closed"), 0o000); err != nil {
			t.Fatal(err)
		}
		want["closed"] = "cannot be listed"
	}
	check := func(paths ...string) {
		t.Helper()
		sum, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: paths}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !sum.Balanced() || sum.FailedCount != len(want) || sum.Read != len(want)+1 {
			t.Errorf("%d read, %d failed, want %d and one more: %+v", sum.Read, sum.FailedCount, len(want), sum.Failed)
		}
		for _, f := range sum.Failed {
			if says := want[filepath.Base(f.File)]; says == "" || !strings.Contains(f.Reason, says) {
				t.Errorf("%s: %q, want %q", filepath.Base(f.File), f.Reason, says)
			}
		}
	}
	check(dir)
	paths := []string{filepath.Join(dir, "z.json")}
	for name := range want {
		paths = append(paths, filepath.Join(dir, name))
	}
	check(paths...)
}

// unreadable is a file system in which a folder cannot be listed.
type unreadable struct{ fstest.MapFS }

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "a/closed" {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.ReadDir(name)
}

func TestAFolderThatCannotBeListedIsOneFailure(t *testing.T) {
	w := newWorld(t, true)
	src := Source{Paths: []string{"a", "nothing"}, FS: unreadable{fstest.MapFS{
		"a/closed/x.json": {Data: []byte(`{}`)}, "a/b.json": {Data: []byte(`{"none":"of ours"}`)},
		"a/z.json": {Data: []byte(`{"none":"of ours"}`)}}}}
	sum, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Read != 4 || sum.FailedCount != 2 || sum.Failed[0].File != "a/closed" || sum.Failed[1].File != "nothing" {
		t.Errorf("%d read, failed %+v", sum.Read, sum.Failed)
	}
}

// stuck is a file whose read does not return until it is let go, as one of a file server that is
// gone.
type stuck struct{ letGo chan struct{} }

func (s stuck) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS{name: {Data: []byte("{")}}.Open(name)
	return stuckFile{f, s.letGo}, err
}

type stuckFile struct {
	fs.File
	letGo chan struct{}
}

func (f stuckFile) Read([]byte) (int, error) { <-f.letGo; return 0, errors.New("let go") }

// An import that is stopped ends within a second or two, whatever it is reading, with the summary
// so far.
func TestAStoppedImportDoesNotWaitForAReadThatIsStuck(t *testing.T) {
	w := newWorld(t, true)
	letGo := make(chan struct{})
	defer close(letGo)
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, stop)
	begun := time.Now()
	sum, err := w.intake().Import(ctx, w.tenant, Source{Paths: []string{"x"}, FS: stuck{letGo}}, nil)
	if !errors.Is(err, context.Canceled) || !sum.Balanced() {
		t.Errorf("%v, %+v", err, sum)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it ended after %s", took)
	}
}
