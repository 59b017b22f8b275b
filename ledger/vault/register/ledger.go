package register

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file is what a vault knows of its ledger, so that neither is taken for another's, nor for a
// new one.

// Bind binds the vault to the ledger for good. Repeating it changes nothing. ErrOtherLedger: it is
// another's.
func (r *Register) Bind(ctx context.Context, ledger uuid.UUID) error {
	if ledger == uuid.Nil {
		return errors.New("bind vault: the ledger's id is missing")
	}
	if bound, ok, err := r.Ledger(ctx); err == nil && ok && bound == ledger {
		return nil
	}
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		bound, ok, err := boundTo(rows)
		switch {
		case err != nil:
			return err
		case ok && bound != ledger:
			return fmt.Errorf("%w: it is bound to %s, not to %s", ErrOtherLedger, bound, ledger)
		case ok:
			return nil
		}
		return rows.PutSetting(settingLedger, ledger[:])
	})
	if err != nil {
		return fmt.Errorf("bind vault: %w", err)
	}
	return nil
}

// Ledger returns the id of the ledger that the vault is bound to; bound
// tells whether it is to any.
func (r *Register) Ledger(ctx context.Context) (id uuid.UUID, bound bool, err error) {
	err = r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		id, bound, err = boundTo(rows)
		return err
	})
	if err != nil {
		return uuid.Nil, false, fmt.Errorf("ledger of the vault: %w", err)
	}
	return id, bound, nil
}

func boundTo(rows store.Rows) (uuid.UUID, bool, error) {
	b, ok, err := store.Setting(rows, settingLedger)
	if err != nil || !ok {
		return uuid.Nil, false, err
	}
	id, err := uuid.FromBytes(b)
	return id, err == nil, err
}

const anchorSize = 16 + 8 + 16 + 32 + 16

func encodeAnchor(a schemas.Anchor) []byte {
	b := append([]byte(nil), a.LedgerID[:]...)
	b = binary.BigEndian.AppendUint64(b, a.Seq)
	b = append(b, a.EventID[:]...)
	b = append(b, a.Leaf[:]...)
	b = binary.BigEndian.AppendUint64(b, a.Position.Commit)
	return binary.BigEndian.AppendUint64(b, a.Position.Prepare)
}

func decodeAnchor(b []byte) (a schemas.Anchor, err error) {
	if len(b) != anchorSize {
		return a, fmt.Errorf("the anchor has %d bytes, want %d", len(b), anchorSize)
	}
	copy(a.LedgerID[:], b)
	a.Seq = binary.BigEndian.Uint64(b[16:])
	copy(a.EventID[:], b[24:])
	copy(a.Leaf[:], b[40:])
	a.Position = schemas.Position{Commit: binary.BigEndian.Uint64(b[72:]), Prepare: binary.BigEndian.Uint64(b[80:])}
	return a, nil
}

// SaveAnchor notes how far the ledger had come. An anchor of a lower sequence than the one noted
// changes nothing. ErrOtherLedger: the anchor is not of the ledger that the vault is bound to, or
// the vault is bound to none. An anchor of the same sequence and another event is an error: the
// ledger is not the one that it was.
func (r *Register) SaveAnchor(ctx context.Context, a schemas.Anchor) error {
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		bound, ok, err := boundTo(rows)
		if err != nil {
			return err
		}
		if !ok || bound != a.LedgerID {
			return ErrOtherLedger
		}
		was, ok, err := anchorOf(rows)
		if err != nil {
			return err
		}
		if ok && was.Seq == a.Seq && (was.EventID != a.EventID || was.Leaf != a.Leaf) {
			return fmt.Errorf("sequence %d was event %s and is now %s: the ledger has diverged from the "+
				"vault's anchor",
				a.Seq, was.EventID, a.EventID)
		}
		if ok && was.Seq > a.Seq {
			return nil
		}
		pending, err := rows.Erasures()
		if err == nil && len(pending) == 0 {
			err = rows.PutSetting(settingOrders, encodeAnchor(a))
		}
		if err != nil || ok && was.Seq == a.Seq {
			return err
		}
		return rows.PutSetting(settingAnchor, encodeAnchor(a))
	})
	if err != nil {
		return fmt.Errorf("save the vault's anchor: %w", err)
	}
	return nil
}

// LowerAnchor notes an anchor of a lower sequence than the one noted: the ledger has lost what
// came after it, for good, and somebody has accepted that. Any other is SaveAnchor's.
func (r *Register) LowerAnchor(ctx context.Context, a schemas.Anchor) error {
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		bound, ok, err := boundTo(rows)
		switch {
		case err != nil:
			return err
		case !ok || bound != a.LedgerID:
			return ErrOtherLedger
		}
		was, ok, err := anchorOf(rows)
		if err != nil {
			return err
		}
		if !ok || was.Seq <= a.Seq {
			return errors.New("the anchor noted is not of a higher sequence")
		}
		// What stood behind it is gone, the orders among it too.
		return errors.Join(rows.PutSetting(settingAnchor, encodeAnchor(a)), rows.PutSetting(settingOrders, nil))
	})
	if err != nil {
		return fmt.Errorf("lower the vault's anchor: %w", err)
	}
	return nil
}

// OrdersAfter returns the anchor that was noted last while no erasure was pending; found tells
// whether any was. What is pending was begun after it, and its order, where it has one, stands in
// the ledger behind it. Only Destroy of an order that this vault did not begin makes an erasure
// pending whose order may stand before.
func (r *Register) OrdersAfter(ctx context.Context) (a schemas.Anchor, found bool, err error) {
	err = r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		b, _, err := store.Setting(rows, settingOrders)
		if err != nil || len(b) == 0 {
			return err
		}
		a, err = decodeAnchor(b)
		found = err == nil
		return err
	})
	if err != nil {
		return schemas.Anchor{}, false, fmt.Errorf("load the anchor before what is pending: %w", err)
	}
	return a, found, nil
}

// LoadAnchor returns the anchor noted last; found tells whether any was.
func (r *Register) LoadAnchor(ctx context.Context) (a schemas.Anchor, found bool, err error) {
	err = r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		a, found, err = anchorOf(rows)
		return err
	})
	if err != nil {
		return schemas.Anchor{}, false, fmt.Errorf("load the vault's anchor: %w", err)
	}
	return a, found, nil
}

func anchorOf(rows store.Rows) (schemas.Anchor, bool, error) {
	b, ok, err := store.Setting(rows, settingAnchor)
	if err != nil || !ok {
		return schemas.Anchor{}, false, err
	}
	a, err := decodeAnchor(b)
	return a, err == nil, err
}

// Counts counts what the vault holds.
func (r *Register) Counts(ctx context.Context) (store.Counts, error) {
	var c store.Counts
	err := r.c.View(ctx, uuid.Nil, func(rows store.Rows) (err error) {
		c, err = rows.Count()
		return err
	})
	if err != nil {
		return store.Counts{}, fmt.Errorf("count what the vault holds: %w", err)
	}
	return c, nil
}

// HasTenant reports whether the vault knows a tenant of that id.
func (r *Register) HasTenant(ctx context.Context, tenant uuid.UUID) (bool, error) {
	known := false
	err := r.c.View(ctx, tenant, func(rows store.Rows) (err error) {
		_, known, err = rows.Tenant(tenant)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("tenant %s: %w", tenant, err)
	}
	return known, nil
}

// Unknown returns those of the aliases that the vault has never heard of in the tenant, in their
// order: it knows tombstones. An event names an alias only after the vault holds it, so a vault to
// which aliases are unknown is older than the event. Of a tenant that it does not know, it knows
// none.
func (r *Register) Unknown(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) ([]uuid.UUID, error) {
	if len(aliases) == 0 {
		return nil, nil
	}
	var out []uuid.UUID
	err := r.c.View(ctx, tenant, func(rows store.Rows) error {
		found, err := rows.Fetch(store.Keys{Aliases: aliases})
		if err != nil {
			return err
		}
		known := make(map[uuid.UUID]bool, len(found.Aliases))
		for _, a := range found.Aliases {
			known[a.ID] = true
		}
		for _, a := range aliases {
			if !known[a] {
				out = append(out, a)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for unknown aliases: %w", err)
	}
	return out, nil
}

// Loss is the declaration that a vault has lost keys for good: events up to that sequence,
// recorded up to that time, may name aliases that it does not know.
type Loss struct {
	Ledger  uuid.UUID
	Through uint64    // the last sequence of the ledger when it was declared
	Until   time.Time // when it was declared
}

// AcceptLoss declares a loss. From then on a token whose alias the vault does not know reads
// ErrLost, and not ErrTampered, if its month is not after the declaration. Declared again, it
// reaches as far as the farther of the two. ErrOtherLedger as for SaveAnchor.
func (r *Register) AcceptLoss(ctx context.Context, l Loss) error {
	fail := func(err error) error { return fmt.Errorf("accept loss: %w", err) }
	if l.Until.IsZero() {
		return fail(errors.New("the time of the declaration is missing"))
	}
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		bound, ok, err := boundTo(rows)
		if err != nil {
			return err
		}
		if !ok || bound != l.Ledger {
			return ErrOtherLedger
		}
		was, ok, err := LossOf(rows)
		if err != nil {
			return err
		}
		if ok {
			l.Through = max(l.Through, was.Through)
			if was.Until.After(l.Until) {
				l.Until = was.Until
			}
		}
		b := append([]byte(nil), l.Ledger[:]...)
		b = binary.BigEndian.AppendUint64(b, l.Through)
		return rows.PutSetting(settingLost, binary.BigEndian.AppendUint64(b, uint64(l.Until.UnixMilli())))
	})
	if err != nil {
		return fail(err)
	}
	return nil
}

// AcceptedLoss returns what AcceptLoss declared; found tells whether it did.
func (r *Register) AcceptedLoss(ctx context.Context) (l Loss, found bool, err error) {
	err = r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		l, found, err = LossOf(rows)
		return err
	})
	if err != nil {
		return Loss{}, false, fmt.Errorf("accepted loss: %w", err)
	}
	return l, found, nil
}

// LossOf is AcceptedLoss in a transaction that has begun.
func LossOf(rows store.Rows) (l Loss, found bool, err error) {
	b, ok, err := store.Setting(rows, settingLost)
	if err != nil || !ok {
		return Loss{}, false, err
	}
	if len(b) != 32 {
		return Loss{}, false, fmt.Errorf("the declared loss has %d bytes, want 32", len(b))
	}
	copy(l.Ledger[:], b)
	l.Through = binary.BigEndian.Uint64(b[16:])
	l.Until = time.UnixMilli(int64(binary.BigEndian.Uint64(b[24:]))).UTC()
	return l, true, nil
}
