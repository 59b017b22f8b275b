package answer

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

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
	row := projections.RowOf(r)
	var values []string
	for _, v := range row.Values {
		name := v.Attribute
		switch {
		case v.Removed:
			values = append(values, "-"+name)
		case schemas.IsSealed(v.Text):
			values = append(values, name+"=●")
		default:
			values = append(values, name+"="+v.Text)
		}
	}
	const most = 8
	if n := len(values); n > most {
		values = append(values[:most], fmt.Sprintf("… %d more", n-most))
	}
	_, err := fmt.Fprintf(out, "%8d  %s  %-28s %s@%d  %s\n", r.Seq, when.Local().Format(time.DateTime), r.Type,
		shortStream(r.Stream), r.Revision, strings.Join(values, " "))
	return err
}

// shortStream abbreviates a stream for reading: its kind and the first eight digits of its uuid.
func shortStream(s schemas.Stream) string {
	return s.Kind() + "-" + s.UUID().String()[:8]
}
