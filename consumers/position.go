package consumers

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// PositionKey is the key of the relay's records in ledger.position.
const PositionKey = "relay"

// Position is what the relay notes after each round: every sequence up to and including
// Through.Seq lies below the noted ends. Who has read every partition to its end holds them all.
type Position struct {
	Through schemas.Anchor
	Topics  map[string]TopicPosition
}

// TopicPosition is a topic's part of a Position. Ends holds, per partition, the offset after its
// last noted record.
type TopicPosition struct {
	ID   uuid.UUID // zero where the broker does not know topic ids
	Ends []int64
}

type wirePosition struct {
	V       int                  `json:"v"`
	Through wireAnchor           `json:"through"`
	Topics  map[string]wireTopic `json:"topics"`
}

type wireAnchor struct {
	Ledger   string `json:"ledger"`
	Seq      string `json:"seq"` // a decimal string: JSON numbers are exact only to 2^53 for many readers
	Event    string `json:"event"`
	Leaf     string `json:"leaf"`
	Position string `json:"position"`
}

type wireTopic struct {
	ID   string  `json:"id"`
	Ends []int64 `json:"ends"`
}

// Encode returns the value of the record in ledger.position. Topics are written in order of their
// names.
func (p Position) Encode() []byte {
	a := p.Through
	w := wirePosition{V: 1, Topics: make(map[string]wireTopic, len(p.Topics)),
		Through: wireAnchor{Ledger: a.LedgerID.String(), Seq: strconv.FormatUint(a.Seq, 10), Event: a.EventID.String(),
			Leaf: hex.EncodeToString(a.Leaf[:]), Position: a.Position.String()}}
	for name, t := range p.Topics {
		w.Topics[name] = wireTopic{ID: t.ID.String(), Ends: t.Ends}
	}
	return schemas.JSON(w)
}

// maxPosition bounds the bytes of a position: some thousand partitions.
const maxPosition = 256 << 10

// ParsePosition is the inverse of Position.Encode, and strict: it accepts what Encode returns and
// nothing else. Whether the relay wrote it, only the ledger tells.
func ParsePosition(raw []byte) (Position, error) {
	fail := func(err error) (Position, error) { return Position{}, fmt.Errorf("relay position: %w", err) }
	if len(raw) > maxPosition {
		return fail(fmt.Errorf("%d bytes", len(raw)))
	}
	var w wirePosition
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return fail(err)
	}
	if w.V != 1 {
		return fail(errors.New("not of version 1"))
	}
	p := Position{Topics: make(map[string]TopicPosition, len(w.Topics))}
	var errs [5]error
	p.Through.LedgerID, errs[0] = schemas.ParseUUID(w.Through.Ledger)
	p.Through.EventID, errs[1] = schemas.ParseUUID(w.Through.Event)
	p.Through.Seq, errs[2] = decimal([]byte(w.Through.Seq))
	p.Through.Position, errs[3] = schemas.ParsePosition(w.Through.Position)
	leaf, err := hex.DecodeString(w.Through.Leaf)
	if err != nil || len(leaf) != 32 {
		errs[4] = errors.New("leaf is not 32 bytes in hex")
	}
	if err := errors.Join(errs[:]...); err != nil {
		return fail(err)
	}
	copy(p.Through.Leaf[:], leaf)
	for name, t := range w.Topics {
		id, err := schemas.ParseUUID(t.ID)
		if err != nil {
			return fail(err)
		}
		if !EventTopic(name) || len(t.Ends) == 0 {
			return fail(fmt.Errorf("topic %q is not one of events", name))
		}
		for _, end := range t.Ends {
			if end < 0 {
				return fail(fmt.Errorf("topic %q has a negative end", name))
			}
		}
		p.Topics[name] = TopicPosition{ID: id, Ends: t.Ends}
	}
	if !bytes.Equal(p.Encode(), raw) {
		return fail(errors.New("not in the form in which positions are written"))
	}
	return p, nil
}
