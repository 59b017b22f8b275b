package kafka

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// kfake takes rights, passwords and the broker's configs from files in its directory, which win
// over its options, and keeps there what it was told over the network. Before each start these
// files are made anew, so that nothing but this process's configuration decides, whatever a
// restored or foreign directory holds.

// filesVersion is kfake's currentPersistVersion.
const filesVersion = 1

type aclEntry struct {
	Principal    string `json:"principal"`
	Host         string `json:"host"`
	ResourceType int8   `json:"resource_type"`
	ResourceName string `json:"resource_name"`
	Pattern      int8   `json:"pattern"`
	Operation    int8   `json:"operation"`
	Permission   int8   `json:"permission"`
}

// writeRights makes kfake's directory, closed to everybody else, and the files in it that decide
// who may do what.
func writeRights(data string, accounts []Account) error {
	if err := closedDir(data); err != nil {
		return err
	}
	acls := struct {
		Version int        `json:"version"`
		ACLs    []aclEntry `json:"acls"`
	}{Version: filesVersion}
	for _, a := range accounts {
		for _, r := range a.Allow {
			entries, err := r.entries(a.Name)
			if err != nil {
				return fmt.Errorf("kafka: account %q: %w", a.Name, err)
			}
			acls.ACLs = append(acls.ACLs, entries...)
		}
	}
	// kfake's own SASL is off and knows nobody.
	nobody := struct {
		Version int `json:"version"`
	}{filesVersion}
	configs := struct {
		Version int               `json:"version"`
		Configs map[string]string `json:"configs"`
	}{filesVersion, brokerConfigs()}
	err := errors.Join(
		writeJSON(filepath.Join(data, "acls.json"), acls),
		writeJSON(filepath.Join(data, "sasl.json"), nobody),
		writeJSON(filepath.Join(data, "broker_configs.json"), configs))
	if err != nil {
		return err
	}
	// kfake reads none of it in a directory without meta.json, where it would take rights from its
	// options.
	meta := filepath.Join(data, "meta.json")
	if _, err := os.Stat(meta); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("kafka: cluster id: %w", err)
	}
	return writeJSON(meta, struct {
		Version   int    `json:"version"`
		ClusterID string `json:"cluster_id"`
	}{filesVersion, base64.RawURLEncoding.EncodeToString(id[:])})
}

// segmentBytes is the size of a segment where the topic does not say.
const segmentBytes = 8 << 20

// brokerConfigs are those that differ from kfake's defaults.
func brokerConfigs() map[string]string {
	return map[string]string{
		// kfake compacts by deleting a partition's files and then writing them anew: a kill in
		// between would lose the topic. Its cleaner therefore never runs.
		"log.cleaner.backoff.ms": strconv.FormatInt(never.Milliseconds(), 10),
		// kfake opens a segment of each partition at a time, whole, in memory.
		"log.segment.bytes": strconv.Itoa(segmentBytes),
	}
}

// closedDir makes a directory that its owner alone may enter. The files that kfake makes in it are
// 0644, which therefore opens them to nobody.
func closedDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("kafka: create directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("kafka: close directory: %w", err)
	}
	return nil
}

// writeJSON replaces a file as a whole. The rename makes it the one or the other; it is written at
// every start, so it needs no syncing to be right after a power cut.
func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("kafka: write %s: %w", filepath.Base(path), err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*.tmp") // 0600
	if err != nil {
		return fmt.Errorf("kafka: write %s: %w", filepath.Base(path), err)
	}
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("kafka: write %s: %w", filepath.Base(path), err), os.Remove(tmp.Name()))
	}
	return nil
}
