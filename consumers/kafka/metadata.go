package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// kafka-go speaks Metadata up to version 8, and topic ids, by which a recreated topic is told from
// the old one, came with version 10. So this file asks for metadata itself, uncached, in version
// 12 where the broker has it.

const (
	metadataWithIDs  = 10
	metadataWanted   = 12
	maxMetadataBytes = 64 << 20
)

type topicInfo struct {
	name       string
	id         uuid.UUID // zero where the broker has no topic ids
	partitions int
	err        error
}

// askTopics returns what the cluster now knows of the topics named, or of all where none is named.
func (c *Client) askTopics(ctx context.Context, names ...string) ([]topicInfo, error) {
	var errs []error
	for _, b := range c.cfg.Brokers {
		ts, err := c.askBroker(ctx, b, names)
		if err == nil {
			return ts, nil
		}
		errs = append(errs, fmt.Errorf("kafka: metadata of %s: %w", b, refused(err)))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (c *Client) askBroker(ctx context.Context, broker string, names []string) (ts []topicInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", broker)
	if err != nil {
		return nil, err
	}
	// Closing the connection is how a blocked read learns that the context has ended.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		_ = conn.Close()
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	m, err := protocol.RoundTrip(protocol.NewConn(conn, c.cfg.ClientID), 0, 1, c.cfg.ClientID, &apiversions.Request{})
	if err != nil {
		return nil, fmt.Errorf("api versions: %w", err)
	}
	version := int16(-1)
	for _, k := range m.(*apiversions.Response).ApiKeys {
		if k.ApiKey == int16(protocol.Metadata) {
			version = min(k.MaxVersion, metadataWanted)
		}
	}
	if version < metadataWithIDs {
		return c.askOld(conn, names)
	}
	body, err := exchange(conn, metadataRequest(version, c.cfg.ClientID, names))
	if err != nil {
		return nil, err
	}
	return parseMetadata(body, version)
}

// askOld serves brokers without topic ids.
func (c *Client) askOld(conn net.Conn, names []string) ([]topicInfo, error) {
	m, err := protocol.RoundTrip(protocol.NewConn(conn, c.cfg.ClientID), 4, 2, c.cfg.ClientID,
		&metadata.Request{TopicNames: names})
	if err != nil {
		return nil, err
	}
	var ts []topicInfo
	for _, t := range m.(*metadata.Response).Topics {
		ts = append(ts, topicInfo{name: t.Name, partitions: len(t.Partitions), err: codeError(t.ErrorCode)})
	}
	return ts, nil
}

func codeError(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkago.Error(code)
}

// metadataRequest is a request in one of the flexible versions: lengths are unsigned varints, plus
// one so that zero can mean null, and each structure ends with the number of its tagged fields.
func metadataRequest(version int16, client string, names []string) []byte {
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint16(b, uint16(protocol.Metadata))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 2) // correlation id
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	b = append(b, client...)
	b = append(b, 0)
	if len(names) == 0 {
		b = append(b, 0) // null: all topics
	} else {
		b = binary.AppendUvarint(b, uint64(len(names)+1))
		for _, n := range names {
			b = append(b, make([]byte, 16)...) // no id: asked by name
			b = binary.AppendUvarint(b, uint64(len(n)+1))
			b = append(b, n...)
			b = append(b, 0)
		}
	}
	b = append(b, 0) // never create a topic by asking
	if version <= 10 {
		b = append(b, 0) // no authorized operations of the cluster
	}
	b = append(b, 0) // nor of the topics
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func exchange(conn net.Conn, request []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if tlsAlert(size[:]) {
		return nil, errTLSAnswer
	}
	if n > maxMetadataBytes {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(conn, body)
	return body, err
}

func parseMetadata(body []byte, version int16) ([]topicInfo, error) {
	r := &wire{b: body}
	r.skip(4) // correlation id
	r.tags()
	r.skip(4) // throttle time
	for range r.length() {
		r.skip(4) // node id
		r.str()
		r.skip(4) // port
		r.str()   // rack
		r.tags()
	}
	r.str() // cluster id
	r.skip(4)
	ts := make([]topicInfo, 0, 32)
	for range r.length() {
		t := topicInfo{err: codeError(int16(r.u16()))}
		t.name = r.str()
		copy(t.id[:], r.take(16))
		r.skip(1) // internal
		t.partitions = r.length()
		for range t.partitions {
			if code := int16(r.u16()); code != 0 && t.err == nil {
				t.err = codeError(code)
			}
			r.skip(12) // index, leader, epoch
			for range 3 {
				r.skip(4 * r.length()) // replicas, in sync, offline
			}
			r.tags()
		}
		r.skip(4)
		r.tags()
		if r.err != nil {
			break
		}
		ts = append(ts, t)
	}
	if version <= 10 {
		r.skip(4)
	}
	if r.err != nil {
		return nil, fmt.Errorf("metadata answer: %w", r.err)
	}
	return ts, nil
}

// wire reads the flexible encoding. After the first error every read returns zero.
type wire struct {
	b   []byte
	err error
}

func (r *wire) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *wire) skip(n int) { r.take(n) }

func (r *wire) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *wire) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// strs reads an array of strings in the inflexible encoding.
func (r *wire) strs() []string {
	var out []string
	for range min(r.u32(), 64) {
		if s := r.take(int(r.u16())); r.err == nil {
			out = append(out, string(s))
		}
	}
	return out
}

func (r *wire) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a compact length; it is never more than the bytes that are left, so nothing is
// allocated on trust.
func (r *wire) length() int {
	v := r.uvarint()
	if v == 0 {
		return 0
	}
	if v-1 > uint64(len(r.b)) {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	return int(v - 1)
}

func (r *wire) str() string { return string(r.take(r.length())) }

func (r *wire) tags() {
	for range r.uvarint() {
		r.uvarint()
		r.skip(r.length0())
		if r.err != nil {
			return
		}
	}
}

// length0 reads the size of a tagged field, which is not shifted by one.
func (r *wire) length0() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	return int(v)
}
