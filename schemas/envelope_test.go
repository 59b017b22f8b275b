package schemas_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Whatever belongs to the ledger has an envelope that says what its bytes say, and nothing else
// has one.
func TestAnEnvelopeIsMadeOfWhatBelongsToTheLedgerAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 21))
	for made := 0; made < 3000; {
		event := schemastest.Foreign(r)
		e, err := schemas.NewEnvelope(schemas.RecordedEvent{Event: event, Revision: 3, Seq: 9})
		if belongs := schemas.InLedger(event); belongs != (err == nil) ||
			!belongs && !errors.Is(err, schemas.ErrForeign) {
			t.Fatalf("belongs to the ledger: %v, an envelope with %v: %+v", belongs, err, event)
		}
		if err != nil {
			continue
		}
		made++
		m, err := schemas.ParseMetadata(event.Metadata)
		if err != nil || string(schemas.JSON(m)) != string(schemas.JSON(e.Meta())) {
			t.Fatalf("the metadata %q is read as %+v, the envelope says %+v (%v)", event.Metadata, m, e.Meta(), err)
		}
		if e.Leaf() != schemas.LeafHash(e.Entry()) {
			t.Fatalf("another leaf than that of its bytes: %+v", event)
		}
		a := e.Anchor(uuid.UUID{7})
		if a.Leaf != e.Leaf() || a.EventID != event.ID || a.Seq != 9 || a.LedgerID != (uuid.UUID{7}) {
			t.Fatalf("the anchor %+v is not the event's", a)
		}
	}
}

// What an envelope says is of the bytes it was made of: it says nothing after any of them was
// changed.
func TestAnEnvelopeSaysNothingOfBytesThatItWasNotMadeOf(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 22))
	var e schemas.Envelope
	for err := error(schemas.ErrForeign); err != nil; {
		e, err = schemas.NewEnvelope(schemas.RecordedEvent{Event: schemastest.Foreign(r)})
	}
	says := func(e schemas.Envelope) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		e.Meta()
		e.Leaf()
		return false
	}
	place := e
	place.Seq, place.Position = 7, schemas.Position{Commit: 9}
	if says(place) || place.Leaf() != e.Leaf() {
		t.Error("a reader may say at which sequence and position an event stands")
	}
	for what, do := range map[string]func(*schemas.Envelope){
		"id":       func(e *schemas.Envelope) { e.ID[3] ^= 1 },
		"stream":   func(e *schemas.Envelope) { e.Stream = schemas.NewStream("device", uuid.New()) },
		"type":     func(e *schemas.Envelope) { e.Type += "x" },
		"revision": func(e *schemas.Envelope) { e.Revision++ },
		"data":     func(e *schemas.Envelope) { e.Data = json.RawMessage(`{}`) },
		"cut data": func(e *schemas.Envelope) { e.Data = e.Data[:1] },
		"metadata": func(e *schemas.Envelope) { e.Metadata = append(json.RawMessage(nil), e.Metadata...) },
		"all":      func(e *schemas.Envelope) { *e = schemas.Envelope{RecordedEvent: e.RecordedEvent} },
	} {
		changed := e
		do(&changed)
		if !says(changed) {
			t.Errorf("with another %s it says what it said before", what)
		}
	}
	if says(e) {
		t.Error("a change of a copy changed the envelope")
	}
}

// However often and from wherever it is asked, an envelope's leaf is hashed once.
func TestALeafIsHashedOnce(t *testing.T) {
	work := schemastest.CountWork(t)
	r := rand.New(rand.NewPCG(23, 23))
	for made := uint64(0); made < 50; {
		e, err := schemas.NewEnvelope(schemas.RecordedEvent{Event: schemastest.Foreign(r)})
		if err != nil {
			continue
		}
		if made++; work.Hashed.Load() != made-1 {
			t.Fatalf("%d leaves were hashed of %d envelopes before anybody asked", work.Hashed.Load(), made)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { e.Leaf(); e.Anchor(uuid.Nil) })
		}
		all.Wait()
		if n := work.Hashed.Load(); n != made {
			t.Fatalf("%d leaves were hashed of %d envelopes", n, made)
		}
	}
}
