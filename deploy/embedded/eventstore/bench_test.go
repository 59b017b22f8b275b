package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// The benchmarks drive three servers with the same official client in the same
// process: ours; "durable", which writes each append's bytes to Pebble with an
// fsync and decides nothing; and "noop", which only answers. Ratios between
// them mean something; the figures themselves belong to the machine.

// baseline answers appends without numbering, index or checks.
type baseline struct {
	streams.UnimplementedStreamsServer
	db   *pebble.DB // nil: not durable
	next atomic.Uint64
	read []frame
}

func (s *baseline) Append(stream streams.Streams_AppendServer) error {
	var batch *pebble.Batch
	if s.db != nil {
		batch = s.db.NewBatch()
	}
	n := 0
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if msg := req.GetProposedMessage(); msg != nil {
			n++
			if batch != nil {
				key := binary.BigEndian.AppendUint64(nil, s.next.Add(1))
				if err := batch.Set(key, append(msg.GetData(), msg.GetCustomMetadata()...), nil); err != nil {
					return err
				}
			}
		}
	}
	if batch != nil {
		if err := batch.Commit(pebble.Sync); err != nil {
			return err
		}
	}
	return stream.SendAndClose(&streams.AppendResp{
		Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
			CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(n)},
			PositionOption: &streams.AppendResp_Success_Position{
				Position: &streams.AppendResp_Position{CommitPosition: 1, PreparePosition: 1},
			},
		}}})
}

// Read sends the prepared frames; a subscription then stays open, live.
func (s *baseline) Read(req *streams.ReadReq, out streams.Streams_ReadServer) error {
	subscription := req.GetOptions().GetSubscription() != nil
	if subscription {
		err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
			Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: "s"},
		}})
		if err != nil {
			return err
		}
	}
	for _, f := range s.read {
		if err := out.SendMsg(f); err != nil {
			return err
		}
	}
	if !subscription {
		return nil
	}
	if err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{
		CaughtUp: &streams.ReadResp_CaughtUp{},
	}}); err != nil {
		return err
	}
	<-out.Context().Done()
	return nil
}

// serve runs the baseline until stop is called.
func (s *baseline) serve() (conn string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(frameCodec{encoding.GetCodecV2("proto")}), grpc.MaxRecvMsgSize(maxMessage),
		grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(4<<20), grpc.WriteBufferSize(128<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second,
			PermitWithoutStream: true}),
	)
	streams.RegisterStreamsServer(g, s)
	serverfeatures.RegisterServerFeaturesServer(g, protocol.Features{})
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	return "esdb://" + l.Addr().String() + "?tls=false", func() { g.Stop(); <-done }, nil
}

func startBaseline(b *testing.B, srv *baseline) string {
	b.Helper()
	conn, stop, err := srv.serve()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(stop)
	return conn
}

// quietPebble says nothing of a database that a benchmark throws away.
type quietPebble struct{}

func (quietPebble) Infof(string, ...any)              {}
func (quietPebble) Errorf(string, ...any)             {}
func (quietPebble) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func durableDB(b *testing.B) *pebble.DB {
	b.Helper()
	db, err := openDurable(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// openDurable opens Pebble as eventlog does.
func openDurable(dir string) (*pebble.DB, error) {
	return pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20,
		MemTableStopWritesThreshold: 4, Logger: quietPebble{}})
}

func benchServers(b *testing.B, run func(b *testing.B, conn string)) {
	b.Run("server=noop", func(b *testing.B) { run(b, startBaseline(b, &baseline{})) })
	b.Run("server=durable", func(b *testing.B) { run(b, startBaseline(b, &baseline{db: durableDB(b)})) })
	b.Run("server=ours", func(b *testing.B) { run(b, startServer(b, testConfig(b.TempDir())).ConnectionString()) })
}

func benchEvent() esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "device.inventory-changed.v1",
		ContentType: esdb.ContentTypeJson, Data: make([]byte, 500), Metadata: make([]byte, 200)}
}

// BenchmarkAppend appends single events to new streams and to growing ones, alternately.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			benchServers(b, func(b *testing.B, conn string) {
				c := dialString(b, conn)
				run := uuid.NewString()
				parallel(b, callers, func(worker, i int) error {
					stream := fmt.Sprintf("grow-%s-%d", run, worker)
					if i%2 == 1 {
						stream = fmt.Sprintf("new-%s-%d-%d", run, worker, i)
					}
					_, err := c.AppendToStream(context.Background(), stream,
						esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, benchEvent())
					return err
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			})
		})
	}
}

// BenchmarkAppendBatches appends 50 events at a time with 16 callers.
func BenchmarkAppendBatches(b *testing.B) {
	const size = 50
	benchServers(b, func(b *testing.B, conn string) {
		c := dialString(b, conn)
		run := uuid.NewString()
		parallel(b, 16, func(worker, i int) error {
			batch := make([]esdb.EventData, size)
			for j := range batch {
				batch[j] = benchEvent()
			}
			_, err := c.AppendToStream(context.Background(), fmt.Sprintf("batch-%s-%d", run, worker),
				esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batch...)
			return err
		})
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
	})
}

// frame is one encoded message; frameCodec passes it through.
type (
	frame      []byte
	frameCodec struct{ encoding.CodecV2 }
)

func (c frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// preparedFrames are n events encoded beforehand.
func preparedFrames(n int) []frame {
	ev := benchEvent()
	const position = 1 << 30
	one, err := proto.Marshal(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: rawUUID(ev.EventID), StreamIdentifier: identifier("s-1"), CommitPosition: position,
			PreparePosition: position,
			Metadata: map[string]string{
				"type": ev.EventType, "content-type": "application/json",
				"created": fmt.Sprint(layout.Ticks(time.Now())),
			},
			CustomMetadata: ev.Metadata, Data: ev.Data,
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
	}}})
	if err != nil {
		panic(err)
	}
	frames := make([]frame, n)
	for i := range frames {
		frames[i] = one
	}
	return frames
}

// parallel runs b.N calls spread over callers goroutines.
func parallel(b *testing.B, callers int, call func(worker, i int) error) {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, callers)
	b.ResetTimer()
	for w := range callers {
		go func() {
			var err error
			for i := 0; err == nil && next.Add(1) <= int64(b.N); i++ {
				err = call(w, i)
			}
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

// BenchmarkReadAll reads all of $all, 200,000 events.
func BenchmarkReadAll(b *testing.B) {
	const total = 200_000
	cfg := testConfig(b.TempDir())
	s := startServer(b, cfg)
	c := dial(b, s)
	for i := 0; i < total; i += 500 {
		batch := make([]esdb.EventData, 500)
		for j := range batch {
			batch[j] = benchEvent()
		}
		if _, err := c.AppendToStream(context.Background(), fmt.Sprintf("s-%d", i%100),
			esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	read := func(b *testing.B, conn string) {
		c := dialString(b, conn)
		for b.Loop() {
			r, err := c.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, total)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for ; ; n++ {
				if _, err := r.Recv(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
			r.Close()
			if n != total {
				b.Fatalf("read %d events", n)
			}
		}
		b.ReportMetric(float64(b.N*total)/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("server=noop", func(b *testing.B) { read(b, startBaseline(b, &baseline{read: preparedFrames(total)})) })
	b.Run("server=ours", func(b *testing.B) { read(b, s.ConnectionString()) })
}
