package kafka

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake stores what a producer sends if its sum is right, whatever it claims to hold. A batch that
// claims two thousand million records and holds none would move the end of the partition by
// as many, and make readers allocate for them. Apache Kafka reads every record before it
// stores a batch; so does this.

// corruptMessage is Kafka's CORRUPT_MESSAGE.
const corruptMessage = 2

// maxPacked bounds the records of a compressed batch, which is not read here.
const maxPacked = 1 << 20

// checkProduce answers a request that holds a batch which is not what it says; nil for any other.
// It runs in kfake's one goroutine.
func (s *Server) checkProduce(r kmsg.Request) (kmsg.Response, error, bool) {
	s.cluster.KeepControl()
	req, ok := r.(*kmsg.ProduceRequest)
	if !ok {
		return nil, nil, false
	}
	bad := false
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			bad = bad || !wholeBatch(p.Records)
		}
	}
	if !bad {
		return nil, nil, false
	}
	if req.Acks == 0 {
		return nil, errors.New("kafka: a batch that is not what it says"), true
	}
	res := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, corruptMessage, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res, nil, true
}

// wholeBatch reports whether a batch (https://kafka.apache.org/documentation/#recordbatch) holds
// as many whole records as it says, and nothing else. What kfake checks itself is left to it.
func wholeBatch(b []byte) bool {
	const (
		attributesAt = 21
		countAt      = 57
		head         = 61
	)
	if len(b) < head {
		return true // kfake refuses it
	}
	n := int32(binary.BigEndian.Uint32(b[countAt:]))
	if n <= 0 {
		return false
	}
	if b[attributesAt+1]&7 != 0 {
		return n <= maxPacked
	}
	r := recordReader{b: b[head:]}
	for i := range n {
		if !r.record(i) {
			return false
		}
	}
	return len(r.b) == 0
}

type recordReader struct{ b []byte }

// varint returns a number in zigzag form, false where there is none.
func (r *recordReader) varint() (int64, bool) {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		return 0, false
	}
	r.b = r.b[n:]
	return v, true
}

func (r *recordReader) skip(n int64) bool {
	if n < 0 || n > int64(len(r.b)) {
		return false
	}
	r.b = r.b[n:]
	return true
}

// bytes skips a length and as many bytes; null is -1 where it may be null.
func (r *recordReader) bytes(nullable bool) bool {
	n, ok := r.varint()
	return ok && (n == -1 && nullable || r.skip(n))
}

func (r *recordReader) record(i int32) bool {
	size, ok := r.varint()
	if !ok || size < 0 || size > int64(len(r.b)) {
		return false
	}
	in := recordReader{b: r.b[:size]}
	r.b = r.b[size:]
	if !in.skip(1) { // attributes
		return false
	}
	if _, ok := in.varint(); !ok { // time
		return false
	}
	if offset, ok := in.varint(); !ok || offset != int64(i) {
		return false
	}
	for range 2 { // key and value
		if !in.bytes(true) {
			return false
		}
	}
	headers, ok := in.varint()
	if !ok || headers < 0 || headers > int64(len(in.b)) {
		return false
	}
	for range headers {
		if !in.bytes(false) || !in.bytes(true) {
			return false
		}
	}
	return len(in.b) == 0
}
