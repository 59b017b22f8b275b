package eventlog

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

// systemPrefix begins the names of system streams, metastreams among them.
const systemPrefix = "$"

// hasSystemStreams looks for one among the heads.
func hasSystemStreams(r pebble.Reader) (found bool, err error) {
	const next = "%" // the byte after the prefix
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: headKey(systemPrefix), UpperBound: headKey(next)})
	if err != nil {
		return false, err
	}
	found = it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// streamMeta is what reads honour of a stream's metadata.
type streamMeta struct {
	maxCount       int64 // events; 0 is no limit
	maxAge         int64 // seconds; 0 is no limit
	truncateBefore int64 // first revision that is shown
}

func (m streamMeta) softDeleted() bool { return m.truncateBefore == truncateAll }

// parseMeta reads $maxCount, $maxAge and $tb. Metadata with a value that no
// server would accept counts as empty, as in a real server; the event keeps the bytes.
func parseMeta(data []byte) streamMeta {
	var doc map[string]json.RawMessage // not a struct: its keys would match in any case
	if json.Unmarshal(data, &doc) != nil {
		return streamMeta{}
	}
	var m streamMeta
	for _, f := range [...]struct {
		key   string
		least int64
		to    *int64
	}{{"$maxCount", 1, &m.maxCount}, {"$maxAge", 1, &m.maxAge}, {"$tb", 0, &m.truncateBefore}} {
		raw, ok := doc[f.key]
		if !ok {
			continue
		}
		if json.Unmarshal(raw, f.to) != nil || string(raw) == "null" || *f.to < f.least {
			return streamMeta{}
		}
	}
	return m
}

var softDeleteMeta = []byte(`{"$tb":9223372036854775807}`)

// undeleteMeta returns the metadata raw with $tb replaced; ok is false where
// raw is no JSON object, and the stream then stays deleted.
func undeleteMeta(raw []byte, truncateBefore int64) (data []byte, ok bool) {
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

// head is what the store knows of a stream without reading its events.
type head struct {
	Last         int64 // newest revision, -1 for none
	deleted      bool  // tombstoned
	meta         streamMeta
	metaPosition uint64 // newest event of the stream's metastream, 0 for none
}

var noHead = head{Last: -1}

const headSize = 1 + 1 + 5*8

func (h head) encode() []byte {
	dst := make([]byte, 0, headSize)
	var flags byte
	if h.deleted {
		flags = 1
	}
	dst = append(dst, 1, flags)
	for _, v := range [...]uint64{uint64(h.Last), uint64(h.meta.maxCount), uint64(h.meta.maxAge), uint64(h.meta.truncateBefore), h.metaPosition} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

func decodeHead(v []byte) (head, error) {
	if len(v) != headSize || v[0] != 1 {
		return head{}, fmt.Errorf("%w: stream head of %d bytes", ErrCorrupt, len(v))
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[2+8*i:]) }
	return head{
		Last:    int64(n(0)),
		deleted: v[1]&1 != 0,
		meta:    streamMeta{maxCount: int64(n(1)), maxAge: int64(n(2)), truncateBefore: int64(n(3))},

		metaPosition: n(4),
	}, nil
}

// firstVisible is the lowest revision that the metadata lets a reader see.
// A metastream keeps one event, its newest.
func (h head) firstVisible(stream string) int64 {
	first := h.meta.truncateBefore
	maxCount := h.meta.maxCount
	if IsMetastream(stream) {
		maxCount = 1
	}
	if maxCount > 0 {
		first = max(first, h.Last-maxCount+1)
	}
	return max(first, 0)
}

// oldestVisible is the created time before which $maxAge hides an event.
func (h head) oldestVisible(now time.Time) int64 {
	if h.meta.maxAge == 0 {
		return math.MinInt64
	}
	if h.meta.maxAge > now.Unix() {
		return math.MinInt64
	}
	return Ticks(now) - h.meta.maxAge*TicksPerSecond
}

// TicksPerSecond is the resolution of event times.
const TicksPerSecond = int64(time.Second / 100)

// Ticks is t in units of 100 ns since the Unix epoch.
func Ticks(t time.Time) int64 { return t.UnixNano() / 100 }
