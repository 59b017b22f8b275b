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

// Content is what a kind knows of one of its streams. The engine keeps it no longer than plaintext
// may be used without asking the vault again.
type Content any

// KindForm is how one source writes records of a kind, and how they are read.
type KindForm struct {
	source.Form
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
}

// Record is one record in its kind's terms. What it tells may be planned more than once.
type Record interface {
	// Origin is the source that issued it, and when what it tells was so.
	Origin() (source string, occurred time.Time)
	// Look names the streams that planning it will need, as far as they are known without minting
	// anything: what it misses, planning asks for.
	Look(*Looking) error
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

// Looking is a look at the vault before anything is planned.
type Looking struct {
	Tx    *vault.Tx
	needs map[schemas.Stream]bool
}

// NewLooking returns a look in the vault's transaction. What it finds is added to needs.
func NewLooking(tx *vault.Tx, needs map[schemas.Stream]bool) *Looking { return &Looking{tx, needs} }

// Need names a stream that planning will need.
func (l *Looking) Need(s schemas.Stream) { l.needs[s] = true }

// Device names the stream of a device, if it is known, and returns it; "" for none.
func (l *Looking) Device(h vault.DeviceHint) (schemas.Stream, error) {
	d, found, err := l.Tx.FindDevice(h)
	if errors.Is(err, vault.ErrErasedSubject) {
		return "", nil
	}
	if err != nil || !found {
		return "", err
	}
	l.Need(d.Stream)
	return d.Stream, nil
}

// Refusals names the streams that count what rules refused of the stream concerned.
func (l *Looking) Refusals(concerned schemas.Stream, rules ...string) error {
	for _, rule := range rules {
		s, _, err := l.Tx.RefusalStream(concerned, rule)
		if errors.Is(err, vault.ErrReadOnly) {
			continue // not refused before
		}
		if err != nil {
			return err
		}
		l.Need(s)
	}
	return nil
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
	forms     []source.Form
	linked    []string // kinds of streams that may wait for an id
}

// NewKinds returns the kinds, in the terms of the catalogue.
func NewKinds(c *schemas.Catalogue, all []Kind) *Kinds {
	of := refusals{c.MustType("refusal.recorded.v1")}
	k := &Kinds{catalogue: c, refusals: of, awaited: newAwaited(), byStream: map[string]Kind{},
		byForm: map[string]Parsed{}}
	for _, kind := range append([]Kind{of}, all...) {
		k.byStream[kind.Stream()] = kind
		if _, links := kind.(Linker); links {
			k.linked = append(k.linked, kind.Stream())
		}
		for _, f := range kind.Forms() {
			k.byForm[f.Name] = Parsed{f, k.Wave(kind.Stream())}
			k.forms = append(k.forms, f.Form)
		}
	}
	return k
}

// Forms are those of all kinds.
func (k *Kinds) Forms() []source.Form { return k.forms }

// Form returns the form of that name.
func (k *Kinds) Form(name string) Parsed { return k.byForm[name] }

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

// Planner returns one that plans on the states, for one transaction of the tenant's vault: Tx is
// to be set. recorded is when what it plans is recorded.
func (k *Kinds) Planner(
	tenant vault.Tenant, recorded time.Time, states map[schemas.Stream]*StreamState,
) *Planner {
	return &Planner{Tenant: tenant, Catalogue: k.catalogue, kinds: k, recorded: recorded, states: states,
		needs: map[schemas.Stream]bool{}, empty: map[schemas.Stream]bool{}}
}
