package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

var (
	flagSeed     = flag.Uint64("seed", 0, "seed of the randomised tests; 0 takes a new one")
	flagModelOps = flag.Int("model-ops", 10_000, "operations of one run of TestConcurrentAgainstModel")
)

// testSeed is the seed of a randomised test, which prints it. Several clients
// at once never run twice in the same order, so a seed repeats what they
// attempt, not how they meet.
func testSeed(t testing.TB) uint64 {
	t.Helper()
	seed := *flagSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	return seed
}

// longContext ends a little before go test would: long runs are asked for by
// a flag, and the race detector makes them several times slower.
func longContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}

const (
	modelWorkers = 8
	modelPhases  = 4
	modelSubs    = 12 // subscriptions open at once
)

// modelRun is what the workers of one run share.
type modelRun struct {
	stamps atomic.Int64 // the history's time
	clock  atomic.Int64 // the server's, in seconds
	ops    atomic.Int64 // begun
	target int64        // where this phase ends
	fail   int64        // so many operations apart the power fails, for a copy of the disk
	fs     *vfs.MemFS   // changes between phases
	open   atomic.Int32 // subscriptions

	mu    sync.Mutex
	known modelKnowledge
	history
}

// modelKnowledge is what workers know of the store, perhaps no longer true: it
// makes their attempts interesting.
type modelKnowledge struct {
	streams   []string         // in use; one per letter
	dead      []string         // tombstoned
	last      map[string]int64 // newest revision that somebody was told
	attempts  map[string][]modelWrite
	positions []uint64
}

// stamp is now: in the history, and on the server's clock.
func (r *modelRun) stamp() (stamp, seconds int64) { return r.stamps.Add(1), r.clock.Load() }

// modelWorker is one client.
type modelWorker struct {
	run  *modelRun
	rng  *rand.Rand
	c    rawClient
	ctx  context.Context
	subs sync.WaitGroup
}

func (w *modelWorker) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *modelWorker) uuid() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(w.rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// work does random operations until the phase has had its number.
func (w *modelWorker) work() error {
	for w.ctx.Err() == nil {
		n := w.run.ops.Add(1)
		if n > w.run.target {
			w.run.ops.Add(-1)
			return nil
		}
		if n%w.run.fail == 0 {
			// Right after a look at the newest events, which must survive it.
			look := &modelOp{number: int(n), read: &rawRead{back: true, start: fromEnd, count: 3}}
			if err := errors.Join(w.call(look), w.run.crash(w.rng)); err != nil {
				return err
			}
		}
		op := &modelOp{number: int(n)}
		switch p := w.rng.IntN(100); {
		case p < 50:
			w.append(op)
		case p < 56:
			w.delete(op)
		case p < 74:
			w.readStream(op)
		case p < 93:
			w.readAll(op)
		case p < 97:
			w.subscribe(op.number)
			continue
		default:
			w.run.clock.Add(1)
			continue
		}
		if err := w.call(op); err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

// call does one operation and notes its answer.
func (w *modelWorker) call(op *modelOp) error {
	var err error
	op.call, op.seconds[0] = w.run.stamp()
	if op.write != nil {
		op.answer = w.c.write(w.ctx, *op.write)
		err = op.answer.err
	} else {
		op.got, op.outcome, err = w.c.read(w.ctx, *op.read)
	}
	op.ret, op.seconds[1] = w.run.stamp()
	if err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	w.run.history.ops = append(w.run.history.ops, op)
	w.run.known.learn(op)
	return nil
}

// crash notes what a power failure in the middle of everything would leave.
func (r *modelRun) crash(rng *rand.Rand) error {
	var image crashImage
	image.before, _ = r.stamp()
	disk := r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng})
	image.after, _ = r.stamp()
	l, err := eventlog.Open("s", testOptions(disk))
	if err != nil {
		return fmt.Errorf("after a power failure: %w", err)
	}
	events, err := logEvents(l, 0)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	image.events, image.sum = len(events), sumOf(events)
	r.mu.Lock()
	r.images = append(r.images, image)
	r.mu.Unlock()
	return l.Close()
}

func (k *modelKnowledge) learn(op *modelOp) {
	for _, e := range op.got[:min(len(op.got), 3)] {
		k.see(e.position)
	}
	w := op.write
	if w == nil {
		return
	}
	if op.answer.position != 0 {
		k.see(op.answer.position)
	}
	if w.kind == eventlog.KindAppend && op.answer.outcome != wantDeleted || op.answer.outcome == wantWrong {
		k.last[w.stream] = op.answer.last
	}
	if w.kind == eventlog.KindTombstone && op.answer.outcome == wantWritten {
		for i, name := range k.streams {
			if name == w.stream {
				k.dead = append(k.dead, name)
				k.streams[i] = fmt.Sprintf("%c-%d", 'a'+i, len(k.dead)) // the next of that letter
			}
		}
	}
}

func (k *modelKnowledge) see(position uint64) {
	k.positions = append(k.positions, position)
	if n := len(k.positions); n > 256 {
		k.positions = append(k.positions[:0], k.positions[n-64:]...)
	}
}

// pick chooses a stream: mostly one in use, also the metadata of one.
func (w *modelWorker) pick(metaPercent int) string {
	k := &w.run.known
	name := k.streams[w.rng.IntN(len(k.streams))]
	if len(k.dead) > 0 && w.chance(3) {
		name = k.dead[w.rng.IntN(len(k.dead))]
	}
	if w.chance(metaPercent) {
		name = "$$" + name
	}
	return name
}

// expectation is one of all kinds, about a stream whose last revision is believed to be last.
func (w *modelWorker) expectation(last int64) eventlog.Expectation {
	switch p := w.rng.IntN(100); {
	case p < 30:
		return eventlog.ExpectAny
	case p < 38:
		return eventlog.ExpectNoStream
	case p < 48:
		return eventlog.ExpectExists
	case p < 80:
		return eventlog.Expectation(max(last, -1)) // right, if nobody was faster
	case p < 93:
		return eventlog.Expectation(w.rng.Int64N(max(last, 0) + 1)) // stale
	default:
		return eventlog.Expectation(max(last, 0) + 1 + w.rng.Int64N(3)) // not there yet
	}
}

func (w *modelWorker) append(op *modelOp) {
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	k := &w.run.known
	name := w.pick(15)
	last, ok := k.last[name]
	if !ok {
		last = -1
	}
	wr := modelWrite{stream: name, expect: w.expectation(last)}
	var ids []uuid.UUID
	// Often what somebody attempted before, perhaps at this very moment: all of
	// it as it was, or a piece, or with another expectation, or with more behind it.
	if old := k.attempts[name]; len(old) > 0 && w.chance(30) {
		again := old[w.rng.IntN(len(old))]
		for _, e := range again.events {
			ids = append(ids, e.id)
		}
		if w.chance(60) {
			wr.expect = again.expect
		}
		if n := len(ids); n > 1 && w.chance(30) {
			from := w.rng.IntN(n)
			ids = ids[from : from+1+w.rng.IntN(n-from)]
		}
		if w.chance(20) {
			ids = append(slices.Clone(ids), w.uuid())
		}
	} else {
		for range w.rng.IntN(6) {
			ids = append(ids, w.uuid())
		}
	}
	for i, id := range ids {
		e := modelSent{id: id, typ: fmt.Sprintf("t%d", w.rng.IntN(3)), data: fmt.Sprintf("%d of op %d", i, op.number),
			json: w.chance(50)}
		if w.chance(50) {
			e.meta = fmt.Sprintf(`{"by":%d}`, op.number)
		}
		if name[0] == '$' {
			e.typ, e.data, e.json, e.meta = "$metadata", w.metadata(op.number, i, k.last[name[2:]]), true, ""
		}
		wr.events = append(wr.events, e)
	}
	if len(ids) > 0 {
		old := append(k.attempts[name], wr)
		k.attempts[name] = old[max(0, len(old)-12):]
	}
	op.write = &wr
}

// metadata is a document for a stream whose last revision is believed to be last.
func (w *modelWorker) metadata(op, i int, last int64) string {
	doc := map[string]any{"op": op, "i": i, "$acl": map[string]string{"$r": "$all"}}
	if w.chance(40) {
		doc["$maxCount"] = 1 + w.rng.IntN(8)
	}
	if w.chance(30) {
		doc["$maxAge"] = 1 + w.rng.IntN(10)
	}
	if w.chance(30) {
		doc["$tb"] = w.rng.Int64N(last + 3)
	}
	switch w.rng.IntN(25) {
	case 0:
		doc["$tb"] = int64(math.MaxInt64) // what a soft delete writes
	case 1:
		doc["$maxCount"] = "many" // makes no sense, so none of it counts
	case 2:
		doc["$maxAge"] = 0
	case 3:
		return fmt.Sprintf("no JSON: %d of op %d", i, op)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err) // numbers and strings
	}
	return string(data)
}

func (w *modelWorker) delete(op *modelOp) {
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	name := w.pick(0)
	wr := modelWrite{kind: eventlog.KindDelete, stream: name, expect: w.expectation(w.run.known.last[name])}
	if w.chance(15) {
		wr.kind = eventlog.KindTombstone
	}
	op.write = &wr
}

// position is one that somebody was told.
func (w *modelWorker) position() (at uint64, ok bool) {
	p := w.run.known.positions
	if len(p) == 0 {
		return 0, false
	}
	return p[w.rng.IntN(len(p))], true
}

func (w *modelWorker) readStream(op *modelOp) {
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	name := w.pick(20)
	r := &rawRead{stream: name, back: w.chance(50), count: 1 + w.rng.Uint64N(40)}
	if w.chance(10) {
		r.count = 400 // below a page: longer reads may see a stream shrink on the way
	}
	switch p := w.rng.IntN(10); {
	case p < 5:
		r.start = fromStart
		if r.back {
			r.start = fromEnd
		}
	case p == 5:
		r.start = fromEnd
		if r.back {
			r.start = fromStart
		}
	default:
		r.start, r.at = fromPoint, w.rng.Uint64N(uint64(max(0, w.run.known.last[name])+2))
	}
	op.read = r
}

func (w *modelWorker) readAll(op *modelOp) {
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	r := &rawRead{back: w.chance(50), count: 1 + w.rng.Uint64N(40)}
	if w.chance(3) {
		r.count = 2000 // several pages
	}
	if w.chance(30) {
		r.filter = w.filter()
	}
	at, ok := w.position()
	switch p := w.rng.IntN(10); {
	case p < 6 && ok:
		r.start, r.at = fromPoint, at
	case (p < 9) == r.back: // mostly the end from which there is something to read
		r.start = fromEnd
	}
	op.read = r
}

var modelRegexes = []*regexp.Regexp{regexp.MustCompile(`^[ab]-\d*[02468]$`), regexp.MustCompile(`^[^$].*`),
	regexp.MustCompile(`^t[12]|^\$s`)}

func (w *modelWorker) filter() *rawFilter {
	f := &rawFilter{byType: w.chance(50), window: 1 + w.rng.Uint32N(30)}
	switch w.rng.IntN(3) {
	case 0:
		f.regex = modelRegexes[w.rng.IntN(len(modelRegexes))]
	case 1:
		f.prefix = []string{"t1", "$meta", "a-", "$$b"}
	default:
		f.prefix = []string{"t2", "c"}
	}
	return f
}

// subscribe opens a subscription and leaves it open for a random number of events.
func (w *modelWorker) subscribe(number int) {
	if w.run.open.Add(1) > modelSubs {
		w.run.open.Add(-1)
		return
	}
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	s := &modelSub{number: number, news: make(chan struct{}, 1)}
	switch at, ok := w.position(); {
	case w.chance(40):
		s.read.stream = w.pick(15)
		s.read.at = w.rng.Uint64N(uint64(max(0, w.run.known.last[s.read.stream]) + 2))
		s.read.start = rawStart(w.rng.IntN(3))
	default:
		s.read.at = at
		s.read.start = fromPoint
		if p := w.rng.IntN(10); p < 3 || !ok {
			s.read.start = fromEnd
		} else if p < 4 {
			s.read.start = fromStart
		}
		if w.chance(50) {
			s.read.filter = w.filter()
		}
	}
	enough := 1 + w.rng.IntN(400)
	s.call, s.seconds = w.run.stamp()
	w.run.history.subs = append(w.run.history.subs, s)
	w.subs.Go(func() {
		defer w.run.open.Add(-1)
		s.run(w.ctx, w.c, w.run.stamp, enough)
	})
}

// phase lets the workers run up to target operations against a server, and
// checks the whole history once they are done and the subscriptions have
// delivered what they must.
func (r *modelRun) phase(ctx context.Context, t *testing.T, s *Server, seed, phase uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, conn := dialRaw(t, s.Addr())
	defer conn.Close()
	var workers []*modelWorker
	var wg sync.WaitGroup
	errs := make([]error, modelWorkers)
	firstSub := len(r.history.subs)
	for i := range modelWorkers {
		c, conn := dialRaw(t, s.Addr())
		defer conn.Close()
		w := &modelWorker{run: r, rng: rand.New(rand.NewPCG(seed, phase<<32|uint64(i))), c: c, ctx: ctx}
		workers = append(workers, w)
		wg.Go(func() { errs[i] = w.work() })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil {
		err = r.settle(ctx, reader, r.history.subs[firstSub:])
	}
	cancel()
	for _, w := range workers {
		w.subs.Wait()
	}
	if err != nil {
		return err
	}
	return r.history.check()
}

// settle reads $all and waits until the subscriptions are level with it.
func (r *modelRun) settle(ctx context.Context, c rawClient, subs []*modelSub) error {
	all, outcome, err := c.read(ctx, rawRead{count: math.MaxUint64})
	if err != nil || outcome != wantRead {
		return fmt.Errorf("read $all: %s, %w", outcome, err)
	}
	r.history.log = all
	check, err := r.history.replay()
	if err == nil {
		err = check.explain()
	}
	if err != nil {
		return err
	}
	for _, s := range subs {
		if err := check.await(ctx, s, r.clock.Load()); err != nil {
			return err
		}
	}
	return nil
}

// Eight clients at once do random appends with every expectation, repetitions
// of whole and partial appends, deletes, tombstones, metadata, reads and
// subscriptions on a few streams; every answer must be the model's at some
// moment between call and answer, in one order for all. Now and then the power
// fails for a copy of the disk, which must hold what anybody knew by then.
// Between the phases the server restarts, or the machine loses power.
func TestConcurrentAgainstModel(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 1<<63))
	ctx := longContext(t)
	r := &modelRun{known: modelKnowledge{
		streams: []string{"a-0", "b-0", "c-0", "d-0", "e-0"}, last: map[string]int64{},
		attempts: map[string][]modelWrite{},
	}}
	r.clock.Store(1_700_000_000)
	r.fs = vfs.NewCrashableMem()
	for phase := range uint64(modelPhases) {
		cfg := testConfig("s")
		cfg.Now = func() time.Time { return time.Unix(r.clock.Load(), 0) }
		// A disk whose fsyncs take a while, so that calls meet and share them.
		cfg.fs = errorfs.Wrap(r.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if isLogSync(op) {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			}
			return nil
		}))
		cfg.memTable = 256 << 10
		s, err := Start(ctx, cfg)
		if err != nil {
			t.Fatalf("phase %d: %v", phase, err)
		}
		r.target = int64(*flagModelOps) * int64(phase+1) / modelPhases
		r.fail = max(1, int64(*flagModelOps)/30)
		err = r.phase(ctx, t, s, seed, phase)
		if phase%2 == 0 {
			r.fs = r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rng})
		}
		stopServer(t, s)
		if err != nil {
			t.Fatalf("phase %d: %v", phase, err)
		}
	}
	r.report(t)
}

// report says what the run consisted of, and fails where a kind of answer
// never came: the run would then prove less than it says.
func (r *modelRun) report(t *testing.T) {
	t.Helper()
	outcomes := map[string]int{}
	for _, op := range r.history.ops {
		switch {
		case op.read != nil:
			outcomes["read: "+op.outcome]++
		case op.answer.outcome == wantWritten && op.placed == 0 && len(op.write.events) > 0:
			outcomes[wantSame]++
		default:
			outcomes[op.answer.outcome]++
		}
	}
	delivered, ended := 0, 0
	for _, s := range r.history.subs {
		delivered += len(s.messages)
		if s.ended == wantDeleted {
			ended++
		}
	}
	t.Logf("%d operations, %d events in $all, %d subscriptions got %d messages, %d ended with their "+
		"stream; answers %v",
		r.ops.Load(), len(r.history.log), len(r.history.subs), delivered, ended, outcomes)
	for _, o := range []string{wantWritten, wantSame, wantWrong, wantDeleted, "read: " + wantRead,
		"read: " + wantNotFound, "read: " + wantDeleted} {
		if outcomes[o] == 0 && *flagModelOps >= 10_000 {
			t.Errorf("no operation was answered %q", o)
		}
	}
}
