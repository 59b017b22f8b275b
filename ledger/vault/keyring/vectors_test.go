package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

type vectors struct {
	Inputs struct {
		Tenant   uuid.UUID `json:"tenant"`
		Lookup   string    `json:"K_lookup"`
		Record   string    `json:"K_record"`
		Ks       string    `json:"Ks"`
		Kp       string    `json:"Kp"`
		Class    string    `json:"class"`
		Occurred time.Time `json:"occurredAt"`
		Recorded time.Time `json:"recordedAt"`
		LookupOf struct {
			Kind       string `json:"kind"`
			Normalised string `json:"normalised"`
		} `json:"lookup"`
		Fact struct {
			Kind      string `json:"kind"`
			Namespace string `json:"namespace"`
			RecordID  string `json:"record_id"`
		} `json:"fact"`
		Correlation string `json:"correlation_source_id"`
		Event       struct {
			ID uuid.UUID `json:"id"`
		} `json:"event"`
		Attr      string          `json:"attr"`
		Value     json.RawMessage `json:"value"`
		Nonce     string          `json:"nonce"`
		ArrayAttr struct {
			Attr    string          `json:"attr"`
			Indexes []json.Number   `json:"indexes"`
			Value   json.RawMessage `json:"value"`
			Nonce   string          `json:"nonce"`
		} `json:"array_attr"`
	} `json:"inputs"`
	Expected map[string]any `json:"expected"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	raw, err := os.ReadFile("../../../schemas/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixedNonce is AES-GCM that draws the nonce it is told to: the test's way to a
// token that can be compared.
type fixedNonce struct {
	cipher.AEAD
	gcm   cipher.AEAD
	nonce []byte
}

func (f fixedNonce) Seal(dst, _, plain, additional []byte) []byte {
	return f.gcm.Seal(append(dst, f.nonce...), f.nonce, plain, additional)
}

func withNonce(t testing.TB, ek eventKey, tenant uuid.UUID, nonce []byte) *Sealer {
	t.Helper()
	s, err := newSealer(ek, tenant, new(scratch))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(ek.cipher[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	s.aead = fixedNonce{AEAD: s.aead, gcm: gcm, nonce: nonce}
	return s
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	in := v.Inputs
	want := func(name, got string) {
		t.Helper()
		if w := v.Expected[name]; w != got {
			t.Errorf("%s\n got %s\nwant %v", name, got, w)
		}
	}
	month := schemas.Month(in.Occurred, in.Recorded)
	want("yyyymm", month)
	want("lookup_hmac", hex.EncodeToString(LookupHash(Key(unhex(t, in.Lookup)), in.LookupOf.Kind,
		in.LookupOf.Normalised)))
	record := Key(unhex(t, in.Record))
	want("fact_stream_uuid", string(FactStream(record, in.Fact.Kind, in.Fact.Namespace, in.Fact.RecordID)))
	want("correlation_uuid", Correlation(record, in.Correlation).String())
	d, err := dataKey(Key(unhex(t, in.Ks)), Key(unhex(t, in.Kp)))
	if err != nil {
		t.Fatal(err)
	}
	want("D", hex.EncodeToString(d[:]))
	alias, err := aliasOf(d, in.Tenant, in.Class, month)
	if err != nil {
		t.Fatal(err)
	}
	want("alias_user", alias.String())
	ek, err := eventKeyOf(d, in.Tenant, alias, in.Class, month, in.Event.ID)
	if err != nil {
		t.Fatal(err)
	}
	want("E", hex.EncodeToString(ek.cipher[:]))
	want("C", hex.EncodeToString(ek.commit[:]))

	h := schemas.TokenHeader{Alias: alias, Class: in.Class, Month: month, Event: in.Event.ID, Attr: in.Attr}
	arr := h
	arr.Attr = in.ArrayAttr.Attr
	for _, i := range in.ArrayAttr.Indexes {
		arr.Path = append(arr.Path, i.String())
	}
	for _, c := range []struct {
		name, nonce string
		h           schemas.TokenHeader
		value       json.RawMessage
	}{{"serial", in.Nonce, h, compact(t, in.Value)}, {"array", in.ArrayAttr.Nonce, arr,
		compact(t, in.ArrayAttr.Value)}} {
		want("H_"+c.name, c.h.String())
		want("P_"+c.name, hex.EncodeToString(pad(nil, c.value)))
		token := withNonce(t, ek, in.Tenant, unhex(t, c.nonce)).Seal(c.h, c.value)
		want("token_"+c.name, string(token))

		// What opens derives its keys from D, and the production cipher draws its own nonces.
		production, err := newSealer(ek, in.Tenant, new(scratch))
		if err != nil {
			t.Fatal(err)
		}
		under := &Derived{data: d, Alias: alias, Class: in.Class, Month: month}
		for _, token := range []schemas.Token{token, production.Seal(c.h, c.value)} {
			head, body, err := token.Parse()
			if err != nil {
				t.Fatal(err)
			}
			v := []Value{{Under: under, Header: head, Body: body}}
			if (&Tx{tenant: in.Tenant}).OpenAll(v, []int32{0}); string(v[0].Text) != string(c.value) {
				t.Errorf("%s opens to %q", c.name, v[0].Text)
			}
		}
		if again := production.Seal(c.h, c.value); again == token {
			t.Errorf("%s: two seals of one value are equal", c.name)
		}
	}
}

// compact decodes and encodes as the ledger writes JSON.
func compact(t testing.TB, raw json.RawMessage) json.RawMessage {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return schemas.JSON(v)
}

func TestPadding(t *testing.T) {
	for n := range 130 {
		text := make([]byte, n)
		for i := range text {
			text[i] = 0x80
		}
		p := pad(nil, text)
		if len(p)%padBlock != 0 || len(p) <= n || len(p) > n+padBlock {
			t.Fatalf("%d bytes are padded to %d", n, len(p))
		}
		got, err := unpad(p)
		if err != nil || string(got) != string(text) {
			t.Fatalf("%d bytes come back as %d, %v", n, len(got), err)
		}
		if _, err := unpad(append(p, make([]byte, padBlock)...)); !errors.Is(err, errPadding) {
			t.Fatalf("%d bytes with a spare block of padding: %v", n, err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 32), []byte("no marker, and 32 bytes in length")} {
		if _, err := unpad(bad); !errors.Is(err, errPadding) {
			t.Errorf("unpad(%q): %v", bad, err)
		}
	}
}
