package report

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// requestRegister: the requests of data subjects, and how each stands.
var requestRegister = Definition{
	ID:    "requests",
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{ID: "number", Type: document.Text},
		{ID: "right", Type: document.Text},
		{ID: "requester", Type: document.Text},
		{ID: "identityMethod", Type: document.Text},
		{ID: "received", Type: document.Text},
		{ID: "due", Type: document.Text},
		{ID: "daysLeft", Type: document.Number},
		{ID: "requestState", Type: document.Text},
		{ID: "answered", Type: document.Instant},
		{ID: "ground", Type: document.Text},
		{ID: "files", Type: document.Number},
		{ID: "package", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "right", Attr: "request.right"},
		{ID: "state", Attr: content.OfRequestState, Known: func() []string { return requestStates }},
		{ID: "open", Flag: true},
	},
	Rows: requestRows,
}

// requestStates are how far a request can be, in that order.
var requestStates = []string{stateReceived, statePackaged, stateOrdered, stateErased}

const (
	stateReceived = "received"
	statePackaged = "package-made"
	stateOrdered  = "erasure-ordered"
	stateErased   = "erased"
)

// standing is what the ledger says of one request.
type standing struct {
	opened   projections.RequestAct
	state    string
	answered time.Time              // zero: it waits for an answer
	ground   Cell                   // of an erasure
	packaged projections.RequestAct // the latest package
	seq      uint64                 // of the latest event about it
}

// take adds what an event says. An access package answers whoever asked for their data, an erasure
// whoever asked for that; of other rights the ledger records no answer yet.
func (s *standing) take(act projections.RequestAct, state string) {
	s.seq = max(s.seq, act.Seq)
	if slices.Index(requestStates, state) > slices.Index(requestStates, s.state) {
		s.state = state
	}
	right := string(s.opened.Right)
	answers := state == statePackaged && (right == "access" || right == "portability") ||
		state == stateErased && right == "erasure"
	if answers && s.answered.IsZero() {
		s.answered = act.Occurred
	}
}

// requestRows fold the events of each request, and hold one entry for each.
func requestRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		known := map[schemas.Stream]*standing{}
		ordered := map[string]*standing{} // by the event that orders an erasure
		var all []*standing
		for act, err := range q.Reader.Requests(ctx, q.Tenant, q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			s := known[act.Stream]
			switch act.Type {
			case "request.opened.v1":
				if s == nil {
					s = &standing{opened: act, state: stateReceived, seq: act.Seq}
					known[act.Stream], all = s, append(all, s)
				}
			case "request.access-packaged.v1":
				if s != nil {
					s.packaged = act
					s.take(act, statePackaged)
				}
			case "request.erasure-ordered.v1":
				if s != nil {
					s.ground = of("request.ground", act.Ground, act.EventID)
					ordered[act.EventID.String()] = s
					s.take(act, stateOrdered)
				}
			case "subject.erased.v1":
				if s := ordered[string(act.Order)]; s != nil {
					s.take(act, stateErased)
				}
			}
		}
		_, open := q.Filter["open"]
		for _, s := range all {
			if !among(q.Filter["right"], string(s.opened.Right)) || !among(q.Filter["state"], s.state) ||
				open && !s.answered.IsZero() {
				continue
			}
			if !yield(s.row(q), nil) {
				return
			}
		}
	}
}

// among reports whether a filter that has these values lets one pass.
func among(want []string, value string) bool { return len(want) == 0 || slices.Contains(want, value) }

func (s *standing) row(q *question) Row {
	in := func(attr string, t projections.Text) Cell { return of(attr, t, s.opened.EventID) }
	var left, files Cell
	due, err := time.ParseInLocation(time.DateOnly, string(s.opened.Due), q.Zone)
	if err == nil && s.answered.IsZero() {
		left = whole(daysBetween(q.Moment().In(q.Zone), due))
	}
	if s.packaged.Seq > 0 {
		files = number(s.packaged.Files)
	}
	return Row{
		Key: string(s.opened.Stream), Seq: s.seq,
		Cells: cells(
			text(s.opened.Stream.UUID().String()), in("request.right", s.opened.Right),
			in("request.subject", s.opened.Subject), in("request.identity-method", s.opened.IdentityMethod),
			in("request.received", s.opened.Received), in("request.due", s.opened.Due), left,
			named(content.OfRequestState, s.state), instant(s.answered), s.ground, files,
			of("request.package", s.packaged.Package, s.packaged.EventID), sequence(s.seq),
		),
	}
}

// daysBetween counts midnights from one time to another by the calendar of their zone; fewer than
// none where the second is before.
func daysBetween(from, to time.Time) int {
	date := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(date(to).Sub(date(from)) / (24 * time.Hour))
}
