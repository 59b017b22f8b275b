// Package schemastest makes events for tests: signed ones, and ones that somebody else might have
// written into the store.
package schemastest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/internal/work"
)

// Key is the origin key of every tenant in tests that have no vault.
var Key = schemas.OriginKey{1, 2, 3}

// Sign signs an event under Key, as the ledger does when it appends at that revision.
func Sign(e schemas.Event, revision uint64) schemas.Event { return schemas.Sign(e, revision, Key) }

// Envelope reads an event that belongs to the ledger; it panics for any other.
func Envelope(r schemas.RecordedEvent) schemas.Envelope {
	e, err := schemas.NewEnvelope(r)
	if err != nil {
		panic(err)
	}
	return e
}

// Changed reads an event that differs from another in what do changes; it panics where that is
// none of the ledger's.
func Changed(e schemas.Envelope, do func(*schemas.RecordedEvent)) schemas.Envelope {
	r := e.RecordedEvent
	do(&r)
	return Envelope(r)
}

// CountWork counts until the test ends how often metadata is parsed and a leaf hashed, in this
// whole process: nothing else may read events meanwhile.
func CountWork(t testing.TB) *work.Counts {
	t.Helper()
	c := new(work.Counts)
	if !work.On.CompareAndSwap(nil, c) {
		t.Fatal("two tests count at once")
	}
	t.Cleanup(func() { work.On.Store(nil) })
	return c
}

// Metadata returns m's bytes with an origin that nobody made: its form is
// right and its value is not.
func Metadata(m schemas.Metadata) (json.RawMessage, error) {
	raw, err := m.Encode()
	if err != nil {
		return nil, err
	}
	return schemas.Sign(schemas.Event{Metadata: raw}, 0, Key).Metadata, nil
}

// parts are what events are put together from: each list begins with what belongs to the ledger.
var (
	streams = []string{"device-11111111-2222-4333-8444-555555555555",
		"adminaction-0aaaaaaa-1111-4222-8333-444444444444",
		string(schemas.LedgerStream), "zz-00000000-0000-0000-0000-000000000000",
		"position-11111111-2222-4333-8444-555555555555",
		"checkpoint-11111111-2222-4333-8444-555555555555", "order-1", "$ce-device", "",
		"Device-11111111-2222-4333-8444-555555555555", "ledger-11111111-2222-4333-8444-555555555555",
		"a-11111111-2222-4333-8444-555555555555", "abcdefghijklmnopqrstu-11111111-2222-4333-8444-555555555555"}
	types = []string{"device.inventory-changed.v1", "adminaction.recorded.v1", "ledger.created.v1", "x",
		"created", "a.b-c.9",
		"$>", "", "Device.x.v1", "9x", ".x", "-", strings.Repeat("a", 80), strings.Repeat("a", 81), "a_b", "é", "a b"}
	datas = []string{`{}`, `{"set":{"osVersion":"14.4.1"}}`,
		`{"a":[1,-0.5e+10,true,false,null,"\u00e9\ud800\n"]}`, `{"a":1,"a":2}`,
		`{ "a" : { } }`, "{\"a\":\"é\"}", `{"set":null}`, strings.Repeat(`{"a":`, 99) + "{}" + strings.Repeat("}", 99),
		strings.Repeat(`{"a":`, 100) + "{}" + strings.Repeat("}", 100),
		`{"a":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + "}",
		`[]`, `null`, ``, `{`, `{}}`, `{} `, ` {}`, `{"a":01}`, `{"a":1.}`, `{"a":"` + "\x01" + `"}`,
		`{"a":"\x"}`, "{\"a\":\"\xff\"}",
		`{"a":+1}`, `{"a"}`, `{"a":1,}`, `{,}`, `{"a":NaN}`, `{"a":"\u12g4"}`, "\ufeff{}", `{"a":.5}`,
		`{"a":-}`, `{"a":1e}`}
	sources = []string{"graph", "import-file", strings.Repeat("a", 32), strings.Repeat("a", 33), "", "Graph",
		"a b", `a\u0062`, "é"}
	times = []string{"2026-11-23T22:15:04.076Z", "2024-02-29T23:59:59.999Z", "0000-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59.999Z",
		"0001-01-01T00:00:00.000Z", "2000-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z", "2025-02-29T00:00:00.000Z",
		"2026-13-01T00:00:00.000Z", "2026-00-10T00:00:00.000Z", "2026-04-31T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
		"2026-01-01T00:00:60.000Z", "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:00.00Z", "2026-01-01T00:00:00Z",
		"2026-01-01t00:00:00.000z", "2026-01-01T00:00:00.000+00:00", "", "2026-01-01 00:00:00.000Z",
		"2026-1-01T00:00:00.0000Z"}
	ids = []string{"adb4d9d6-5b2b-809e-9268-f6d09e6fed53", "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051",
		"00000000-0000-0000-0000-000000000000",
		"ADB4D9D6-5b2b-809e-9268-f6d09e6fed53", "adb4d9d65b2b809e9268f6d09e6fed53",
		"{adb4d9d6-5b2b-809e-9268-f6d09e6fed53}", "",
		"adb4d9d6-5b2b-809e-9268-f6d09e6fed5g", "adb4d9d6-5b2b-809e-9268-f6d09e6fed5"}
	policies = []string{"3", "0", "999999999", "1000000000", "03", "-1", "1.0", "1e2", "", "null", `"3"`, " 3"}
	origins  = []string{"7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXWGs", strings.Repeat("A", 43),
		"7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXWGt",
		strings.Repeat("A", 42), strings.Repeat("A", 44), "7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXWG=", "",
		"7LBJipTwiCYp45mNjD77em0H786gzkTUkhHEGBoXW+s"}
)

// one draws from a list: its first few mostly, so that an event is wrong in few places at once.
func one(r *rand.Rand, list []string) string {
	if r.IntN(8) > 0 {
		return list[r.IntN(2)]
	}
	return list[r.IntN(len(list))]
}

// Foreign draws an event as anybody could have appended it: about a third belong to the ledger,
// most others miss it in one place, by a member or by a byte.
func Foreign(r *rand.Rand) schemas.Event {
	e := schemas.Event{ID: uuid.UUID{1, byte(r.Uint32())}, Stream: schemas.Stream(one(r, streams)),
		Type: one(r, types),
		Data: json.RawMessage(one(r, datas)), Metadata: metadata(r)}
	switch r.IntN(40) {
	case 0:
		e.ID = uuid.Nil
	case 1:
		n := schemas.MaxEventBytes - len(e.Metadata) - len(`{"a":""}`) + r.IntN(3) - 1
		e.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", max(n, 0)) + `"}`)
	case 2, 3, 4:
		e.Data = flip(r, e.Data)
	case 5, 6, 7, 8, 9, 10:
		e.Metadata = flip(r, e.Metadata)
	}
	return e
}

func metadata(r *rand.Rand) json.RawMessage {
	tenant := one(r, ids[:2])
	if r.IntN(16) == 0 {
		tenant = one(r, ids)
	}
	members := []string{`"v":1`, `"tenant":"` + tenant + `"`}
	add := func(name, value string) { members = append(members, `"`+name+`":`+value) }
	text := func(list []string) string { return `"` + one(r, list) + `"` }
	if r.IntN(3) > 0 {
		add("occurredAt", text(times))
	}
	add("recordedAt", text(times))
	add("source", text(sources))
	if r.IntN(4) == 0 {
		add("$correlationId", text(ids))
	}
	if r.IntN(4) == 0 {
		add("$causationId", text(ids))
	}
	add("policy", one(r, policies))
	n := r.IntN(3)
	if r.IntN(64) == 0 {
		n = 63 + r.IntN(3)
	}
	subjects := make([]string, n)
	for i := range subjects {
		subjects[i] = fmt.Sprintf(`{"id":%s,"role":%s}`,
			text(ids[:2]), text([]string{"user", "owner", "actor", "Actor", ""}))
	}
	add("subjects", "["+strings.Join(subjects, ",")+"]")
	add("origin", text(origins))
	space := ""
	switch r.IntN(24) {
	case 0:
		i := r.IntN(len(members))
		members = append(members[:i:i], members[i+1:]...)
	case 1:
		i, j := r.IntN(len(members)), r.IntN(len(members))
		members[i], members[j] = members[j], members[i]
	case 2:
		members = append(members, members[r.IntN(len(members))])
	case 3:
		members = append(members, `"x":null`)
	case 4:
		space = " "
	case 5:
		i := r.IntN(len(members))
		members[i] = members[i][:strings.IndexByte(members[i], ':')+1] + "null"
	}
	return json.RawMessage("{" + space + strings.Join(members, ","+space) + "}")
}

// flip changes, removes or repeats one byte.
func flip(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(r.Uint32())}
	}
	at := r.IntN(len(b))
	out := append([]byte(nil), b[:at]...)
	switch r.IntN(4) {
	case 0:
	case 1:
		out = append(out, b[at], b[at])
	case 2:
		out = append(out, `{}[]",: \`[r.IntN(9)])
	default:
		out = append(out, b[at]^1<<r.IntN(8))
	}
	return append(out, b[at+1:]...)
}
