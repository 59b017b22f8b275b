package report

import (
	"fmt"
	"strings"
	"time"
)

// Line is one statement about a report: what is stated, and what it says.
type Line struct{ Label, Text string }

// Lines returns the header as people read it, in its language.
func (h Header) Lines() []Line {
	l := func(en, nl string) string { return say(h.Lang, en, nl) }
	out := []Line{{l("Report", "Rapport"), fmt.Sprintf("%s (%s)", h.Title, h.Report)}}
	tenant := h.Tenant.String()
	if h.TenantName != "" {
		tenant = fmt.Sprintf("%s (%s)", h.TenantName, h.Tenant)
	}
	out = append(out, Line{l("Tenant", "Tenant"), tenant})
	if h.Scope == AtMoment {
		moment := l("as of the ledger sequence below", "per het onderstaande volgnummer")
		if !h.Moment.IsZero() {
			moment = LocalTime(h.Moment, h.Location)
		}
		out = append(out, Line{l("As of", "Per"), moment})
	} else {
		out = append(out, Line{l("Period", "Periode"), h.period()})
	}
	out = append(out, Line{l("Time zone", "Tijdzone"), h.Location.String()})
	filters := make([]string, len(h.Filters))
	for i, g := range h.Filters {
		filters[i] = g.Filter.Title.In(h.Lang) + ": " + g.text(h.Lang)
	}
	out = append(out,
		Line{l("Filters", "Filters"), orNone(strings.Join(filters, "; "), h.Lang)},
		Line{l("Purpose", "Doel"), orNone(h.Purpose, h.Lang)},
		Line{l("Run by", "Uitgevoerd door"), h.By},
		Line{l("Run at", "Uitgevoerd op"), LocalTime(h.Made, h.Location)},
		Line{l("Ledger sequence", "Volgnummer van het grootboek"), h.sequence()},
		Line{l("Checkpoint", "Controlepunt"), h.checkpoint()},
		Line{l("Protected values", "Beschermde waarden"), h.protection()},
	)
	if h.Sample > 0 {
		out = append(out, Line{l("Sample", "Steekproef"), fmt.Sprintf("%d, seed %d", h.Sample, h.Seed)})
	}
	return out
}

func (g Given) text(lang string) string {
	if g.Filter.value != nil && g.Filter.ID != "attribute" {
		return g.Filter.value(lang, strings.Join(g.Values, ","))
	}
	words := make([]string, len(g.Values))
	for i, v := range g.Values {
		words[i] = Word(lang, g.Filter.Attr, v)
		if g.Filter.value != nil {
			words[i] = g.Filter.value(lang, v)
		}
	}
	return strings.Join(words, ", ")
}

func orNone(s, lang string) string {
	if s == "" {
		return say(lang, "none", "geen")
	}
	return s
}

func (h Header) period() string {
	switch from, to := LocalTime(h.From, h.Location), LocalTime(h.To, h.Location); {
	case h.From.IsZero() && h.To.IsZero():
		return say(h.Lang, "no bounds, up to the ledger sequence", "onbegrensd, tot en met het volgnummer")
	case h.From.IsZero():
		return fmt.Sprintf(say(h.Lang, "before %s", "vóór %s"), to)
	case h.To.IsZero():
		return fmt.Sprintf(say(h.Lang, "from %s", "vanaf %s"), from)
	default:
		return fmt.Sprintf(say(h.Lang, "from %s up to, and not including, %s", "vanaf %s tot %s (dat tijdstip zelf niet meegerekend)"), from, to)
	}
}

func (h Header) sequence() string {
	if h.Empty {
		return say(h.Lang, "none: the views are empty", "geen: de overzichten zijn leeg")
	}
	return fmt.Sprint(h.Sequence)
}

func (h Header) checkpoint() string {
	if h.Checkpoint == "" {
		return say(h.Lang, "none yet", "nog geen")
	}
	return h.Checkpoint
}

func (h Header) protection() string {
	if !h.Personal {
		return say(h.Lang, "this report has none", "dit rapport heeft er geen")
	}
	if h.Revealed {
		return say(h.Lang, "shown; this viewing is recorded in the ledger", "getoond; deze inzage is vastgelegd in het grootboek")
	}
	return fmt.Sprintf(say(h.Lang, "masked as %s", "afgeschermd als %s"), Bullets)
}

// Lines returns the totals as people read them.
func (t Totals) Lines(h Header) []Line {
	l := func(en, nl string) string { return say(h.Lang, en, nl) }
	out := []Line{{l("Rows", "Regels"), fmt.Sprint(t.Rows)}}
	if h.Sample > 0 {
		out = append(out, Line{l("Drawn from", "Getrokken uit"), fmt.Sprintf(l("%d rows", "%d regels"), t.Population)})
	}
	out = append(out, Line{l("Values masked", "Afgeschermde waarden"), fmt.Sprint(t.Masked)},
		Line{l("Values erased", "Gewiste waarden"), fmt.Sprint(t.Erased)},
		Line{l("Values expired", "Verlopen waarden"), fmt.Sprint(t.Expired)})
	if t.Lost > 0 {
		out = append(out, Line{l("Values lost", "Verloren waarden"), fmt.Sprint(t.Lost)})
	}
	if t.NotGenuine > 0 {
		out = append(out, Line{l("Values not genuine", "Waarden die niet echt zijn"), fmt.Sprintf(
			l("%d (not sealed for the place in which they stand)",
				"%d (niet verzegeld voor de plaats waar ze staan)"), t.NotGenuine)})
	}
	late := l("not counted for this report", "niet geteld in dit rapport")
	if t.Late != nil {
		late = fmt.Sprintf(l("%d (recorded more than 24 hours after the end of the period)", "%d (vastgelegd meer dan 24 uur na het einde van de periode)"), *t.Late)
	}
	return append(out, Line{l("Late arrivals", "Later binnengekomen"), late})
}

// headerJSON is the header in a program's form. Times are UTC; members do not depend on the language.
type headerJSON struct {
	Report     string       `json:"report"`
	Title      string       `json:"title"`
	Tenant     string       `json:"tenant"`
	TenantName string       `json:"tenantName,omitempty"`
	From       *string      `json:"from,omitempty"`
	To         *string      `json:"to,omitempty"`
	AsOf       *string      `json:"asOf,omitempty"`
	TimeZone   string       `json:"timeZone"`
	Language   string       `json:"language"`
	Filters    []filterJSON `json:"filters"`
	Purpose    string       `json:"purpose"`
	By         string       `json:"runBy"`
	Made       string       `json:"runAt"`
	Sequence   *uint64      `json:"ledgerSequence"` // null: the views are empty
	Checkpoint *string      `json:"checkpoint"`     // null: none yet
	Revealed   bool         `json:"protectedValuesShown"`
	Sample     *sampleJSON  `json:"sample,omitempty"`
}

type filterJSON struct {
	ID     string   `json:"filter"`
	Values []string `json:"values"`
}

type sampleJSON struct {
	Rows int    `json:"rows"`
	Seed uint64 `json:"seed"`
}

type totalsJSON struct {
	Rows       uint64  `json:"rows"`
	Population uint64  `json:"population"`
	Masked     uint64  `json:"valuesMasked"`
	Erased     uint64  `json:"valuesErased"`
	Expired    uint64  `json:"valuesExpired"`
	Lost       uint64  `json:"valuesLost,omitempty"`
	NotGenuine uint64  `json:"valuesNotGenuine,omitempty"`
	Late       *uint64 `json:"lateArrivals"` // null: not counted for this report
}

func (h Header) json() headerJSON {
	stamp := func(t time.Time) *string {
		if t.IsZero() {
			return nil
		}
		s := t.UTC().Format(time.RFC3339Nano)
		return &s
	}
	j := headerJSON{
		Report: h.Report, Title: h.Title, Tenant: h.Tenant.String(), TenantName: h.TenantName, From: stamp(h.From), To: stamp(h.To),
		AsOf: stamp(h.Moment), TimeZone: h.Location.String(), Language: h.Lang, Filters: []filterJSON{}, Purpose: h.Purpose, By: h.By,
		Made: *stamp(h.Made), Revealed: h.Revealed,
	}
	for _, g := range h.Filters {
		j.Filters = append(j.Filters, filterJSON{g.Filter.ID, g.Values})
	}
	if !h.Empty {
		j.Sequence = &h.Sequence
	}
	if h.Checkpoint != "" {
		j.Checkpoint = &h.Checkpoint
	}
	if h.Sample > 0 {
		j.Sample = &sampleJSON{h.Sample, h.Seed}
	}
	return j
}
