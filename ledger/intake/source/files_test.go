//go:build unix

package source

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
)

// What is no regular file, and a folder that cannot be listed, is one failure, by name and reason;
// the rest is imported and nothing waits for a pipe's writer.
func TestOnlyRegularFilesAreReadAndTheRestGoesOn(t *testing.T) {
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
		c := collect(t, testRecogniser, folders.Source{Paths: paths})
		if len(c.flaws) != len(want) || len(c.items) != 1 {
			t.Errorf("%d failed, want %d and one record: %q", len(c.flaws), len(want), c.out)
		}
		for file, f := range c.flaws {
			name := filepath.Base(file)
			if says := want[name]; says == "" || !strings.Contains(f.Reason, says) {
				t.Errorf("%s: %q, want %q", name, f.Reason, says)
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
	c := collect(t, testRecogniser, folders.Source{Paths: []string{"a", "nothing"}, FS: unreadable{fstest.MapFS{
		"a/closed/x.json": {Data: []byte(`{}`)}, "a/b.json": {Data: []byte(`{"none":"of ours"}`)},
		"a/z.json": {Data: []byte(`{"none":"of ours"}`)}}}})
	closed, nothing := c.flaws["a/closed"].Reason, c.flaws["nothing"].Reason
	if len(c.items) != 2 || len(c.flaws) != 2 || closed != "cannot be listed: permission denied" ||
		nothing != "cannot be listed: file does not exist" {
		t.Errorf("%q", c.out)
	}
}
