package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// linearState is one stream, for porcupine: its ids in order, four bytes each.
type linearState struct {
	ids  string
	dead bool
}

func (s linearState) last() int { return len(s.ids)/4 - 1 }

func (s linearState) at(revision int) string { return s.ids[4*revision : 4*revision+4] }

type linearKind int

const (
	linearAppend linearKind = iota
	linearTombstone
	linearLast     // read the newest event
	linearContents // read all events
)

type linearInput struct {
	stream string
	kind   linearKind
	expect eventlog.Expectation
	ids    string // four bytes each
}

// linearOutput is an answer; ids is what a read of the contents saw.
type linearOutput struct {
	outcome string // wantUnknown: it may happen at any time from the call on, or never
	last    int
	ids     string
}

// step is one write, by the protocol's rules for expectations.
func (s linearState) step(in linearInput) (outcome string, last int, next linearState) {
	if s.dead {
		return wantDeleted, 0, s
	}
	if in.kind == linearTombstone {
		return wantWritten, -1, linearState{s.ids, true}
	}
	n, written := len(in.ids)/4, linearState{ids: s.ids + in.ids}
	switch in.expect {
	case eventlog.ExpectExists, eventlog.ExpectAny:
		if in.expect == eventlog.ExpectExists && s.ids == "" {
			return wantWrong, -1, s
		}
		for i := range n {
			at := s.find(in.ids[4*i : 4*i+4])
			switch {
			case at < 0 && i == 0:
				return wantWritten, written.last(), written
			case at < 0:
				return wantWrong, s.last(), s
			}
			last = at
		}
		return wantWritten, last, s
	}
	exact := int(in.expect)
	switch {
	case exact == s.last():
		return wantWritten, written.last(), written
	case exact < s.last() && strings.HasPrefix(s.ids[4*(exact+1):], in.ids):
		return wantWritten, exact + n, s
	}
	return wantWrong, s.last(), s
}

// find returns the newest revision with the id, -1 for none.
func (s linearState) find(id string) int {
	for r := s.last(); r >= 0; r-- {
		if s.at(r) == id {
			return r
		}
	}
	return -1
}

var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		index, parts := map[string]int{}, [][]porcupine.Operation{}
		for _, op := range history {
			name := op.Input.(linearInput).stream
			i, ok := index[name]
			if !ok {
				i = len(parts)
				index[name], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(linearState), input.(linearInput), output.(linearOutput)
		if in.kind == linearLast || in.kind == linearContents {
			want := wantRead
			switch {
			case s.dead:
				want = wantDeleted
			case s.ids == "":
				want = wantNotFound
			}
			return out.outcome == want && (want != wantRead || in.kind == linearLast && out.last == s.last() ||
				in.kind == linearContents && out.ids == s.ids), s
		}
		outcome, last, next := s.step(in)
		if out.outcome == wantUnknown {
			return true, next // what it does not write at the end of time it does not write
		}
		return out.outcome == outcome && (outcome == wantDeleted || in.kind == linearTombstone || out.last == last),
			next
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(linearInput), output.(linearOutput)
		kind := [...]string{"append", "tombstone", "last", "contents"}[in.kind]
		if in.kind == linearAppend {
			kind += " " + expectationName(in.expect)
		}
		return fmt.Sprintf("%s%s -> %s %d%s", kind, describeIDs(in.ids), out.outcome, out.last, describeIDs(out.ids))
	},
	DescribeState: func(state any) string {
		s := state.(linearState)
		return fmt.Sprintf("last %d, tombstoned %v:%s", s.last(), s.dead, describeIDs(s.ids))
	},
}

func describeIDs(ids string) string {
	var s strings.Builder
	for i := 0; i < len(ids); i += 4 {
		fmt.Fprintf(&s, " %d", binary.BigEndian.Uint32([]byte(ids[i:])))
	}
	return s.String()
}

// checkLinear fails the test where no order of the operations explains what
// they returned, with the stream that shows it.
func checkLinear(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	for _, part := range linearModel.Partition(history) {
		result, info := porcupine.CheckOperationsVerbose(linearModel, part, testTimeout)
		if result == porcupine.Ok {
			continue
		}
		var longest []porcupine.Operation
		for _, p := range info.PartialLinearizationsOperations()[0] {
			if len(p) > len(longest) {
				longest = p
			}
		}
		var text strings.Builder
		state := linearModel.Init()
		for _, op := range longest {
			_, state = linearModel.Step(state, op.Input, op.Output)
			fmt.Fprintf(&text, "  in order: %s\n", describeLinear(op))
		}
		fmt.Fprintf(&text, "  then the stream is: %s; no order has room for\n", linearModel.DescribeState(state))
		for _, op := range part {
			placed := func(p porcupine.Operation) bool { return p.Call == op.Call }
			if !slices.ContainsFunc(longest, placed) {
				fmt.Fprintf(&text, "  left over: %s\n", describeLinear(op))
			}
		}
		path := filepath.Join(t.ArtifactDir(), "linear.html")
		if err := porcupine.VisualizePath(linearModel, info, path); err != nil {
			t.Error(err)
		}
		t.Fatalf("stream %s: %s (%s, with -artifacts)\n%s", part[0].Input.(linearInput).stream, result,
			path, text.String())
	}
}

func describeLinear(op porcupine.Operation) string {
	until := fmt.Sprint(op.Return)
	if op.Return == math.MaxInt64 {
		until = "?"
	}
	return fmt.Sprintf("client %d [%d,%s] %s", op.ClientId, op.Call, until,
		linearModel.DescribeOperation(op.Input, op.Output))
}

const (
	linearClients = 8
	linearOps     = 5000
	linearGroup   = 150 // operations on the same few streams, then on others
	linearStreams = 3
)

// linearRun is what the clients of one run share.
type linearRun struct {
	stamps atomic.Int64
	ops    atomic.Int64
	ids    atomic.Uint32

	mu       sync.Mutex
	last     map[string]int
	attempts map[string][]linearInput
	history  []porcupine.Operation
}

type linearClient struct {
	*linearRun
	rng    *rand.Rand
	c      rawClient
	number int
	faults bool
}

// work attempts until the run has had its number of operations. What got no
// answer is attempted again with the same ids until one comes.
func (l *linearClient) work(ctx context.Context) error {
	for ctx.Err() == nil {
		n := l.ops.Add(1)
		if n > linearOps {
			return nil
		}
		in := l.draw(fmt.Sprintf("s-%d-%d", n/linearGroup, l.rng.IntN(linearStreams)))
		for {
			out, err := l.attempt(ctx, in)
			if err == nil && out.outcome != wantUnknown {
				break
			}
			if !l.faults || ctx.Err() != nil {
				return fmt.Errorf("%v: %w", in, err)
			}
		}
	}
	return ctx.Err()
}

func (l *linearClient) draw(stream string) linearInput {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := linearInput{stream: stream}
	last, ok := l.last[stream]
	if !ok {
		last = -1
	}
	switch p := l.rng.IntN(100); {
	case p < 20:
		in.kind = linearLast
		return in
	case p < 30:
		in.kind = linearContents
		return in
	case p < 31:
		in.kind, in.expect = linearTombstone, eventlog.ExpectAny
		return in
	}
	switch p := l.rng.IntN(10); {
	case p < 5:
		in.expect = eventlog.Expectation(last) // NoStream where it is not there
	case p < 7:
		in.expect = eventlog.Expectation(l.rng.IntN(last+3) - 1)
	case p < 9:
		in.expect = eventlog.ExpectAny
	default:
		in.expect = eventlog.ExpectExists
	}
	old := l.attempts[stream]
	if len(old) > 0 && l.rng.IntN(4) == 0 {
		again := old[l.rng.IntN(len(old))]
		in.ids = again.ids
		if l.rng.IntN(2) == 0 {
			in.expect = again.expect
		}
	} else {
		for range 1 + l.rng.IntN(3) {
			in.ids += string(binary.BigEndian.AppendUint32(nil, l.ids.Add(1)))
		}
	}
	l.attempts[stream] = append(old, in)
	return in
}

// linearID is the uuid that four bytes of an id stand for.
func linearID(id string) (u uuid.UUID) {
	copy(u[:], "linear")
	u[6], u[8] = 0x40, 0x80
	copy(u[12:], id)
	return u
}

func (l *linearClient) attempt(ctx context.Context, in linearInput) (linearOutput, error) {
	if l.faults && l.rng.IntN(25) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(l.rng.IntN(1500))*time.Microsecond)
		defer cancel()
	}
	op := porcupine.Operation{ClientId: l.number, Input: in, Call: l.stamps.Add(1)}
	out, err := l.ask(ctx, in)
	op.Output, op.Return = out, l.stamps.Add(1)
	if out.outcome == wantUnknown {
		if in.kind == linearLast || in.kind == linearContents {
			return out, err // a read without an answer says nothing
		}
		op.Return = math.MaxInt64
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, op)
	if in.kind == linearAppend && (out.outcome == wantWritten || out.outcome == wantWrong) {
		l.last[in.stream] = out.last
	}
	return out, err
}

func (l *linearClient) ask(ctx context.Context, in linearInput) (linearOutput, error) {
	switch in.kind {
	case linearLast, linearContents:
		r := rawRead{stream: in.stream, count: 1, back: true, start: fromEnd}
		if in.kind == linearContents {
			r = rawRead{stream: in.stream, count: math.MaxUint64}
		}
		events, outcome, err := l.c.read(ctx, r)
		out := linearOutput{outcome: outcome}
		for _, e := range events {
			if out.last = int(e.revision); in.kind == linearContents {
				out.ids += string(e.id[12:])
				out.last = 0
			}
		}
		return out, err
	case linearTombstone:
		a := l.c.write(ctx, modelWrite{kind: eventlog.KindTombstone, stream: in.stream, expect: in.expect})
		return linearOutput{outcome: a.outcome}, a.err
	}
	w := modelWrite{stream: in.stream, expect: in.expect}
	for i := 0; i < len(in.ids); i += 4 {
		w.events = append(w.events, modelSent{id: linearID(in.ids[i : i+4]), typ: "t"})
	}
	a := l.c.write(ctx, w)
	return linearOutput{outcome: a.outcome, last: int(a.last)}, a.err
}

// runLinear lets clients work on a server and checks what they got, in the
// end also what every stream then holds.
func runLinear(t *testing.T, faults bool) {
	seed := testSeed(t)
	ctx := longContext(t)
	s := startServer(t, testConfig(t.TempDir()))
	run := &linearRun{last: map[string]int{}, attempts: map[string][]linearInput{}}
	var wg sync.WaitGroup
	errs := make([]error, linearClients)
	var cuts atomic.Int64
	for i := range linearClients {
		l := &linearClient{linearRun: run, rng: rand.New(rand.NewPCG(seed, uint64(i))), number: i, faults: faults}
		lengths := rand.New(rand.NewPCG(seed, 1<<32|uint64(i))) // of connections; dialled one after the other
		dial := func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil || !faults {
				return conn, err
			}
			return &cutConn{Conn: conn, left: 300 + lengths.Int64N(20_000), cuts: &cuts}, nil
		}
		retry := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1,
			MaxDelay: time.Millisecond}, MinConnectTimeout: testTimeout}
		conn, err := grpc.NewClient("passthrough:///"+s.Addr(),
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial),
			grpc.WithConnectParams(retry))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		l.c = rawClient{streams.NewStreamsClient(conn)}
		wg.Go(func() { errs[i] = l.work(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	c, conn := dialRaw(t, s.Addr())
	defer conn.Close()
	last := &linearClient{linearRun: run, c: c, number: linearClients}
	for stream := range run.attempts {
		if _, err := last.attempt(ctx, linearInput{stream: stream, kind: linearContents}); err != nil {
			t.Fatal(err)
		}
	}
	unknown := 0
	for _, op := range run.history {
		if op.Return == math.MaxInt64 {
			unknown++
		}
	}
	t.Logf("%d operations on %d streams, %d writes without an answer, %d connections cut", len(run.history),
		len(run.attempts), unknown, cuts.Load())
	if faults && unknown == 0 {
		t.Error("no write went without an answer")
	}
	checkLinear(t, run.history)
}

// cutConn is a connection that is cut after a random number of bytes, in
// either direction, wherever in a message that is.
type cutConn struct {
	net.Conn
	mu   sync.Mutex
	left int64
	cuts *atomic.Int64
}

func (c *cutConn) spend(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left <= 0 {
		return false
	}
	if c.left -= int64(n); c.left <= 0 {
		c.cuts.Add(1)
		return false
	}
	return true
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.spend(n) {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	if !c.spend(len(p)) {
		n, _ := c.Conn.Write(p[:len(p)/2])
		return n, errors.Join(net.ErrClosed, c.Close())
	}
	return c.Conn.Write(p)
}

// Appends with expected revisions, tombstones and reads by several clients at
// once are linearizable, stream by stream.
func TestLinearizable(t *testing.T) { runLinear(t, false) }

// So they are where connections are cut and calls given up in the middle, and
// writers repeat with the same ids what got no answer.
func TestLinearizableWithCutConnections(t *testing.T) { runLinear(t, true) }

// The checker itself: what cannot have happened it finds, and an append
// without an answer may be there or not, but not first there and then not.
func TestLinearCheckerNotices(t *testing.T) {
	id := func(n ...uint32) (s string) {
		for _, n := range n {
			s += string(binary.BigEndian.AppendUint32(nil, n))
		}
		return s
	}
	appended := func(from, to int64, expect eventlog.Expectation, ids string, outcome string,
		last int) porcupine.Operation {
		return porcupine.Operation{Call: from, Return: to, Input: linearInput{expect: expect, ids: ids},
			Output: linearOutput{outcome: outcome, last: last}}
	}
	read := func(from, to int64, ids string) porcupine.Operation {
		out := linearOutput{outcome: wantRead, ids: ids}
		if ids == "" {
			out.outcome = wantNotFound
		}
		return porcupine.Operation{Call: from, Return: to, Input: linearInput{kind: linearContents}, Output: out}
	}
	first := appended(1, 2, -1, id(1), wantWritten, 0)
	lost := appended(3, math.MaxInt64, 0, id(2), wantUnknown, 0)
	for _, c := range []struct {
		name    string
		history []porcupine.Operation
		legal   bool
	}{
		{"one after the other", []porcupine.Operation{first, appended(3, 4, 0, id(2, 3), wantWritten, 2),
			read(5, 6, id(1, 2, 3))}, true},
		{"a repetition", []porcupine.Operation{first, appended(3, 4, -1, id(1), wantWritten, 0), read(5, 6, id(1))},
			true},
		{"a repetition written again", []porcupine.Operation{first, appended(3, 4, -2, id(1), wantWritten, 1)}, false},
		{"two winners", []porcupine.Operation{first, appended(3, 6, 0, id(2), wantWritten, 1),
			appended(4, 5, 0, id(3), wantWritten, 1)}, false},
		{"a refusal for nothing", []porcupine.Operation{first, appended(3, 4, 0, id(2), wantWrong, 0)}, false},
		{"a refusal with another revision", []porcupine.Operation{first, appended(3, 4, 4, id(2), wantWrong, 1)},
			false},
		{"a stale read", []porcupine.Operation{first, read(3, 4, "")}, false},
		{"a partial append", []porcupine.Operation{first, appended(3, 6, 0, id(2, 3), wantWritten, 2),
			read(4, 5, id(1, 2))}, false},
		{"lost and there", []porcupine.Operation{first, lost, read(5, 6, id(1)), read(7, 8, id(1, 2))}, true},
		{"lost and not there", []porcupine.Operation{first, lost, read(5, 6, id(1)), read(7, 8, id(1))}, true},
		{"lost after it was seen", []porcupine.Operation{first, lost, read(5, 6, id(1, 2)), read(7, 8, id(1))}, false},
		{"lost, repeated and there twice", []porcupine.Operation{first, lost, appended(5, 6, 0, id(2), wantWritten, 1),
			read(7, 8, id(1, 2, 2))}, false},
	} {
		if got := porcupine.CheckOperations(linearModel, c.history); got != c.legal {
			t.Errorf("%s: linearizable %v", c.name, got)
		}
	}
}
