package eventlog

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
)

const (
	// cutPrefix begins the names of backups in the making, beside the store
	// because hard links do not leave a file system.
	cutPrefix = "backup-"

	manifestName    = "manifest.json" // the last entry of a backup's tar
	manifestFormat  = 1
	manifestMaxSize = 64 << 20
)

// backupManifest ends a backup's tar, so that one that was cut short is noticed.
type backupManifest struct {
	Format int          `json:"format"`
	Store  string       `json:"store"`  // id, hexadecimal
	Commit uint64       `json:"commit"` // the last one in the backup
	Next   uint64       `json:"next"`   // position after its last event
	Events uint64       `json:"events"`
	Files  []backupFile `json:"files"` // in the order of the tar
}

type backupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup makes a copy of the log in dir, which must not exist, while appends go
// on. The copy is a store's directory like this one, holds exactly the events
// up to a commit that was durable here after Backup began, and appears by one
// rename when it has been written, fsynced and opened once. On the same file
// system it shares the tables with the store, by hard links: they never change,
// but a bad sector is bad for both. A store that runs out of space for it goes on.
func (s *Log) Backup(ctx context.Context, dir string) error {
	if err := s.backup(ctx, dir); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Log) backup(ctx context.Context, dir string) (err error) {
	if _, err := s.fs.Stat(dir); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, s.fs.PathBase(dir))
	}
	cut, mark, err := s.cut(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.fs.RemoveAll(cut)) }()
	return fillDir(s.fs, dir, func(unborn string) error {
		if err := copyTree(ctx, s.fs, cut, unborn); err != nil {
			return err
		}
		return verifyCopy(unborn, s.options, mark)
	})
}

// fillDir has fill make the contents of dir in a directory that becomes dir
// when they are complete. What an earlier try left there is removed.
func fillDir(fs vfs.FS, dir string, fill func(unborn string) error) (err error) {
	unborn := dir + ".creating"
	if err := fs.RemoveAll(unborn); err != nil {
		return err
	}
	if err := disk.MakeDir(unborn, fs); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, fs.RemoveAll(unborn))
		}
	}()
	if err := fill(unborn); err != nil {
		return err
	}
	if err := disk.SyncDir(fs, unborn); err != nil {
		return err
	}
	if err := fs.Rename(unborn, dir); err != nil {
		return err
	}
	return disk.SyncDir(fs, fs.PathDir(dir))
}

// cut makes a directory beside the store that holds the log up to the newest
// durable commit, and returns its path and that commit.
//
// Pebble's checkpoint holds whatever has been written to the log file, so also
// what no fsync covers yet: events that a power failure could still take from
// this store while the copy kept them, and a log file may be read while it is
// written. So the writer makes it, between two groups: then everything that was
// written is durable and has been shown, and the copy ends with it. Tables are
// linked and only log and MANIFEST are copied, after a flush that keeps the log
// small, so appends wait for some fsyncs and not for the size of the store.
func (s *Log) cut(ctx context.Context) (dir string, m disk.Mark, err error) {
	s.using.RLock()
	defer s.using.RUnlock()
	select {
	case <-s.done:
		return "", m, s.stopped()
	case <-s.failed:
		return "", m, s.Failure()
	default:
	}
	id, err := randomID()
	if err != nil {
		return "", m, err
	}
	dir = s.fs.PathJoin(s.dir, cutPrefix+hex.EncodeToString(id[:8]))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.fs.RemoveAll(dir))
		}
	}()
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return "", m, err
	}
	if err := s.halt.Do(s.db.Flush); err != nil {
		return "", m, err
	}
	made := make(chan error, 1)
	work := func() {
		began := time.Now()
		m = s.mark.Mark // the syncer rests
		err := s.db.Checkpoint(s.fs.PathJoin(dir, disk.Dir))
		s.logger.Info("event store: backup cut", "commit", m.Commit, "appends_waited", time.Since(began))
		made <- err
	}
	select {
	case s.pauses <- work:
	case <-ctx.Done():
		return "", m, ctx.Err()
	case <-s.done:
		return "", m, s.stopped()
	case <-s.failed:
		return "", m, s.Failure()
	}
	select {
	case err = <-made: // not ctx: the writer is at it
	case <-s.failed:
		err = s.Failure()
	}
	if err == nil {
		m.Seq = 0
		err = disk.CreateMark(s.fs, dir, m)
	}
	return dir, m, err
}

// removeCuts removes what interrupted backups have left beside the store.
func removeCuts(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, cutPrefix) {
			if err := fs.RemoveAll(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// filesOf lists a store's files, relative to dir.
func filesOf(fs vfs.FS, dir string) ([]string, error) {
	names, err := fs.List(fs.PathJoin(dir, disk.Dir))
	if err != nil {
		return nil, err
	}
	files := []string{disk.MarkFile}
	for _, name := range names {
		if name != lockFile {
			files = append(files, disk.Dir+"/"+name)
		}
	}
	slices.Sort(files)
	return files, nil
}

// copyTree makes to, an empty directory, a store like from. Only tables are
// linked: Pebble writes to no other file of the copy, but a store does.
func copyTree(ctx context.Context, fs vfs.FS, from, to string) error {
	files, err := filesOf(fs, from)
	if err != nil {
		return err
	}
	if err := fs.MkdirAll(fs.PathJoin(to, disk.Dir), 0o700); err != nil {
		return err
	}
	syncing := vfs.NewSyncingFS(fs, vfs.SyncingFileOptions{})
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		do := vfs.Copy
		if strings.HasSuffix(name, ".sst") {
			do = vfs.LinkOrCopy
		}
		if err := do(syncing, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return disk.SyncDir(fs, fs.PathJoin(to, disk.Dir))
}

// verifyCopy opens a copy without changing it, and refuses one that does not
// end where the mark says.
func verifyCopy(dir string, o Options, m disk.Mark) (err error) {
	c, err := openReadOnly(dir, o)
	if err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	t, err := verify(c.db)
	if err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	if err := m.Compare(t.format.ID, t.commit, t.next, t.total); err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	if t.commit != m.Commit {
		return fmt.Errorf("verify the copy: it ends at commit %d, not at %d", t.commit, m.Commit)
	}
	return nil
}

// BackupTo writes the copy that Backup makes to w, as a tar that Restore reads.
// It ends with a manifest of names, sizes and checksums. The copy is made beside
// the store first, by hard links, so w may be slow.
func (s *Log) BackupTo(ctx context.Context, w io.Writer) error {
	if err := s.backupTo(ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Log) backupTo(ctx context.Context, w io.Writer) (err error) {
	cut, mark, err := s.cut(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.fs.RemoveAll(cut)) }()
	if err := verifyCopy(cut, s.options, mark); err != nil {
		return err
	}
	files, err := filesOf(s.fs, cut)
	if err != nil {
		return err
	}
	m := backupManifest{
		Format: manifestFormat, Store: hex.EncodeToString(mark.ID[:]),
		Commit: mark.Commit, Next: mark.Next, Events: mark.Total,
	}
	tw := tar.NewWriter(w)
	for _, name := range files {
		f, err := tarFile(ctx, tw, s.fs, cut, name)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(tarHeader(manifestName, int64(len(b)))); err != nil {
		return err
	}
	if _, err := tw.Write(b); err != nil {
		return err
	}
	return tw.Close()
}

func tarHeader(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
}

func tarFile(ctx context.Context, tw *tar.Writer, fs vfs.FS, dir, name string) (_ backupFile, err error) {
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return backupFile{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return backupFile{}, err
	}
	if err := tw.WriteHeader(tarHeader(name, info.Size())); err != nil {
		return backupFile{}, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(tw, sum), &contextReader{ctx, f}); err != nil {
		return backupFile{}, err
	}
	return backupFile{Name: name, Size: info.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
