package plan

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
	"github.com/ledgerline/ledgerline/schemas"
)

// Step is one append. Its events have their ids and bytes once Finish has returned.
type Step struct {
	Stream schemas.Stream
	Expect ledger.Expect
	Events []schemas.Event
}

// ErrNeedState says that a stream must be read before the record can be planned.
var ErrNeedState = errors.New("a stream has to be read first")

// Planner turns the records of a batch into sealed events, inside one vault transaction. Use it
// from one goroutine.
type Planner struct {
	Tx        *vault.Tx
	Tenant    vault.Tenant
	Catalogue *schemas.Catalogue
	Unlimited bool   // without the daily limit; tests alone set it
	Hands     int    // goroutines that encode beside the planning
	Tally     *Tally // of the record being planned

	kinds    *Kinds
	recorded time.Time
	states   map[schemas.Stream]*StreamState // read, minted in this transaction, or planned
	needs    map[schemas.Stream]bool         // found missing
	empty    map[schemas.Stream]bool         // streams that this transaction made
	met      []Met                           // whom the record being planned names by their ids
	encoder  encoder

	refusedItems     int         // values of the record being planned that the tenant's policy refuses
	rests, unsettled []taken.Tag // of the record being planned
	asOf             uint64      // of the oldest state that it was planned on
}

// StreamState is what is known of one stream: how far it goes, and what its kind makes of it.
type StreamState struct {
	Stream  schemas.Stream
	Exists  bool // the stream has events of the tenant's own
	Content Content

	Expect ledger.Expect // of the next append: whosever events keep their revisions
	Folded time.Time
	AsOf   uint64 // the count of unsettlings in the vault before it was read: of later ones it knows nothing
	Behind int    // events of the tenant's own behind what is remembered of the stream
}

// usualState is what a state is held to take that does not say it.
const usualState = 4 << 10

// Size is about how many bytes of memory the state takes.
func (st *StreamState) Size() int {
	if c, ok := st.Content.(interface{ Size() int }); ok {
		return usualState + c.Size()
	}
	return usualState
}

// UserAt returns who used the thing of the stream then, uuid.Nil for nobody: its kind may know.
func (st *StreamState) UserAt(at time.Time) uuid.UUID {
	if u, ok := st.Content.(interface{ UserAt(time.Time) uuid.UUID }); ok {
		return u.UserAt(at)
	}
	return uuid.Nil
}

// States are what is known of the streams, as planned.
func (p *Planner) States() map[schemas.Stream]*StreamState { return p.states }

// Needs are the streams that planning found missing.
func (p *Planner) Needs() map[schemas.Stream]bool { return p.needs }

// State returns what is known of a stream. ErrNeedState: it has to be read first, and is asked
// for.
func (p *Planner) State(s schemas.Stream) (*StreamState, error) {
	p.rests = append(p.rests, taken.TagOf(s))
	st := p.states[s]
	if st == nil && p.empty[s] {
		content, err := p.kinds.Fold(p.Tx, History{Stream: s, Left: &ledger.LeftOut{}})
		if err != nil {
			return nil, err
		}
		count, _ := p.Tx.Known().Count()
		st = &StreamState{Stream: s, Expect: ledger.NoStream, Folded: p.recorded, AsOf: count, Content: content}
		p.states[s] = st
	}
	if st == nil {
		p.needs[s] = true
		return nil, ErrNeedState
	}
	p.asOf = min(p.asOf, st.AsOf)
	return st, nil
}

// Device finds or mints a device. Its ID is uuid.Nil where the hint identifies none.
func (p *Planner) Device(h vault.DeviceHint) (vault.Device, error) {
	d, created, err := p.Tx.Device(h)
	if created && err == nil {
		p.empty[d.Stream] = true
	}
	return d, err
}

// Person finds or mints a person, and notes that the record names them by their id. uuid.Nil:
// nobody.
func (p *Planner) Person(h vault.PersonHint) (uuid.UUID, error) {
	id, _, err := p.Tx.Person(h)
	if err == nil && id != uuid.Nil && h.ObjectID != "" {
		p.Meet(Met{Person: id, IDs: []string{h.ObjectID}})
	}
	return id, err
}

// Whom finds somebody, and mints them where it may. erased: nothing of theirs may be kept.
func (p *Planner) Whom(h vault.PersonHint, mint bool) (id uuid.UUID, erased bool, err error) {
	if mint {
		id, err = p.Person(h)
	} else {
		id, _, err = p.Tx.FindPerson(h)
	}
	if errors.Is(err, vault.ErrErasedSubject) {
		return uuid.Nil, true, nil
	}
	return id, false, err
}

// PersonStream finds or mints the stream of what one kind of record tells of a person.
func (p *Planner) PersonStream(kind string, person uuid.UUID) (schemas.Stream, error) {
	return p.minted(p.Tx.PersonStream(kind, person))
}

// minted notes that a stream that was made now holds nothing.
func (p *Planner) minted(s schemas.Stream, created bool, err error) (schemas.Stream, error) {
	if created && err == nil {
		p.empty[s] = true
	}
	return s, err
}

// NewStream mints a stream of the kind, to which nothing leads yet.
func (p *Planner) NewStream(kind string) schemas.Stream {
	s := schemas.NewStream(kind, uuid.New())
	p.empty[s] = true
	return s
}

// Mapped finds or mints the stream that is found by what its record is told apart by.
func (p *Planner) Mapped(m vault.Mapped) (schemas.Stream, error) {
	return p.minted(p.Tx.MappedStream(m.Kind, m.Canonical))
}

// Meet notes whom or what the record names by an id of its own: who waits for it is told.
func (p *Planner) Meet(m Met) { p.met = append(p.met, m) }

// Unsettle says that what the record writes to a stream may change what becomes of records that
// were taken before: it is late, or tells whose the stream's thing is. The others of a snapshot
// that is newer than all before it are superseded or unchanged, as before.
func (p *Planner) Unsettle(s schemas.Stream) {
	if st := p.states[s]; p.empty[s] && st != nil && !st.Exists {
		return // nothing rests on what was made for this record
	}
	t := taken.TagOf(s)
	p.unsettled = append(p.unsettled, t)
	p.Tx.Known().Unsettle(t)
}

// MeetAnew forgets whom the record was found to name: it is resolved once more.
func (p *Planner) MeetAnew() { p.met = p.met[:0] }

// Draft returns an empty event of the type.
func (p *Planner) Draft(t *schemas.Type, s schemas.Stream, source string, occurred time.Time) schemas.Draft {
	return schemas.Draft{Type: t, Tenant: p.Tenant.ID, Stream: s, ID: schemas.NewID(), Occurred: occurred,
		Recorded: p.recorded, Source: source, Policy: p.Tenant.Policy.Number}
}

// Unwritten returns what a snapshot counts as that changes nothing. late says that it tells
// something otherwise and is not newer, sameMoment that it is of the same moment.
func (p *Planner) Unwritten(late, sameMoment bool) Outcome {
	if !late {
		return Unchanged
	}
	p.Tally.SameMoment = sameMoment
	return Superseded
}

// Advance notes that the steps will have been appended.
func (st *StreamState) Advance(steps []Step) {
	for _, s := range steps {
		st.Expect = st.Expect.After(uint64(len(s.Events)))
		st.Behind += len(s.Events)
		st.Exists = st.Exists || len(s.Events) > 0
	}
}

// Outcome is what becomes of a planned record.
type Outcome int

// Outcomes. A kind says of its records that they are Recorded, Unchanged or Superseded.
const (
	Recorded   Outcome = iota + 1 // it tells something new
	Unchanged                     // the ledger says so already
	Superseded                    // it is older than what the ledger says
	Refused                       // a rule keeps the whole record out
	Failed                        // it cannot be taken in
)

// Result is what planning came to.
type Result struct {
	Steps   []Step
	Becomes Outcome // once the steps are appended
	Rule    string  // of a refused record
	Field   string  // of a failed one
	Reason  string
	Tally   Tally

	// What becomes of the record rests on these streams and names, unless it is Vague: then it
	// rests on more. Unsettled are those on which no record can rest that was taken before, of the
	// streams, and Renamed of the names: others may have those now, whatever becomes of it.
	Rests, Unsettled, Renamed []taken.Tag
	Vague                     bool
	AsOf                      uint64 // the count of unsettlings as of which it rests on them
}

// Bar is the rule by which a whole record is kept out: before it is planned, or as the error of
// its planning. The zero Bar is none.
type Bar struct{ Rule, Category string }

func (b Bar) Error() string { return "is kept out by the rule " + b.Rule }

// Forged is the bar of a record that holds a text that would be taken for a sealed value.
var Forged = Bar{RuleSealed, categoryRecord}

// NeverOf is the bar of a record that as a whole is never collected.
func NeverOf(category string) Bar { return Bar{ruleOf(category), category} }

// Plan settles what becomes of the record. parsed is what reading it counted; bar keeps the whole
// of it out, whatever it says. ErrNeedState: streams have to be read first. Any other error is one
// that ends the import.
func (p *Planner) Plan(r Record, parsed Tally, bar Bar) (Result, error) {
	p.Tx.Known().Names() // of whoever asked before
	p.asOf, _ = p.Tx.Known().Count()
	out, err := p.plan(r, parsed, bar)
	out.Renamed, out.AsOf = p.Tx.Known().Names(), p.asOf
	return out, err
}

func (p *Planner) plan(r Record, parsed Tally, bar Bar) (Result, error) {
	if bar.Rule != "" {
		return p.refuse(r, parsed, bar.Rule, bar.Category)
	}
	p.Tally = &Tally{}
	*p.Tally = parsed
	p.MeetAnew()
	p.Tx.Known().Rests(nil) // of whoever asked before
	p.rests, p.unsettled = nil, nil
	out, err := p.resolve(p.without(r))
	rests, sure := p.Tx.Known().Rests(p.rests)
	out.Rests, out.Unsettled, out.Vague = rests, p.unsettled, !sure
	var field *record.FieldError
	switch {
	case err == nil:
		out.Tally = *p.Tally
		return out, nil
	case errors.As(err, &bar):
		if bar.Rule == RulePolicy { // which values it refuses stays counted
			parsed = *p.Tally
		}
		return p.refuse(r, parsed, bar.Rule, bar.Category)
	case errors.Is(err, vault.ErrErasedSubject), errors.Is(err, vault.ErrErased):
		return p.refuse(r, parsed, RuleErased, categoryRecord)
	case errors.Is(err, vault.ErrExpired):
		return p.refuse(r, parsed, RuleExpired, categoryRecord)
	case errors.As(err, &field):
		return Result{Becomes: Failed, Field: field.Field, Reason: field.Reason, Tally: parsed}, nil
	case errors.Is(err, schemas.ErrTooLarge):
		return Result{Becomes: Failed, Reason: "is larger than one event may be", Tally: parsed}, nil
	}
	return Result{}, err
}

// resolve plans the record, and those that waited for whom it names.
func (p *Planner) resolve(r Record) (out Result, err error) {
	act, becomes, err := r.Plan(p)
	if err != nil || act == nil {
		return Result{Becomes: becomes}, err
	}
	waits, err := p.waitingFor()
	if err != nil {
		return out, err
	}
	if out.Steps, out.Becomes, err = act(); err != nil {
		return out, err
	}
	source, _ := r.Origin()
	links, err := p.link(source, waits)
	if err != nil {
		return out, err
	}
	if out.Steps = append(out.Steps, links...); len(links) > 0 {
		out.Becomes = Recorded
	}
	for _, l := range links {
		p.Unsettle(l.Stream)
	}
	return out, nil
}

// waitingFor returns the streams that wait for those whom the record names. They have to be read
// first: all that are missing are asked for at once.
func (p *Planner) waitingFor() (out []Waiting, err error) {
	for _, m := range p.met {
		if p.kinds.awaited.has(m.Person, m.Device) {
			continue
		}
		streams, awaitErr := p.Tx.Awaiting(m.Owner(), p.kinds.linked, m.IDs...)
		if awaitErr != nil {
			return nil, awaitErr
		}
		for _, s := range streams {
			st, stateErr := p.State(s)
			if stateErr != nil {
				err = stateErr
				continue
			}
			out = append(out, Waiting{m, st})
		}
		st := p.states[m.Stream]
		if len(streams) == 0 && (m.Device == uuid.Nil || st != nil && st.Exists) {
			p.kinds.awaited.add(m.Person, m.Device)
		}
	}
	return out, err
}

// link lets each kind add to its streams that waited.
func (p *Planner) link(source string, waits []Waiting) (steps []Step, err error) {
	by := map[string][]Waiting{}
	for _, w := range waits {
		by[w.State.Stream.Kind()] = append(by[w.State.Stream.Kind()], w)
	}
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		linker, ok := p.kinds.byStream[kind].(Linker)
		if !ok {
			continue
		}
		own, err := linker.Link(p, source, by[kind])
		if err != nil {
			return nil, err
		}
		steps = append(steps, own...)
	}
	return steps, nil
}
