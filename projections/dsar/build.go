package dsar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Reader is what a package asks of the views; projections.Reader has it.
type Reader interface {
	Through(ctx context.Context) (seq uint64, ok bool, err error)
	EventsByAliases(
		ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf projections.AsOf,
	) iter.Seq2[projections.Event, error]
	EventsByStreams(
		ctx context.Context, tenant uuid.UUID, streams []schemas.Stream, asOf projections.AsOf,
	) iter.Seq2[projections.Event, error]
}

// Config is what every package is made with.
type Config struct {
	Reader    Reader
	Opener    projections.Opener // nil: nothing protected is shown
	Catalogue *schemas.Catalogue
	Clock     func() time.Time
	Lang      string         // of the request. Every language is in the package, this one comes first
	Words     *words.Set     // nil: the languages of the program
	Location  *time.Location // in which times are shown

	// Owners tells whom aliases name, as the vault knows it; an alias that it cannot tell is left
	// out. It decides whose a value is and lets one administrator keep one number for all months.
	// Nil: decided by the event and the catalogue alone, which withholds rather more, and numbers
	// an administrator anew each month.
	Owners func(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error)
}

// Validate joins everything that is missing; a language that is none is a *report.Problem.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(c.Reader != nil, "Reader is missing")
	need(c.Catalogue != nil, "Catalogue is missing")
	need(c.Clock != nil, "Clock is missing")
	if _, ok := c.words().Language(c.Lang); !ok {
		errs = append(errs, &report.Problem{Field: define.FieldLang, Code: define.Unknown, Given: c.Lang,
			Known: c.words().Codes()})
	}
	need(c.Location != nil, "Location is missing")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("access package: %w", err)
	}
	return nil
}

// words are the languages of the package.
func (c Config) words() *words.Set {
	if c.Words != nil {
		return c.Words
	}
	return words.Default()
}

// languages returns the languages of the package in their order, that of the request first.
func (c Config) languages() []*words.Language {
	out := c.words().Languages()
	slices.SortStableFunc(out, func(a, b *words.Language) int {
		return cmp.Compare(rankOf(a, c.Lang), rankOf(b, c.Lang))
	})
	return out
}

func rankOf(l *words.Language, first string) int {
	if l.Code() == first {
		return 0
	}
	return 1
}

// Person is whose package it is, as the vault knows them at Seq. A person who was erased has no
// aliases, devices or identity any more, and their package says so.
type Person struct {
	Request    uuid.UUID // names the package
	Tenant     uuid.UUID
	TenantName string
	Aliases    []Alias
	Devices    []Device
	Identity   []Identity
	Seq        uint64 // ledger sequence up to which the package was searched
}

// Alias is a name of the person in events of a class and month.
type Alias struct {
	ID    uuid.UUID
	Class string
	Month string // yyyymm
}

// Shared is the ownership of a device that several people use: it is its own subject, and of what
// it tells only what names the person is theirs.
const Shared = "shared"

// Device is a period in which the person held a device; To is zero while it lasts. One device may
// have several.
type Device struct {
	Stream    schemas.Stream
	From, To  time.Time
	Ownership string
	Refusals  []schemas.Stream // the streams that count what was refused of it
}

// holds compares as events keep times: cut to milliseconds.
func (d Device) holds(t time.Time) bool {
	return !t.Before(d.From.Truncate(time.Millisecond)) && (d.To.IsZero() || t.Before(d.To.Truncate(time.Millisecond)))
}

// Identity is a native value by which the person is known, and when it was first and last seen; a
// zero To is still. Kinds are "upn", "email", "object-id" and "name"; others are shown by their
// own word.
type Identity struct {
	Kind, Value string
	From, To    time.Time
}

// FileName is the package's name; it carries nothing personal.
func (p Person) FileName() string { return "dsar-" + p.Request.String() + ".zip" }

// Fields of a Person, beside those of a report's request.
const (
	FieldRequest  = "request"
	FieldDevices  = "devices"
	FieldSequence = "sequence"
)

// validate joins everything that is wrong, each a *report.Problem.
func (p Person) validate() error {
	var errs []error
	if p.Request == uuid.Nil {
		errs = append(errs, &report.Problem{Field: FieldRequest, Code: define.Missing})
	}
	if p.Tenant == uuid.Nil {
		errs = append(errs, &report.Problem{Field: define.FieldTenant, Code: define.Missing})
	}
	for _, d := range p.Devices {
		if d.Stream.Kind() != "device" {
			errs = append(errs, &report.Problem{Field: FieldDevices, Code: define.Unfit, Given: string(d.Stream)})
		}
	}
	return errors.Join(errs...)
}

// Build writes the person's package as a zip to w and returns its manifest. The same input gives
// the same bytes. It errs, and what was written is to be thrown away, when the views are behind
// p.Seq. What is wrong with the person or the sequence is a *report.Problem.
func Build(ctx context.Context, c Config, p Person, w io.Writer) (Manifest, error) {
	fail := func(err error) (Manifest, error) {
		return Manifest{}, fmt.Errorf("access package of request %s: %w", p.Request, err)
	}
	if err := c.Validate(); err != nil {
		return Manifest{}, err
	}
	if err := p.validate(); err != nil {
		return fail(err)
	}
	through, ok, err := c.Reader.Through(ctx)
	if err != nil {
		return fail(err)
	}
	if !ok || through < p.Seq {
		behind := &report.Problem{Field: FieldSequence, Code: define.Ahead, Given: fmt.Sprint(p.Seq)}
		if ok {
			behind.Through = &through
		}
		return fail(behind)
	}
	dos := newDossier(c, p)
	if err := collect(ctx, c, p, func(rows []projections.Event) error { return dos.judge(ctx, rows) }); err != nil {
		return fail(err)
	}
	dos.arrange()
	m, err := dos.write(w)
	if err != nil {
		return fail(err)
	}
	return m, nil
}

// firstOfAction begins the type of the event that counts as an action; others of its stream say
// more of it.
const firstOfAction = "adminaction.recorded."

// kindRemote is the kind of stream that tells what became of an action on one device.
const kindRemote = "remoteaction"

// What a portion of events has at most, unless it is one event.
const (
	portionEvents = 500
	portionValues = content.OpenBatch
)

// collect hands over every event up to the sequence that names the person, or tells what an action
// that does was, or belongs to a stream of a device in the time the person held it, or counts what
// was refused of such a device; each once, in portions, which are the reader's until the next.
func collect(ctx context.Context, c Config, p Person, portion func([]projections.Event) error) error {
	asOf := projections.AsOf{Seq: p.Seq}
	seen := map[uuid.UUID]bool{}
	var waiting []projections.Event
	values := 0
	flush := func() error {
		defer func() {
			clear(waiting)
			waiting, values = waiting[:0], 0
		}()
		if len(waiting) == 0 {
			return nil
		}
		return portion(waiting)
	}
	take := func(rows iter.Seq2[projections.Event, error], want func(projections.Event) bool) error {
		for r, err := range rows {
			if err != nil {
				return err
			}
			if !want(r) || seen[r.EventID] {
				continue
			}
			seen[r.EventID] = true
			if len(waiting) == portionEvents || len(waiting) > 0 && values+len(r.Values) > portionValues {
				if err := flush(); err != nil {
					return err
				}
			}
			waiting, values = append(waiting, r), values+len(r.Values)
		}
		return nil
	}
	// What an action was stands in its first event; the one that names the person may only
	// continue or supplement it.
	begun := map[schemas.Stream]bool{}
	if len(p.Aliases) > 0 {
		ids := make([]uuid.UUID, len(p.Aliases))
		for i, a := range p.Aliases {
			ids[i] = a.ID
		}
		all := func(r projections.Event) bool {
			switch r.Stream.Kind() {
			case "adminaction":
				begun[r.Stream] = begun[r.Stream] || strings.HasPrefix(r.Type, firstOfAction)
			case kindRemote: // what became of it stands in any of its events
				begun[r.Stream] = false
			}
			return true
		}
		if err := take(c.Reader.EventsByAliases(ctx, p.Tenant, ids, asOf), all); err != nil {
			return err
		}
	}
	maps.DeleteFunc(begun, func(_ schemas.Stream, first bool) bool { return first })
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(begun)), 500) {
		first := func(r projections.Event) bool {
			return strings.HasPrefix(r.Type, firstOfAction) || r.Stream.Kind() == kindRemote
		}
		if err := take(c.Reader.EventsByStreams(ctx, p.Tenant, chunk, asOf), first); err != nil {
			return err
		}
	}
	held := map[schemas.Stream][]Device{}
	for _, d := range p.Devices {
		held[d.Stream] = append(held[d.Stream], d)
		for _, r := range d.Refusals {
			held[r] = append(held[r], d)
		}
	}
	streams := make([]schemas.Stream, 0, len(held))
	for s := range held {
		streams = append(streams, s)
	}
	slices.Sort(streams)
	if len(streams) > 0 {
		during := func(r projections.Event) bool {
			return slices.ContainsFunc(held[r.Stream], func(d Device) bool { return d.holds(r.Occurred) })
		}
		if err := take(c.Reader.EventsByStreams(ctx, p.Tenant, streams, asOf), during); err != nil {
			return err
		}
	}
	return flush()
}
