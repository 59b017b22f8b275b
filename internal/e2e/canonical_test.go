//go:build crash

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// canonical writes down a node's whole state so that two nodes that were told the same agree on
// every line: values unsealed, random ids replaced by what they stand for, our own clock left out.
func canonical(t testing.TB, ctx context.Context, p parts, f *facts) []string {
	t.Helper()
	var out []string
	for _, tenant := range f.tenants {
		if tenant != uuid.Nil {
			out = append(out, newNames(t, ctx, p, f, tenant).lines(t, ctx, p)...)
		}
	}
	return out
}

// names says what the random ids of one tenant stand for.
type names struct {
	f        *facts
	tenant   uuid.UUID
	persons  map[uuid.UUID]string
	streams  map[schemas.Stream]string
	elements map[string]string // element uuid → the value it holds
}

func newNames(t testing.TB, ctx context.Context, p parts, f *facts, tenant uuid.UUID) *names {
	n := &names{f: f, tenant: tenant, persons: map[uuid.UUID]string{}, streams: map[schemas.Stream]string{},
		elements: map[string]string{}}
	for _, d := range f.drafts {
		if d.Tenant != tenant {
			continue
		}
		for _, v := range d.Values {
			if v.Attr.ID == "device.intune-id" {
				n.streams[d.Stream] = "device " + n.text(v)
			}
			if len(v.Path) == 1 && v.Token != "" {
				n.elements[v.Path[0]] = n.text(v)
			}
		}
		if k := d.Type.Kind(); k == "tenant" {
			n.streams[d.Stream] = k
		}
	}
	err := p.vault.View(ctx, tenant, func(tx *vault.Tx) error {
		for _, o := range f.owners {
			if o.Kind != schemas.OwnerPerson || n.persons[o.ID] != "" {
				continue
			}
			ids, err := tx.Identity(o.ID)
			if errors.Is(err, vault.ErrNotFound) {
				continue // another tenant's
			}
			if err != nil {
				return err
			}
			var parts []string
			for _, i := range ids {
				parts = append(parts, i.Kind+" "+i.Value)
			}
			slices.Sort(parts)
			n.persons[o.ID] = "person " + strings.Join(slices.Compact(parts), ", ")
		}
		for s, name := range maps.Clone(n.streams) {
			if s.Kind() != "device" {
				continue
			}
			refusals, err := tx.RefusalsOf(s)
			if err != nil {
				return err
			}
			for _, r := range refusals {
				n.streams[r] = "refusal of " + name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text is a value's JSON text, opened.
func (n *names) text(v schemas.Value) string {
	if v.Token != "" {
		return n.f.plain[v.Token]
	}
	return string(v.Plain)
}

func (n *names) owner(alias uuid.UUID) string {
	o, ok := n.f.owners[alias]
	switch {
	case !ok:
		return "erased"
	case o.Kind == schemas.OwnerPerson:
		return n.persons[o.ID]
	case o.Kind == schemas.OwnerDevice:
		return n.streams[schemas.NewStream("device", o.ID)]
	}
	return "tenant"
}

// event writes an event without its ids and without our clock.
func (n *names) event(d schemas.Draft) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %s", d.Type.Name, d.Source)
	if d.Source != "custody" { // whose own events occur when they are recorded
		fmt.Fprintf(&b, " at %s", d.Occurred.UTC().Format(time.RFC3339Nano))
	}
	for _, s := range d.Subjects {
		fmt.Fprintf(&b, " [%s: %s]", s.Role, n.owner(s.Alias))
	}
	var values []string
	for _, v := range d.Values {
		line := v.Attr.ID
		switch {
		case v.Removed:
			line += " removed"
			if len(v.Path) > 0 {
				line += " " + n.elements[v.Path[0]]
			}
		case v.Attr.ID == "remoteaction.group": // our own uuid of the request
			line += " = one"
		case v.Attr.ID == "action.target-device", v.Attr.ID == "remoteaction.device":
			var id string
			if json.Unmarshal(v.Plain, &id) == nil {
				line += "~" + v.Element() + " = " + n.streams[schemas.Stream("device-"+id)]
			}
		default:
			if d.Type.Form == schemas.FormFact && len(v.Path) > 0 {
				line += "~" + v.Element()
			}
			line += " = " + n.text(v)
		}
		if v.Token != "" {
			h, _, err := v.Token.Parse()
			if err == nil {
				line += " (key of " + n.owner(h.Alias) + ", " + h.Class + ")"
			}
		}
		if !v.Observed.IsZero() {
			line += " observed " + v.Observed.UTC().Format(time.RFC3339)
		}
		values = append(values, line)
	}
	slices.Sort(values)
	for _, v := range values {
		b.WriteString("\n    " + v)
	}
	return b.String()
}

func (n *names) lines(t testing.TB, ctx context.Context, p parts) (out []string) {
	byStream := map[schemas.Stream][]string{}
	for _, d := range n.f.drafts {
		if d.Tenant == n.tenant {
			byStream[d.Stream] = append(byStream[d.Stream], n.event(d))
		}
	}
	for s, events := range byStream {
		name := n.streams[s]
		if name == "" { // a fact is named by its content
			sum := sha256.Sum256([]byte(strings.Join(events, "\n")))
			name = fmt.Sprintf("%s %x", s.Kind(), sum[:6])
		}
		for i, e := range events {
			out = append(out, fmt.Sprintf("%s @%d: %s", name, i, e))
		}
	}
	err := p.vault.View(ctx, n.tenant, func(tx *vault.Tx) error {
		for id, name := range n.persons {
			ids, err := tx.Identity(id)
			if err != nil {
				return err
			}
			for _, i := range ids {
				out = append(out, fmt.Sprintf("vault: %s is %s %s from %s to %s", name, i.Kind, i.Value,
					i.From.UTC().Format(time.RFC3339), i.To.UTC().Format(time.RFC3339)))
			}
			held, err := tx.DevicesOf(id)
			if err != nil {
				return err
			}
			for _, h := range held {
				out = append(out, fmt.Sprintf("vault: %s holds %s as %s, generation %d, from %s to %s", name,
					n.streams[h.Stream], h.Ownership, h.Generation,
					h.From.UTC().Format(time.RFC3339), h.To.UTC().Format(time.RFC3339)))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// sameState fails with the lines in which two canonical states differ.
func sameState(t testing.TB, want, got []string) {
	t.Helper()
	lines := map[string]int{}
	for _, l := range want {
		lines[l]++
	}
	for _, l := range got {
		lines[l]--
	}
	shown := 0
	for _, l := range slices.Sorted(maps.Keys(lines)) {
		if lines[l] == 0 {
			continue
		}
		if shown++; shown > 20 {
			t.Error("… and more")
			return
		}
		if lines[l] > 0 {
			t.Errorf("only in the undisturbed run: %s", l)
		} else {
			t.Errorf("only in the disturbed run: %s", l)
		}
	}
}
