package clickhouse

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// Version is the release of the npm packages that carry libchdb; the engine calls itself 26.7.2.1.
const Version = "26.7.3-stable.1"

// ErrNoLibrary says that there is no libchdb and none could be fetched. The
// message names the ways out.
var ErrNoLibrary = errors.New("no ClickHouse engine: install npm (it comes with Node.js) so that it can be fetched, " +
	"or give the path of an existing libchdb.so, or the address of an existing ClickHouse server")

// FetchProgress tells how far a fetch is. Stage is waiting (for another process's fetch),
// downloading, checking or unpacking; Done and Total are bytes, Total is 0 where it is not known.
type FetchProgress struct {
	Stage       string
	Done, Total int64
}

// A release is one platform's package. Where the digests are pinned, nothing but those
// bytes is used; elsewhere npm's own check of the registry's digest stands, and what
// was first fetched is kept.
type release struct {
	pkg     string
	tarball string // sha512, base64
	lib     string // sha256 of libchdb.so, hex
	size    int64  // of libchdb.so
}

var releases = map[string]release{
	"linux/amd64": {
		pkg:     "@chdb/lib-linux-x64-gnu",
		tarball: "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		lib:     "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5",
		size:    566330096,
	},
	"linux/arm64":  {pkg: "@chdb/lib-linux-arm64-gnu"},
	"darwin/amd64": {pkg: "@chdb/lib-darwin-x64"},
	"darwin/arm64": {pkg: "@chdb/lib-darwin-arm64"},
}

const libName = "libchdb.so"

// checked is the note beside a fetched library. A library whose size and time are those of the
// note is taken for what was checked; otherwise it is hashed again.
type checked struct {
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
}

// Fetch returns the path of the engine's library: LibPath if set, else the cached
// copy, fetched through npm where it is missing or damaged. Processes that fetch at
// the same time wait for the first.
func Fetch(ctx context.Context, cfg Config) (string, error) {
	if cfg.LibPath != "" {
		if _, err := os.Stat(cfg.LibPath); err != nil {
			return "", fmt.Errorf("the configured engine library: %w", err)
		}
		return filepath.Abs(cfg.LibPath)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	rel, ok := releases[platform]
	if !ok {
		return "", fmt.Errorf("%w (nothing is published for %s)", ErrNoLibrary, platform)
	}
	progress := cfg.Progress
	if progress == nil {
		progress = func(FetchProgress) {}
	}
	cache := cfg.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("fetch libchdb: no cache directory: %w", err)
		}
		cache = filepath.Join(user, "ledgerline", "libchdb")
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	f := fetcher{rel: rel, base: filepath.Join(cache, Version), progress: progress}
	f.dir = filepath.Join(f.base, runtime.GOOS+"-"+runtime.GOARCH)
	if f.intact(false) == nil {
		return f.lib(), nil
	}
	return f.fetch(ctx)
}

type fetcher struct {
	rel       release
	base, dir string
	progress  func(FetchProgress)
}

func (f *fetcher) lib() string { return filepath.Join(f.dir, libName) }

func (f *fetcher) fetch(ctx context.Context) (string, error) {
	lock, err := f.lock(ctx)
	if err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if f.intact(true) == nil { // somebody else was faster, or only the file's time had changed
		return f.lib(), nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoLibrary
	}
	tmp, err := os.MkdirTemp(f.base, "fetch-")
	if err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	tarball, err := f.download(ctx, npm, tmp)
	if err != nil {
		return "", err
	}
	out := filepath.Join(tmp, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	if err := f.unpack(ctx, tarball, filepath.Join(out, libName)); err != nil {
		return "", fmt.Errorf("unpack libchdb: %w", err)
	}
	// Under the lock, so nobody else renames; a reader sees the old
	// directory, none, or the new one.
	if err := errors.Join(os.RemoveAll(f.dir), os.Rename(out, f.dir), syncDir(f.base)); err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	return f.lib(), nil
}

// lock waits for other fetchers.
func (f *fetcher) lock(ctx context.Context) (*os.File, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; told = true {
		lock, err := lockFile(filepath.Join(f.base, "lock"))
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if !told {
			f.progress(FetchProgress{Stage: "waiting"})
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// intact says whether the cached library is what was fetched. With rehash, a library whose time
// alone differs from the note's is read and, if its bytes are right, noted anew.
func (f *fetcher) intact(rehash bool) error {
	b, err := os.ReadFile(filepath.Join(f.dir, "checked.json"))
	if err != nil {
		return err
	}
	var note checked
	if err := json.Unmarshal(b, &note); err != nil {
		return err
	}
	info, err := os.Stat(f.lib())
	if err != nil {
		return err
	}
	if note.Size != info.Size() || f.rel.lib != "" && note.SHA256 != f.rel.lib {
		return errors.New("not the library that was checked")
	}
	if note.ModTime.Equal(info.ModTime()) {
		return nil
	}
	if !rehash {
		return errors.New("changed since it was checked")
	}
	f.progress(FetchProgress{Stage: "checking", Total: note.Size})
	sum, err := fileSum(f.lib(), sha256.New())
	if err != nil {
		return err
	}
	if hex.EncodeToString(sum) != note.SHA256 {
		return errors.New("not the library that was checked")
	}
	note.ModTime = info.ModTime()
	return writeNote(f.dir, note)
}

func writeNote(dir string, note checked) error {
	b, err := json.Marshal(note)
	if err != nil {
		return err
	}
	// Replaced whole: a reader without the lock may be looking.
	tmp := filepath.Join(dir, "checked.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "checked.json"))
}

var npmCode = regexp.MustCompile(`npm (?:error|ERR!) code (\w+)`)

// download has npm fetch the tarball. npm's own words name the registry, which may be private:
// only its error code is passed on.
func (f *fetcher) download(ctx context.Context, npm, tmp string) (string, error) {
	f.progress(FetchProgress{Stage: "downloading"})
	cmd := exec.CommandContext(ctx, npm, "pack", f.rel.pkg+"@"+Version, "--silent", "--pack-destination", tmp)
	cmd.Dir = tmp // a project's own npm settings must not take part
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetch libchdb: %w", context.Cause(ctx))
		}
		reason := "no reason given"
		if m := npmCode.FindSubmatch(out); m != nil {
			reason = string(m[1])
		}
		return "", fmt.Errorf("npm could not fetch %s@%s (%s): %w; %w", f.rel.pkg, Version, reason, err, ErrNoLibrary)
	}
	found, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm fetched %d files of %s, not one: %w", len(found), f.rel.pkg, ErrNoLibrary)
	}
	if f.rel.tarball != "" {
		f.progress(FetchProgress{Stage: "checking"})
		sum, err := fileSum(found[0], sha512.New())
		if err != nil {
			return "", fmt.Errorf("check libchdb: %w", err)
		}
		if base64.StdEncoding.EncodeToString(sum) != f.rel.tarball {
			return "", fmt.Errorf("%s@%s is not the package this program was built for: its SHA-512 differs",
				f.rel.pkg, Version)
		}
	}
	return found[0], nil
}

func fileSum(name string, h hash.Hash) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := io.Copy(h, file); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// unpack writes the library and its note.
func (f *fetcher) unpack(ctx context.Context, tarball, to string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	zr, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return fmt.Errorf("the package holds no %s", libName)
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == libName {
			return f.write(ctx, tr, h.Size, to)
		}
	}
}

func (f *fetcher) write(ctx context.Context, r io.Reader, size int64, to string) (err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	sum := sha256.New()
	w := io.MultiWriter(out, sum, &meter{ctx: ctx, total: size, progress: f.progress})
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if f.rel.lib != "" && (digest != f.rel.lib || size != f.rel.size) {
		return errors.New("it is not the library this program was built for: its SHA-256 differs")
	}
	if err := out.Sync(); err != nil {
		return err
	}
	info, err := out.Stat()
	if err != nil {
		return err
	}
	return writeNote(filepath.Dir(to), checked{SHA256: digest, Size: info.Size(), ModTime: info.ModTime()})
}

// meter reports what passes and ends the copy with its context.
type meter struct {
	ctx         context.Context
	done, total int64
	progress    func(FetchProgress)
}

func (m *meter) Write(p []byte) (int, error) {
	const step = 32 << 20
	if m.done/step != (m.done+int64(len(p)))/step {
		m.progress(FetchProgress{Stage: "unpacking", Done: m.done + int64(len(p)), Total: m.total})
	}
	m.done += int64(len(p))
	return len(p), m.ctx.Err()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, fs.ErrInvalid) { // a file system that cannot
		err = nil
	}
	return errors.Join(err, d.Close())
}
