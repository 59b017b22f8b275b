package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// This file clears what SQLite leaves in the unused parts of its pages. secure_delete overwrites
// the cell that it deletes; but where a page is rebuilt, when pages split, merge or share their
// cells out anew, the bytes of cells that moved on stay in the gap between a page's header and its
// cells, and outlive the row.

// pagesAtOnce bounds a transaction of the clearing, so that other writers wait for milliseconds
// only.
const pagesAtOnce = 1024

// maxPages is the number of pages up to which a page that begins with the flags of a tree is one:
// the page number with which overflow and free pages begin has a zero there (64 GiB of pages of 4
// KiB).
const maxPages = 1 << 24

var errTooLarge = errors.New("the vault file has too many pages to be cleared")

// clearUnused overwrites the unused parts of all pages, through the log like any other change.
func (s *Store) clearUnused(ctx context.Context, c *session) error {
	for first := int64(1); ; first += pagesAtOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := s.clearSome(ctx, c, first)
		if err != nil {
			return fmt.Errorf("clear unused parts of pages: %w", err)
		}
		if done {
			return nil
		}
	}
}

func (s *Store) clearSome(ctx context.Context, c *session, first int64) (done bool, err error) {
	if _, err := c.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return false, translate(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close()) // which rolls back
		}
	}()
	var pages int64
	if err := c.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return false, translate(err)
	}
	if pages >= maxPages {
		return false, errTooLarge
	}
	read, err := c.stmt("SELECT data FROM sqlite_dbpage WHERE pgno = ?")
	if err != nil {
		return false, err
	}
	last := min(pages, first+pagesAtOnce-1)
	for n := first; n <= last; n++ {
		var page []byte
		if err := read.QueryRowContext(context.Background(), n).Scan(&page); err != nil {
			return false, translate(err)
		}
		changed, err := clearPage(page, n == 1)
		if err != nil {
			return false, fmt.Errorf("page %d: %w", n, err)
		}
		if !changed {
			continue
		}
		if err := c.exec("UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", page, n); err != nil {
			return false, err
		}
	}
	return last == pages, c.exec("COMMIT")
}

var errPage = errors.New("is not a page of a tree in the form that SQLite documents")

// clearPage zeroes the parts of a b-tree page that hold no cell
// (https://www.sqlite.org/fileformat2.html#b_tree_pages) and reports whether any had to be. Other
// pages it leaves alone.
func clearPage(page []byte, firstOfFile bool) (changed bool, err error) {
	head := 0
	if firstOfFile {
		head = 100
	}
	if len(page) < 512 {
		return false, errPage
	}
	at := func(i int) int { return int(binary.BigEndian.Uint16(page[i:])) }
	var headSize int
	switch page[head] {
	case 2, 5:
		headSize = 12
	case 10, 13:
		headSize = 8
	default:
		return false, nil
	}
	from := head + headSize + 2*at(head+3)
	to := at(head + 5)
	if to == 0 {
		to = 65536
	}
	if from > to || to > len(page) {
		return false, errPage
	}
	clear := func(b []byte) {
		for i := range b {
			if b[i] != 0 {
				b[i], changed = 0, true
			}
		}
	}
	clear(page[from:to])
	// Freed cells form a list in rising order; each begins with the next one's place and its own
	// size.
	for block := at(head + 1); block != 0; {
		if block < to || block+4 > len(page) {
			return false, errPage
		}
		next, size := at(block), at(block+2)
		if size < 4 || block+size > len(page) || next != 0 && next < block+size {
			return false, errPage
		}
		clear(page[block+4 : block+size])
		block = next
	}
	return changed, nil
}
