package layout

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Names that the protocol knows.
const (
	MetaPrefix    = "$$"
	TypeMetadata  = "$metadata"
	TypeTombstone = "$streamDeleted"
	truncateAll   = math.MaxInt64 // $tb of a softly deleted stream
)

// IsMetastream tells whether the stream holds another stream's metadata.
func IsMetastream(stream string) bool { return strings.HasPrefix(stream, MetaPrefix) }

// OriginalOf is the stream whose metadata a metastream holds.
func OriginalOf(metastream string) string { return metastream[len(MetaPrefix):] }

// SystemPrefix begins the names of system streams, metastreams among them.
const SystemPrefix = "$"

// HasSystemStreams looks for one among the heads.
func HasSystemStreams(r pebble.Reader) (found bool, err error) {
	const next = "%" // the byte after the prefix
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: HeadKey(SystemPrefix), UpperBound: HeadKey(next)})
	if err != nil {
		return false, err
	}
	found = it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// StreamMeta is what reads honour of a stream's metadata.
type StreamMeta struct {
	MaxCount       int64 // events; 0 is no limit
	MaxAge         int64 // seconds; 0 is no limit
	TruncateBefore int64 // first revision that is shown
}

// SoftDeleted tells whether the stream was deleted and may be written again.
func (m StreamMeta) SoftDeleted() bool { return m.TruncateBefore == truncateAll }

// ParseMeta reads $maxCount, $maxAge and $tb. Metadata with a value that no
// server would accept counts as empty, as in a real server; the event keeps the bytes.
func ParseMeta(data []byte) StreamMeta {
	var doc map[string]json.RawMessage // not a struct: its keys would match in any case
	if json.Unmarshal(data, &doc) != nil {
		return StreamMeta{}
	}
	var m StreamMeta
	for _, f := range [...]struct {
		key   string
		least int64
		to    *int64
	}{{"$maxCount", 1, &m.MaxCount}, {"$maxAge", 1, &m.MaxAge}, {"$tb", 0, &m.TruncateBefore}} {
		raw, ok := doc[f.key]
		if !ok {
			continue
		}
		if json.Unmarshal(raw, f.to) != nil || string(raw) == "null" || *f.to < f.least {
			return StreamMeta{}
		}
	}
	return m
}

// SoftDeleteMeta is the metadata that a soft delete writes.
var SoftDeleteMeta = []byte(`{"$tb":9223372036854775807}`)

// UndeleteMeta returns the metadata raw with $tb replaced; ok is false where
// raw is no JSON object, and the stream then stays deleted.
func UndeleteMeta(raw []byte, truncateBefore int64) (data []byte, ok bool) {
	var doc map[string]json.RawMessage
	if json.Unmarshal(raw, &doc) != nil || doc == nil {
		return nil, false
	}
	doc["$tb"] = json.RawMessage(fmt.Sprint(truncateBefore))
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(doc) != nil {
		return nil, false
	}
	return bytes.TrimRight(out.Bytes(), "\n"), true
}

// Head is what the store knows of a stream without reading its events.
type Head struct {
	Last         int64 // newest revision, -1 for none
	Deleted      bool  // tombstoned
	Meta         StreamMeta
	MetaPosition uint64 // newest event of the stream's metastream, 0 for none
}

// NoHead is the head of a stream without events.
var NoHead = Head{Last: -1}

const headSize = 1 + 1 + 5*8

// Encode returns the value of the stream's head.
func (h Head) Encode() []byte {
	dst := make([]byte, 0, headSize)
	var flags byte
	if h.Deleted {
		flags = 1
	}
	dst = append(dst, 1, flags)
	for _, v := range [...]uint64{uint64(h.Last), uint64(h.Meta.MaxCount), uint64(h.Meta.MaxAge),
		uint64(h.Meta.TruncateBefore), h.MetaPosition} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

// DecodeHead is the inverse of Encode. It errs with ErrCorrupt.
func DecodeHead(v []byte) (Head, error) {
	if len(v) != headSize || v[0] != 1 {
		return Head{}, fmt.Errorf("%w: stream head of %d bytes", ErrCorrupt, len(v))
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[2+8*i:]) }
	return Head{
		Last:    int64(n(0)),
		Deleted: v[1]&1 != 0,
		Meta:    StreamMeta{MaxCount: int64(n(1)), MaxAge: int64(n(2)), TruncateBefore: int64(n(3))},

		MetaPosition: n(4),
	}, nil
}

// FirstVisible is the lowest revision that the metadata lets a reader see.
// A metastream keeps one event, its newest.
func (h Head) FirstVisible(stream string) int64 {
	first := h.Meta.TruncateBefore
	maxCount := h.Meta.MaxCount
	if IsMetastream(stream) {
		maxCount = 1
	}
	if maxCount > 0 {
		first = max(first, h.Last-maxCount+1)
	}
	return max(first, 0)
}

// OldestVisible is the created time before which $maxAge hides an event.
func (h Head) OldestVisible(now time.Time) int64 {
	if h.Meta.MaxAge == 0 {
		return math.MinInt64
	}
	if h.Meta.MaxAge > now.Unix() {
		return math.MinInt64
	}
	return Ticks(now) - h.Meta.MaxAge*TicksPerSecond
}

// TicksPerSecond is the resolution of event times.
const TicksPerSecond = int64(time.Second / 100)

// Ticks is t in units of 100 ns since the Unix epoch.
func Ticks(t time.Time) int64 { return t.UnixNano() / 100 }
