package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// resum makes the length and the sum of a batch right again.
func resum(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

// A batch that is not what it says is not stored, whoever sends it and whatever it claims: readers
// would allocate for records that are not there, and the end would move by as many.
func TestABatchIsWhatItSays(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "broker"), "127.0.0.1:0")
	client := newClient(t, s.Addr())
	createTopics(t, client, ledgerTopic("ledger.a", 1))
	count := func(n uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[23:], n-1)
			binary.BigEndian.PutUint32(b[57:], n)
			return b
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"two thousand million records": count(1<<31 - 1),
		"one more than there is":       count(2),
		"none":                         count(0),
		"bytes after the last":         func(b []byte) []byte { return append(b, 0) },
		"a record cut short":           func(b []byte) []byte { return b[:len(b)-1] },
		"two thousand million, packed": func(b []byte) []byte { b = count(1<<31 - 1)(b); b[22] |= 1; return b },
		"a million million headers": func(b []byte) []byte {
			r := kmsg.Record{Value: []byte("v")}
			body := r.AppendTo(nil)
			body = append(body[1:len(body)-1], binary.AppendVarint(nil, 1e12)...)
			return append(b[:61], append(binary.AppendVarint(nil, int64(len(body))), body...)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			req := produceTo("ledger.a", -1)
			req.Topics[0].Partitions[0].Records = resum(change(batch()))
			res := ask[*kmsg.ProduceResponse](t, s.Addr(), req, 9)
			if p := res.Topics[0].Partitions[0]; p.ErrorCode == 0 {
				t.Errorf("stored at %d", p.BaseOffset)
			}
			if end := endOffset(t, client, "ledger.a", 0); end != 0 {
				t.Errorf("the end is %d", end)
			}
		})
	}
	res := ask[*kmsg.ProduceResponse](t, s.Addr(), produceTo("ledger.a", -1), 9)
	if p := res.Topics[0].Partitions[0]; p.ErrorCode != 0 || endOffset(t, client, "ledger.a", 0) != 1 {
		t.Errorf("a true batch: %+v", p)
	}
}

// Whatever bytes come, a batch that is taken holds as many records as it says,
// to a reader of other authors.
func FuzzWholeBatch(f *testing.F) {
	f.Add(batch()[61:], int32(1))
	r := kmsg.Record{Headers: []kmsg.Header{{Key: "a"}, {Key: "b", Value: []byte("c")}}, Value: []byte("v")}
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	f.Add(r.AppendTo(nil), int32(1))
	f.Fuzz(func(t *testing.T, records []byte, n int32) {
		b := append(make([]byte, 61), records...)
		binary.BigEndian.PutUint32(b[57:], uint32(n))
		if !wholeBatch(b) {
			return
		}
		for left, i := records, int32(0); i < n; i++ {
			size, used := binary.Varint(left)
			var r kmsg.Record
			if err := r.ReadFrom(left[:used+int(size)]); err != nil || r.OffsetDelta != i {
				t.Fatalf("record %d of %d: %v, offset %d", i, n, err, r.OffsetDelta)
			}
			left = left[used+int(size):]
		}
	})
}
