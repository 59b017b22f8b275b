package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file is the one place that says on which events somebody may act (FORMATS §3, "a foreign
// event keeps its revision"). Whoever folds a stream or obeys an order reads through it.

// Judge tells by its origin whether an event is Genuine or Forged; *Ledger is one.
type Judge interface {
	Judge(ctx context.Context, e schemas.Envelope) (Verdict, error)
}

// Reader is what reading a stream for acting on it needs; *Ledger is one.
type Reader interface {
	Judge
	ReadStream(ctx context.Context, s schemas.Stream, from uint64) iter.Seq2[schemas.RecordedEvent, error]
}

// Examine judges an event and reads it through its type. The draft is that of a
// Genuine one; its Type is nil where only a newer program knows it. Beside what Judge
// tells an event may be Unfitting.
func Examine(ctx context.Context, j Judge, c *schemas.Catalogue, e schemas.Envelope) (schemas.Draft, Verdict, error) {
	v, err := j.Judge(ctx, e)
	if err != nil || v != Genuine {
		return schemas.Draft{}, v, err
	}
	d, err := c.Decode(e)
	switch {
	case errors.Is(err, schemas.ErrUnknownType):
		return d, Genuine, nil
	case err != nil, !fits(d, e.Event):
		return schemas.Draft{}, Unfitting, nil
	}
	return d, Genuine, nil
}

// fits reports whether an event that its type could read is one that Encode could have written: in
// a stream of the type's kind, with tokens that were sealed for it.
func fits(d schemas.Draft, e schemas.Event) bool {
	if kind, _, _ := strings.Cut(e.Type, "."); kind != e.Stream.Kind() {
		return false
	}
	for _, v := range d.Values {
		if v.Token == "" {
			continue
		}
		if h, _, err := v.Token.Parse(); err != nil || h.Event != e.ID || h.Attr != v.Attr.ID {
			return false
		}
	}
	return true
}

// Own is an event on which its tenant's acts may rest.
type Own struct {
	schemas.Envelope
	Draft schemas.Draft // Type is nil where only a newer program knows it
}

// Reading is what reading a stream came to, beside the events that were yielded.
type Reading struct {
	Disowned map[uuid.UUID]bool // given: events that are known to be left out
	From     uint64             // given: the first revision to be read

	Stored bool   // the stream has events, whosever they are
	Last   uint64 // revision of the last one that was read
	Own    int    // yielded
	Left   LeftOut
}

// Expect is what an append behind everything that was read expects.
func (r Reading) Expect() Expect {
	if !r.Stored {
		return NoStream
	}
	return Exact(r.Last)
}

// LeftOut counts the events that were left out, by why, and names the first of them.
type LeftOut struct {
	By       [verdicts]uint64
	Disowned uint64      // not genuine, and disowned already; in no other number
	First    []LeftEvent // at most maxNamed, of those that are not disowned
}

// LeftEvent names an event that was left out.
type LeftEvent struct {
	ID       uuid.UUID
	Stream   schemas.Stream
	Revision uint64
	Verdict  Verdict
}

// maxNamed bounds the events of one stream that are named.
const maxNamed = 32

// Add counts one more.
func (l *LeftOut) Add(e LeftEvent) {
	l.By[e.Verdict]++
	if len(l.First) < maxNamed {
		l.First = append(l.First, e)
	}
}

// Count returns how many were left out.
func (l LeftOut) Count() (n uint64) {
	n = l.Disowned
	for _, by := range l.By {
		n += by
	}
	return n
}

// ReadGenuine yields the events of a stream on which the tenant's acts may rest: genuine ones of
// that tenant that fit their type. It leaves out and counts every other, and goes on; an error is
// the store's or the vault's. into says what was read so far, in the end of all of the stream from
// the given revision on.
func ReadGenuine(
	ctx context.Context, l Reader, c *schemas.Catalogue, s schemas.Stream, tenant uuid.UUID, into *Reading,
) iter.Seq2[Own, error] {
	return func(yield func(Own, error) bool) {
		for r, err := range l.ReadStream(ctx, s, into.From) {
			if err != nil {
				yield(Own{}, err)
				return
			}
			into.Stored, into.Last = true, r.Revision
			e, foreign := schemas.NewEnvelope(r)
			d, v := schemas.Draft{}, Foreign
			if foreign == nil {
				if d, v, err = Examine(ctx, l, c, e); err != nil {
					yield(Own{}, err)
					return
				}
			}
			if v == Genuine && d.Tenant != tenant {
				v = OtherTenant
			}
			if v != Genuine && v != Foreign && into.Disowned[r.ID] {
				into.Left.Disowned++
				continue
			}
			if v != Genuine {
				into.Left.Add(LeftEvent{r.ID, r.Stream, r.Revision, v})
				continue
			}
			into.Own++
			if !yield(Own{e, d}, nil) {
				return
			}
		}
	}
}

// Found is an event of the store with what it is.
type Found struct {
	schemas.RecordedEvent
	Tenant   uuid.UUID // the one that it names; the zero one of a foreign event
	Verdict  Verdict   // not OtherTenant: only who reads a stream for a tenant tells that
	Disowned bool
	Naming   Naming // of a genuine event, where owners are asked
}

// Check reads the whole store and hands over every event, foreign ones too, with what it is; Seq
// is set but of foreign ones. tenants are those that the vault knows: what they disowned is told.
// With owners it tells whether each genuine event names every person whose data it holds or
// removes. Whether a vault could open what an event seals is not looked at.
func (l *Ledger) Check(ctx context.Context, tenants []uuid.UUID, owners Owners, each func(Found) error) error {
	c := schemas.Default()
	names := newNaming(l, c, owners)
	disowned := map[uuid.UUID]map[Place]bool{}
	for _, t := range append([]uuid.UUID{uuid.Nil}, tenants...) {
		var err error
		if disowned[t], err = Disowned(ctx, l, c, t); err != nil {
			return fmt.Errorf("check the ledger: %w", err)
		}
	}
	var failed error // of each, told a foreign event
	meet := func(r schemas.RecordedEvent) {
		if failed == nil {
			failed = each(Found{RecordedEvent: r, Verdict: Foreign})
		}
	}
	var seq uint64
	for e, err := range l.readAll(ctx, schemas.Position{}, false, meet) {
		if err = cmp.Or(err, failed); err != nil {
			return fmt.Errorf("check the ledger: %w", err)
		}
		e.Seq = seq
		seq++
		f := Found{RecordedEvent: e.RecordedEvent, Tenant: e.Meta().Tenant}
		var d schemas.Draft
		d, f.Verdict, err = Examine(ctx, l, c, e)
		if err == nil && owners != nil && f.Verdict == Genuine && d.Type != nil {
			f.Naming, err = names.judge(ctx, e, d)
		}
		if err == nil {
			at := Place{e.ID, e.Seq}
			f.Disowned = disowned[f.Tenant][at] || disowned[uuid.Nil][at]
			err = each(f)
		}
		if err != nil {
			return fmt.Errorf("check the ledger: %w", err)
		}
	}
	return failed
}
