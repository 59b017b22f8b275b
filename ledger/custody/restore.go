package custody

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Replayed counts what a replay of the ledger's orders found and did. Orders = Replayed + Done +
// NoTenant + LeftOut.
type Replayed struct {
	Orders   int // events of the type of an erasure order
	Replayed int // carried out now, on keys that lived here or that this vault never knew
	Done     int // every key was destroyed here already
	NoTenant int // of a tenant that this vault does not know: none of its keys can be here
	// no order that fits its type or was appended by this vault's holder, or whose completion is
	// another's
	LeftOut int
	Keys    int // of the orders replayed: keys not destroyed here before, those included that were never here
	Pending int // of the orders: those whose completion is not in the ledger; Resume records it
	Apart   int // events of merges of whose persons this vault does not know two: they stay apart
}

// replayAtOnce is how many orders are carried out in one transaction, which scrubs the vault's
// files once.
const replayAtOnce = 64

// Replay has the vault know the merges that the ledger tells of, and carries out every erasure
// order among the events in this vault, by the keys' uuids alone: a vault restored from before an
// erasure holds the person again. Where it never knew a key, a tombstone stays. Call it on a
// restored vault with all of the ledger's events before anything is served, then Resume. It can be
// repeated.
//
// What it cannot do: keep out a person whom the restored vault never met. It has no identifier of
// theirs to know them by, so an old record of them makes a new person.
func (c *Custody) Replay(ctx context.Context, events iter.Seq2[schemas.Envelope, error]) (Replayed, error) {
	var n Replayed
	fail := func(err error) (Replayed, error) { return n, fmt.Errorf("replay erasure orders: %w", err) }
	if err := c.forgetKnown(ctx); err != nil {
		return fail(err)
	}
	tenants := map[uuid.UUID]bool{}   // those asked about: whether the vault knows them
	orders := map[uuid.UUID][]order{} // by tenant
	seen := map[uuid.UUID]bool{}
	completed := map[uuid.UUID]bool{}
	var merges []schemas.Envelope
	for r, err := range events {
		if err != nil {
			return fail(err)
		}
		switch r.Type {
		case "subject.erased.v1":
			completed[r.ID] = true
		case subjectMerged, subjectUnmerged:
			merges = append(merges, r)
		case "request.erasure-ordered.v1":
			n.Orders++
			o, ok := c.decodeOrder(r)
			if ok && !tenants[o.tenant] {
				// Its origin cannot be compared without the tenant's key, and
				// none of its keys can be here.
				if tenants[o.tenant], err = c.cfg.Vault.HasTenant(ctx, o.tenant); err != nil {
					return fail(err)
				}
				if !tenants[o.tenant] {
					n.NoTenant++
					continue
				}
			}
			if ok {
				if o, ok, err = c.genuineOrder(ctx, r); err != nil {
					return fail(err)
				}
			}
			if !ok || seen[o.completion] {
				n.LeftOut++
				continue
			}
			seen[o.completion] = true
			orders[o.tenant] = append(orders[o.tenant], o)
		}
	}
	for tenant, all := range orders {
		for len(all) > 0 {
			part := all[:min(len(all), replayAtOnce)]
			all = all[len(part):]
			if err := c.replay(ctx, tenant, part, completed, &n); err != nil {
				return fail(err)
			}
		}
	}
	for _, e := range merges {
		known, err := c.restoreMerge(ctx, e)
		if err != nil {
			return fail(err)
		}
		if !known {
			n.Apart++
			c.cfg.Logger.Warn("the restored vault does not know two of a merge's persons: they stay apart",
				"event", e.ID, "stream", e.Stream)
		}
	}
	return n, nil
}

// forgetKnown has the vault forget which records were taken: it does not know what was unsettled
// since it was copied.
func (c *Custody) forgetKnown(ctx context.Context) error {
	all, err := c.cfg.Vault.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		err := c.cfg.Vault.Update(ctx, t.ID, func(tx *vault.Tx) error { return tx.Known().Forget() })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Custody) replay(
	ctx context.Context, tenant uuid.UUID, orders []order, completed map[uuid.UUID]bool, n *Replayed,
) error {
	var did Replayed
	var due []order
	err := c.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		did, due = Replayed{}, nil
		for _, o := range orders {
			gone, err := tx.Destroyed(o.keys)
			if err != nil {
				return err
			}
			_, pending, err := tx.Erasure(o.completion)
			switch {
			case err != nil:
				return err
			case gone == len(o.keys) && !pending:
				did.Done++
			default:
				did.Keys += len(o.keys) - gone
				due = append(due, o)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(due) > 0 {
		var carried []order
		err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
			carried = nil
			for _, o := range due {
				err := tx.ReplayErasure(o.completion, o.keys, o.at)
				if errors.Is(err, vault.ErrNotFound) { // the completion is another tenant's: nothing was done
					continue
				}
				if err != nil {
					return fmt.Errorf("order %s: %w", o.event, err)
				}
				carried = append(carried, o)
			}
			return nil
		})
		if err != nil {
			return err
		}
		// The bytes are gone from the files: only now may it count as complete.
		err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
			did.Pending = 0
			for _, o := range carried {
				if !completed[o.completion] {
					did.Pending++
					continue
				}
				if err := tx.CompleteErasure(o.completion); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		did.Replayed, did.LeftOut = len(carried), len(due)-len(carried)
	}
	n.Replayed += did.Replayed
	n.Done += did.Done
	n.LeftOut += did.LeftOut
	n.Keys += did.Keys
	n.Pending += did.Pending
	return nil
}
