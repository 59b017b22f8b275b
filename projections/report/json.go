package report

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// WriteJSON writes one object: header, columns, rows and totals, in this order. A row is an object by column id; a value
// is exact, a list an array; an instant has "local" and "utc"; what is not shown is {"state":"masked"}, "erased" or
// "expired". When an error is returned the output ends early and is no JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	b := bufio.NewWriter(w)
	put := func(s string) { _, _ = b.WriteString(s) } // an error stays in b until Flush
	put(`{"header":`)
	put(string(schemas.JSON(r.Header.json())))
	put(`,"columns":[`)
	for i, c := range r.Columns {
		if i > 0 {
			put(",")
		}
		put(string(schemas.JSON(struct {
			ID    string `json:"id"`
			Title string `json:"title"`
		}{c.ID, c.Title.In(r.Header.Lang)})))
	}
	put("],\"rows\":[")
	begun := false
	for row, err := range r.Rows() {
		if err = goOn(b, err); err != nil {
			return err
		}
		if begun {
			put(",")
		}
		begun = true
		put("\n{")
		n := 0
		for i, c := range r.Columns {
			cell := row.Cells[i]
			if len(cell) == 0 {
				continue
			}
			if n > 0 {
				put(",")
			}
			n++
			put(string(schemas.JSON(c.ID)) + ":")
			if c.Kind == Instant {
				put(string(schemas.JSON(instantJSON{cell[0].Time.In(r.Header.Location).Format("2006-01-02T15:04:05.000-07:00"), schemas.Time(cell[0].Time)})))
				continue
			}
			put(string(cellJSON(cell)))
		}
		put("}")
	}
	put("\n],\"totals\":")
	t := r.totals
	put(string(schemas.JSON(totalsJSON(t))))
	put("}\n")
	return b.Flush()
}

type instantJSON struct {
	Local string `json:"local"`
	UTC   string `json:"utc"`
}

type stateJSON struct {
	State string `json:"state"`
}

// Name is a state as machines read it.
func (s State) Name() string {
	return [...]string{"shown", "masked", "erased", "expired", "withheld", "lost", "not-genuine"}[s]
}

func (v Value) raw() json.RawMessage {
	switch {
	case v.State != Shown:
		return schemas.JSON(stateJSON{v.State.Name()})
	case !v.Time.IsZero():
		return schemas.JSON(v.Time.UTC().Format(time.RFC3339Nano))
	}
	return v.JSON
}

func cellJSON(c Cell) json.RawMessage {
	if len(c) == 1 {
		return c[0].raw()
	}
	b := []byte{'['}
	for i, v := range c {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v.raw()...)
	}
	return append(b, ']')
}

// WriteHeader writes the header alone as JSON, to lie beside machine CSV; totals are in it once the rows were written.
func (r *Report) WriteHeader(w io.Writer) error {
	out := struct {
		Header headerJSON  `json:"header"`
		Totals *totalsJSON `json:"totals,omitempty"`
	}{Header: r.Header.json()}
	if t, done := r.Totals(); done {
		j := totalsJSON(t)
		out.Totals = &j
	}
	_, err := w.Write(append(schemas.JSON(out), '\n'))
	return err
}
