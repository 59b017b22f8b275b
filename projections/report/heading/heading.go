// Package heading is what stands above and below a report's rows: what was asked, of what, as of
// which ledger sequence, and what was counted.
//
// It owns no state: a header is a value, complete before the first row.
package heading

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Header states what a report is of. It is complete before the first row.
type Header struct {
	Report       string
	Title        string
	Tenant       uuid.UUID
	TenantName   string
	Over         bool      // it is over a period, not of a moment
	From, To     time.Time // of a period; zero ends are open
	Moment       time.Time // of a moment; zero: the state at Sequence, whenever its parts occurred
	Location     *time.Location
	Language     *words.Language
	Filters      []Given
	Purpose      string // as request has it, PurposeWords alike
	PurposeWords string
	By           string
	Made         time.Time
	Empty        bool   // the views hold nothing yet, Sequence means nothing
	Sequence     uint64 // the ledger sequence that it was computed at
	Checkpoint   string // signed checkpoint that covers Sequence; "" where there is none
	Personal     bool   // the report has protected values
	Revealed     bool   // they were asked for
	Sample       int    // rows drawn; 0: all rows
	Seed         uint64
}

// Given is a filter as it was given.
type Given struct {
	ID     string
	Title  string   // what the filter is called
	Text   string   // its values for people
	Values []string // canonical
}

// Totals are known after the last row.
type Totals struct {
	Rows       uint64 // written
	Population uint64 // that a sample was drawn from; equal to Rows without one
	Masked     uint64 // values not shown because nobody asked or may see them
	Erased     uint64
	Expired    uint64
	Lost       uint64
	NotGenuine uint64 // values that were not sealed for the place in which they stand

	// Rows recorded later than a day after the end of what is covered; nil: the report has no
	// such end.
	Late *uint64
}

// member is a member of JSON; v is nil for null.
func member(id string, v any) document.Member { return document.Member{ID: id, JSON: schemas.JSON(v)} }

// times are the members of instants that are given, in UTC.
func times(pairs ...any) (out []document.Member) {
	for i := 0; i < len(pairs); i += 2 {
		if t := pairs[i+1].(time.Time); !t.IsZero() {
			out = append(out, member(pairs[i].(string), t.UTC().Format(time.RFC3339Nano)))
		}
	}
	return out
}

// Facts are the header in its language. Members do not depend on it, but for the title.
func (h Header) Facts() []document.Fact {
	l := h.Language
	out := []document.Fact{
		{Label: l.Text("header.report"), Text: fmt.Sprintf("%s (%s)", h.Title, h.Report),
			Members: []document.Member{member("report", h.Report), member("title", h.Title)}},
		h.tenant(),
		h.time(),
		{Label: l.Text("header.time-zone"), Text: h.Location.String(),
			Members: []document.Member{member("timeZone", h.Location.String())}},
		{Members: []document.Member{member("language", l.Code())}},
		h.filters(),
		h.purpose(),
		{Label: l.Text("header.by"), Text: h.By, Members: []document.Member{member("runBy", h.By)}},
		{Label: l.Text("header.made"), Text: words.Instant(h.Made, h.Location), Members: times("runAt", h.Made)},
		h.sequence(),
		h.checkpoint(),
		{Label: l.Text("header.protected"), Text: h.protection(),
			Members: []document.Member{member("protectedValuesShown", h.Revealed)}},
	}
	if h.Sample > 0 {
		drawn := struct {
			Rows int    `json:"rows"`
			Seed uint64 `json:"seed"`
		}{h.Sample, h.Seed}
		out = append(out, document.Fact{Label: l.Text("header.sample"),
			Text:    l.Text("header.sample.drawn", words.Args{"rows": h.Sample, "seed": h.Seed}),
			Members: []document.Member{member("sample", drawn)}})
	}
	return out
}

// purpose is what was chosen, and the words beside it.
func (h Header) purpose() document.Fact {
	text := orNone(content.Word(h.Language, "access.purpose-code", h.Purpose), h.Language)
	f := document.Fact{Label: h.Language.Text("header.purpose"),
		Members: []document.Member{member("purpose", h.Purpose)}}
	if f.Text = text; h.PurposeWords != "" {
		f.Text = text + ": " + h.PurposeWords
		f.Members = append(f.Members, member("purposeWords", h.PurposeWords))
	}
	return f
}

func (h Header) tenant() document.Fact {
	f := document.Fact{Label: h.Language.Text("header.tenant"), Text: h.Tenant.String(),
		Members: []document.Member{member("tenant", h.Tenant.String())}}
	if h.TenantName != "" {
		f.Text = fmt.Sprintf("%s (%s)", h.TenantName, h.Tenant)
		f.Members = append(f.Members, member("tenantName", h.TenantName))
	}
	return f
}

// time is the period or the moment.
func (h Header) time() document.Fact {
	l := h.Language
	f := document.Fact{Members: times("from", h.From, "to", h.To, "asOf", h.Moment)}
	if h.Over {
		f.Label, f.Text = l.Text("header.period"), h.period()
		return f
	}
	f.Label, f.Text = l.Text("header.as-of"), l.Text("header.as-of.sequence")
	if !h.Moment.IsZero() {
		f.Text = words.Instant(h.Moment, h.Location)
	}
	return f
}

func (h Header) period() string {
	l, from, to := h.Language, words.Instant(h.From, h.Location), words.Instant(h.To, h.Location)
	switch {
	case h.From.IsZero() && h.To.IsZero():
		return l.Text("header.period.open")
	case h.From.IsZero():
		return l.Text("header.period.before", words.Args{"to": to})
	case h.To.IsZero():
		return l.Text("header.period.from", words.Args{"from": from})
	default:
		return l.Text("header.period.between", words.Args{"from": from, "to": to})
	}
}

func (h Header) filters() document.Fact {
	type given struct {
		ID     string   `json:"filter"`
		Values []string `json:"values"`
	}
	texts, values := make([]string, len(h.Filters)), make([]given, len(h.Filters))
	for i, g := range h.Filters {
		texts[i] = g.Title + ": " + g.Text
		values[i] = given{g.ID, g.Values}
	}
	return document.Fact{Label: h.Language.Text("header.filters"), Text: orNone(strings.Join(texts, "; "), h.Language),
		Members: []document.Member{member("filters", values)}}
}

// Given reports whether a filter was given.
func (h Header) Given(id string) bool {
	return slices.ContainsFunc(h.Filters, func(g Given) bool { return g.ID == id })
}

func orNone(s string, l *words.Language) string {
	if s == "" {
		return l.Text("header.none")
	}
	return s
}

func (h Header) sequence() document.Fact {
	f := document.Fact{Label: h.Language.Text("header.sequence")}
	if h.Empty {
		f.Text, f.Members = h.Language.Text("header.sequence.empty"), []document.Member{member("ledgerSequence", nil)}
		return f
	}
	f.Text, f.Members = fmt.Sprint(h.Sequence), []document.Member{member("ledgerSequence", h.Sequence)}
	return f
}

func (h Header) checkpoint() document.Fact {
	f := document.Fact{Label: h.Language.Text("header.checkpoint")}
	if h.Checkpoint == "" {
		f.Text, f.Members = h.Language.Text("header.checkpoint.none"), []document.Member{member("checkpoint", nil)}
		return f
	}
	f.Text, f.Members = h.Checkpoint, []document.Member{member("checkpoint", h.Checkpoint)}
	return f
}

func (h Header) protection() string {
	switch {
	case !h.Personal:
		return h.Language.Text("header.protected.none")
	case h.Revealed:
		return h.Language.Text("header.protected.shown")
	}
	return h.Language.Text("header.protected.masked", words.Args{"mark": document.Bullets})
}

// Facts are the totals in the header's language.
func (t Totals) Facts(h Header) []document.Fact {
	l := h.Language
	count := func(key, id string, n uint64) document.Fact {
		return document.Fact{Label: l.Text(key), Text: fmt.Sprint(n), Members: []document.Member{member(id, n)}}
	}
	population := document.Fact{Members: []document.Member{member("population", t.Population)}}
	if h.Sample > 0 {
		population.Label = l.Text("totals.drawn-from")
		population.Text = l.Text("totals.drawn-from.rows", words.Args{"rows": t.Population})
	}
	out := []document.Fact{
		count("totals.rows", "rows", t.Rows), population, count("totals.masked", "valuesMasked", t.Masked),
		count("totals.erased", "valuesErased", t.Erased), count("totals.expired", "valuesExpired", t.Expired),
	}
	if t.Lost > 0 {
		out = append(out, count("totals.lost", "valuesLost", t.Lost))
	}
	if t.NotGenuine > 0 {
		f := count("totals.not-genuine", "valuesNotGenuine", t.NotGenuine)
		f.Text = l.Text("totals.not-genuine.count", words.Args{"count": t.NotGenuine})
		out = append(out, f)
	}
	late := document.Fact{Label: l.Text("totals.late"), Text: l.Text("totals.late.none"),
		Members: []document.Member{member("lateArrivals", t.Late)}} // null: not counted for this report
	if t.Late != nil {
		late.Text = l.Text("totals.late.count", words.Args{"count": *t.Late})
	}
	return append(out, late)
}
