package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// Table is how one source writes the records of a form as a table of separated values (CSV). Its
// header decides; case, blanks and signs in a header do not matter.
type Table struct {
	// Sets are members any set of which shows, all having a column, that a table is of the form;
	// of several forms the one is meant that knows more columns. Unlike are headers of others.
	Sets   [][]string
	Unlike []string
	// Columns are those that are known, each with the member of the record that it becomes. What
	// stands under any other header becomes a member of the header's name.
	Columns []Column
	// Together is a member by which rows are one record that follow one another and say the same
	// there: it has that member, and the rows as its list Rows.
	Together string
}

// Column is a column of a table, and where it stands. Behind a header may stand _loc: it is then
// what the source writes for people beside a code, and becomes a member of that name with _loc.
type Column struct {
	Member  string
	Headers []string // beside the member's own name
	Dutch   []string // the headers of whoever works in Dutch
	Time    bool     // under a Dutch header the day may come first
}

// Rows is the member of a record of several rows that holds them.
const Rows = "Rows"

// twin ends the header and the member of what is written for people beside a code.
const twin = "_loc"

// headed is what a header leads to.
type headed struct {
	member   string
	dayFirst bool
}

// sheet is a table of a form, ready to be recognised.
type sheet struct {
	*Table
	form    *Form
	headers map[string]headed // by folded header
	unlike  map[string]bool
}

func newSheet(f *Form, t *Table) *sheet {
	s := &sheet{Table: t, form: f, headers: map[string]headed{}, unlike: map[string]bool{}}
	for _, c := range t.Columns {
		for _, h := range append(slices.Clone(c.Headers), c.Member) {
			s.headers[foldHeader(h)] = headed{member: c.Member}
		}
		for _, h := range c.Dutch {
			if _, same := s.headers[foldHeader(h)]; !same {
				s.headers[foldHeader(h)] = headed{c.Member, c.Time}
			}
		}
	}
	for _, h := range t.Unlike {
		s.unlike[foldHeader(h)] = true
	}
	return s
}

// foldHeader returns what of a header counts: its letters and digits, in small letters.
func foldHeader(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// of returns what a header leads to, and whether it is known.
func (s *sheet) of(header string) (headed, bool) {
	name, isTwin := strings.CutSuffix(header, twin)
	h, known := s.headers[foldHeader(name)]
	if isTwin {
		h.member += twin
	}
	return h, known
}

// header is the line of a table that names its columns.
type header struct {
	sheet   *sheet // nil: the names are those of a record's members
	names   []string
	columns []column
	known   int
}

type column struct {
	headed
	begin []byte // of the member, in JSON
	as    int    // the first column of the same member: this one
}

// maxColumns is how many columns a table may have.
const maxColumns = 4096

func (h *header) column(to headed) {
	i := len(h.columns)
	as := slices.IndexFunc(h.columns, func(c column) bool { return c.member == to.member })
	if as < 0 {
		as = i
	}
	h.columns = append(h.columns, column{to, append(schemas.JSON(to.member), ':'), as})
}

// under returns the header with those names as one of the sheet's.
func (s *sheet) under(names []string) *header {
	h := &header{sheet: s, names: names}
	for _, name := range names {
		to, known := s.of(name)
		if known {
			h.known++
		} else {
			to = headed{member: name}
		}
		h.column(to)
	}
	return h
}

// lacks returns the members without a column, of the set of which the fewest are; none where the
// table is the sheet's.
func (h *header) lacks() (least []string) {
	for i, set := range h.sheet.Sets {
		var lacking []string
		for _, member := range set {
			if !slices.ContainsFunc(h.columns, func(c column) bool { return c.member == member }) {
				lacking = append(lacking, member)
			}
		}
		if i == 0 || len(lacking) < len(least) {
			least = lacking
		}
	}
	return least
}

// other reports whether the names are those of another table.
func (h *header) other() bool {
	return slices.ContainsFunc(h.names, func(name string) bool { return h.sheet.unlike[foldHeader(name)] })
}

// headerOf returns the header that those names are: of the sheet that is meant or, where none is,
// of the one that comes nearest; nil where no column is known. whole says that it is meant.
func (r *Recogniser) headerOf(names []string) (found *header, whole bool) {
	for _, s := range r.sheets {
		h := s.under(names)
		if h.known == 0 || h.other() {
			continue
		}
		is := len(h.lacks()) == 0
		if found == nil || is && !whole || is == whole && h.known > found.known {
			found, whole = h, is
		}
	}
	return found, whole
}

// ofMembers returns a header whose names are those of a record's members, as Log Analytics and
// PowerShell write them: of times Log Analytics says behind the name that they are in UTC.
func ofMembers(names []string) *header {
	h := &header{names: names}
	for _, name := range names {
		h.column(headed{member: strings.TrimSuffix(name, " [UTC]")})
	}
	return h
}

// shown returns the first of the headers as they may be shown. Where one is none, the line may be
// none of headers at all, and nothing of it is shown.
func shown(names []string) string {
	const most = 12
	var out []string
	for _, name := range names {
		safe := record.SafeHeader(name)
		if safe != strings.Join(strings.Fields(name), " ") {
			return ""
		}
		out = append(out, safe)
	}
	if more := len(out) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(out[:most], ", "), more)
	}
	return strings.Join(out, ", ")
}

const noHeaders = "a table is known by the headers that Intune's portal and its export jobs give it; its first line " +
	"holds none"

// unknownTable is a table whose header is none that is known.
func (r *Recogniser) unknownTable(names []string) Looks {
	if near, _ := r.headerOf(names); near != nil && near.known > 1 {
		lacks := strings.Join(near.lacks(), " and ")
		return Looks{"CSV", "it has columns of " + near.sheet.form.Name + " and lacks " + lacks +
			": export it with all columns"}
	}
	if headers := shown(names); headers != "" {
		return Looks{"CSV", "a table is known by the headers that Intune's portal and its export jobs give it; " +
			"this one has " + headers}
	}
	return Looks{"CSV", noHeaders}
}
