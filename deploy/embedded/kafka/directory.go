package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// layout names the format of everything under Dir. kfake refuses only files newer
// than it knows; it does not notice files that are too old. Change this text
// whenever kfake is updated across a change of its currentPersistVersion.
const layout = "ledgerline embedded kafka, kfake files v1\n"

// never is the longest interval that kfake can turn into nanoseconds.
const never = math.MaxInt64 / time.Millisecond * time.Millisecond

// lockDir creates dir and takes the lock that makes this process its only owner.
// The kernel drops the lock when the process dies, however it dies.
func lockDir(dir string) (*os.File, error) {
	if err := closedDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("kafka: open lock: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// checkLayout marks a new directory with the layout and refuses one whose files kfake would
// misread. In particular kfake appends to whatever segment file it finds under a new topic's name,
// and then serves records from wrong places. It returns the logs of the partitions.
func checkLayout(dir, data string, progress func(done, total int64)) ([]partitionLog, error) {
	mark := filepath.Join(dir, "layout")
	got, err := os.ReadFile(mark)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		entries, err := os.ReadDir(data)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("kafka: read directory: %w", err)
		}
		if len(entries) > 0 {
			return nil, fmt.Errorf("kafka: files without a layout mark: %w", ErrUnreadable)
		}
		return nil, writeMark(dir, mark)
	case err != nil:
		return nil, fmt.Errorf("kafka: read layout: %w", err)
	case string(got) != layout:
		return nil, fmt.Errorf("kafka: layout is %.60q, not %q: %w", got, layout, ErrUnreadable)
	}
	if err := checkVersion(data); err != nil {
		return nil, err
	}
	if err := checkPartitions(data); err != nil {
		return nil, err
	}
	total, err := recordBytes(data)
	if err != nil {
		return nil, fmt.Errorf("kafka: read partitions: %w", err)
	}
	var done atomic.Int64
	return readLogs(data, func(bytes int64) { progress(done.Add(bytes), total) })
}

// checkVersion refuses files of another version than is written here, before anything is written.
func checkVersion(data string) error {
	raw, err := os.ReadFile(filepath.Join(data, "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a start that did not get this far, or checkPartitions finds what is wrong
	}
	if err != nil {
		return fmt.Errorf("kafka: read meta.json: %w", err)
	}
	var meta struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return fmt.Errorf("kafka: meta.json: %w: %w", err, ErrUnreadable)
	}
	if meta.Version != filesVersion {
		return fmt.Errorf("kafka: meta.json has version %d, not %d: %w", meta.Version, filesVersion, ErrUnreadable)
	}
	return nil
}

func writeMark(dir, mark string) error {
	tmp, err := os.CreateTemp(dir, "layout-*.tmp")
	if err != nil {
		return fmt.Errorf("kafka: write layout: %w", err)
	}
	_, err = tmp.WriteString(layout)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), mark)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("kafka: write layout: %w", err), os.Remove(tmp.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("kafka: sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("kafka: sync directory: %w", err)
	}
	return nil
}

// checkPartitions refuses partition folders that belong to no topic on record.
func checkPartitions(data string) error {
	folders, err := os.ReadDir(filepath.Join(data, "partitions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kafka: read partitions: %w", err)
	}
	if len(folders) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(data, "meta.json")); err != nil {
		return fmt.Errorf("kafka: partitions without meta.json: %w", ErrUnreadable)
	}
	raw, err := os.ReadFile(filepath.Join(data, "topics.json"))
	if err != nil {
		return fmt.Errorf("kafka: partitions without topics.json: %w", ErrUnreadable)
	}
	var known struct {
		Topics []struct {
			Name string `json:"name"`
		} `json:"topics"`
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return fmt.Errorf("kafka: topics.json: %w: %w", err, ErrUnreadable)
	}
	names := make(map[string]bool, len(known.Topics))
	for _, t := range known.Topics {
		names[url.PathEscape(t.Name)] = true
	}
	for _, f := range folders {
		name := f.Name()
		if i := strings.LastIndexByte(name, '-'); i < 0 || !names[name[:i]] {
			return fmt.Errorf("kafka: partition folder %q of an unknown topic: %w", name, ErrUnreadable)
		}
	}
	return nil
}

// classify tells files that cannot be understood from a machine that did not let
// us read or write them: moving the directory aside helps only against the first.
func classify(err error) error {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return fmt.Errorf("kafka: open: %w", err)
	}
	return fmt.Errorf("kafka: open: %w: %w", err, ErrUnreadable)
}
