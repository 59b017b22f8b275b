// Package document is what a report looks like before anybody writes it down: a header, typed
// columns, rows that pass once, totals. Whoever renders one needs nothing else: every value
// carries its type, what became of it, its exact JSON and its word in the document's language.
//
// It owns no state and may lose nothing. It trusts whoever makes a document for what is in it; it
// reads no view, no catalogue and no vault.
package document

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// Document is a report as its renderers see it. Rows can be ranged over once.
type Document struct {
	Language     *words.Language
	Location     *time.Location // in which instants are shown to people
	Organisation string         // whose data it is, by name; "" where that is not known
	Title        string
	About        string   // one sentence on what it answers
	Notes        []string // how to read it
	Header       []Fact   // what was asked, of what, by whom; complete before the first row
	Columns      []Column

	// Rows yields the rows and ends at its first error. A row is the reader's until the next one.
	Rows iter.Seq2[Row, error]
	// Totals returns what was counted, and whether the last row has passed: before that it is not
	// all.
	Totals func() (facts []Fact, done bool)
}

// Fact is one statement about a document.
type Fact struct {
	Label, Text string   // as people read it; without a label it is for machines alone
	Members     []Member // as machines read it, any number of members of an object
}

// Member is a member of a JSON object.
type Member struct {
	ID   string // never translated
	JSON json.RawMessage
}

// Type says what a value is, and of a column what its cells hold.
type Type int

// Types. A machine's form of each is the JSON of Value, which the type describes.
const (
	Text     Type = iota // a string; Word is how people read it where a vocabulary has a word
	Boolean              // true or false
	Number               // a JSON number
	Bytes                // a JSON number of bytes
	Sequence             // a position in the ledger, a whole number from 0
	Instant              // when something occurred: Value.Time, written in local time and in UTC
	Reported             // a time as its source reported it: a string, RFC 3339 in UTC
	Object               // any other JSON
	Changes              // a list of ChangedProperty
	Mixed                // of columns alone: each value has a type of its own
)

// Column is one column of a document.
type Column struct {
	ID    string // never translated, unique: the member of JSON, the head of machine CSV
	Title string
	Type  Type
	List  bool // a cell may hold several values
	Parts bool // what a cell holds are parts of one name ("Apple", "iPhone 16"): a blank joins them

	Machine bool // only programs get it
}

// Row is one line of a document.
type Row struct {
	Cells []Cell // as many as columns
}

// Cell is what stands in one column of a row: nothing, one value, or a list.
type Cell []Value

// Value is one value in a cell.
type Value struct {
	Type  Type            // never Mixed
	State State           // what became of it; anything but Shown has neither JSON, Time nor Word
	JSON  json.RawMessage // exact; nil of an Instant
	Time  time.Time       // of an Instant
	Word  string          // of a Text: its word in the document's language; "" where it is its own

	Behind []string // of Changes: names of properties that people read last, whatever their case
}

// State says whether a value is shown, and if not why.
type State int

// States of a value.
const (
	Shown      State = iota
	Masked           // protected, and not asked for or not allowed to be seen
	Erased           // its person's key was destroyed
	Expired          // its period's key was destroyed
	Withheld         // kept back on behalf of somebody else; packages only
	Lost             // its key was lost with the newest part of the vault, and that loss was accepted
	NotGenuine       // what stands in its place was not sealed for it: the event is forged, or was altered
)

var stateNames = [...]string{"shown", "masked", "erased", "expired", "withheld", "lost", "not-genuine"}

// Name is a state as machines read it.
func (s State) Name() string { return stateNames[s] }

// Bullets stand for a value that is masked.
const Bullets = "●●●"

// Word returns how a state is written where the value would be.
func (s State) Word(l *words.Language) string {
	if s == Shown || s == Masked {
		return Bullets
	}
	return l.Text("state." + s.Name())
}
