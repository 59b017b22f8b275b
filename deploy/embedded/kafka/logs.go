package kafka

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// partitionLog is a partition's records as they lie in its folder.
type partitionLog struct {
	dir      string
	segments []segment
	end      int64 // offset after the last whole record
	torn     int64 // bytes behind it in the last segment
	known    bool  // kfake's snapshot tells of these very files
}

// segment is a file of records, as kfake's snapshots name it.
type segment struct {
	Base int64 `json:"base_offset"`
	Size int64 `json:"size"`
}

// readLogs looks for records that will be missing once kfake has opened its files. kfake
// cuts a segment at its first damaged batch, whichever segment that is, and goes on:
// a hole in the middle of a partition would look like a partition without one. It also
// believes a log that is shorter than at the last clean stop. Both are ErrUnreadable.
//
// A kill can only tear the last batch of the last segment, which nobody was told of. read is told
// of the bytes of each segment, from several goroutines.
func readLogs(data string, read func(bytes int64)) ([]partitionLog, error) {
	root := filepath.Join(data, "partitions")
	folders, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("kafka: read partitions: %w", err)
	}
	logs := make([]partitionLog, len(folders))
	var reading errgroup.Group
	reading.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range folders {
		reading.Go(func() (err error) {
			if logs[i], err = readLog(filepath.Join(root, f.Name()), read); err != nil {
				err = fmt.Errorf("kafka: partition %s: %w", f.Name(), err)
			}
			return err
		})
	}
	return logs, reading.Wait()
}

func readLog(dir string, read func(bytes int64)) (l partitionLog, err error) {
	l.dir = dir
	bases, err := segments(dir)
	if err != nil {
		return l, err
	}
	for i, base := range bases {
		if i > 0 && base != l.end {
			return l, fmt.Errorf("records %d to %d are missing: %w", l.end, base-1, ErrUnreadable)
		}
		size, whole := int64(0), int64(0)
		if l.end, whole, size, err = segmentEnd(filepath.Join(dir, segmentFile(base)), base); err != nil {
			return l, err
		}
		read(size)
		l.torn = size - whole // counts in the last one: before, what is missing shows above
		l.segments = append(l.segments, segment{base, size})
	}
	stop, found, err := l.snapshot()
	if err != nil || !found {
		return l, err // never stopped cleanly
	}
	if l.end < stop.HighWatermark {
		return l, fmt.Errorf("ends at %d, at the last stop it ended at %d: %w", l.end, stop.HighWatermark,
			ErrUnreadable)
	}
	l.known = l.torn == 0 && slices.Equal(l.segments, stop.Segments)
	return l, nil
}

func segmentFile(base int64) string { return strconv.FormatInt(base, 10) + ".dat" }

// logSnapshot is what kfake writes of a partition when it stops, as far as it tells of the files.
// Transactions, which would have more, are not served.
type logSnapshot struct {
	Version          int       `json:"version"`
	HighWatermark    int64     `json:"high_watermark"`
	LastStableOffset int64     `json:"last_stable_offset"`
	LogStartOffset   int64     `json:"log_start_offset"`
	Epoch            int32     `json:"epoch"`
	CreatedAt        time.Time `json:"created_at"`
	Segments         []segment `json:"segments"`
}

func (l partitionLog) snapshot() (s logSnapshot, found bool, err error) {
	raw, err := os.ReadFile(filepath.Join(l.dir, "snapshot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, false, fmt.Errorf("snapshot.json: %w: %w", err, ErrUnreadable)
	}
	return s, true, nil
}

// settle makes of a log that a kill left one that was stopped: it cuts what was torn and writes
// the snapshot that kfake would have written. Without it kfake holds all records of all partitions
// in memory until it has read the last; with it, one segment of each.
func (l partitionLog) settle() error {
	if l.known || len(l.segments) == 0 {
		return nil
	}
	s, found, err := l.snapshot()
	if err != nil {
		return err
	}
	last := &l.segments[len(l.segments)-1]
	f, err := os.OpenFile(filepath.Join(l.dir, segmentFile(last.Base)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if l.torn > 0 {
		last.Size -= l.torn
		err = f.Truncate(last.Size)
	}
	// What the snapshot tells must be there after a power cut, too: shorter is damage then.
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s.Version, s.HighWatermark, s.LastStableOffset = filesVersion, l.end, l.end
	s.LogStartOffset, s.Segments = l.segments[0].Base, l.segments
	if !found {
		info, err := os.Stat(l.dir)
		if err != nil {
			return err
		}
		s.CreatedAt = info.ModTime()
	}
	return writeJSON(filepath.Join(l.dir, "snapshot.json"), s)
}

// recordBytes is how many bytes all segments have.
func recordBytes(data string) (n int64, err error) {
	err = filepath.WalkDir(filepath.Join(data, "partitions"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(d.Name(), ".dat") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return n, err
}

// segments lists the first offsets of a partition's segments, in order.
func segments(dir string) ([]int64, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".dat"); ok {
			base, err := strconv.ParseInt(name, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("segment %q: %w: %w", f.Name(), err, ErrUnreadable)
			}
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// segmentEnd is the offset after the last batch before the first that is cut short or damaged,
// which is where kfake will cut (https://kafka.apache.org/documentation/#recordbatch). It returns
// the bytes up to there, too, and all bytes of the file.
func segmentEnd(path string, base int64) (end, whole, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, 0, err
	}
	size = info.Size()
	const (
		lengthAt = 8  // int32, counts what follows it
		crcAt    = 17 // uint32, over what follows it
		deltaAt  = 23 // int32, last offset less first
		head     = deltaAt + 4
	)
	end = base
	r := bufio.NewReaderSize(f, 256<<10)
	var batch []byte
	for size-whole >= head {
		fixed, err := r.Peek(head)
		if err != nil {
			return 0, 0, 0, err
		}
		length := int64(binary.BigEndian.Uint32(fixed[lengthAt:])) + lengthAt + 4
		if length < head || length > size-whole {
			return end, whole, size, nil
		}
		batch = slices.Grow(batch[:0], int(length))[:length]
		if _, err := io.ReadFull(r, batch); err != nil {
			return 0, 0, 0, err
		}
		if crc32.Checksum(batch[crcAt+4:], castagnoli) != binary.BigEndian.Uint32(batch[crcAt:]) {
			return end, whole, size, nil
		}
		first := int64(binary.BigEndian.Uint64(batch))
		if first != end {
			return 0, 0, 0, fmt.Errorf("a batch begins at %d, expected %d: %w", first, end, ErrUnreadable)
		}
		end = first + int64(binary.BigEndian.Uint32(batch[deltaAt:])) + 1
		whole += length
	}
	return end, whole, size, nil
}
