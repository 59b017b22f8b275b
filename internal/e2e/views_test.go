package e2e

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// cell is the place of a value in the current state.
type cell struct {
	stream             schemas.Stream
	attribute, element string
}

// current folds the events up to and including a sequence: of each cell the last value,
// nothing where it was removed.
func (f *facts) current(tenant uuid.UUID, upTo uint64) map[cell]projections.Held {
	out := map[cell]projections.Held{}
	for i, d := range f.drafts[:upTo+1] {
		if d.Tenant != tenant || d.Type.Form != schemas.FormState {
			continue
		}
		for _, v := range d.Values {
			c := cell{d.Stream, v.Attr.ID, v.Element()}
			if v.Removed {
				delete(out, c)
				continue
			}
			out[c] = projections.Held{Element: c.element, Text: projections.Text(v.Text()), Seq: uint64(i)}
		}
	}
	return out
}

func cellLess(a, b cell) int {
	return cmp.Or(cmp.Compare(a.stream, b.stream), cmp.Compare(a.attribute, b.attribute),
		cmp.Compare(a.element, b.element))
}

// checkViews asks the readers what they say and compares it with the fold.
func (f *facts) checkViews(t testing.TB, ctx context.Context, p parts) {
	last := uint64(len(f.events) - 1)
	for _, tenant := range f.tenants {
		if tenant == uuid.Nil {
			continue
		}
		for _, at := range []uint64{last, last / 2} { // now, and as it was at a sequence
			f.checkDevices(t, ctx, p, tenant, at)
		}
		f.checkActs(t, ctx, p, tenant)
		f.checkAliases(t, ctx, p, tenant)
	}
}

func (f *facts) checkDevices(t testing.TB, ctx context.Context, p parts, tenant uuid.UUID, at uint64) {
	want := f.current(tenant, at)
	got := map[cell]projections.Held{}
	asOf := projections.AsOf{Seq: at}
	for d, err := range p.views.Devices(ctx, tenant, asOf) {
		if err != nil {
			t.Fatal(err)
		}
		for attribute, values := range d.Values {
			for _, h := range values {
				got[cell{d.Stream, attribute, h.Element}] = h
			}
		}
	}
	streams := map[schemas.Stream]bool{}
	for c := range want {
		if c.stream.Kind() == "device" {
			streams[c.stream] = true
		}
	}
	for s := range streams {
		for h, err := range p.views.Apps(ctx, tenant, s, asOf) {
			if err != nil {
				t.Fatal(err)
			}
			got[cell{s, "device.app", h.Element}] = h
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(want), cellLess) {
		if c.stream.Kind() != "device" {
			continue
		}
		g, ok := got[c]
		if !ok || g.Text != want[c].Text || g.Seq != want[c].Seq {
			t.Errorf("as of %d, %v is set by sequence %d; the view has sequence %d (found: %v)", at, c,
				want[c].Seq, g.Seq, ok)
		}
		delete(got, c)
	}
	for c := range got {
		t.Errorf("as of %d, the view has %v, which is not set", at, c)
	}
}

// checkActs compares what happened once: admin actions, refusals, accesses, requests.
func (f *facts) checkActs(t testing.TB, ctx context.Context, p parts, tenant uuid.UUID) {
	asOf := projections.AsOf{Seq: uint64(len(f.events) - 1)}
	got, want := map[uint64]string{}, map[uint64]string{}
	put := func(seq uint64, format string, args ...any) {
		if old, twice := got[seq]; twice {
			t.Errorf("sequence %d stands in the views twice: %s", seq, old)
		}
		got[seq] = fmt.Sprintf(format, args...)
	}
	for a, err := range p.views.AdminActions(ctx, tenant, projections.Period{}, projections.ActionFilter{}, asOf) {
		if err != nil {
			t.Fatal(err)
		}
		put(a.Seq, "%s %s %s %s targets %d", a.Verb, a.Category, a.Result, a.ActorUPN, len(a.Targets))
	}
	for r, err := range p.views.Refusals(ctx, tenant, projections.Period{}, nil, asOf) {
		if err != nil {
			t.Fatal(err)
		}
		put(r.Seq, "%s %s %d", r.Rule, r.Category, r.Count)
	}
	for a, err := range p.views.Access(ctx, tenant, projections.Period{}, projections.AccessFilter{}, asOf) {
		if err != nil {
			t.Fatal(err)
		}
		put(a.Seq, "%s %s of %d persons", a.Report, a.Purpose, a.Persons)
	}
	for r, err := range p.views.Requests(ctx, tenant, asOf) {
		if err != nil {
			t.Fatal(err)
		}
		put(r.Seq, "%s", r.Type)
	}
	begun, viewed := map[schemas.Stream]bool{}, map[schemas.Stream]int{} // viewings, and of how many persons
	for _, d := range f.drafts {
		for _, s := range d.Subjects {
			if s.Role == "target" && d.Stream.Kind() == "access" {
				viewed[d.Stream]++
			}
		}
	}
	for i, d := range f.drafts {
		if d.Tenant != tenant {
			continue
		}
		text := func(attr string) string {
			for _, v := range d.Values {
				if v.Attr.ID == attr {
					return v.Text()
				}
			}
			return ""
		}
		switch d.Type.Kind() {
		case "adminaction":
			if d.Type.Name != "adminaction.recorded.v1" {
				continue // one row an action
			}
			targets := map[string]bool{}
			for _, more := range f.drafts {
				if more.Type == nil || more.Stream != d.Stream || more.Type.Name == "adminaction.disputed.v1" {
					continue
				}
				for _, v := range more.Values {
					if len(v.Path) > 0 && more.Type.Name != "adminaction.supplemented.v1" {
						targets[more.ID.String()+v.Path[0]] = true // the fleet's forms tell the same targets
					}
				}
			}
			want[uint64(i)] = fmt.Sprintf("%s %s %s %s targets %d", text("action.verb"), text("action.category"),
				text("action.result"), text("action.actor-upn"), len(targets))
		case "refusal":
			want[uint64(i)] = fmt.Sprintf("%s %s %s", text("refusal.rule"), text("refusal.category"),
				text("refusal.count"))
		case "access":
			if begun[d.Stream] {
				continue // one row a viewing
			}
			begun[d.Stream] = true
			want[uint64(i)] = fmt.Sprintf("%s %s of %d persons", text("access.report"), text("access.purpose"),
				viewed[d.Stream])
		case "request", "subject":
			want[uint64(i)] = d.Type.Name
		}
	}
	for seq, w := range want {
		if got[seq] != w {
			t.Errorf("sequence %d is %q in the views, %q in the ledger", seq, got[seq], w)
		}
		delete(got, seq)
	}
	for seq, g := range got {
		t.Errorf("the views have %q at sequence %d, the ledger something else", g, seq)
	}
}

// checkAliases asks for the events of aliases, all at once and some one by one.
func (f *facts) checkAliases(t testing.TB, ctx context.Context, p parts, tenant uuid.UUID) {
	asOf := projections.AsOf{Seq: uint64(len(f.events) - 1)}
	byAlias := map[uuid.UUID][]uint64{}
	for i, d := range f.drafts {
		if d.Tenant != tenant {
			continue
		}
		for _, s := range d.Subjects {
			if l := byAlias[s.Alias]; len(l) == 0 || l[len(l)-1] != uint64(i) {
				byAlias[s.Alias] = append(l, uint64(i))
			}
		}
	}
	ask := func(aliases []uuid.UUID) (seqs []uint64) {
		for r, err := range p.views.EventsByAliases(ctx, tenant, aliases, asOf) {
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, r.Seq)
		}
		return seqs
	}
	all := slices.SortedFunc(maps.Keys(byAlias), func(a, b uuid.UUID) int {
		return cmp.Compare(a.String(), b.String())
	})
	every := map[uint64]bool{}
	for i, a := range all {
		for _, s := range byAlias[a] {
			every[s] = true
		}
		if i < 25 {
			if got := ask([]uuid.UUID{a}); !slices.Equal(got, byAlias[a]) {
				t.Errorf("alias %s is named by sequences %v, the view has %v", a, byAlias[a], got)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	if got, want := ask(all), slices.Sorted(maps.Keys(every)); !slices.Equal(got, want) {
		t.Errorf("all aliases together are named by %d events, the view has %d", len(want), len(got))
	}
}
