package schemas_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

var mutations = flag.Int("mutations", 100_000,
	"how many mutated events two implementations of what belongs to the ledger are held against each other on")

// belongs is FORMATS §3 a second time, written from the page with other means: regular
// expressions and encoding/json.
func belongs(e schemas.Event) bool {
	if !streamForm.MatchString(string(e.Stream)) || strings.HasPrefix(string(e.Stream), "position-") ||
		strings.HasPrefix(string(e.Stream), "checkpoint-") {
		return false
	}
	if e.ID == uuid.Nil || !typeForm.MatchString(e.Type) || len(e.Data)+len(e.Metadata) > 256*1024 {
		return false
	}
	m := metadataForm.FindSubmatch(e.Metadata)
	if m == nil {
		return false
	}
	for _, at := range [][]byte{m[2], m[3]} {
		if len(at) > 0 {
			if _, err := time.Parse(time.RFC3339Nano, string(at)); err != nil {
				return false
			}
		}
	}
	if strings.Count(string(e.Metadata), `"role":`) > 64 {
		return false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(string(m[4])); err != nil {
		return false
	}
	zero := string(m[1]) == "00000000-0000-0000-0000-000000000000"
	if zero != (e.Stream == "ledger-00000000-0000-0000-0000-000000000000") {
		return false
	}
	if !utf8.Valid(e.Data) || !json.Valid(e.Data) || e.Data[0] != '{' || e.Data[len(e.Data)-1] != '}' {
		return false
	}
	dec := json.NewDecoder(strings.NewReader(string(e.Data)))
	dec.UseNumber()
	for depth := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			return err == io.EOF
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > 100 {
				return false
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

const (
	idForm   = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	timeForm = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z`
	subject  = `\{"id":"` + idForm + `","role":"[a-z-]{1,32}"\}`
)

var (
	streamForm = regexp.MustCompile(`^[a-z]{2,20}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	typeForm   = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,79}$`)
)

var metadataForm = regexp.MustCompile(`^\{"v":1,"tenant":"(` + idForm + `)"(?:,"occurredAt":"(` + timeForm +
	`)")?,"recordedAt":"(` + timeForm +
	`)","source":"[a-z-]{1,32}"(?:,"\$correlationId":"` + idForm + `")?(?:,"\$causationId":"` + idForm +
	`")?,"policy":(?:0|[1-9][0-9]{0,8}),"subjects":\[(?:` + subject + `(?:,` + subject +
	`)*)?\],"origin":"([A-Za-z0-9_-]{43})"\}$`)

// Two implementations of what belongs to the ledger, of which one was written from the page
// alone, agree on mutated events.
func TestWhatBelongsToTheLedgerIsOneFunction(t *testing.T) {
	seed := time.Now().UnixNano()
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	accepted := 0
	for range *mutations {
		e := schemastest.Foreign(r)
		got, want := schemas.InLedger(e), belongs(e)
		if got != want {
			t.Fatalf("seed %d: InLedger says %v, the page %v:\nid %s\nstream %q\ntype %q\ndata %.2000q\nmetadata %q",
				seed, got, want, e.ID, e.Stream, e.Type, e.Data, e.Metadata)
		}
		m, err := schemas.ParseMetadata(e.Metadata)
		if !got {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: the metadata %q belongs to the ledger and is read with %v", seed, e.Metadata, err)
		}
		accepted++
		if m.Recorded.IsZero() {
			m.Recorded = time.Unix(0, 0) // read, and never written
		}
		if back, err := schemastest.Metadata(m); err != nil || !sameButOrigin(back, e.Metadata, m) {
			t.Fatalf("seed %d: metadata %q is written again as %q (%v)", seed, e.Metadata, back, err)
		}
		if _, err := schemas.NewEnvelope(schemas.RecordedEvent{Event: e}); err != nil {
			t.Fatalf("seed %d: no envelope of %+v: %v", seed, e, err)
		}
	}
	if accepted < *mutations/20 || accepted > *mutations*19/20 {
		t.Errorf("%d of %d mutated events belong to the ledger: the mutations test little", accepted, *mutations)
	}
}

// sameButOrigin compares what was read and written again with what it was read from. Times that
// mean unknown and ids of zeros are read and never written.
func sameButOrigin(back, raw []byte, m schemas.Metadata) bool {
	zero := strings.Contains(string(raw), `Id":"00000000-0000-0000-0000-000000000000"`)
	if zero || !m.Occurred.IsZero() && schemas.KnownTime(m.Occurred).IsZero() ||
		strings.Contains(string(raw), `At":"0001-01-01T00:00:00.000Z"`) {
		return true
	}
	n := len(back) - 45
	return len(back) == len(raw) && string(back[:n]) == string(raw[:n])
}

// An event is genuine with the origin that it was given, and with no byte changed, at no other
// revision, in no other stream and under no other key.
func TestAnOriginHoldsForOneEventAtOnePlace(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	tried := 0
	for tried < 2000 {
		e := schemastest.Foreign(r)
		if !schemas.InLedger(e) {
			continue
		}
		tried++
		revision := uint64(r.IntN(5))
		signed := schemastest.Sign(e, revision)
		if !schemas.InLedger(signed) {
			t.Fatalf("signing made it foreign: %q", signed.Metadata)
		}
		rec := schemas.RecordedEvent{Event: signed, Revision: revision}
		if !rec.Genuine(schemastest.Key) {
			t.Fatalf("not genuine with its own origin: %+v", signed)
		}
		if again := schemastest.Sign(signed, revision); string(again.Metadata) != string(signed.Metadata) {
			t.Fatalf("signed again it differs: %q", again.Metadata)
		}
		changes := map[string]schemas.RecordedEvent{}
		change := func(what string, do func(*schemas.RecordedEvent)) {
			c := rec
			do(&c)
			changes[what] = c
		}
		change("revision", func(c *schemas.RecordedEvent) { c.Revision++ })
		change("stream", func(c *schemas.RecordedEvent) { c.Stream = schemas.NewStream("device", uuid.New()) })
		change("id", func(c *schemas.RecordedEvent) { c.ID = uuid.New() })
		change("type", func(c *schemas.RecordedEvent) { c.Type += "x" })
		change("data", func(c *schemas.RecordedEvent) { c.Data = []byte(`{"other":1}`) })
		change("metadata", func(c *schemas.RecordedEvent) {
			c.Metadata = []byte(strings.Replace(string(c.Metadata), `"policy":`, `"policy":1`, 1))
		})
		change("origin", func(c *schemas.RecordedEvent) { c.Metadata = e.Metadata })
		for what, c := range changes {
			if c.Genuine(schemastest.Key) {
				t.Fatalf("genuine with another %s", what)
			}
		}
		if rec.Genuine(schemas.OriginKey{9}) {
			t.Fatal("genuine under another key")
		}
	}
}

// typical is an event of the size that a device's change has.
func typical(b *testing.B) schemas.Event {
	b.Helper()
	tokens := strings.Repeat(`"serialNumber":"sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:`+
		`inventory.202611:PCsaCY9-TWybWkk4JxYFBA:device.serial-number:`+
		`mOIyyq7YVNWPFF69ewrGTVb6940ffg-JpywkeJjUy1YBAgMEBQYHCAkKCwy1CLD`+
		`hFz7dJaSKQvFpdX4Pe3vsbgBwEpy_Jyabqx6lXsrKHZvBnfz_d-0vYm42y5I",`, 5)
	e := schemas.Event{ID: uuid.New(), Stream: "device-11111111-2222-4333-8444-555555555555",
		Type: "device.inventory-changed.v1", Data: []byte(`{"set":{` + tokens + `"osVersion":"14.4.1"}}`)}
	m, err := schemastest.Metadata(schemas.Metadata{Tenant: uuid.New(), Occurred: time.Now(),
		Recorded: time.Now(), Source: "graph",
		Subjects: []schemas.Subject{{ID: uuid.New(), Role: "user"}, {ID: uuid.New(), Role: "owner"}}})
	if err != nil {
		b.Fatal(err)
	}
	e.Metadata = m
	b.SetBytes(int64(e.Size()))
	b.ReportAllocs()
	return e
}

func BenchmarkInLedger(b *testing.B) {
	e := typical(b)
	for b.Loop() {
		if !schemas.InLedger(e) {
			b.Fatal("foreign")
		}
	}
}

func BenchmarkGenuine(b *testing.B) {
	r := schemas.RecordedEvent{Event: schemastest.Sign(typical(b), 3), Revision: 3}
	for b.Loop() {
		if !r.Genuine(schemastest.Key) {
			b.Fatal("forged")
		}
	}
}
