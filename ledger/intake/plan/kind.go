package plan

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Kind is one kind of things that records tell of, such as devices or admin actions. It knows how
// its records are read and compared, and nothing of where they come from: neither files nor
// batches, nor how events are appended. It is used by several goroutines at once.
type Kind interface {
	// Forms are how sources write its records.
	Forms() []KindForm
	// Stream is the kind of its streams, as "device".
	Stream() string
	// Facts reports whether its records are facts, each a stream of its own. Those of the others
	// are snapshots of entities. Facts are planned and appended behind snapshots, so that they
	// find whom and what they name; the states of entities are kept between batches.
	Facts() bool
	// Fold returns what the ledger holds of one of its streams; of nothing, what it is before
	// anything is told.
	Fold(tx *vault.Tx, h History) (Content, error)
}

// History is what the ledger holds of one stream.
type History struct {
	Stream schemas.Stream
	// Known, unless nil, is what an earlier folding kept: Events are those behind it. It is an
	// error where it cannot be read: the whole stream says it all.
	Known  []byte
	Events []ledger.Own    // the tenant's own, in order
	Left   *ledger.LeftOut // gets what the vault cannot have sealed
	// Keep, unless nil, is called once with what folding comes to before anything is opened, where
	// that can be kept, and the persons of whom it knows something that their keys opened. The
	// kinds of facts never call it.
	Keep func(known []byte, persons []uuid.UUID) error
}

// Remembering is a Kind whose foldings keep what they have come to.
type Remembering interface {
	Kind
	// Ahead adds whom folding on from there will ask the vault for. It may miss somebody.
	Ahead(known []byte, a *vault.Ahead)
}

// Content is what a kind knows of one of its streams. The engine keeps it no longer than plaintext
// may be used without asking the vault again. Content that can be large has a method Size() int,
// which returns about how many bytes of memory it takes.
type Content any

// KindForm is how one source writes records of a kind, and how they are read.
type KindForm struct {
	source.Form
	// OwnTime says that its records tell their time: how their file is dated says nothing of them.
	OwnTime bool
	// Behind says that what becomes of its records rests on what others tell: they are planned
	// behind those of their batch.
	Behind bool
	// Parse puts a record into the kind's terms. A *record.FieldError fails that record alone.
	Parse func(Parsing) (Record, error)
}

// Parsing is what reading one record goes by.
type Parsing struct {
	record.Record
	File  record.Dating // dates a record that tells no time
	Now   time.Time
	Seen  *record.Seen
	Tally *Tally
	Never []Refusal // what the engine took out of the record: a kind tells it, and reads none of it
	// Around, of a Reading that looks into a member, is the record that has it.
	Around *record.Record
}

// Record is one record in its kind's terms. What it tells may be planned more than once.
type Record interface {
	// Origin is the source that issued it, and when what it tells was so.
	Origin() (source string, occurred time.Time)
	// Look names whom, what and which streams planning it will ask for: what it misses costs more
	// trips to the vault, and one more round where a stream has to be read.
	Look(*Looking)
	// Without returns the record without the values of the attributes that the tenant's policy
	// refuses, and how many of them it tells: itself where it tells none. It changes nothing.
	Without(refused func(*schemas.Attribute) bool) (Record, int)
	// Plan resolves whom and what the record names and compares it with what is known, and changes
	// no state. ErrNeedState: a stream has to be read first; it is asked for then. A nil Act means
	// that nothing is to be written, and the outcome stands.
	Plan(*Planner) (Act, Outcome, error)
	// RefusalStream is where it is told that a rule keeps the whole record out.
	RefusalStream(tx *vault.Tx, rule string) (s schemas.Stream, created bool, err error)
}

// Act seals and encodes what a record adds, and brings the states forward. It is called once all
// that is needed is known; only before it changes anything may it return ErrNeedState.
type Act func() (steps []Step, becomes Outcome, err error)

// Linker is a Kind of which streams may name an id before anybody knows whose it is.
type Linker interface {
	Kind
	// Link adds to streams that waited what is known by now.
	Link(p *Planner, source string, waits []Waiting) ([]Step, error)
}

// Met is somebody or something that a record names by an id of its own.
type Met struct {
	Person, Device uuid.UUID      // one of them
	Stream         schemas.Stream // of the device
	IDs            []string
}

// Owner is the person or the device.
func (m Met) Owner() uuid.UUID {
	if m.Person != uuid.Nil {
		return m.Person
	}
	return m.Device
}

// Waiting is a stream that named an id before anybody knew whose it is.
type Waiting struct {
	Met
	State *StreamState
}

// Tally counts what became of the parts of one record.
type Tally struct {
	Undated  bool // dated by the modification time of its file
	Unnamed  int  // entries of lists that cannot be told from others, left out
	Withheld int  // secrets and scripts, never stored

	Kept         int            // list entries allowed by policy
	Refused      map[string]int // list entries, by rule
	Omitted      int            // values of erased persons, left out
	Cut          int            // values that were no secrets, and too long or too many
	SameMoment   bool           // superseded by another that is of the same moment
	Supplemented bool           // told something of an action that the ledger lacked
	Disputed     bool           // told something otherwise than the ledger
	Contradicted int            // columns whose code says another thing than the words beside it
}

// RefuseItems counts entries that a rule keeps out.
func (t *Tally) RefuseItems(rule string, n int) {
	if t.Refused == nil {
		t.Refused = map[string]int{}
	}
	t.Refused[rule] += n
}

// Refusal is a part of a record that a rule keeps out.
type Refusal struct {
	Rule, Category string
	Count          int
}

// Looking collects what planning records will ask the vault for, so that it is asked for at once,
// and then finds which streams they will need.
type Looking struct {
	Tx     *vault.Tx
	needs  map[schemas.Stream]bool
	linked []string         // kinds of streams that may wait for an id
	order  []schemas.Stream // what was added to needs
	ahead  vault.Ahead
	// What is to be found.
	devices []lookedFor
	persons []personStream
	refused []refusedOf
	rules   map[int][]string // by which of ahead.Streams, those that may refuse a part of it
}

type refusedOf struct {
	concerned schemas.Stream
	key       string
}

type lookedFor struct {
	hint  vault.DeviceHint
	rules []string
}

type personStream struct {
	kind string
	hint vault.PersonHint
}

// Looking returns a look in the vault's transaction. What it finds is added to needs.
func (k *Kinds) Looking(tx *vault.Tx, needs map[schemas.Stream]bool) *Looking {
	return &Looking{Tx: tx, needs: needs, linked: k.linked}
}

// Need names a stream that planning will need.
func (l *Looking) Need(s schemas.Stream) {
	if !l.needs[s] {
		l.needs[s] = true
		l.order = append(l.order, s)
	}
}

// Found are the streams that were added to those needed, in the order in which the records named
// what they are of.
func (l *Looking) Found() []schemas.Stream { return l.order }

// Device names a device whose stream planning will need, if it is known, with the streams that
// count what the rules refused of it.
func (l *Looking) Device(h vault.DeviceHint, rules ...string) {
	l.Ask(h)
	l.devices = append(l.devices, lookedFor{h, rules})
}

// Refusals names the streams that count what was refused of one.
func (l *Looking) Refusals(concerned schemas.Stream, all []Refusal) {
	for _, r := range all {
		l.refused = append(l.refused, refusedOf{concerned, r.Key()})
	}
}

// Person names somebody of whom planning will need the stream of that kind, if they are known.
func (l *Looking) Person(kind string, h vault.PersonHint) {
	l.Meet(h)
	l.persons = append(l.persons, personStream{kind, h})
}

// Mapped names the stream that is found by what its record is told apart by, with those that count
// what the rules refused of it.
func (l *Looking) Mapped(m vault.Mapped, rules ...string) {
	if len(rules) > 0 {
		if l.rules == nil {
			l.rules = map[int][]string{}
		}
		l.rules[len(l.ahead.Streams)] = rules
	}
	l.ahead.Streams = append(l.ahead.Streams, m)
}

// Ask names a device that planning will ask for, who may be waited for by its ids.
func (l *Looking) Ask(h vault.DeviceHint) {
	l.ahead.Devices = append(l.ahead.Devices, h)
	l.ahead.IDs = append(l.ahead.IDs, h.IntuneID, h.DirectoryID)
}

// Meet names somebody whom planning will ask for.
func (l *Looking) Meet(h vault.PersonHint) {
	l.ahead.Persons = append(l.ahead.Persons, h)
	l.ahead.IDs = append(l.ahead.IDs, h.ObjectID)
}

// Find asks the vault, and adds the streams that it finds to those needed. Whoever plans the
// records asks for the same by what it returns.
func (l *Looking) Find() (*vault.Looked, error) {
	looked, err := l.Tx.Look(l.ahead)
	if err == nil {
		err = l.find()
	}
	if err != nil {
		return looked, err
	}
	// Where one of them were missed, the record that meets whom it waits for would be planned
	// behind those that follow it.
	waiting, err := l.Tx.WaitingFor(looked, l.linked)
	for _, s := range waiting {
		l.Need(s)
	}
	return looked, err
}

func (l *Looking) find() error {
	for _, d := range l.devices {
		known, found, err := l.Tx.FindDevice(d.hint)
		if errors.Is(err, vault.ErrErasedSubject) || err == nil && !found {
			continue
		}
		if err != nil {
			return err
		}
		l.Need(known.Stream)
		for _, rule := range d.rules {
			if err := l.need(l.Tx.RefusalStream(known.Stream, rule)); err != nil {
				return err
			}
		}
	}
	for _, r := range l.refused {
		if err := l.need(l.Tx.RefusalStream(r.concerned, r.key)); err != nil {
			return err
		}
	}
	for i, m := range l.ahead.Streams {
		s, _, err := l.Tx.MappedStream(m.Kind, m.Canonical)
		if err := l.need(s, false, err); err != nil {
			return err
		}
		for _, rule := range l.rules[i] {
			if s == "" {
				break // nothing is known of it
			}
			if err := l.need(l.Tx.RefusalStream(s, rule)); err != nil {
				return err
			}
		}
	}
	for _, p := range l.persons {
		id, found, err := l.Tx.FindPerson(p.hint)
		if errors.Is(err, vault.ErrErasedSubject) || err == nil && !found {
			continue
		}
		if err != nil {
			return err
		}
		if err := l.need(l.Tx.PersonStream(p.kind, id)); err != nil {
			return err
		}
	}
	return nil
}

// need adds a stream that a view may find; one that it would have to mint holds nothing yet.
func (l *Looking) need(s schemas.Stream, _ bool, err error) error {
	if errors.Is(err, vault.ErrReadOnly) {
		return nil
	}
	if err == nil {
		l.Need(s)
	}
	return err
}

// Parsed is a form of a kind, and when its records are planned.
type Parsed struct {
	KindForm
	Wave Wave
}

// Wave is the order in which records are planned and events appended: referenced streams,
// entities, facts (FORMATS §2). So an action of the same batch finds its device and its user.
type Wave int

// Waves.
const (
	WaveRefusals Wave = iota
	WaveEntities
	WaveFacts
	Waves
)

// Kinds are the kinds that are taken in, and that of refusals. It is safe for concurrent use.
type Kinds struct {
	catalogue *schemas.Catalogue
	refusals  refusals
	awaited   *awaited
	byStream  map[string]Kind
	byForm    map[string]Parsed
	readings  map[string][]Reading // by form
	forms     []source.Form
	linked    []string // kinds of streams that may wait for an id
}

// NewKinds returns the kinds, in the terms of the catalogue.
func NewKinds(c *schemas.Catalogue, all []Kind) *Kinds {
	of := refusals{c.MustType("refusal.recorded.v1")}
	k := &Kinds{catalogue: c, refusals: of, awaited: newAwaited(), byStream: map[string]Kind{},
		byForm: map[string]Parsed{}, readings: map[string][]Reading{}}
	for _, kind := range append([]Kind{of}, all...) {
		k.byStream[kind.Stream()] = kind
		if _, links := kind.(Linker); links {
			k.linked = append(k.linked, kind.Stream())
		}
		if r, reads := kind.(Reader); reads {
			k.addReadings(r)
		}
		for _, f := range kind.Forms() {
			k.byForm[f.Name] = Parsed{f, k.planned(kind, f.Behind)}
			k.forms = append(k.forms, f.Form)
		}
	}
	k.checkReadings()
	return k
}

// Forms are those of all kinds.
func (k *Kinds) Forms() []source.Form { return k.forms }

// Form returns the form of that name.
func (k *Kinds) Form(name string) Parsed { return k.byForm[name] }

// planned returns when records of the kind are planned.
func (k *Kinds) planned(kind Kind, behind bool) Wave {
	if behind {
		return WaveFacts
	}
	return k.Wave(kind.Stream())
}

// Wave returns when events of that kind of stream are appended.
func (k *Kinds) Wave(stream string) Wave {
	switch {
	case stream == streamOfRefusals:
		return WaveRefusals
	case k.byStream[stream].Facts():
		return WaveFacts
	}
	return WaveEntities
}

// Fold returns what the ledger holds of a stream, by its kind.
func (k *Kinds) Fold(tx *vault.Tx, h History) (Content, error) {
	return k.byStream[h.Stream.Kind()].Fold(tx, h)
}

// Ahead adds whom folding a stream will ask the vault for.
func (k *Kinds) Ahead(h History, a *vault.Ahead) {
	for i := range h.Events {
		d := &h.Events[i].Draft
		for _, s := range d.Subjects {
			a.Aliases = append(a.Aliases, s.Alias)
		}
		for j := range d.Values {
			if t := d.Values[j].Token; t != "" {
				a.Tokens = append(a.Tokens, t)
			}
		}
	}
	if r, ok := k.byStream[h.Stream.Kind()].(Remembering); ok && h.Known != nil {
		r.Ahead(h.Known, a)
	}
}

// Unplanned tells that a transaction in which records were planned was not stored: what was noted
// in it of whom nothing waits for may not be so.
func (k *Kinds) Unplanned() { k.awaited.clear() }

// Planner returns one that plans on the states, for one transaction of the tenant's vault: Tx is
// to be set. recorded is when what it plans is recorded.
func (k *Kinds) Planner(
	tenant vault.Tenant, recorded time.Time, states map[schemas.Stream]*StreamState,
) *Planner {
	return &Planner{Tenant: tenant, Catalogue: k.catalogue, kinds: k, recorded: recorded, states: states,
		needs: map[schemas.Stream]bool{}, empty: map[schemas.Stream]bool{}, encoder: encoder{catalogue: k.catalogue}}
}
