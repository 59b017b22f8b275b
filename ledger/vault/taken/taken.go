package taken

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Tag stands for a stream, or for a name by which somebody is asked for. It is never zero.
type Tag uint64

// TagOf returns the tag of a stream.
func TagOf(s schemas.Stream) Tag { id := s.UUID(); return tagOf(id[8:]) }

// NameTag returns the tag of a name, by its hash.
func NameTag(hash string) Tag { return tagOf([]byte(hash)) }

func tagOf(b []byte) Tag { return max(1, Tag(binary.BigEndian.Uint64(b))) }

// Mark and Marks: see package keyring.
type (
	Mark  = keyring.Mark
	Marks = keyring.Known
)

// Page is what is remembered of some records. AsOf is a count of unsettlings: the page holds but
// for what was unsettled since. Seen is a day since 1970.
type Page struct {
	First Mark
	AsOf  uint64
	Seen  int64
	Text  []byte
}

// Basis is what the tenant's pages rest on outside the vault. The zero one rests on nothing: there
// are no pages.
type Basis struct {
	Disowned Mark // of the events that are left out
	// The ledger's last event when the newest page was made.
	Stream   schemas.Stream
	Revision uint64
	Event    uuid.UUID
	Position schemas.Position
}

// Tx is one transaction on the tenant's pages. Use it from one goroutine.
type Tx struct {
	rows  store.Rows
	marks func() (*Marks, error)
	said  state

	pages     []store.KnownPage
	basis     Basis // of pages
	before    []byte
	unsettled []byte
	forgot    bool
	rests     []Tag
	renamed   []Tag
	vague     bool
}

// state is kept under the setting store.Known.
type state struct {
	Count, Floor uint64 // of unsettlings: now, and when all was forgotten last
	Basis        Basis
}

// Begin returns the transaction; said is the value of the setting store.Known, nil where there is
// none.
func Begin(rows store.Rows, said []byte, marks func() (*Marks, error)) (*Tx, error) {
	tx := &Tx{rows: rows, marks: marks}
	return tx, tx.read(said)
}

func (tx *Tx) read(said []byte) error {
	if tx.said = (state{}); said == nil {
		return nil
	}
	return wrap(json.Unmarshal(said, &tx.said))
}

// Count counts the unsettlings before what this transaction plans next. floor is the count at the
// last forgetting: nothing from before it is known.
func (tx *Tx) Count() (count, floor uint64) { return tx.said.Count, tx.said.Floor }

// Basis returns what the pages rest on.
func (tx *Tx) Basis() Basis { return tx.said.Basis }

// Marks returns what tells records of the tenant apart.
func (tx *Tx) Marks() (*Marks, error) { return tx.marks() }

// Pages returns those of the pages that there are and that open.
func (tx *Tx) Pages(firsts []Mark) (out []Page, err error) {
	names := make([][]byte, len(firsts))
	for i := range firsts {
		names[i] = firsts[i][:]
	}
	rows, err := tx.rows.KnownPages(names)
	if err != nil || len(rows) == 0 {
		return nil, wrap(err)
	}
	m, err := tx.marks()
	if err != nil {
		return nil, wrap(err)
	}
	for _, r := range rows {
		if len(r.First) != len(Mark{}) || r.AsOf < tx.said.Floor {
			continue
		}
		p := Page{First: Mark(r.First), AsOf: r.AsOf, Seen: r.Seen}
		if text, ok := m.Open(p.First, p.AsOf, r.Sealed); ok {
			p.Text = text
			out = append(out, p)
		}
	}
	return out, nil
}

func wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("known records: %w", err)
	}
	return err
}

// Unsettled tells each tag that was unsettled after that count, with the count from which on it
// counts again.
func (tx *Tx) Unsettled(after uint64, each func(Tag, uint64)) error {
	rows, err := tx.rows.KnownUnsettled(after)
	for _, r := range rows {
		for b := r.Tags; len(b) >= 8; b = b[8:] {
			each(tagOf(b), r.At)
		}
	}
	return wrap(err)
}

// Unsettle says that no record that rests on one of them is known any more, those that this
// transaction plans included.
func (tx *Tx) Unsettle(tags ...Tag) { tx.unsettled = appendTags(tx.unsettled, tags) }

// UnsettleBefore says that no record that rests on one of them is known any more, but for those
// that this transaction plans from now on.
func (tx *Tx) UnsettleBefore(tags ...Tag) {
	if len(tags) > 0 {
		tx.said.Count++
		tx.before = appendTags(tx.before, tags)
	}
}

func appendTags(to []byte, tags []Tag) []byte {
	for _, t := range tags {
		to = binary.BigEndian.AppendUint64(to, uint64(t))
	}
	return to
}

// Remember keeps pages, in place of older ones of their names. What was made before a forgetting,
// or with other events left out than those of the pages that there are, is dropped.
func (tx *Tx) Remember(pages []Page, b Basis) error {
	if len(pages) == 0 {
		return nil
	}
	m, err := tx.marks()
	if err != nil {
		return wrap(err)
	}
	for _, p := range pages {
		tx.pages = append(tx.pages, store.KnownPage{First: p.First[:], AsOf: p.AsOf, Seen: p.Seen,
			Sealed: m.Seal(p.First, p.AsOf, p.Text)})
	}
	tx.basis = b
	return nil
}

func before(a, b schemas.Position) bool {
	return a.Commit < b.Commit || a.Commit == b.Commit && a.Prepare < b.Prepare
}

// Forget forgets all pages.
func (tx *Tx) Forget() error {
	tx.said.Count++
	tx.said.Floor, tx.said.Basis = tx.said.Count, Basis{}
	tx.pages, tx.before, tx.unsettled, tx.forgot = nil, nil, nil, true
	return wrap(tx.rows.DeleteKnown())
}

// Expire deletes pages that were not seen since that day, at most so many, and what was unsettled
// before all that are left.
func (tx *Tx) Expire(before int64, atMost int) error {
	return wrap(tx.rows.ExpireKnown(before, atMost))
}

// Clean reports whether the transaction adds nothing.
func (tx *Tx) Clean() bool {
	return !tx.forgot && tx.pages == nil && tx.before == nil && tx.unsettled == nil
}

// Flush puts what the transaction adds. said is the value of the setting as it stands by now: what
// others unsettled meanwhile does not count for what was planned here.
func (tx *Tx) Flush(rows store.Rows, said []byte) error {
	if tx.Clean() {
		return nil
	}
	if !tx.forgot {
		if err := tx.read(said); err != nil {
			return err
		}
	}
	now, b := &tx.said, store.KnownBatch{}
	for _, tags := range [][]byte{tx.before, tx.unsettled} {
		if tags != nil {
			now.Count++
			b.Unsettled = append(b.Unsettled, store.KnownUnsettled{At: now.Count, Tags: tags})
		}
	}
	if now.Basis == (Basis{}) || now.Basis.Disowned == tx.basis.Disowned {
		for _, p := range tx.pages {
			if p.AsOf >= now.Floor {
				b.Pages = append(b.Pages, p)
			}
		}
	}
	if len(b.Pages) > 0 && (now.Basis == (Basis{}) || before(now.Basis.Position, tx.basis.Position)) {
		now.Basis = tx.basis
	}
	var err error
	b.State, err = json.Marshal(now)
	tx.pages, tx.before, tx.unsettled, tx.forgot = nil, nil, nil, false
	return wrap(errors.Join(err, rows.PutKnown(b)))
}

// RestOn notes that what the transaction answers rests on who has a name.
func (tx *Tx) RestOn(t Tag) { tx.rests = append(tx.rests, t) }

// Vague notes that it rests on more than streams and names.
func (tx *Tx) Vague() { tx.vague = true }

// Renamed unsettles a name that others may have now than before. Who was just asked for by it
// knows that.
func (tx *Tx) Renamed(t Tag) {
	tx.Unsettle(t)
	tx.renamed = append(tx.renamed, t)
	for i, r := range tx.rests {
		if r == t {
			tx.rests[i] = 0
		}
	}
}

// Names returns the names that were unsettled since it was called last.
func (tx *Tx) Names() []Tag {
	out := tx.renamed
	tx.renamed = nil
	return out
}

// Rests appends the names on which what was asked since it was called last rests. sure is false
// where it rests on more.
func (tx *Tx) Rests(to []Tag) (tags []Tag, sure bool) {
	for _, t := range tx.rests {
		if t != 0 {
			to = append(to, t)
		}
	}
	sure = !tx.vague
	tx.rests, tx.vague = tx.rests[:0], false
	return to, sure
}
