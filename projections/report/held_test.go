package report_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
)

// many are the views of a tenant with that many actions, each with four sealed values.
type many struct {
	report.Reader
	actions int
	read    atomic.Int64 // actions handed out
	opened  atomic.Int64 // values
	calls   atomic.Int64 // that opened them
}

func (m *many) Through(context.Context) (uint64, bool, error) { return uint64(m.actions), true, nil }

func (m *many) AdminActions(
	context.Context, uuid.UUID, projections.Period, projections.ActionFilter, projections.AsOf,
) iter.Seq2[projections.AdminAction, error] {
	return func(yield func(projections.AdminAction, error) bool) {
		for i := range m.actions {
			event := id(fmt.Sprint("event", i))
			token := func(attr string) projections.Text {
				return projections.Text(schemas.TokenHeader{Alias: anna, Class: "audit-actor", Month: "202609",
					Event: event, Attr: attr}.Token(make([]byte, 32+12+64+16)))
			}
			a := projections.AdminAction{Fact: projections.Fact{Seq: uint64(i), EventID: event,
				Occurred: at("2026-09-14T07:30:00Z")}, Verb: "update", Result: "success",
				ActorUPN: token("action.actor-upn"), ActorIP: token("action.actor-ip"),
				Reason: token("action.reason"), ApplicationName: token("action.application-name")}
			m.read.Add(1)
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (m *many) Open(_ context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	out := make([]projections.Opened, len(tokens))
	for i := range out {
		out[i].Plain = []byte(`"somebody"`)
	}
	m.opened.Add(int64(len(tokens)))
	m.calls.Add(1)
	return out, nil
}

func (m *many) Search(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	return m.Open(ctx, tokens)
}

// However many rows a report has, few are held: one portion that is written, one that is opened,
// one that is read and one that is begun.
func TestAReportHoldsFewOfItsRows(t *testing.T) {
	const each, portion = 4, 4 * content.OpenBatch / 4
	for _, form := range []string{"json", "csv", "html"} {
		m := &many{actions: 12 * portion}
		rep, err := report.Run(t.Context(), m, m, request("admin-actions", "en"))
		if err != nil {
			t.Fatal(err)
		}
		d := rep.Document()
		rows, written := d.Rows, int64(0)
		var held, open int64
		d.Rows = func(yield func(r document.Row, err error) bool) {
			for row, err := range rows {
				held = max(held, m.read.Load()-written)
				open = max(open, m.opened.Load()-each*written)
				if !yield(row, err) {
					return
				}
				written++
			}
		}
		if err := render.Write(form, io.Discard, d, 0); err != nil {
			t.Fatal(err)
		}
		if written != int64(m.actions) || held > 4*portion+1 || open > 2*each*portion {
			t.Errorf("%s: %d rows were written, %d held and %d values open at once", form, written, held, open)
		}
	}
}

// BenchmarkWriting reads, opens and writes 10,000 actions; views and vault are in memory, and cost
// what making the tokens does.
func BenchmarkWriting(b *testing.B) {
	for _, form := range []string{"json", "csv", "html", "table"} {
		b.Run(form, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := &many{actions: 10_000}
				rep, err := report.Run(b.Context(), m, m, request("admin-actions", "en"))
				if err != nil {
					b.Fatal(err)
				}
				if err := render.Write(form, io.Discard, rep.Document(), 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A long report opens its tokens in few calls, each of which is a trip to the vault and an append
// to the ledger, and whoever takes its first row only had few opened.
func TestPortionsGrow(t *testing.T) {
	const each, calls = 4, 10
	m := &many{actions: calls * 4 * content.OpenBatch / each}
	rep, err := report.Run(t.Context(), m, m, request("admin-actions", "en"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range rep.Rows() {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := m.calls.Load(); n > calls+3 || m.opened.Load() != int64(each*m.actions) {
		t.Errorf("%d values are opened in %d calls, want at most %d", m.opened.Load(), n, calls+3)
	}
	m = &many{actions: m.actions}
	if rep, err = report.Run(t.Context(), m, m, request("admin-actions", "en")); err != nil {
		t.Fatal(err)
	}
	for _, err := range rep.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := m.opened.Load(); n > 2*content.OpenBatch {
		t.Errorf("%d values are opened for whoever takes one row", n)
	}
}
