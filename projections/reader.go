package projections

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// AsOf bounds what a question may see: events of a sequence up to Seq and, where Time is set,
// that occurred up to Time. An answer is final, and will be given again, when Seq is not above
// Through.
type AsOf struct {
	Seq  uint64
	Time time.Time
}

// Period is [From, To); a zero end is open. It bounds when events occurred.
type Period struct{ From, To time.Time }

// Has reports whether the period has the moment.
func (p Period) Has(t time.Time) bool {
	return (p.From.IsZero() || !t.Before(p.From)) && (p.To.IsZero() || t.Before(p.To))
}

// Text is a value as the ledger holds it: open text, or a token that an Opener may open. "" is
// none.
type Text string

// Token returns the token that t is, and whether it is one.
func (t Text) Token() (schemas.Token, bool) { return schemas.Token(t), schemas.IsSealed(string(t)) }

// Fact is what every event has, as far as views show it.
type Fact struct {
	Seq      uint64
	EventID  uuid.UUID
	Stream   schemas.Stream
	Type     string
	Occurred time.Time // recordedAt where the source named no time
}

// Event is one event as views tell it: what it says, without its stored bytes.
type Event struct {
	Fact
	Timed     bool // Occurred is the source's own
	Recorded  time.Time
	Source    string
	Causation uuid.UUID // uuid.Nil where there is none
	Subjects  []Subject
	Values    []Value
	Opaque    bool // it has data, and nobody here can read it
}

// Held is a value that an entity has or had.
type Held struct {
	Element  string // list element's uuid; "" for an attribute that is no list
	Text     Text
	Seq      uint64    // of the event that set it
	Occurred time.Time // when that event occurred
	Observed time.Time // when the value was observed, which a restatement carries over
}

// Device is a device's state: its attributes and their values, a list's in order of element.
type Device struct {
	Stream schemas.Stream
	Values map[string][]Held
}

// Get returns the value of an attribute that is no list, and whether it is set.
func (d Device) Get(attribute string) (Held, bool) {
	if v := d.Values[attribute]; len(v) > 0 {
		return v[0], true
	}
	return Held{}, false
}

// Entity is the state of anything that has one, of the same form: Account of a directory account.
type (
	Entity  = Device
	Account = Device
)

// DeviceAt is a device at a moment of its own.
type DeviceAt struct {
	Stream schemas.Stream
	AsOf   AsOf
}

// MaxDevicesAt is how many devices DevicesAt is asked for at once.
const MaxDevicesAt = 1000

// Change is one value set or removed by an event.
type Change struct {
	Fact
	Recorded  time.Time
	Source    string
	Causation uuid.UUID // uuid.Nil where there is none
	Subjects  []Subject
	Attribute string
	Element   string
	Old       *Held // as it was before this event; nil: not set
	New       *Held // nil: removed
}

// AdminAction is one admin action. A Text that an attribute's shape did not fit is a token, in
// open columns too.
type AdminAction struct {
	Fact
	Timed       bool // the source named the time
	Recorded    time.Time
	Source      string
	Correlation uuid.UUID
	Actor       uuid.UUID // alias; uuid.Nil where the actor is no person
	Withheld    uint64    // secrets and scripts present at the source that were not kept
	Cut         uint64    // values that were too long or too many to be kept whole

	Verb, Operation, ActivityType, DisplayName, Component, Category, Result Text
	ActorType, Delegated, ApplicationID                                     Text

	// Protected: tokens.
	ActorID, ActorUPN, ActorName, ActorIP, ActorPermissions, PartnerTenant, ApplicationName, Details, Reason Text

	// What other events of its stream say: further targets are in Targets, whom they name in
	// TargetAliases.
	TargetAliases []uuid.UUID
	Targets       []Target
	Supplied      []Supplied // what the first telling lacked, of the action as a whole
	Disputed      []string   // attributes that another telling says otherwise, "occurred-at" among them
}

// Target is what an admin action was done to.
type Target struct {
	Event                  uuid.UUID // which says so
	Type, Resource, Device Text      // open
	ID, Name, Changes      Text      // tokens
	Added                  []Target  // what later events say of it
}

// Supplied is a value that a later event of an action gives.
type Supplied struct {
	Event     uuid.UUID
	Attribute string
	Value     Text
}

// ActionFilter narrows admin actions; an empty list does not. Devices are stream uuids as targets
// name them, Operations are contained in what the source calls the action, in any case.
type ActionFilter struct {
	Verbs, Categories, Results, Devices, Operations, Applications []string
	Actors                                                        []uuid.UUID // aliases
}

// RemoteAction is what was asked of one device, put together of all that was told of it as of.
type RemoteAction struct {
	Stream    schemas.Stream
	Seq       uint64 // of its first event
	EventID   uuid.UUID
	Recorded  time.Time
	Actor     uuid.UUID // alias; uuid.Nil where no person is told
	Target    uuid.UUID // alias of the device's user, likewise
	Requested time.Time
	Completed time.Time // zero where it is not over, or not told
	Request   uuid.UUID // shared by the devices of one request; of one that is audited its action's stream
	Audited   bool      // an admin action tells of it

	Action, State, Device, ErrorCode Text // open, or a token where the value is none that is known
	DeviceName, UserUPN, Failure     Text // tokens

	ActorID, ActorUPN, ActorName, Approver Text
}

// RemoteFilter narrows remote actions: to when they were requested, to requests, and to those of
// which no admin action tells.
type RemoteFilter struct {
	In        Period
	Requests  []uuid.UUID
	Unaudited bool
}

// ApplicationName is what an admin action called its application.
type ApplicationName struct {
	Event uuid.UUID // which says so
	Name  Text
}

// Refusal is one recorded refusal: how much a rule kept out.
type Refusal struct {
	Fact
	Source         string
	Rule, Category string
	Count          uint64
}

// AccessRun is one viewing of personal data: all the access.unsealed events of a stream. Fact is
// of the first, which says who looks and why.
type AccessRun struct {
	Fact
	Officer          uuid.UUID // alias
	Report           Text
	PurposeCode      Text // one of a list; "" of old events
	Purpose, Filters Text // tokens, OfficerName alike: the purpose in the officer's words
	OfficerName      Text
	Persons          uint64 // whose data was unsealed
	Sequence         uint64 // the ledger sequence that the report was computed at
}

// AccessFilter narrows viewings; an empty list does not.
type AccessFilter struct {
	Reports           []string
	Officers, Persons []uuid.UUID // aliases
}

// RequestAct is an event of a data subject's request, or of an erasure. Which fields are set
// depends on Type.
type RequestAct struct {
	Fact
	Requester, Officer uuid.UUID // aliases
	Right              Text
	Subject            Text // token: as the requester was named
	Received, Due      Text
	IdentityMethod     Text
	Package            Text // SHA-256 of the package's manifest
	Sequence, Files    uint64
	Ground             Text
	Completion         Text     // event id of the completion that an erasure order announces
	Keys               []string // subject keys that an erasure order destroys
	Order              Text     // subject.erased: event id of its order
	KeysDestroyed      uint64
}

// Alert is what a source's operational log tells: that a device does not comply and by which
// setting, or how an enrolment ended. A Text is a token where its value may not stand open.
type Alert struct {
	Fact
	Recorded time.Time
	Source   string
	User     uuid.UUID // alias; uuid.Nil where no person is told

	Category, Result, Kind, Policy, Setting, EnrolmentType, FailureCategory, Device Text

	FailureReason, Title, Description, DeviceName, OperatingSystem, OSVersion Text // tokens
	UserID, UserUPN, UserName                                                 Text
}

// AlertFilter narrows alerts; an empty list does not.
type AlertFilter struct {
	Categories, Results []string
	Devices             []string    // stream uuids
	Users               []uuid.UUID // aliases
}

// Disagreement counts how often sources told an attribute otherwise than one another.
type Disagreement struct {
	Kind      string // of the streams concerned
	Attribute string
	Told      string // the form, else the source, that told otherwise
	Against   string // the form, else the source, that had told it before
	Times     uint64
	Records   uint64 // streams concerned
	First     time.Time
	Last      time.Time
	LastSeq   uint64
}

// StateKinds returns the kinds of which sources tell a state. What a tenant is declared as is
// none.
func StateKinds() (out []string) {
	for _, t := range schemas.Default().Types() {
		if k := t.Kind(); t.Form == schemas.FormState && k != "tenant" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// SoonAfter is how soon after one source another tells a state's value otherwise, for the two to
// disagree: what differs later may have changed.
const SoonAfter = time.Hour

// Counts says how much a tenant's ledger holds.
type Counts struct {
	Events      uint64
	Types       []TypeCount      // ordered by type
	Attributes  []AttributeCount // values set now, ordered by attribute
	First, Last uint64           // sequences; meaningful where Events > 0
}

// TypeCount counts the events of one type.
type TypeCount struct {
	Type                          string
	Events                        uint64
	FirstSeq, LastSeq             uint64
	FirstOccurred, LatestOccurred time.Time
}

// AttributeCount counts the values of one attribute that are set, and the entities that have it.
type AttributeCount struct {
	Attribute        string
	Values, Entities uint64
}

// Reader answers questions about one tenant. Every sequence of answers is bounded in memory
// however long it is, in the order stated, and ends at its first error.
type Reader interface {
	// Through returns the highest sequence up to which every event is in the views; ok is false
	// when there is none.
	Through(ctx context.Context) (seq uint64, ok bool, err error)
	// WaitThrough returns when the views hold every event up to seq, or with ctx's error.
	WaitThrough(ctx context.Context, seq uint64) error
	// SeqOf returns the sequence of an event, and whether the views hold it yet.
	SeqOf(ctx context.Context, tenant, event uuid.UUID) (seq uint64, found bool, err error)

	// Devices yields the state of every device, by stream. Without attributes: all but the apps,
	// which Apps yields.
	Devices(ctx context.Context, tenant uuid.UUID, asOf AsOf, attributes ...string) iter.Seq2[Device, error]
	// Device returns the state of one device with all its attributes, apps included; found is
	// false when it has none.
	Device(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, asOf AsOf) (d Device, found bool, err error)
	// DevicesAt returns those attributes of up to MaxDevicesAt devices, each as of its own moment,
	// in the order asked. A device of which none was known by its AsOf.Time is as it was first
	// known up to its AsOf.Seq, which the values' times tell; one that never was has no values.
	DevicesAt(ctx context.Context, tenant uuid.UUID, at []DeviceAt, attributes ...string) ([]Device, error)
	// DeviceHistory yields what changed on a device in the period, by sequence, attribute and
	// element. Without attributes: all.
	DeviceHistory(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, in Period, attributes []string,
		asOf AsOf) iter.Seq2[Change, error]
	// Apps yields the apps on a device, by element.
	Apps(ctx context.Context, tenant uuid.UUID, stream schemas.Stream, asOf AsOf) iter.Seq2[Held, error]
	// Accounts yields the state of every directory account, by stream. Without attributes: all.
	Accounts(ctx context.Context, tenant uuid.UUID, asOf AsOf, attributes ...string) iter.Seq2[Account, error]
	// Entities yields the state of every entity of a kind, by stream. Without attributes: all.
	Entities(ctx context.Context, tenant uuid.UUID, kind string, asOf AsOf,
		attributes ...string) iter.Seq2[Entity, error]
	// Tenant returns the tenant's own attributes (name, time zone, collection policy).
	Tenant(ctx context.Context, tenant uuid.UUID, asOf AsOf) (map[string]Held, error)

	// AdminActions, Refusals and Access yield by the time of occurring, then sequence, Access the
	// viewings that began in the period; Requests by sequence.
	AdminActions(ctx context.Context, tenant uuid.UUID, in Period, filter ActionFilter,
		asOf AsOf) iter.Seq2[AdminAction, error]
	// RemoteActions yields remote actions by when they were requested. One of which that is not
	// told as of was not requested then: it is not yielded.
	RemoteActions(ctx context.Context, tenant uuid.UUID, f RemoteFilter, asOf AsOf) iter.Seq2[RemoteAction, error]
	// Alerts yields by the time of occurring, then sequence.
	Alerts(ctx context.Context, tenant uuid.UUID, in Period, f AlertFilter, asOf AsOf) iter.Seq2[Alert, error]
	// Disagreements counts where sources contradict one another in events of the period, by kind
	// and attribute, then who told otherwise: facts by what intake found disputed, states by
	// another source's value less than SoonAfter the one before, but for the attributes named.
	Disagreements(ctx context.Context, tenant uuid.UUID, in Period, but []string,
		asOf AsOf) ([]Disagreement, error)
	// LastActs returns when each alias last acted by an admin action.
	LastActs(ctx context.Context, tenant uuid.UUID, asOf AsOf) (map[uuid.UUID]time.Time, error)
	Refusals(ctx context.Context, tenant uuid.UUID, in Period, rules []string, asOf AsOf) iter.Seq2[Refusal, error]
	Access(ctx context.Context, tenant uuid.UUID, in Period, filter AccessFilter,
		asOf AsOf) iter.Seq2[AccessRun, error]
	Requests(ctx context.Context, tenant uuid.UUID, asOf AsOf) iter.Seq2[RequestAct, error]
	// ApplicationNames returns what the applications of these ids were last called by actions of
	// the period, by id; none of one that none of them names.
	ApplicationNames(ctx context.Context, tenant uuid.UUID, ids []string, in Period,
		asOf AsOf) (map[string]ApplicationName, error)

	// EventsByAliases yields the events that name any of the aliases, by sequence, each once.
	EventsByAliases(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf AsOf) iter.Seq2[Event, error]
	// EventsByStreams yields the events of the streams, by sequence.
	EventsByStreams(ctx context.Context, tenant uuid.UUID, streams []schemas.Stream, asOf AsOf) iter.Seq2[Event, error]
	// RawEvents yields the exact stored bytes of the tenant's events with a sequence in [from,
	// to), by sequence, read anew. A row whose bytes are none of the ledger's is an error.
	RawEvents(ctx context.Context, tenant uuid.UUID, from, to uint64) iter.Seq2[schemas.Envelope, error]
	// RawEventsAt yields the exact stored bytes of the tenant's events at the sequences, by
	// sequence. A sequence that is not the tenant's, or is not in the views, is an error.
	RawEventsAt(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[schemas.Envelope, error]
	// Counts counts events up to asOf, and values that are set now.
	Counts(ctx context.Context, tenant uuid.UUID, asOf AsOf) (Counts, error)
}
