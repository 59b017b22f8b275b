package remoteaction

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// States of an action that rules are about.
const (
	stateRequested = "requested"
	stateFailed    = "failed"
)

// order is how far an action has come in a state: what comes later is not undone by what came
// before. One of which we do not know what it means is under way.
var order = []string{stateRequested, "approved", "pending", "active", "", "not-supported", "cancelled", stateFailed,
	"done"}

// endStates are those of an action that is over, one of which another may replace.
var endStates = order[5:]

func place(state string) int {
	if i := slices.Index(order, state); i >= 0 && state != "" {
		return i
	}
	return slices.Index(order, "")
}

// ended reports whether an action in that state is over.
func ended(state string) bool { return slices.Contains(endStates, state) }

// progress is how far an action has come, and when it was over, as far as that is told.
type progress struct {
	state     string
	completed time.Time
}

// beyond reports whether p is later than o. It orders them all, so that whatever is told first,
// the same stays: what is over is later than what is not, then by when, then by the state.
func (p progress) beyond(o progress) bool {
	pe, oe := ended(p.state), ended(o.state)
	if pe != oe {
		return pe
	}
	by := 0
	if pe {
		by = p.completed.Compare(o.completed)
	}
	return cmp.Or(by, place(p.state)-place(o.state), strings.Compare(p.state, o.state)) > 0
}

// held is a value of an action, and the rank of the form that told it. Of one that is gone the
// key was destroyed: it is neither told again nor replaced.
type held struct {
	plain json.RawMessage
	rank  int
	gone  bool
}

// state is what the ledger says of one action on one device.
type state struct {
	kind       *kind
	values     map[*schemas.Attribute]held
	target     uuid.UUID // whom its events name as the device's user; uuid.Nil for nobody
	targetGone bool      // they named somebody who is known no more
	planned    bool      // in this batch: the ledger may lack it still
}

func (s *state) text(a *schemas.Attribute) string {
	t, _ := record.AsText(s.values[a].plain)
	return t
}

func (s *state) time(a *schemas.Attribute) time.Time {
	at, _ := record.ParseTime(s.text(a))
	return at
}

// progress is how far the action has come; ok is false where nothing tells it any more.
func (s *state) progress() (p progress, ok bool) {
	h, known := s.values[s.kind.state]
	if !known {
		return p, false
	}
	return progress{s.text(s.kind.state), s.time(s.kind.completedAt)}, !h.gone
}

// Fold returns what the events of an action come to.
func (k *kind) Fold(tx *vault.Tx, h plan.History) (plan.Content, error) {
	s := &state{kind: k, values: map[*schemas.Attribute]held{}}
	tokens := map[*schemas.Attribute]vault.Sealed{}
	events := map[*schemas.Attribute]ledger.LeftEvent{}
	for _, own := range h.Events {
		rankOf := 0
		for _, v := range own.Draft.Values {
			if v.Attr == k.form {
				form, _ := record.AsText(v.Plain)
				rankOf = rank(form)
			}
		}
		for _, v := range own.Draft.Values {
			delete(tokens, v.Attr)
			switch {
			case v.Attr == k.form:
			case v.Removed:
				delete(s.values, v.Attr)
			default:
				s.values[v.Attr] = held{plain: v.Plain, rank: rankOf}
				if v.Token != "" {
					tokens[v.Attr] = vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: own.ID}
					events[v.Attr] = ledger.LeftEvent{ID: own.ID, Stream: own.Stream, Revision: own.Revision,
						Verdict: ledger.Unfitting}
				}
			}
		}
		for _, subject := range own.Draft.Subjects {
			if subject.Role != roleTarget {
				continue
			}
			person, err := entity.PersonOf(tx, subject.Alias)
			if err != nil {
				return nil, err
			}
			s.target, s.targetGone = person, person == uuid.Nil
		}
	}
	attrs := make([]*schemas.Attribute, 0, len(tokens))
	for _, a := range k.requestedType.Attributes() {
		if _, sealed := tokens[a]; sealed {
			attrs = append(attrs, a)
		}
	}
	sealed := make([]vault.Sealed, len(attrs))
	for i, a := range attrs {
		sealed[i] = tokens[a]
	}
	opened, err := tx.Open(sealed)
	if err != nil {
		return nil, err
	}
	left := map[uuid.UUID]bool{}
	for i, o := range opened {
		a := attrs[i]
		v := s.values[a]
		switch {
		case o.Err == nil:
			v.plain = o.Plain
		case entity.NotSet(o.Err):
			v.gone = true
		default:
			if e := events[a]; !left[e.ID] {
				left[e.ID] = true
				h.Left.Add(e)
			}
			delete(s.values, a)
			continue
		}
		s.values[a] = v
	}
	return s, nil
}

// change is a value that a telling sets, or takes back.
type change struct {
	attr    *schemas.Attribute
	plain   json.RawMessage
	removed bool
}

// news are the changes that a telling makes, in the catalogue's order. progressed says that the
// action has come farther; late that it is told to be less far than it is known to be.
func (s *state) news(t *telling) (out []change, progressed, late bool) {
	k, told := s.kind, rank(t.form)
	wins := func(a *schemas.Attribute, v json.RawMessage) bool {
		have, known := s.values[a]
		switch {
		case !known:
			return true
		case a == k.action || a == k.device: // of one action they are the same
			return false
		case have.gone || told < have.rank:
			return false
		case told > have.rank:
			return true // the same too: whose word it is decides later
		case a == k.requestedAt: // both have whole seconds
			return string(v) < string(have.plain)
		case a == k.withheld && len(v) == len(have.plain):
			return string(v) > string(have.plain)
		}
		return a == k.withheld && len(v) > len(have.plain)
	}
	now := progress{t.state, t.completed.UTC().Truncate(time.Second)} // as finely as it is kept
	was, known := s.progress()
	_, ever := s.values[k.state]
	progressed = !ever || known && now.beyond(was)
	late = known && was.beyond(now) && t.state != stateRequested
	for _, a := range k.requestedType.Attributes() {
		switch v := t.values[a]; {
		case a == k.state && progressed:
			out = append(out, change{attr: a, plain: schemas.JSON(t.state)})
		case a == k.completedAt && progressed && !t.completed.IsZero():
			out = append(out, change{attr: a, plain: schemas.JSON(record.WholeSeconds(t.completed))})
		case a == k.completedAt && progressed && s.values[a].plain != nil:
			out = append(out, change{attr: a, removed: true})
		case a == k.state, a == k.completedAt, v == nil:
		case wins(a, v):
			out = append(out, change{attr: a, plain: v})
		}
	}
	return out, progressed, late
}

// apply brings the state to what folding finds once the changes are in the ledger.
func (s *state) apply(changes []change, form string) {
	for _, c := range changes {
		if c.removed {
			delete(s.values, c.attr)
		} else {
			s.values[c.attr] = held{plain: c.plain, rank: rank(form)}
		}
	}
	s.planned = s.planned || len(changes) > 0
}
