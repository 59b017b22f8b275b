package answer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// eventDoc is an event for a program.
type eventDoc struct {
	Sequence uint64            `json:"sequence"`
	ID       uuid.UUID         `json:"id"`
	Type     string            `json:"type"`
	Stream   schemas.Stream    `json:"stream"`
	Revision uint64            `json:"revision"`
	Tenant   uuid.UUID         `json:"tenant"`
	Occurred string            `json:"occurredAt,omitempty"`
	Source   string            `json:"source"`
	Subjects []schemas.Subject `json:"subjects"`
	Data     json.RawMessage   `json:"data"`
}

// Events writes events as they come, and counts those that are not the ledger's.
type Events struct {
	Out   io.Writer
	Notes io.Writer // where it is said how far this is
	JSON  bool
	In    *words.Language
	Zone  *time.Location
	Start bool // from the first event on

	foreign consumers.ForeignCount
}

// Write writes an event of the ledger on a line: for a program as JSON; for a person with its
// values that stand open, and ● for those that are sealed.
func (e *Events) Write(r schemas.Envelope) error {
	m := r.Meta()
	if e.JSON {
		doc := eventDoc{r.Seq, r.ID, r.Type, r.Stream, r.Revision, m.Tenant, "", m.Source, m.Subjects, r.Data}
		if !m.Occurred.IsZero() {
			doc.Occurred = schemas.Time(m.Occurred)
		}
		_, err := fmt.Fprintf(e.Out, "%s\n", schemas.JSON(doc))
		return err
	}
	when := m.Occurred
	if when.IsZero() {
		when = m.Recorded
	}
	title := schemas.Label("type." + r.Type).Of(e.In)
	_, err := fmt.Fprintf(e.Out, "%s  %s  %s  (%d, %s@%d)\n", words.Instant(when, e.Zone), terminal.Left(title, 26),
		told(e.In, r.Type, projections.RowOf(r).Values), r.Seq, shortStream(r.Stream), r.Revision)
	return err
}

// Begun says how far the ledger is published, for a person who follows it.
func (e *Events) Begun(published *uint64) {
	if published == nil {
		fmt.Fprintln(e.Notes, e.In.Text("answer.tail.nothing-yet"))
		return
	}
	key := "answer.tail.published"
	if e.Start {
		key = "answer.tail.from-start"
	}
	fmt.Fprintln(e.Notes, e.In.Text(key, words.Args{"sequence": *published}))
}

// Waiting says that everything was told that there was, and that what comes is awaited.
func (e *Events) Waiting() {
	if e.Start {
		fmt.Fprintln(e.Notes, e.In.Text("answer.tail.all-read"))
	}
	fmt.Fprintln(e.Notes, e.In.Text("answer.tail.waiting"))
}

// Foreign counts a message that is another's. It is safe for concurrent use.
func (e *Events) Foreign(name string, offset int64) {
	if topic, partition, err := node.SplitPartition(name); err == nil {
		e.foreign.Add(topic, partition, offset)
	}
}

// WriteForeign says what was left out.
func (e *Events) WriteForeign() {
	for _, f := range e.foreign.List() {
		fmt.Fprintln(e.Notes, e.In.Text("answer.tail.foreign", words.Args{"records": f}))
	}
}

// told are an event's values in a line: those that lead its type, then what stands open, then what
// is sealed, of which the last are left out where there are many.
func told(in *words.Language, of string, values []projections.Value) string {
	var leads []string
	c := schemas.Default()
	if t := c.Type(of); t != nil {
		leads = t.Leads
	}
	slices.SortStableFunc(values, func(a, b projections.Value) int {
		return cmp.Or(cmp.Compare(rank(a, leads), rank(b, leads)), sealedBy(a, b))
	})
	const most = 8
	var out []string
	seen := 0 // values that are told
	for seen < len(values) && len(out) < most {
		v, same := values[seen], 1
		for seen+same < len(values) && schemas.IsSealed(v.Text) && values[seen+same].Attribute == v.Attribute {
			same++ // they stand together, sealed ones last
		}
		label := v.Attribute
		if a := c.Attribute(label); a != nil {
			label = a.Label.Of(in)
		}
		text := valueText(in, v)
		if same > 1 {
			text = in.Text("answer.tail.times", words.Args{"value": text, "count": same, "number": in.Count(same)})
		}
		out = append(out, in.Text("answer.tail.value", words.Args{"label": label, "value": text}))
		seen += same
	}
	if n := len(values) - seen; n > 0 {
		out = append(out, in.Text("answer.tail.more", words.Args{"number": in.Count(n)}))
	}
	return strings.Join(out, "; ")
}

// valueText is a value as people read it, on a line.
func valueText(in *words.Language, v projections.Value) string {
	switch {
	case v.Removed:
		return in.Text("answer.tail.removed")
	case schemas.IsSealed(v.Text):
		return "●"
	}
	text := content.Word(in, v.Attribute, v.Text)
	if a := schemas.Default().Attribute(v.Attribute); a != nil && a.Type == "bool" {
		switch v.Text {
		case "true":
			text = in.Text("value.yes")
		case "false":
			text = in.Text("value.no")
		}
	}
	return terminal.Visible(strings.Join(strings.Fields(text), " "))
}

// sealedBy has sealed values of one attribute stand together.
func sealedBy(a, b projections.Value) int {
	if !schemas.IsSealed(a.Text) || !schemas.IsSealed(b.Text) {
		return 0
	}
	return cmp.Compare(a.Attribute, b.Attribute)
}

// rank is a value's place in a line.
func rank(v projections.Value, leads []string) int {
	if i := slices.Index(leads, v.Attribute); i >= 0 {
		return i
	}
	if schemas.IsSealed(v.Text) {
		return len(leads) + 1
	}
	return len(leads)
}

// shortStream abbreviates a stream for reading: its kind and the first eight digits of its uuid.
func shortStream(s schemas.Stream) string {
	return s.Kind() + "-" + s.UUID().String()[:8]
}
