package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// leafPage makes a page of an index tree with two cells, a freed one between them, and old bytes
// wherever there is room for any.
func leafPage(first bool) (page []byte, cells [2]int) {
	page = bytes.Repeat([]byte{0xee}, 4096)
	head := 0
	if first {
		head = 100
	}
	put := binary.BigEndian.PutUint16
	page[head] = 10
	put(page[head+1:], 4000) // the freed cell
	put(page[head+3:], 2)
	put(page[head+5:], 3900)
	page[head+7] = 0
	cells = [2]int{3900, 4050}
	put(page[head+8:], 3900)
	put(page[head+10:], 4050)
	put(page[4000:], 0)
	put(page[4002:], 50)
	return page, cells
}

// TestClearPage: what holds no cell is zeroed, and nothing else is
// touched; again, nothing changes.
func TestClearPage(t *testing.T) {
	for _, first := range []bool{false, true} {
		page, _ := leafPage(first)
		before := bytes.Clone(page)
		head := 0
		if first {
			head = 100
		}
		changed, err := clearPage(page, first)
		if err != nil || !changed {
			t.Fatal(changed, err)
		}
		for i, b := range page {
			unused := i >= head+12 && i < 3900 || i >= 4004 && i < 4050
			if unused && b != 0 {
				t.Fatalf("byte %d is left", i)
			}
			if !unused && b != before[i] {
				t.Fatalf("byte %d was touched", i)
			}
		}
		if changed, err := clearPage(page, first); err != nil || changed {
			t.Errorf("cleared twice: %v, %v", changed, err)
		}
	}
	for _, kind := range []byte{0, 1, 3, 0xff} { // overflow and free pages, and what is none
		page := bytes.Repeat([]byte{7}, 4096)
		page[0] = kind
		if changed, err := clearPage(page, false); err != nil || changed {
			t.Errorf("a page that begins with %d: %v, %v", kind, changed, err)
		}
	}
}

// FuzzClearPage: whatever the page, it is cleared as the format says or refused, and cells are
// never touched.
func FuzzClearPage(f *testing.F) {
	for _, first := range []bool{false, true} {
		page, _ := leafPage(first)
		f.Add(page, first)
	}
	f.Add(make([]byte, 512), false)
	f.Fuzz(func(t *testing.T, page []byte, first bool) {
		before := bytes.Clone(page)
		changed, err := clearPage(page, first)
		if changed == bytes.Equal(before, page) && err == nil {
			t.Errorf("changed %v, and it did not", changed)
		}
		if err != nil || len(page) < 512 {
			return
		}
		head := 0
		if first {
			head = 100
		}
		for i := 0; i < head+8; i++ {
			if page[i] != before[i] {
				t.Fatalf("byte %d of the head was touched", i)
			}
		}
		for i := range page {
			if page[i] != before[i] && page[i] != 0 {
				t.Fatalf("byte %d was written", i)
			}
		}
	})
}

// TestScrubClearsPages fills and empties trees and looks at every page of the file: no unused part
// holds anything.
func TestScrubClearsPages(t *testing.T) {
	ctx := context.Background()
	s, err := Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(ctx, uuid.Nil, func(r store.Rows) error {
		for i := range 3000 {
			name := uuid.NewString() + string(bytes.Repeat([]byte{'x'}, i%90))
			if err := r.PutSetting(name, bytes.Repeat([]byte{byte(i)}, i%300)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dirty := func() (n int) {
		t.Helper()
		rows, err := s.db.Query("SELECT pgno, data FROM sqlite_dbpage")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var pgno int
			var page []byte
			if err := rows.Scan(&pgno, &page); err != nil {
				t.Fatal(err)
			}
			changed, err := clearPage(page, pgno == 1)
			if err != nil {
				t.Errorf("page %d: %v", pgno, err)
			}
			if changed {
				n++
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if dirty() == 0 {
		t.Error("no page holds old bytes: the test shows nothing")
	}
	if err := s.Scrub(ctx); err != nil {
		t.Fatal(err)
	}
	if n := dirty(); n != 0 {
		t.Errorf("%d pages hold old bytes after scrubbing", n)
	}
	var whole string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		t.Errorf("the file is %s, %v", whole, err)
	}
}
