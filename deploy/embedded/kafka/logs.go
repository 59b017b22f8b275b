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
	"slices"
	"strconv"
	"strings"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkLogs looks for records that will be missing once kfake has opened its files. kfake
// cuts a segment at its first damaged batch, whichever segment that is, and goes on:
// a hole in the middle of a partition would look like a partition without one. It also
// believes a log that is shorter than at the last clean stop. Both are ErrUnreadable.
//
// A kill can only tear the last batch of the last segment, which nobody was told of.
func checkLogs(data string) error {
	root := filepath.Join(data, "partitions")
	folders, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kafka: read partitions: %w", err)
	}
	for _, f := range folders {
		if err := checkLog(filepath.Join(root, f.Name())); err != nil {
			return fmt.Errorf("kafka: partition %s: %w", f.Name(), err)
		}
	}
	return nil
}

func checkLog(dir string) error {
	bases, err := segments(dir)
	if err != nil {
		return err
	}
	end := int64(0)
	for i, base := range bases {
		if i > 0 && base != end {
			return fmt.Errorf("records %d to %d are missing: %w", end, base-1, ErrUnreadable)
		}
		if end, err = segmentEnd(filepath.Join(dir, strconv.FormatInt(base, 10)+".dat"), base); err != nil {
			return err
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "snapshot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // never stopped cleanly
	}
	if err != nil {
		return err
	}
	var stop struct {
		HighWatermark int64 `json:"high_watermark"`
	}
	if err := json.Unmarshal(raw, &stop); err != nil {
		return fmt.Errorf("snapshot.json: %w: %w", err, ErrUnreadable)
	}
	if end < stop.HighWatermark {
		return fmt.Errorf("ends at %d, at the last stop it ended at %d: %w", end, stop.HighWatermark, ErrUnreadable)
	}
	return nil
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

// segmentEnd is the offset after the last batch before the first that is cut short or
// damaged, which is where kfake will cut (https://kafka.apache.org/documentation/#recordbatch).
func segmentEnd(path string, base int64) (end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	const (
		lengthAt = 8  // int32, counts what follows it
		crcAt    = 17 // uint32, over what follows it
		deltaAt  = 23 // int32, last offset less first
		head     = deltaAt + 4
	)
	end = base
	r := bufio.NewReaderSize(f, 256<<10)
	var batch []byte
	for left := info.Size(); left >= head; left -= int64(len(batch)) {
		fixed, err := r.Peek(head)
		if err != nil {
			return 0, err
		}
		size := int64(binary.BigEndian.Uint32(fixed[lengthAt:])) + lengthAt + 4
		if size < head || size > left {
			return end, nil
		}
		batch = slices.Grow(batch[:0], int(size))[:size]
		if _, err := io.ReadFull(r, batch); err != nil {
			return 0, err
		}
		if crc32.Checksum(batch[crcAt+4:], castagnoli) != binary.BigEndian.Uint32(batch[crcAt:]) {
			return end, nil
		}
		first := int64(binary.BigEndian.Uint64(batch))
		if first != end {
			return 0, fmt.Errorf("a batch begins at %d, expected %d: %w", first, end, ErrUnreadable)
		}
		end = first + int64(binary.BigEndian.Uint32(batch[deltaAt:])) + 1
	}
	return end, nil
}
