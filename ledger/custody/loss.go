package custody

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Unknown is what the ledger names and a vault that was put back does not know: it is older than
// that, and what is sealed under the keys it never held can be read by nobody.
type Unknown struct {
	Looked       uint64 `json:"looked"`       // events looked at: those after the vault's own anchor
	Events       uint64 `json:"events"`       // of those: that name aliases which the vault does not know
	Aliases      uint64 `json:"aliases"`      // such aliases, each once
	More         bool   `json:"more"`         // there are more aliases than were counted
	Tenants      int    `json:"tenants"`      // tenants that the vault does not know
	TenantEvents uint64 `json:"tenantEvents"` // events of those: nobody can tell a forged one among them
	Orders       uint64 `json:"orders"`       // orders of erasure that this vault has neither carried out nor begun
	// events that no holder of this vault made; what they name is not asked
	Forged uint64    `json:"forged"`
	Since  time.Time `json:"since"` // when the first event that names something unknown was recorded
	Last   uint64    `json:"-"`     // sequence of the last such event
	// Strangers are the first of TenantEvents.
	Strangers []ledger.Place `json:"-"`
	// End is the ledger's last event.
	End schemas.Anchor `json:"-"`
}

// Any reports whether anything is unknown.
func (u Unknown) Any() bool { return u.Events > 0 || u.TenantEvents > 0 }

// Limits of looking for the unknown.
const (
	unknownBatch = 4096      // events whose aliases are asked for at once
	maxUnknown   = 4_000_000 // aliases remembered, to count each once
	maxStrangers = 100_000   // tenants, likewise
)

// LookForUnknown asks the vault, of every event after the one that it noted itself, for the
// tenant and for each alias of its subjects and tokens, and whether an order of erasure was
// carried out. events are the whole ledger, or those after the vault's anchor, which whoever
// leaves out the others has checked. It changes nothing. What a loss that was accepted before
// covers is not asked for again. ledger.ErrDiverged: the event at the vault's anchor is another,
// or the ledger does not reach it.
func (c *Custody) LookForUnknown(
	ctx context.Context, id uuid.UUID, events iter.Seq2[schemas.Envelope, error],
) (Unknown, error) {
	var u Unknown
	fail := func(err error) (Unknown, error) {
		return u, fmt.Errorf("look for what the vault does not know: %w", err)
	}
	anchor, anchored, err := c.cfg.Vault.LoadAnchor(ctx)
	if err != nil {
		return fail(err)
	}
	loss, accepted, err := c.cfg.Vault.AcceptedLoss(ctx)
	if err != nil {
		return fail(err)
	}
	// Of a tenant that the vault does not know, only the zero tenant can disown.
	disowned, err := ledger.Disowned(ctx, c.cfg.Ledger, c.cat, uuid.Nil)
	if err != nil {
		return fail(err)
	}
	s := search{c: c, u: &u, aliases: map[uuid.UUID]bool{}, tenants: map[uuid.UUID]bool{}, disowned: disowned}
	var last schemas.Envelope
	found := false
	for r, err := range events {
		if err != nil {
			return fail(err)
		}
		if anchored && r.Seq == anchor.Seq && (r.ID != anchor.EventID || r.Leaf() != anchor.Leaf) {
			return fail(fmt.Errorf("sequence %d holds event %s, the vault noted %s: %w",
				r.Seq, r.ID, anchor.EventID, ledger.ErrDiverged))
		}
		last, found = r, true
		if anchored && r.Seq <= anchor.Seq || accepted && r.Seq <= loss.Through {
			continue
		}
		u.Looked++
		if err := s.add(ctx, r); err != nil {
			return fail(err)
		}
	}
	if err := s.flush(ctx); err != nil {
		return fail(err)
	}
	u.Tenants = len(s.strangers)
	if !found && anchored {
		u.End = anchor
		return u, nil
	}
	if !found {
		return fail(ledger.ErrNoLedger)
	}
	if anchored && last.Seq < anchor.Seq {
		return fail(fmt.Errorf("the ledger ends at sequence %d, the vault noted %d: %w",
			last.Seq, anchor.Seq, ledger.ErrDiverged))
	}
	u.End = last.Anchor(id)
	u.Aliases = uint64(len(s.aliases))
	return u, nil
}

// search asks the vault for batches of events.
type search struct {
	c         *Custody
	u         *Unknown
	batch     []named
	aliases   map[uuid.UUID]bool // unknown ones
	tenants   map[uuid.UUID]bool // asked for: whether the vault knows them
	disowned  map[ledger.Place]bool
	strangers []uuid.UUID
}

// named is what an event names.
type named struct {
	seq      uint64
	recorded time.Time
	tenant   uuid.UUID
	aliases  []uuid.UUID
}

func (s *search) add(ctx context.Context, r schemas.Envelope) error {
	m := r.Meta()
	known, err := s.tenant(ctx, m.Tenant)
	if err != nil {
		return err
	}
	if !known && s.disowned[ledger.Place{Event: r.ID, Seq: r.Seq}] {
		return nil
	}
	if !known {
		if len(s.u.Strangers) < maxStrangers {
			s.u.Strangers = append(s.u.Strangers, ledger.Place{Event: r.ID, Seq: r.Seq})
		}
		s.u.TenantEvents++
		s.unknown(named{seq: r.Seq, recorded: m.Recorded})
		return nil
	}
	made, err := s.c.madeHere(ctx, r)
	if err != nil {
		return fmt.Errorf("sequence %d: %w", r.Seq, err)
	}
	if !made {
		s.u.Forged++
		return nil
	}
	if o, is := s.c.decodeOrder(r); is {
		done, err := s.c.carriedOut(ctx, o)
		if err != nil {
			return fmt.Errorf("sequence %d: %w", r.Seq, err)
		}
		if !done {
			s.u.Orders++
		}
	}
	n := named{seq: r.Seq, recorded: m.Recorded, tenant: m.Tenant, aliases: tokenAliases(r.Data)}
	for _, a := range m.Subjects {
		n.aliases = append(n.aliases, a.ID)
	}
	if len(n.aliases) == 0 {
		return nil
	}
	if s.batch = append(s.batch, n); len(s.batch) == unknownBatch {
		return s.flush(ctx)
	}
	return nil
}

// tenant reports whether the vault knows the tenant; the zero one is its own.
func (s *search) tenant(ctx context.Context, tenant uuid.UUID) (bool, error) {
	known, asked := s.tenants[tenant]
	if asked || tenant == uuid.Nil {
		return known || tenant == uuid.Nil, nil
	}
	known, err := s.c.cfg.Vault.HasTenant(ctx, tenant)
	if err != nil {
		return false, err
	}
	if len(s.tenants) < maxStrangers {
		s.tenants[tenant] = known
		if !known {
			s.strangers = append(s.strangers, tenant)
		}
	}
	return known, nil
}

func (s *search) unknown(n named) {
	if s.u.Since.IsZero() || n.recorded.Before(s.u.Since) {
		s.u.Since = n.recorded
	}
	s.u.Last = max(s.u.Last, n.seq)
}

// flush asks for the batch's aliases, tenant by tenant.
func (s *search) flush(ctx context.Context) error {
	ask := map[uuid.UUID]map[uuid.UUID]bool{}
	for _, n := range s.batch {
		if ask[n.tenant] == nil {
			ask[n.tenant] = map[uuid.UUID]bool{}
		}
		for _, a := range n.aliases {
			ask[n.tenant][a] = true
		}
	}
	missing := map[uuid.UUID]bool{}
	for tenant, set := range ask {
		list := make([]uuid.UUID, 0, len(set))
		for a := range set {
			list = append(list, a)
		}
		unknown, err := s.c.cfg.Vault.Unknown(ctx, tenant, list)
		if err != nil {
			return err
		}
		for _, a := range unknown {
			missing[a] = true
			if len(s.aliases) < maxUnknown {
				s.aliases[a] = true
			} else if !s.aliases[a] {
				s.u.More = true
			}
		}
	}
	for _, n := range s.batch {
		for _, a := range n.aliases {
			if missing[a] {
				s.u.Events++
				s.unknown(n)
				break
			}
		}
	}
	s.batch = s.batch[:0]
	return nil
}

// tokenAliases returns the aliases of all tokens in an event's data: a token
// is a whole JSON string.
func tokenAliases(data []byte) (out []uuid.UUID) {
	mark := []byte(`"sealed:v1:`)
	const size = 22 // characters of 16 bytes
	for {
		i := bytes.Index(data, mark)
		if i < 0 {
			return out
		}
		data = data[i+len(mark):]
		if len(data) <= size || data[size] != ':' {
			continue
		}
		var a [18]byte
		if n, err := schemas.Base64.Decode(a[:], data[:size]); err == nil && n == 16 {
			out = append(out, uuid.UUID(a[:16]))
		}
	}
}

// carriedOut reports whether the vault has destroyed what an order lists, or has
// begun to: Resume carries that on.
func (c *Custody) carriedOut(ctx context.Context, o order) (done bool, err error) {
	err = c.cfg.Vault.View(ctx, o.tenant, func(tx *vault.Tx) error {
		gone, err := tx.Destroyed(o.keys)
		if err != nil {
			return err
		}
		_, pending, err := tx.Erasure(o.completion)
		done = pending || gone == len(o.keys)
		return err
	})
	return done, err
}

// madeHere reports whether a holder of this vault made the event where it stands.
func (c *Custody) madeHere(ctx context.Context, r schemas.Envelope) (bool, error) {
	v, err := c.cfg.Ledger.Judge(ctx, r)
	return v == ledger.Genuine, err
}

// Made leaves out those of the events that no holder of this vault made. Of tenants that it
// does not know, it cannot tell.
func (c *Custody) Made(
	ctx context.Context, events iter.Seq2[schemas.Envelope, error],
) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range events {
			if err == nil {
				var k schemas.OriginKey
				var known bool
				k, known, err = c.cfg.Vault.OriginKey(ctx, r.Meta().Tenant)
				if err == nil && known && !r.Genuine(k) {
					continue
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Crash points of accepting a loss, in order.
const (
	PointLossRecorded = "loss: event appended"
	PointLossAccepted = "loss: accepted in the vault"
)

// AcceptLoss records in the ledger how much the vault does not know, in one event, and then
// declares the loss in the vault: from then on such values read as lost. Cut between the two and
// called again, it appends no second event. It returns the id of the event.
func (c *Custody) AcceptLoss(ctx context.Context, p access.Principal, u Unknown) (uuid.UUID, error) {
	fail := func(err error) (uuid.UUID, error) { return uuid.Nil, fmt.Errorf("accept loss: %w", err) }
	if err := p.Can(access.AcceptLoss, uuid.Nil); err != nil {
		return fail(err)
	}
	if !u.Any() {
		return fail(&Problem{Field: FieldLoss, Code: ErrMissing})
	}
	e, expect, recorded, err := c.lossEvent(ctx, u)
	if err != nil {
		return fail(err)
	}
	if !recorded {
		if err := c.append(ctx, expect, e); err != nil {
			return fail(err)
		}
	}
	if err := c.cfg.Hook(PointLossRecorded); err != nil {
		return fail(err)
	}
	if err := c.cfg.Vault.AcceptLoss(ctx, vault.Loss{Ledger: u.End.LedgerID, Through: u.End.Seq,
		Until: c.cfg.Clock()}); err != nil {
		return fail(err)
	}
	if err := c.cfg.Hook(PointLossAccepted); err != nil {
		return fail(err)
	}
	return e.ID, nil
}

// lossEvent returns the event that tells of the loss: the one that stands in the
// ledger, or the one to append.
func (c *Custody) lossEvent(
	ctx context.Context, u Unknown,
) (e schemas.Event, expect ledger.Expect, recorded bool, err error) {
	expect = ledger.NoStream
	for r, err := range c.cfg.Ledger.ReadStream(ctx, schemas.LedgerStream, 0) {
		if err != nil {
			return e, expect, false, err
		}
		expect = ledger.Exact(r.Revision)
		told, foreign := schemas.NewEnvelope(r)
		if r.Type != "ledger.keys-lost.v1" || foreign != nil {
			continue
		}
		made, err := c.madeHere(ctx, told)
		if err != nil {
			return e, expect, false, err
		}
		if d, err := c.cat.Decode(told); made && err == nil && tellsOf(d, u) {
			e, recorded = r.Event, true
		}
	}
	if recorded {
		return e, expect, true, nil
	}
	d := c.draft("ledger.keys-lost.v1", uuid.Nil, schemas.LedgerStream)
	c.set(&d, "ledger.lost-events", u.Events+u.TenantEvents, tenantOwner)
	c.set(&d, "ledger.lost-aliases", u.Aliases, tenantOwner)
	c.set(&d, "ledger.lost-through", u.End.Seq, tenantOwner)
	e, err = c.cat.Encode(d)
	return e, expect, false, err
}

// tellsOf reports whether an event tells of the same loss: as many, and it
// was made after the last of them.
func tellsOf(d schemas.Draft, u Unknown) bool {
	var events, aliases, through string
	for _, v := range d.Values {
		switch v.Attr.ID {
		case "ledger.lost-events":
			events = string(v.Plain)
		case "ledger.lost-aliases":
			aliases = string(v.Plain)
		case "ledger.lost-through":
			through = string(v.Plain)
		}
	}
	var end uint64
	if _, err := fmt.Sscan(through, &end); err != nil {
		return false
	}
	return events == fmt.Sprint(u.Events+u.TenantEvents) && aliases == fmt.Sprint(u.Aliases) && end >= u.Last
}
