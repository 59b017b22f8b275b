package dsar_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/schemas"
)

// busy are the views of a person with many events, each of five sealed values.
type busy struct {
	dsar.Reader
	events int
	read   *int // events handed out; may be nil
}

func (b busy) Through(context.Context) (uint64, bool, error) { return uint64(b.events), true, nil }

func (b busy) EventsByAliases(
	_ context.Context, _ uuid.UUID, aliases []uuid.UUID, _ projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return func(yield func(projections.Event, error) bool) {
		for i := range b.events {
			event := id(fmt.Sprint("event", i))
			e := projections.Event{Fact: projections.Fact{Seq: uint64(i), EventID: event,
				Stream: schemas.NewStream("adminaction", event), Type: "adminaction.recorded.v1",
				Occurred: at("2026-09-14T07:30:00Z")}, Timed: true, Recorded: at("2026-09-14T07:30:01Z"),
				Source:   "graph",
				Subjects: []projections.Subject{{Alias: aliases[0], Role: "actor"}}}
			for _, attr := range []string{"actor-upn", "actor-name", "actor-ip", "actor-id", "reason"} {
				h := schemas.TokenHeader{Alias: aliases[0], Class: "audit-actor", Month: "202609", Event: event,
					Attr: "action." + attr}
				e.Values = append(e.Values, projections.Value{Attribute: h.Attr, Observed: e.Occurred,
					Text: string(h.Token(make([]byte, 32+12+64+16)))})
			}
			if b.read != nil {
				*b.read++
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// waiting opens every token, and notes how many were read by then and not opened.
type waiting struct {
	short
	read         *int
	opened, most int
}

func (w *waiting) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	w.most = max(w.most, 5**w.read-w.opened)
	w.opened += len(tokens)
	return w.short.Open(ctx, tokens)
}

// Events are judged and opened as they are read: of all but a portion no token is held.
func TestAPackageHoldsFewTokens(t *testing.T) {
	read := 0
	w := &waiting{read: &read}
	p := dsar.Person{Request: id("r"), Tenant: id("tenant"), Aliases: []dsar.Alias{{ID: fatimaActor}}, Seq: 20_000}
	c := config(nil, w, "en")
	c.Reader = busy{events: 20_000, read: &read}
	m, err := dsar.Build(t.Context(), c, p, io.Discard)
	if err != nil || m.Values.Shown != 100_000 || w.opened != 100_000 {
		t.Fatalf("%+v, %v", m, err)
	}
	if w.most > content.OpenBatch+5 {
		t.Errorf("%d tokens were held at once", w.most)
	}
}

// short opens every token as a few characters.
type short struct{}

func (short) Open(_ context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	out := make([]projections.Opened, len(tokens))
	for i := range out {
		out[i].Plain = []byte(`"somebody"`)
	}
	return out, nil
}

// holding notes how much memory is held while a package is written.
type holding struct {
	written, looked int
	most            uint64
}

func (h *holding) Write(p []byte) (int, error) {
	if h.written += len(p); h.written >= h.looked {
		h.looked = h.written + 256<<10
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.most = max(h.most, m.HeapAlloc)
	}
	return len(p), nil
}

// A package of many events holds each once, in the form in which it is written: not its stored
// bytes, not the token of what is opened, and not the files.
func TestAPackageHoldsLittleOfEachEvent(t *testing.T) {
	peak := func(n int) uint64 {
		p := dsar.Person{Request: id("r"), Tenant: id("tenant"), Aliases: []dsar.Alias{{ID: fatimaActor}},
			Seq: uint64(n)}
		c := config(nil, short{}, "en")
		c.Reader = busy{events: n}
		w := &holding{}
		m, err := dsar.Build(t.Context(), c, p, w)
		if err != nil || m.Events[dsar.ActionsBy] != n || m.Values.Shown != 5*n {
			t.Fatalf("%+v, %v", m, err)
		}
		return w.most
	}
	const few, many = 500, 5500
	short, long := peak(few), peak(many)
	each := (int64(long) - int64(short)) / (many - few)
	t.Logf("%d bytes an event", each)
	if each > 3<<10 {
		t.Errorf("%d bytes are held of an event of five values", each)
	}
}
