package intake

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// outcome is how a record is counted; each has exactly one.
type outcome int

const (
	pending outcome = iota
	recorded
	unchanged
	superseded
	refusedWhole
	unrecognised
	failed
	noted // no record: something to be told
)

// entry is one record on its way.
type entry struct {
	file         string
	line, number int
	size         int // bytes of its source

	kind         string // what it is, in the source's words
	named        bool   // and the ledger knows that name, or the record says it itself
	tenant       string // source tenant that it names
	othersTenant bool   // which is not declared
	heldBack     bool   // failed for naming none beside others that do
	decoded      bool   // it, or a part of it, stood in a text

	looks             *looks // of a file, where noted
	looked            bool   // only progress of the look before the import
	bytes, bytesTotal int64  // how far the source is read

	fact   *fact
	snap   *snapshot
	fields map[string]int // unknown, by name
	forged bool           // holds a text that would be taken for a sealed value

	outcome outcome
	rule    string // of a wholly refused one
	field   string // of a failed one
	reason  string

	steps         []step
	planned       outcome // what it counts as once its steps are done
	events        int     // appended
	wrote         bool    // some of them to the device or action itself
	sameMoment    bool    // superseded by another that is of the same moment
	kept, refused int     // list items
	omitted       int     // values of erased persons, left out
	cut           int     // values that were cut
	supplemented  bool    // told something of an action that the ledger lacked
	disputed      bool    // told something of an action otherwise than the ledger
}

// step is one append.
type step struct {
	stream schemas.Stream
	expect ledger.Expect
	events []schemas.Event
}

// errNeedState says that a stream must be read before the record can be planned.
var errNeedState = errors.New("a stream has to be read first")

// planner turns the records of a batch into sealed events, inside one vault transaction.
type planner struct {
	in       *Intake
	tx       *vault.Tx
	tenant   vault.Tenant
	recorded time.Time
	states   map[schemas.Stream]*state // read, minted in this transaction, or planned
	needs    map[schemas.Stream]bool   // found missing
	minted   map[uuid.UUID]bool        // devices that this transaction made: their streams are empty
	met      []met                     // whom the record being planned names by their ids
}

// state returns what is known of a stream. fresh says that nothing can be in it.
func (p *planner) state(s schemas.Stream, fresh bool) (*state, error) {
	st := p.states[s]
	if st == nil && fresh {
		st = newState(s, p.recorded)
		p.states[s] = st
	}
	if st == nil {
		p.needs[s] = true
		return nil, errNeedState
	}
	return st, nil
}

// plan settles what becomes of the record. It leaves an entry pending whose streams have to be read
// first. An error is one that ends the import.
func (p *planner) plan(e *entry) error {
	e.steps, e.kept, e.refused, e.omitted, e.rule, e.sameMoment = nil, 0, 0, 0, "", false
	e.supplemented, e.disputed = false, false
	p.met = p.met[:0]
	if e.forged {
		return p.refuse(e, ruleSealed)
	}
	var err error
	if e.fact != nil {
		err = p.planFact(e)
	} else {
		err = p.planSnapshot(e)
	}
	var field *fieldError
	switch {
	case err == nil:
	case errors.Is(err, errNeedState):
		return nil
	case errors.Is(err, vault.ErrErasedSubject), errors.Is(err, vault.ErrErased):
		return p.refuse(e, ruleErased)
	case errors.Is(err, vault.ErrExpired):
		return p.refuse(e, ruleExpired)
	case errors.As(err, &field):
		e.outcome, e.field, e.reason = failed, field.field, field.reason
	case errors.Is(err, schemas.ErrTooLarge):
		e.outcome, e.reason = failed, "is larger than one event may be"
	default:
		return fmt.Errorf("record %d of %s: %w", e.number, e.kindName(), err)
	}
	if e.outcome == pending && len(e.steps) == 0 {
		e.outcome = e.planned
	}
	return nil
}

// kindName names the record without telling which file it is in.
func (e *entry) kindName() string {
	if e.fact != nil {
		return "an audit source"
	}
	return "a device source"
}

// encode seals the drafts and groups them into appends to one stream, the first where the
// stream ended when it was folded.
func (p *planner) encode(st *state, drafts []schemas.Draft) ([]step, error) {
	var steps []step
	expect := st.expect
	size := 0
	for i := range drafts {
		d := &drafts[i]
		if err := p.tx.Seal(d); err != nil {
			return nil, err
		}
		event, err := p.in.cfg.Catalogue.Encode(*d)
		if err != nil {
			return nil, err
		}
		if len(steps) == 0 || size+event.Size() > schemas.MaxAppendBytes {
			steps = append(steps, step{stream: st.stream, expect: expect})
			size = 0
		}
		last := &steps[len(steps)-1]
		last.events = append(last.events, event)
		size += event.Size()
		expect = expect.After(1)
	}
	return steps, nil
}

// advance notes that the steps will have been appended.
func (s *state) advance(steps []step) {
	for _, st := range steps {
		s.expect = s.expect.After(uint64(len(st.events)))
		s.exists = s.exists || len(st.events) > 0
	}
}

func (p *planner) drafter(stream schemas.Stream, source string, occurred time.Time) drafter {
	return drafter{tenant: p.tenant, stream: stream, source: source, occurred: occurred, recorded: p.recorded}
}

// expired refuses a snapshot that may be of a month whose data has been destroyed: one without a
// proven age is of its last contact.
func (p *planner) expired(s *snapshot) error {
	if s.proven || s.contact.IsZero() {
		return nil
	}
	classes := map[string]bool{}
	for a := range s.values {
		classes[a.Class] = true
	}
	for _, l := range s.lists {
		classes[l.attr.Class] = true
	}
	for _, c := range sortedKeys(classes) {
		gone, err := p.tx.Expired(c, s.contact)
		if err != nil {
			return err
		}
		if gone {
			return vault.ErrExpired
		}
	}
	return nil
}

func (p *planner) planSnapshot(e *entry) error {
	s := e.snap.clone() // a record may be planned more than once
	if err := p.expired(s); err != nil {
		return err
	}
	device, created, err := p.tx.Device(vault.DeviceHint{IntuneID: s.intuneID,
		DirectoryID: s.directoryID, At: s.age()})
	if err != nil {
		return err
	}
	if device.ID == uuid.Nil {
		return &fieldError{"id", "identifies no device"}
	}
	if created {
		p.minted[device.ID] = true
	}
	st, err := p.state(device.Stream, p.minted[device.ID])
	if err != nil {
		return err
	}
	if st.exists {
		var over bool
		if over, e.sameMoment = p.in.contradicts(st, s); over {
			e.planned = superseded
			return nil
		}
	}
	told, user, err := p.user(e, s, st)
	if err != nil {
		return err
	}
	owner, then := p.in.ownershipOf(st, s)
	lists, refusals, err := p.lists(e, device.Stream, then)
	if err != nil {
		return err
	}
	if then != owner {
		refusals = e.snap.refused // no news about the device as it is now
	}
	p.met = append(p.met, met{device: device.ID, ids: []string{s.intuneID, s.directoryID}})
	waits, err := p.waitingFor()
	if err != nil {
		return err
	}
	diff := p.in.diff(st, s, told, user, owner, lists)
	steps, states, err := p.refusals(e, device.Stream, refusals)
	if err != nil {
		return err
	}
	var changes []step
	var whose holding
	if diff.writes() {
		at := s.age() // of a holder's period; none that is proven: the snapshot's
		if at.IsZero() {
			at = s.observed
		}
		device, err = p.tx.SetHolder(device.ID, vaultOwnership(diff.owner), diff.user, st.latest(at))
		if err != nil {
			return err
		}
		d := p.drafter(device.Stream, s.source, s.observed)
		whose = holding{device: device.ID, ownership: diff.owner, user: diff.user}
		d.holding = whose
		if err := p.former(st, diff.deltas); err != nil {
			return err
		}
		tellsOf(e.snap, st).protect(diff)
		if changes, err = p.encode(st, p.in.drafts(d, st, s, diff)); err != nil {
			return err
		}
		e.planned = recorded
	} else if e.planned = unchanged; diff.late {
		e.planned, e.sameMoment = superseded, diff.moments
	}
	for _, r := range states {
		r.apply()
	}
	st.advance(changes)
	p.in.apply(st, s, diff)
	whose.own(st, diff)
	links, err := p.link(s.source, waits)
	if err != nil {
		return err
	}
	if e.steps = slices.Concat(steps, changes, links); len(links) > 0 {
		e.planned = recorded
	}
	return nil
}

// former says of each removed value whose it was: the event that removes it names them. Whose erasure has
// begun is named nowhere any more.
func (p *planner) former(st *state, deltas []delta) error {
	for i := range deltas {
		c := &deltas[i]
		who := st.persons[place{c.attr, c.element}]
		if !c.removed || who == uuid.Nil {
			continue
		}
		if _, err := p.tx.Aliases(who, c.attr.Class); errors.Is(err, vault.ErrErased) {
			continue
		} else if err != nil {
			return err
		}
		c.person = who
	}
	return nil
}

// vaultOwnership is the ownership as the vault knows it: whatever is not told apart is unknown.
func vaultOwnership(s string) string {
	if s == ownershipCompany || s == "personal" {
		return s
	}
	return ""
}

// user resolves whom the snapshot names, leaving out of it what may not be kept: everything of a
// person whose erasure is not older than the record. A snapshot that is not later than what is
// known of the user changes nothing about who that is.
func (p *planner) user(e *entry, s *snapshot, st *state) (userHint, uuid.UUID, error) {
	c := p.in.cfg.Catalogue
	id, upn := c.MustAttribute(attrUserID), c.MustAttribute(attrUserUPN)
	told := p.in.userOf(s)
	if told == userUntold {
		return told, uuid.Nil, nil
	}
	knownID, hasID := st.values[id]
	knownUPN, hasUPN := st.values[upn]
	at := knownID.moment
	if !hasID || hasUPN && knownUPN.newer(at) {
		at = knownUPN.moment
	}
	if (hasID || hasUPN) && !s.newer(at) {
		sameID := s.values[id] != nil && string(s.values[id]) == string(knownID.plain)
		sameUPN := s.values[upn] != nil && strings.EqualFold(string(s.values[upn]), string(knownUPN.plain))
		if told == userNone && st.user == uuid.Nil || sameID || sameUPN {
			return told, st.user, nil
		}
		s.dropUser()
		return userUntold, uuid.Nil, nil
	}
	if told == userNone {
		return told, uuid.Nil, nil
	}
	text := func(a *schemas.Attribute) string {
		t, _ := asText(s.values[a])
		return t
	}
	object, _ := asGUID(text(id))
	user, err := p.person(vault.PersonHint{ObjectID: object, UPN: text(upn),
		Email: text(c.MustAttribute(attrUserEmail)), At: s.age()})
	if errors.Is(err, vault.ErrErasedSubject) {
		e.omitted += s.dropUser()
		return userUntold, uuid.Nil, nil
	}
	return told, user, err
}

// dropUser takes out what is the device user's own, wherever it stands, and returns how many
// values that were.
func (s *snapshot) dropUser() (n int) {
	persons := tellsOf(s, nil).persons
	for a, v := range s.values {
		if ofUser(a) || persons.in(a, v) {
			delete(s.values, a)
			n++
		}
	}
	clear(s.none)
	return n
}

// lists gives the entries of the reported lists their elements, and refuses
// those that policy keeps out.
func (p *planner) lists(e *entry, stream schemas.Stream, ownership string) ([]resolvedList, []refusal, error) {
	refusals := e.snap.refused
	var out []resolvedList
	for _, l := range e.snap.lists {
		if l.attr.ID == attrApp {
			if ownership != ownershipCompany {
				e.refused += len(l.items)
				refusals = append(refusals[:len(refusals):len(refusals)],
					refusal{rulePersonalApps, categoryApps, len(l.items)})
				continue
			}
			e.kept += len(l.items)
		}
		name, _ := p.in.types.restated.Member(l.attr)
		r := resolvedList{attr: l.attr, complete: l.complete, items: map[string]resolvedItem{}}
		for _, item := range l.items {
			var person uuid.UUID
			if item.person != "" {
				var err error
				if person, err = p.person(vault.PersonHint{ObjectID: item.person,
					At: e.snap.age()}); errors.Is(err, vault.ErrErasedSubject) {
					e.omitted++
					continue
				} else if err != nil {
					return nil, nil, err
				}
			}
			element, err := p.tx.Element(stream, name, item.key)
			if err != nil {
				return nil, nil, err
			}
			r.elements = append(r.elements, element.String())
			r.items[element.String()] = resolvedItem{item.value, person}
		}
		out = append(out, r)
	}
	return out, refusals, nil
}

// refusalState is a refusal stream's state, to be brought forward once the record is planned.
type refusalState struct {
	st    *state
	steps []step
	count int
	at    time.Time
}

func (r refusalState) apply() {
	r.st.advance(r.steps)
	r.st.refused, r.st.refusedAt = r.count, r.at
}

// refusals reports what rules keep out of a stream: first, and when a later count differs.
func (p *planner) refusals(
	e *entry, concerned schemas.Stream, refused []refusal,
) (steps []step, states []refusalState, err error) {
	for _, r := range refused {
		stream, created, err := p.tx.RefusalStream(concerned, r.rule)
		if err != nil {
			return nil, nil, err
		}
		st, err := p.state(stream, created)
		if err != nil {
			return nil, nil, err
		}
		if st.exists && (st.refused == r.count || !e.snap.observed.After(st.refusedAt)) {
			continue
		}
		d := p.drafter(stream, e.snap.source, e.snap.observed)
		own, err := p.encode(st, []schemas.Draft{p.refusalDraft(d, r)})
		if err != nil {
			return nil, nil, err
		}
		steps = append(steps, own...)
		states = append(states, refusalState{st, own, r.count, e.snap.observed})
	}
	return steps, states, nil
}

func (p *planner) refusalDraft(d drafter, r refusal) schemas.Draft {
	c := p.in.cfg.Catalogue
	draft := d.draft(p.in.types.refusal)
	draft.Values = []schemas.Value{
		{Attr: c.MustAttribute("refusal.rule"), Plain: schemas.JSON(r.rule)},
		{Attr: c.MustAttribute("refusal.category"), Plain: schemas.JSON(r.category)},
		{Attr: c.MustAttribute("refusal.count"), Plain: schemas.JSON(r.count)},
	}
	return draft
}

// refuse keeps a whole record out: a fact of its own, without content and without anybody.
func (p *planner) refuse(e *entry, rule string) error {
	e.steps, e.kept, e.refused, e.omitted = nil, 0, 0, 0
	e.rule, e.planned = rule, refusedWhole
	var stream schemas.Stream
	var created bool
	var err error
	d := drafter{}
	if e.fact != nil {
		stream = p.tx.FactStream("refusal", namespaceAudit, e.fact.id)
		d = p.drafter(stream, e.fact.source, e.fact.occurred)
	} else {
		stream, created, err = p.tx.MappedStream("refusal", canonicalRefused(rule, e))
		d = p.drafter(stream, e.snap.source, e.snap.observed)
	}
	if err != nil {
		return fmt.Errorf("refuse a record: %w", err)
	}
	st, err := p.state(stream, created)
	if err != nil {
		return nil // pending until it is read
	}
	if !st.exists {
		e.steps, err = p.encode(st, []schemas.Draft{p.refusalDraft(d, refusal{rule, categoryRecord, 1})})
		if err != nil {
			return fmt.Errorf("refuse a record: %w", err)
		}
		st.advance(e.steps)
	}
	if len(e.steps) == 0 {
		e.outcome = refusedWhole
	}
	return nil
}

// canonicalRefused identifies a refused snapshot by device and time, which
// the vault keeps only as an HMAC.
func canonicalRefused(rule string, e *entry) []byte {
	b := schemas.LP(schemas.LP([]byte("refused"), rule), e.snap.intuneID)
	b = schemas.LP(schemas.LP(b, e.snap.directoryID), e.snap.source)
	return binary.BigEndian.AppendUint64(b, uint64(e.snap.age().Unix())) // a copy of the file is no other record
}

func (p *planner) planFact(e *entry) error {
	stream := p.tx.FactStream(p.in.types.action.Kind(), namespaceAudit, e.fact.id)
	st, err := p.state(stream, false)
	if err != nil {
		return err
	}
	if st.exists && st.action.recorded == uuid.Nil {
		e.planned = unchanged // by a program that knows more
		return nil
	}
	r := resolving{p: p, e: e, at: e.fact.occurred, mint: !st.exists}
	t, targets, err := p.telling(r)
	if err != nil {
		return err
	}
	e.cut = t.cut
	var n news
	if st.exists {
		n = st.action.compare(t)
		e.disputed = n.differs
		if n.none() {
			e.planned = unchanged
			return nil
		}
		// Only what is new makes anybody known.
		e.omitted, r.mint = 0, true
		if t, targets, err = p.telling(r); err != nil {
			return err
		}
		n = st.action.compare(t)
	}
	waits, err := p.waitingFor()
	if err != nil {
		return err
	}
	d := p.drafter(stream, e.fact.source, cmp.Or(st.occurredAt(), e.fact.occurred))
	var drafts []schemas.Draft
	if st.exists {
		drafts = p.in.newsDrafts(d, st.action, t.form, t.actor, n)
		e.supplemented = len(n.values)+len(n.targets) > 0
	} else {
		var correlation uuid.UUID
		if id, ok := asGUID(e.fact.correlation); ok {
			correlation = p.tx.Correlation(id)
		}
		drafts = p.in.recordedDrafts(d, t, correlation)
	}
	known := st.exists
	e.steps, err = p.encodeAction(st, drafts)
	if known && (errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrErased)) {
		e.planned, e.supplemented = unchanged, false // it is recorded, and nothing more of it may be kept
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.await(stream, st.action, targets); err != nil {
		return err
	}
	links, err := p.link(e.fact.source, waits)
	if err != nil {
		return err
	}
	e.steps = append(e.steps, links...)
	e.planned = recorded
	return nil
}

// occurredAt is when the action of the stream was, zero where it is not recorded or that is not known.
func (s *state) occurredAt() time.Time {
	if s.action == nil {
		return time.Time{}
	}
	return s.action.occurred
}

// telling puts the record's action into the ledger's terms, with everybody in it whom we know or may make known.
func (p *planner) telling(r resolving) (telling, []resolvedTarget, error) {
	p.met = p.met[:0]
	actor, erased, targets, err := r.resolve()
	if err != nil {
		return telling{}, nil, err
	}
	f := *r.e.fact
	if erased {
		f.actor.values = p.withoutPerson(r.e, f.actor)
	}
	t, err := p.in.tell(&f, actor, targets, r.yours(targets))
	return t, targets, err
}

// await remembers the ids among the targets of which nobody knows yet whose they are, and those of devices of which
// nothing is known but an action.
func (p *planner) await(stream schemas.Stream, a *toldAction, targets []resolvedTarget) error {
	for _, t := range targets {
		id, ok := asGUID(t.id)
		unknown := t.device == uuid.Nil && t.person == uuid.Nil && t.as != targetResource
		if t.device != uuid.Nil && t.person == uuid.Nil {
			st, err := p.state(schemas.NewStream("device", t.device), false)
			if err != nil {
				return err
			}
			unknown = !st.exists
		}
		if !ok || t.erased || !unknown {
			continue
		}
		if err := p.tx.Await(id, stream); err != nil {
			return err
		}
	}
	return nil
}
