package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// facts are what the checker learned: every event of the ledger, decoded,
// and what its tokens hold.
type facts struct {
	events  []schemas.Envelope
	drafts  []schemas.Draft
	leaves  [][32]byte
	tenants []uuid.UUID
	plain   map[schemas.Token]string        // JSON text, or "erased"
	owners  map[uuid.UUID]schemas.Owner     // whom aliases name; absent once erased
	rows    map[uuid.UUID][]projections.Row // the views' events, by tenant
}

// check recomputes everything from the ledger's bytes and compares it with the sequence index, the
// topics, the views and the vault of a node that has come to rest. It reports every difference.
func check(t testing.TB, n *node) *facts {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	p := n.connect(ctx)
	f := &facts{plain: map[schemas.Token]string{}, owners: map[uuid.UUID]schemas.Owner{},
		rows: map[uuid.UUID][]projections.Row{}}
	if !f.checkLedger(t, ctx, p) {
		return f
	}
	last := f.events[len(f.events)-1].Seq
	if err := p.views.WaitThrough(ctx, last); err != nil {
		n.dumpLog()
		t.Fatalf("the views never reached sequence %d: %v", last, err)
	}
	f.awaitRelay(t, ctx, p)
	f.checkIndex(t, ctx, filepath.Join(n.dir, "data", "sequence.index"))
	f.checkTopics(t, ctx, p)
	f.checkEvents(t, ctx, p)
	f.checkViews(t, ctx, p)
	f.checkVault(t, ctx, p)
	f.checkNamed(t, ctx, p)
	return f
}

// checkNamed lets the ledger's own checker look whether each event names everybody whose data it
// holds or removes: packages and erasure find events by that alone.
func (f *facts) checkNamed(t testing.TB, ctx context.Context, p parts) {
	owners := func(_ context.Context, _ uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
		out := map[uuid.UUID]schemas.Owner{}
		for _, a := range aliases {
			if o, told := f.owners[a]; told {
				out[a] = o
			}
		}
		return out, nil
	}
	err := p.ledger.Check(ctx, f.tenants, owners, func(e ledger.Found) error {
		if len(e.Naming.Missing) > 0 {
			t.Errorf("sequence %d: a %s does not name the person of %v", e.Seq, e.Type, e.Naming.Missing)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// checkLedger returns false where events cannot even be read, so that nothing
// can be compared with them.
func (f *facts) checkLedger(t testing.TB, ctx context.Context, p parts) bool {
	ids, revisions := map[uuid.UUID]bool{}, map[schemas.Stream]uint64{}
	var at uint64
	tenants := map[uuid.UUID]bool{}
	for r, err := range p.ledger.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Seq == 0 && r.Type != "ledger.created.v1" {
			t.Errorf("the ledger begins with %s", r.Type)
		}
		if r.Seq > 0 && r.Position.Commit <= at {
			t.Errorf("sequence %d: position %s is not after the one before", r.Seq, r.Position)
		}
		at = r.Position.Commit
		if ids[r.ID] {
			t.Errorf("sequence %d: event id %s comes twice", r.Seq, r.ID)
		}
		ids[r.ID] = true
		if want := revisions[r.Stream]; r.Revision != want {
			t.Errorf("sequence %d: %s@%d, want revision %d", r.Seq, r.Stream, r.Revision, want)
		}
		revisions[r.Stream] = r.Revision + 1
		d, err := schemas.Default().Decode(r)
		if err != nil {
			t.Errorf("sequence %d: %v", r.Seq, err)
			return false
		}
		if e, err := schemas.Default().Encode(d); err != nil || len(e.Data) != len(r.Data) {
			t.Errorf("sequence %d: written again it has other data (%v)", r.Seq, err)
		} else if k, _, err := p.vault.OriginKey(ctx, d.Tenant); err != nil ||
			!bytes.Equal(signed(e, r, k), r.Metadata) {
			t.Errorf("sequence %d: written again it has other metadata (%v)", r.Seq, err)
		}
		f.events, f.drafts, f.leaves = append(f.events, r), append(f.drafts, d), append(f.leaves, r.Leaf())
		tenants[d.Tenant] = true
	}
	if len(f.events) == 0 {
		t.Fatal("the ledger is empty")
	}
	f.tenants = slices.SortedFunc(maps.Keys(tenants), func(a, b uuid.UUID) int {
		return cmp.Compare(a.String(), b.String())
	})
	return true
}

// signed is the metadata of e with the origin of the event that is stored: the order of members in
// data is that of the draft's values, which decoding does not keep.
func signed(e schemas.Event, r schemas.Envelope, k schemas.OriginKey) []byte {
	e.Data = r.Data
	return schemas.Sign(e, r.Revision, k).Metadata
}

// awaitRelay waits until the relay has noted the last event: the views may have been there first,
// when topics or index are made again.
func (f *facts) awaitRelay(t testing.TB, ctx context.Context, p parts) {
	last := f.events[len(f.events)-1]
	for {
		pos, ok, err := p.kafka.LastPosition(ctx)
		if err != nil {
			t.Fatalf("the relay never noted sequence %d: %v", last.Seq, err)
		}
		if ok && pos.Through.Seq == last.Seq {
			if pos.Through.EventID != last.ID || pos.Through.Leaf != f.leaves[last.Seq] ||
				pos.Through.LedgerID != p.ledger.ID() {
				t.Errorf("ledger.position names %+v, the ledger ends with %s", pos.Through, last.ID)
			}
			return
		}
		if err := retry.Wait(ctx, poll); err != nil {
			t.Fatalf("the relay never noted sequence %d", last.Seq)
		}
	}
}

func (f *facts) checkIndex(t testing.TB, ctx context.Context, path string) {
	var raw []byte
	for len(raw) < 16*len(f.events) {
		var err error
		if raw, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if err := retry.Wait(ctx, poll); err != nil {
			t.Errorf("the sequence index has %d bytes for %d events", len(raw), len(f.events))
			return
		}
	}
	if len(raw) != 16*len(f.events) {
		t.Errorf("the sequence index has %d bytes for %d events", len(raw), len(f.events))
		return
	}
	for i, r := range f.events {
		commit, prepare := binary.BigEndian.Uint64(raw[16*i:]), binary.BigEndian.Uint64(raw[16*i+8:])
		if commit != r.Position.Commit || prepare != r.Position.Prepare {
			t.Errorf("the sequence index has %d/%d for sequence %d, which is at %s", commit, prepare, i, r.Position)
		}
	}
}

// checkTopics reads every partition as a consumer would, by the consumer's rule, and recomputes
// where each event belongs.
func (f *facts) checkTopics(t testing.TB, ctx context.Context, p parts) {
	seen := make([]bool, len(f.events))
	parts := p.kafka.Partitions()
	list, err := parts.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, tp := range list {
		counts[tp.Topic]++
	}
	for _, tp := range list {
		_, first, ends, err := p.kafka.Describe(ctx, tp.Topic)
		if err != nil {
			t.Fatal(err)
		}
		highest := int64(-1)
		for offset := first[tp.Partition]; offset < ends[tp.Partition]; {
			messages, _, err := parts.Read(ctx, tp.Topic, tp.Partition, offset)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				offset = m.Offset + 1
				d, err := consumers.Decode(m)
				if err != nil {
					t.Errorf("%s/%d@%d: %v", tp.Topic, tp.Partition, m.Offset, err)
					continue
				}
				if int64(d.Seq) <= highest {
					continue // a repetition within a round, dropped by the rule
				}
				highest = int64(d.Seq)
				if d.Seq >= uint64(len(f.events)) {
					t.Errorf("%s/%d@%d: sequence %d is not in the ledger", tp.Topic, tp.Partition, m.Offset, d.Seq)
					continue
				}
				r := f.events[d.Seq]
				if d.ID != r.ID || d.Type != r.Type || d.Stream != r.Stream || d.Revision != r.Revision ||
					d.Position != r.Position ||
					!bytes.Equal(d.Data, r.Data) || !bytes.Equal(d.Metadata, r.Metadata) ||
					d.Leaf() != f.leaves[d.Seq] {
					t.Errorf("%s/%d@%d: sequence %d is not what the ledger holds", tp.Topic, tp.Partition, m.Offset,
						d.Seq)
				}
				topic, key := consumers.Route(r)
				if topic != tp.Topic || string(m.Key) != key ||
					kafka.Partition(m.Key, counts[tp.Topic]) != tp.Partition {
					t.Errorf("%s/%d@%d: sequence %d belongs elsewhere", tp.Topic, tp.Partition, m.Offset, d.Seq)
				}
				if seen[d.Seq] {
					t.Errorf("sequence %d stands in two partitions", d.Seq)
				}
				seen[d.Seq] = true
			}
		}
	}
	for seq, ok := range seen {
		if !ok {
			t.Errorf("sequence %d is in no topic", seq)
		}
	}
}

// poll is how often a condition is looked at that other processes bring about.
const poll = 20 * time.Millisecond

// checkEvents compares every byte that the views hold, and lets ClickHouse
// recompute the leaves from them.
func (f *facts) checkEvents(t testing.TB, ctx context.Context, p parts) {
	total := 0
	for _, tenant := range f.tenants {
		for r, err := range p.views.RawEvents(ctx, tenant, 0, uint64(len(f.events))) {
			if err != nil {
				t.Fatal(err)
			}
			total++
			if r.Seq >= uint64(len(f.events)) {
				t.Errorf("views: sequence %d is not in the ledger", r.Seq)
				continue
			}
			want := f.events[r.Seq]
			if r.Leaf() != f.leaves[r.Seq] || r.ID != want.ID || r.Stream != want.Stream ||
				f.drafts[r.Seq].Tenant != tenant {
				t.Errorf("views: sequence %d is not what the ledger holds", r.Seq)
			}
		}
	}
	if total != len(f.events) {
		t.Errorf("views: %d events, the ledger has %d", total, len(f.events))
	}
	differences, err := p.views.DeepCheck(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		t.Errorf("views: leaf recomputed in SQL differs: %+v", d)
	}
	digests, err := p.views.Digest(ctx, f.events[len(f.events)-1].Seq)
	if err != nil {
		t.Fatal(err)
	}
	want := projections.Digests{}
	for i := range f.events {
		want.Add(f.drafts[i].Tenant, uint64(i), f.leaves[i])
	}
	if diff := want.Differ(digests); len(diff) > 0 {
		t.Errorf("views: sums of leaves differ in %v", diff)
	}
}

// checkVault opens every token there is and resolves every alias.
func (f *facts) checkVault(t testing.TB, ctx context.Context, p parts) {
	for _, tenant := range f.tenants {
		if tenant == uuid.Nil {
			continue
		}
		var asked []vault.Sealed
		aliases := map[uuid.UUID]bool{}
		for _, d := range f.drafts {
			if d.Tenant != tenant {
				continue
			}
			for _, s := range d.Subjects {
				aliases[s.Alias] = true
			}
			for _, v := range d.Values {
				if v.Token == "" {
					continue
				}
				h, _, err := v.Token.Parse()
				if err != nil {
					t.Errorf("event %s: %v", d.ID, err)
					continue
				}
				if h.Month != schemas.Month(d.Occurred, d.Recorded) {
					t.Errorf("event %s: %s is sealed under month %s", d.ID, h.Attr, h.Month)
				}
				aliases[h.Alias] = true
				asked = append(asked, vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID})
			}
		}
		for part := range slices.Chunk(asked, 2000) {
			err := p.vault.View(ctx, tenant, func(tx *vault.Tx) error {
				opened, err := tx.Open(part)
				if err != nil {
					return err
				}
				for i, o := range opened {
					switch {
					case o.Err == nil:
						f.plain[part[i].Token] = string(o.Plain)
					case errors.Is(o.Err, vault.ErrErased):
						f.plain[part[i].Token] = "erased"
					default:
						t.Errorf("event %s: %s does not open: %v", part[i].Event, part[i].Attr, o.Err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := p.vault.View(ctx, tenant, func(tx *vault.Tx) error {
			for a := range aliases {
				switch o, err := tx.AliasOwner(a); {
				case err == nil:
					f.owners[a] = o
				case !errors.Is(err, vault.ErrErased):
					return fmt.Errorf("alias %s: %w", a, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
