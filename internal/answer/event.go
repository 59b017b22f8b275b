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
	"github.com/ledgerline/ledgerline/schemas"
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
	Out     io.Writer
	JSON    bool
	foreign consumers.ForeignCount
}

// Write writes an event of the ledger.
func (e *Events) Write(r schemas.Envelope) error { return WriteEvent(e.Out, r, e.JSON) }

// Foreign counts a message that is another's. It is safe for concurrent use.
func (e *Events) Foreign(name string, offset int64) {
	if topic, partition, err := node.SplitPartition(name); err == nil {
		e.foreign.Add(topic, partition, offset)
	}
}

// WriteForeign says what was left out.
func (e *Events) WriteForeign(w io.Writer) {
	for _, f := range e.foreign.List() {
		fmt.Fprintf(w, "left out, not the ledger's: %s\n", f)
	}
}

// WriteEvent writes an event on a line: for a program as JSON, for a person with its values that
// stand open, and ● for those that are sealed.
func WriteEvent(out io.Writer, r schemas.Envelope, asJSON bool) error {
	m := r.Meta()
	if asJSON {
		doc := eventDoc{r.Seq, r.ID, r.Type, r.Stream, r.Revision, m.Tenant, "", m.Source, m.Subjects, r.Data}
		if !m.Occurred.IsZero() {
			doc.Occurred = schemas.Time(m.Occurred)
		}
		_, err := fmt.Fprintf(out, "%s\n", schemas.JSON(doc))
		return err
	}
	when := m.Occurred
	if when.IsZero() {
		when = m.Recorded
	}
	_, err := fmt.Fprintf(out, "%8d  %s  %s %s@%d  %s\n", r.Seq, when.Local().Format(time.DateTime),
		terminal.Left(r.Type, 28), shortStream(r.Stream), r.Revision, told(r.Type, projections.RowOf(r).Values))
	return err
}

// told are an event's values in a line: those that lead its type, then what stands open, then what
// is sealed, of which the last are left out where there are many.
func told(of string, values []projections.Value) string {
	var leads []string
	if t := schemas.Default().Type(of); t != nil {
		leads = t.Leads
	}
	slices.SortStableFunc(values, func(a, b projections.Value) int {
		return cmp.Compare(rank(a, leads), rank(b, leads))
	})
	var out []string
	for _, v := range values {
		switch {
		case v.Removed:
			out = append(out, "-"+v.Attribute)
		case schemas.IsSealed(v.Text):
			out = append(out, v.Attribute+"=●")
		default:
			out = append(out, v.Attribute+"="+v.Text)
		}
	}
	const most = 8
	if n := len(out); n > most {
		out = append(out[:most], fmt.Sprintf("… %d more", n-most))
	}
	return strings.Join(out, " ")
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
