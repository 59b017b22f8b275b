package schemas

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
)

// vectors is testdata/vectors.json: two independent implementations of the formats agreed on
// every value.
type vectors struct {
	Inputs struct {
		Tenant     string    `json:"tenant"`
		OccurredAt time.Time `json:"occurredAt"`
		RecordedAt time.Time `json:"recordedAt"`
		Event      struct {
			ID, Stream, Type string
			Revision         uint64
		} `json:"event"`
		Policy uint64 `json:"policy"`
		Source string `json:"source"`
		Record string `json:"K_record"`
	} `json:"inputs"`
	Expected struct {
		Month       string   `json:"yyyymm"`
		HSerial     string   `json:"H_serial"`
		HArray      string   `json:"H_array"`
		TokenSerial string   `json:"token_serial"`
		TokenArray  string   `json:"token_array"`
		Alias       string   `json:"alias_user"`
		Correlation string   `json:"correlation_uuid"`
		Metadata    string   `json:"metadata"`
		Data        string   `json:"data"`
		Frame       string   `json:"frame"`
		H           string   `json:"h"`
		Labels      []string `json:"labels"`
		Entry       string   `json:"entry"`
		Leaf        string   `json:"leaf_hash"`
		OriginKey   string   `json:"K_origin"`
		Origin      string   `json:"origin"`
	} `json:"expected"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) draft() Draft {
	c := Default()
	alias := uuid.MustParse(v.Expected.Alias)
	return Draft{
		Type: c.MustType(v.Inputs.Event.Type), Tenant: uuid.MustParse(v.Inputs.Tenant),
		Stream: Stream(v.Inputs.Event.Stream),
		ID:     uuid.MustParse(v.Inputs.Event.ID), Occurred: v.Inputs.OccurredAt, Recorded: v.Inputs.RecordedAt,
		Source: v.Inputs.Source, Correlation: uuid.MustParse(v.Expected.Correlation), Policy: v.Inputs.Policy,
		Subjects: []SubjectRef{{Role: "user", Alias: alias}, {Role: "owner", Alias: alias}},
		Values: []Value{
			{Attr: c.MustAttribute("device.serial-number"), Token: Token(v.Expected.TokenSerial)},
			{Attr: c.MustAttribute("device.os-version"), Plain: JSON("14.4.1")},
			{Attr: c.MustAttribute("device.imei"), Removed: true},
		},
	}
}

func TestFrozenBytesOfAnEventAreEncoded(t *testing.T) {
	v := readVectors(t)
	record, err := hex.DecodeString(v.Inputs.Record)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewOriginKey(record)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key[:]); got != v.Expected.OriginKey {
		t.Errorf("K_origin %s, want %s", got, v.Expected.OriginKey)
	}
	e, err := Default().Encode(v.draft())
	if err != nil {
		t.Fatal(err)
	}
	e = Sign(e, v.Inputs.Event.Revision, key)
	if got := string(e.Data); got != v.Expected.Data {
		t.Errorf("data\n got %s\nwant %s", got, v.Expected.Data)
	}
	if got := string(e.Metadata); got != v.Expected.Metadata {
		t.Errorf("metadata\n got %s\nwant %s", got, v.Expected.Metadata)
	}
	r := enveloped(t, RecordedEvent{Event: e, Revision: v.Inputs.Event.Revision})
	if got := hex.EncodeToString(r.Frame()); got != v.Expected.Frame {
		t.Errorf("frame\n got %s\nwant %s", got, v.Expected.Frame)
	}
	if got := hex.EncodeToString(r.Entry()); got != v.Expected.Entry {
		t.Errorf("entry\n got %s\nwant %s", got, v.Expected.Entry)
	}
	leaf := r.Leaf()
	if got := hex.EncodeToString(leaf[:]); got != v.Expected.Leaf {
		t.Errorf("leaf %s, want %s", got, v.Expected.Leaf)
	}
	if got := Month(v.Inputs.OccurredAt, v.Inputs.RecordedAt); got != v.Expected.Month {
		t.Errorf("month %s, want %s", got, v.Expected.Month)
	}
	back, err := Default().Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Default().Encode(Draft{Type: back.Type, Tenant: back.Tenant, Stream: back.Stream, ID: back.ID,
		Occurred: back.Occurred,
		Recorded: back.Recorded, Source: back.Source, Correlation: back.Correlation, Policy: back.Policy,
		Subjects: back.Subjects,
		Values:   []Value{back.Values[1], back.Values[0], back.Values[2]}})
	if err != nil {
		t.Fatal(err)
	}
	again = Sign(again, v.Inputs.Event.Revision, key)
	if string(again.Metadata) != v.Expected.Metadata || string(again.Data) != v.Expected.Data {
		t.Errorf("decoding and encoding again changed the bytes:\n%s\n%s", again.Data, again.Metadata)
	}
}

func TestTokensAreParsedStrictlyAndRoundTrip(t *testing.T) {
	v := readVectors(t)
	for _, tok := range []struct{ token, header string }{{v.Expected.TokenSerial, v.Expected.HSerial},
		{v.Expected.TokenArray, v.Expected.HArray}} {
		h, body, err := Token(tok.token).Parse()
		if err != nil {
			t.Fatal(err)
		}
		if h.String() != tok.header {
			t.Errorf("header %s, want %s", h, tok.header)
		}
		if got := h.Token(body); string(got) != tok.token {
			t.Errorf("token does not round-trip: %s", got)
		}
	}
	good := v.Expected.TokenArray
	for name, bad := range map[string]string{
		"empty": "", "other version": "sealed:v2" + good[9:], "line break": good + "\n",
		"missing body": v.Expected.HArray,
		"leading zero in index": "sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:inventory.202611:PCsaCY9-TWybWkk4JxYFBA:" +
			"action.target-name~0~012:" + good[len(v.Expected.HArray):],
		"upper-case attribute": "sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:inventory.202611:PCsaCY9-TWybWkk4JxYFBA:" +
			"action.Target-name:" + good[len(v.Expected.HArray):],
		"month 13": "sealed:v1:rbTZ1lsrgJ6SaPbQnm_tUw:inventory.202613:PCsaCY9-TWybWkk4JxYFBA:" +
			"action.target-name:" + good[len(v.Expected.HArray):],
		"padding": good + "=", "cut body": good[:len(good)-1],
		"spare bits":    good[:len(good)-1] + string(good[len(good)-1]+1),
		"one part more": good + ":x",
	} {
		if _, _, err := Token(bad).Parse(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCatalogueLoadsAndEveryAttributeIsCarriedByAType(t *testing.T) {
	c := Default()
	carried := map[string]bool{}
	for _, typ := range c.Types() {
		for _, a := range typ.Attributes() {
			carried[a.ID] = true
		}
	}
	for _, a := range c.Attributes() {
		if !carried[a.ID] {
			t.Errorf("attribute %s is carried by no type", a.ID)
		}
	}
}
