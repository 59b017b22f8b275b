//go:build acceptance

package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// realFolders hold the real records, each those of one way in.
var realFolders = []string{"azure-monitor", "event-hubs", "graph"}

// realFiles returns the files in them, sorted.
func realFiles(t *testing.T) (files []string) {
	t.Helper()
	for _, f := range realFolders {
		in, err := filepath.Glob(filepath.Join(os.Getenv("LEDGERLINE_RECORDS"), f, "*"))
		if err != nil || len(in) == 0 {
			t.Fatalf("the folder %s of the real records: %d files, %v", f, len(in), err)
		}
		files = append(files, in...)
	}
	return slices.DeleteFunc(files, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.IsDir()
	})
}

// TestRealRecords runs on the real records that LEDGERLINE_RECORDS names (a folder with
// azure-monitor, event-hubs and graph).
func TestRealRecords(t *testing.T) {
	root := os.Getenv("LEDGERLINE_RECORDS")
	if root == "" {
		t.Fatal("LEDGERLINE_RECORDS must name the folder with the real records")
	}
	for _, reverse := range []bool{false, true} {
		w := newWorld(t, true)
		importAll := func(reverse bool) Summary {
			t.Helper()
			var paths []string
			for _, f := range realFolders {
				paths = append(paths, filepath.Join(root, f))
			}
			if reverse {
				paths = realFiles(t)
				slices.Reverse(paths)
			}
			s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: paths}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !s.Balanced() || !s.OK() {
				t.Errorf("not accounted for: %s", asJSON(t, s))
			}
			return s
		}
		first := importAll(reverse)
		if testing.Verbose() {
			if err := first.WriteText(os.Stdout, words.Default().Base()); err != nil {
				t.Fatal(err)
			}
			t.Log(asJSON(t, first))
			t.Log(w.dump(newLabels()))
		}
		if first.ListItemsKept != 326 || first.ListItemsRefused["apps-on-personal-device"] != 87 {
			t.Errorf("%d apps kept, %v refused; want 326 and 87", first.ListItemsKept, first.ListItemsRefused)
		}
		if got := len(w.events()); got != first.EventsAppended {
			t.Errorf("%d events are in the ledger, %d were counted", got, first.EventsAppended)
		}
		for _, again := range []bool{false, true, false} {
			if s := importAll(again); s.EventsAppended != 0 || s.Recorded != 0 {
				t.Errorf("importing again (reverse %v) appended %d events: %s", again, s.EventsAppended, asJSON(t, s))
			}
		}
	}
}

// TestDocumentedExamples imports the source's documented example responses, which hold placeholder
// texts and one managed device and one audit event.
func TestDocumentedExamples(t *testing.T) {
	w := newWorld(t, true)
	src := Source{Paths: []string{filepath.Join(os.Getenv("LEDGERLINE_RECORDS"), "graph-docs")}}
	s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		t.Log(asJSON(t, s))
		t.Log(w.dump(newLabels()))
	}
	if !s.Balanced() || s.Read != 17 || s.Recorded != 14 {
		t.Errorf("not accounted for: %s", asJSON(t, s))
	}
	if s, err = w.intake().Import(context.Background(), w.tenant, src, nil); err != nil || s.EventsAppended != 0 {
		t.Errorf("importing again appended %d events, %v", s.EventsAppended, err)
	}
}

// TestRealRecordsSpelledAnewTellNothing: every device and action of the real records, in each form
// that its source may give it.
func TestRealRecordsSpelledAnewTellNothing(t *testing.T) {
	var docs [][]byte
	for _, path := range realFiles(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(raw)); ; {
			var doc json.RawMessage
			if err := d.Decode(&doc); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, doc)
		}
	}
	for range 4 {
		seed := mathrand.Uint64()
		w := newWorld(t, true)
		files := map[string]string{}
		for i, n := range mathrand.Perm(len(docs)) {
			files[fmt.Sprintf("%03d.ndjson", i)] = string(record.Compact(docs[n])) + "\n"
		}
		if s := w.importFiles(files); s.FailedCount != 0 || s.Recorded == 0 {
			t.Fatalf("%d recorded, failed %v", s.Recorded, s.Failed)
		}
		// Two readings of one device, weeks apart, differ in truth: the older of them tells
		// something else. Spelled anew it tells no more.
		for i := range uint64(4) {
			r := speller{mathrand.New(mathrand.NewPCG(seed+i, 1))}
			files := map[string]string{}
			for i, n := range r.Perm(len(docs)) {
				files[fmt.Sprintf("%03d.ndjson", i)] = r.line(t, docs[n]) + "\n"
			}
			before := len(w.events())
			if s := w.importFiles(files); s.FailedCount != 0 || s.EventsAppended != 0 {
				t.Fatalf("seed %d: failed %v, events:\n%s", seed+i, s.Failed, w.dumpFrom(newLabels(), before))
			}
		}
	}
}

// The real records say what they said.
func TestWhatRealRecordsComeToIsUnchanged(t *testing.T) {
	root := os.Getenv("LEDGERLINE_RECORDS")
	w := newWorld(t, true)
	var paths []string
	for _, f := range realFolders {
		paths = append(paths, filepath.Join(root, f))
	}
	w.importDated(t, paths...)
	w.unchanged(t, "real-records")
}
