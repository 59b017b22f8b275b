package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// history is what clients of a server asked, got and saw, and what $all holds
// afterwards. Times are stamps of one counter: an answer with a stamp below a
// call's stamp came before that call.
type history struct {
	log  []storedEvent // $all
	ops  []*modelOp
	subs []*modelSub

	images []crashImage
}

// crashImage is what a power failure between two stamps left of the log.
type crashImage struct {
	before, after int64
	events        int
	sum           uint32 // over all of them
	same          bool   // as the beginning of $all, by an earlier check
}

// sumOf is a checksum over everything that the events are.
func sumOf(events []storedEvent) (sum uint32) {
	for _, e := range events {
		r := recordOf(e)
		sum = crc32.Update(sum, crc32.IEEETable, fmt.Appendf(nil, "%d %s %d", r.position, r.id, r.sum))
	}
	return sum
}

// modelOp is one call and its answer; write or read is set.
type modelOp struct {
	number     int
	call, ret  int64
	seconds    [2]int64 // the server's clock at call and answer
	write      *modelWrite
	answer     rawAnswer
	read       *rawRead
	got        []storedEvent
	outcome    string
	placed     int // the moment of its events, 0 where it wrote none
	leastKnown int // the earliest moment that its answer can come from
}

func (op *modelOp) String() string {
	s := fmt.Sprintf("op %d [%d,%d] ", op.number, op.call, op.ret)
	if op.write != nil {
		return s + fmt.Sprintf("%v: %v", *op.write, op.answer)
	}
	return s + fmt.Sprintf("read %v: %s, %d events %s", *op.read, op.outcome, len(op.got), describeEvents(op.got))
}

func describeEvents(events []storedEvent) string {
	var s []string
	for _, e := range events[:min(len(events), 12)] {
		s = append(s, e.String())
	}
	return "[" + strings.Join(s, ", ") + "]"
}

// checker explains a history: it replays $all into the model, which gives
// every write that wrote something its moment, and then looks for a moment
// between call and answer at which the model would have answered the same.
type checker struct {
	*history
	model
	ends     []int   // by moment: how many events $all had
	maxCalls []int64 // by moment-1: the latest call among the writes so far
	indexOf  map[uint64]int
}

// replay makes the model of a history. An error means that $all cannot have
// come from what was asked and answered, in that order.
func (h *history) replay() (*checker, error) {
	c := &checker{history: h, model: newModel(), ends: []int{0}, indexOf: map[uint64]int{}}
	byData, byPosition := map[string]*modelOp{}, map[uint64]*modelOp{}
	for _, op := range h.ops {
		op.placed = 0
		switch {
		case op.write == nil:
		case op.answer.outcome == wantUnknown || op.answer.err != nil:
			return nil, fmt.Errorf("%v: no answer", op)
		case op.write.kind == eventlog.KindAppend:
			for _, e := range op.write.events {
				byData[e.data] = op // every call's data is its own, a repetition's too
			}
		case op.answer.outcome == wantWritten:
			byPosition[op.answer.position] = op
		}
	}
	for i := range h.log {
		if i > 0 && h.log[i].position <= h.log[i-1].position {
			return nil, fmt.Errorf("$all: %v follows %v", h.log[i], h.log[i-1])
		}
		if i > 0 && h.log[i].created < h.log[i-1].created {
			return nil, fmt.Errorf("$all: %v was created before %v", h.log[i], h.log[i-1])
		}
		c.indexOf[h.log[i].position] = i
	}
	for i := 0; i < len(h.log); {
		op := byPosition[h.log[i].position]
		if op == nil {
			op = byData[h.log[i].data]
		}
		n, err := c.place(i, op)
		if err != nil {
			return nil, err
		}
		i += n
	}
	for _, op := range h.ops {
		if op.write != nil && op.write.kind != eventlog.KindAppend && op.answer.outcome == wantWritten &&
			op.placed == 0 {
			return nil, fmt.Errorf("%v: its event is not in $all", op)
		}
	}
	return c, nil
}

// place performs the write whose events begin at index i of $all, and returns
// how many they are.
func (c *checker) place(i int, op *modelOp) (n int, err error) {
	e := c.log[i]
	switch {
	case op == nil:
		return 0, fmt.Errorf("$all: nobody wrote %v %q", e, e.data)
	case op.answer.outcome != wantWritten:
		return 0, fmt.Errorf("$all has %v of a refused call: %v", e, op)
	case op.placed > 0:
		return 0, fmt.Errorf("$all has %v of a call whose events came before: %v", e, op)
	}
	if want, _ := c.now(op.write.stream).decide(*op.write); want != wantWritten {
		return 0, fmt.Errorf("$all has %v, where the model says %q: %v%s", e, want, op, c.around(op))
	}
	if len(c.maxCalls) > 0 && op.ret < c.maxCalls[len(c.maxCalls)-1] {
		return 0, fmt.Errorf("$all has %v after events of a call that began after its answer: %v", e, op)
	}
	events := c.perform(*op.write)
	op.placed = c.moment
	for j, want := range events {
		if i+j >= len(c.log) {
			return 0, fmt.Errorf("$all ends before %s/%d of %v", want.stream, want.revision, op)
		}
		got := &c.log[i+j]
		if got.stream != want.stream || got.revision != want.revision || got.typ != want.typ ||
			got.json != want.json || got.meta != want.meta ||
			want.id != [16]byte{} && got.id != want.id || !sameData(got.data, want.data) {
			return 0, fmt.Errorf("$all has %v %q, want %s/%d %s %.8s %q of %v", got, got.data, want.stream,
				want.revision, want.typ, want.id, want.data, op)
		}
		least, most := op.seconds[0]*layout.TicksPerSecond, op.seconds[1]*layout.TicksPerSecond
		if i > 0 {
			most = max(most, c.log[i-1].created)
		}
		if got.created < least || got.created > most {
			return 0, fmt.Errorf("$all has %v, created at %d, outside of %d to %d", got, got.created, least, most)
		}
		want.stored, want.position, want.id = got, got.position, got.id
	}
	own := max(1, len(op.write.events))
	if last := events[own-1]; op.answer.position != last.position ||
		op.write.kind == eventlog.KindAppend && op.answer.last != int64(last.revision) {
		return 0, fmt.Errorf("%v: its last event is %v", op, last.stored)
	}
	c.ends = append(c.ends, i+len(events))
	latest := op.call
	if len(c.maxCalls) > 0 {
		latest = max(latest, c.maxCalls[len(c.maxCalls)-1])
	}
	c.maxCalls = append(c.maxCalls, latest)
	return len(events), nil
}

// latestAt is the latest moment that somebody can have known at a stamp: the
// first write that had not been called by then, and all after it, are beyond.
func (c *checker) latestAt(stamp int64) int {
	return sort.Search(len(c.maxCalls), func(i int) bool { return c.maxCalls[i] > stamp })
}

// fact is a moment that somebody knew at a stamp, and everybody after it must know.
type fact struct {
	stamp int64
	least *int
}

// explain finds a moment for every call, and bounds those of subscriptions.
// No later call may come from an earlier moment than a call that ended before it.
func (c *checker) explain() error {
	type begin struct {
		call  int64
		op    *modelOp
		sub   *modelSub
		image *crashImage
	}
	var begins []begin
	var facts []fact
	for _, op := range c.ops {
		begins = append(begins, begin{call: op.call, op: op})
		op.leastKnown = 0
		facts = append(facts, fact{op.ret, &op.leastKnown})
	}
	for _, s := range c.subs {
		begins = append(begins, begin{call: s.call, sub: s})
		for _, m := range s.received() {
			if i, ok := c.indexOf[m.position]; ok && m.kind == subEvent {
				moment := c.momentOf(i)
				facts = append(facts, fact{m.stamp, &moment})
			}
		}
	}
	for i := range c.images {
		begins = append(begins, begin{call: c.images[i].before, image: &c.images[i]})
	}
	slices.SortFunc(begins, func(a, b begin) int { return cmp.Compare(a.call, b.call) })
	slices.SortFunc(facts, func(a, b fact) int { return cmp.Compare(a.stamp, b.stamp) })
	least := 0
	for _, b := range begins {
		for len(facts) > 0 && facts[0].stamp < b.call {
			least = max(least, *facts[0].least) // known: that call began before, and was explained
			facts = facts[1:]
		}
		if b.sub != nil {
			b.sub.least = least
			continue
		}
		var err error
		if b.image != nil {
			err = c.explainImage(b.image, least)
		} else {
			err = c.explainOp(b.op, least)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// explainImage checks that a power failure left whole writes, and all that
// anybody knew of.
func (c *checker) explainImage(image *crashImage, least int) error {
	k := c.momentOf(image.events - 1)
	most := c.latestAt(image.after)
	if k < least || k > most || image.events != c.ends[k] {
		return fmt.Errorf("a power failure between %d and %d left %d events, the last at moment %d; moments %d to "+
			"%d have %d to %d",
			image.before, image.after, image.events, k, least, most, c.ends[least], c.ends[most])
	}
	if !image.same && image.sum != sumOf(c.log[:image.events]) {
		return fmt.Errorf("a power failure between %d and %d left %d events which differ from those in $all",
			image.before, image.after, image.events)
	}
	image.same = true
	return nil
}

// momentOf is the moment from which $all has the event at index i.
func (c *checker) momentOf(i int) int { return sort.SearchInts(c.ends, i+1) }

func (c *checker) explainOp(op *modelOp, least int) error {
	most := c.latestAt(op.ret)
	if op.placed > 0 {
		op.leastKnown = op.placed
		if op.placed <= least || op.placed > most {
			return fmt.Errorf("%v: written at moment %d, outside of %d to %d", op, op.placed, least+1, most)
		}
		return nil
	}
	var why string
	for k := least; k <= most; k++ {
		fits := c.fits(op, k)
		if fits == "" {
			op.leastKnown = k
			return nil
		}
		if k == least || k == most {
			why += fmt.Sprintf("\n  at moment %d: %s", k, fits)
		}
	}
	return fmt.Errorf("%v: no moment from %d to %d explains this answer%s%s", op, least, most, why, c.around(op))
}

// around lists the calls on the same stream that overlap an unexplained one.
func (c *checker) around(op *modelOp) string {
	name := func(o *modelOp) string {
		if o.write != nil {
			return strings.TrimPrefix(o.write.stream, "$$")
		}
		return strings.TrimPrefix(o.read.stream, "$$")
	}
	var lines []string
	for _, o := range c.ops {
		if o != op && o.write != nil && name(o) == name(op) && o.ret > op.call-200 && o.call < op.ret {
			lines = append(lines, fmt.Sprintf("\n  before or meanwhile: %v (moment %d)", o, o.placed))
		}
	}
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// fits tells why the answer is not what the model says at moment k; empty if it is.
func (c *checker) fits(op *modelOp, k int) string {
	switch {
	case op.write != nil:
		return c.writeFits(op, k)
	case op.read.stream == "":
		return c.readAllFits(op, k)
	}
	from, to := op.seconds[0], op.seconds[1]
	why := ""
	for now := from; now <= to; now++ {
		if why = c.readStreamFits(op, k, now*layout.TicksPerSecond); why == "" {
			break
		}
	}
	return why
}

func (c *checker) writeFits(op *modelOp, k int) string {
	st := c.state(op.write.stream, k)
	want, again := st.decide(*op.write)
	a := op.answer
	switch {
	case want == wantSame && a.outcome == wantWritten && a.position == again.position &&
		a.last == int64(again.revision),
		want == wantWritten && a.outcome == wantWritten && op.write.kind == eventlog.KindAppend &&
			len(op.write.events) == 0 && a.last == st.last() && a.position == 0,
		want == wantWrong && a.outcome == wantWrong && a.last == st.last(),
		want == wantDeleted && a.outcome == wantDeleted:
		return ""
	}
	why := fmt.Sprintf("%s, the stream's last revision is %d", want, st.last())
	if again != nil {
		why += fmt.Sprintf(", the repeated event %d at %d", again.revision, again.position)
	}
	return why
}

func (c *checker) readAllFits(op *modelOp, k int) string {
	if op.outcome != wantRead {
		return "it is there"
	}
	r := op.read
	from, to := 0, c.ends[k]
	switch {
	case r.start == fromStart && r.back:
		to = 0
	case r.start == fromEnd && !r.back:
		from = to
	case r.start == fromPoint && r.back:
		to = min(to, c.indexOf[r.at]) // exclusive
	case r.start == fromPoint:
		from = c.indexOf[r.at] // inclusive
	}
	want := 0 // events that were compared
	for i := from; i < to; i++ {
		e := &c.log[i]
		if r.back {
			e = &c.log[to-1-(i-from)]
		}
		if uint64(want) == r.count {
			break
		}
		if !r.filter.match(e) {
			continue
		}
		if want >= len(op.got) {
			return fmt.Sprintf("%v belongs behind what was read", e)
		}
		if op.got[want] != *e {
			return fmt.Sprintf("number %d is %v, want %v", want, op.got[want], e)
		}
		want++
	}
	if want < len(op.got) {
		return fmt.Sprintf("%v was read beyond the end", op.got[want])
	}
	return ""
}

func (c *checker) readStreamFits(op *modelOp, k int, now int64) string {
	visible, outcome := c.state(op.read.stream, k).visible(now)
	if outcome != op.outcome {
		return outcome
	}
	want := visible[:0:0]
	low, high := op.read.revisions()
	for _, e := range visible {
		if e.revision >= low && e.revision < high {
			want = append(want, e)
		}
	}
	if op.read.back {
		slices.Reverse(want)
	}
	want = want[:min(uint64(len(want)), op.read.count)]
	for i, e := range want {
		if i >= len(op.got) {
			return fmt.Sprintf("%v belongs behind what was read", e.stored)
		}
		if op.got[i] != *e.stored {
			return fmt.Sprintf("number %d is %v, want %v", i, op.got[i], e.stored)
		}
	}
	if len(want) < len(op.got) {
		return fmt.Sprintf("%v was read beyond the end", op.got[len(want)])
	}
	return ""
}

// revisions are those that the read's start and direction let through: low ≤ r < high.
func (r *rawRead) revisions() (low, high uint64) {
	low, high = 0, math.MaxUint64
	switch {
	case r.start == fromStart && r.back:
		high = 1
	case r.start == fromEnd && !r.back:
		low = math.MaxUint64
	case r.start == fromPoint && r.back:
		high = r.at + 1
	case r.start == fromPoint:
		low = r.at
	}
	return low, high
}

// check explains the whole history, its subscriptions too.
func (h *history) check() error {
	c, err := h.replay()
	if err == nil {
		err = c.explain()
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range h.subs {
		if err := c.checkSub(s); err != nil {
			errs = append(errs, fmt.Errorf("subscription %d to %v: %w", s.number, s.read, err))
		}
	}
	return errors.Join(errs...)
}
