package semantics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestScenarios runs the files in testdata: each is one world. -rewrite writes
// what the server answers into them.
//
// Events have names, and by its name an event keeps its id through the file.
// Positions are p1, p2, … in the order in which answers first name them, and
// begin at nothing. EXPECT is no-stream, any, exists or a revision.
//
//	append STREAM expect=EXPECT [at]
//	                                appends the events named in the input, one a line;
//	                                at shows the answer's position
//	delete STREAM expect=EXPECT     deletes softly
//	tombstone STREAM expect=EXPECT  ends the stream for good
//	meta STREAM                     writes the input as the stream's metadata
//	read STREAM [backwards] [from=start|end|REVISION] [count=N]
//	all [backwards] [from=EVENT] [count=N]
//	                                reads $all, from the beginning or end where no event is named
//	subscribe NAME stream=STREAM|all from=start|end|REVISION|EVENT
//	                                shows what comes up to the first caught-up
//	next NAME [count=N]             shows what comes next
//	matrix op=append|delete|tombstone  does op with each expectation to a stream in each state
//	answer STREAM expect=EXPECT     appends a new event; shows the answer's fields
//	trailers delete|tombstone STREAM expect=EXPECT  shows the refusal's status and trailers
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := &scenario{
				world: begin(t), ids: map[string]uuid.UUID{}, events: map[uuid.UUID]string{},
				positions: map[uint64]string{}, subs: map[string]*subscription{},
			}
			datadriven.RunTest(t, path, s.run)
		})
	}
}

type scenario struct {
	*world
	ids       map[string]uuid.UUID
	events    map[uuid.UUID]string
	positions map[uint64]string
	subs      map[string]*subscription
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	commands := map[string]func(d *datadriven.TestData) string{
		"append": s.cmdAppend, "delete": s.cmdRemove, "tombstone": s.cmdRemove, "meta": s.cmdMeta, "read": s.cmdRead,
		"all":       s.cmdAll,
		"subscribe": s.cmdSubscribe, "next": s.cmdNext, "matrix": s.cmdMatrix, "answer": s.cmdAnswer,
		"trailers": s.cmdTrailers,
	}
	cmd := commands[d.Cmd]
	if cmd == nil {
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return strings.TrimRight(cmd(d), "\n") + "\n"
}

// first is the name that a command begins with.
func first(d *datadriven.TestData) string { return d.CmdArgs[0].Key }

func (s *scenario) option(d *datadriven.TestData, key, otherwise string) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key && len(arg.Vals) == 1 {
			return arg.Vals[0]
		}
	}
	return otherwise
}

func (s *scenario) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scenario) expect(d *datadriven.TestData) esdb.ExpectedRevision {
	switch text := s.option(d, "expect", "any"); text {
	case "no-stream":
		return esdb.NoStream{}
	case "any":
		return esdb.Any{}
	case "exists":
		return esdb.StreamExists{}
	default:
		return esdb.Revision(s.number(text))
	}
}

func direction(d *datadriven.TestData) esdb.Direction {
	if d.HasArg("backwards") {
		return esdb.Backwards
	}
	return esdb.Forwards
}

// proposed are the events named in the input. The same name is the same event.
func (s *scenario) proposed(input string) (out []esdb.EventData) {
	for _, name := range strings.Fields(input) {
		id, ok := s.ids[name]
		if !ok {
			id = uuid.New()
			s.ids[name], s.events[id] = id, name
		}
		e := s.event(`{}`)
		e.EventID = id
		out = append(out, e)
	}
	return out
}

// position names a position; the same one has the same name.
func (s *scenario) position(commit uint64) string {
	if _, ok := s.positions[commit]; !ok {
		s.positions[commit] = fmt.Sprintf("p%d", len(s.positions)+1)
	}
	return s.positions[commit]
}

func refusal(err error) string {
	var e *esdb.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	switch e.Code() {
	case esdb.ErrorCodeWrongExpectedVersion:
		return "wrong expected version"
	case esdb.ErrorCodeStreamDeleted:
		return "stream deleted"
	case esdb.ErrorCodeResourceNotFound:
		return "not found"
	}
	if status.Code(e.Err()) == codes.FailedPrecondition && strings.Contains(e.Error(), "WrongExpectedVersion") {
		return "wrong expected version" // the client has no code for it on Delete and Tombstone
	}
	return e.Error()
}

func (s *scenario) cmdAppend(d *datadriven.TestData) string {
	res, err := s.tryAppend(first(d), s.expect(d), s.proposed(d.Input)...)
	if err != nil {
		return refusal(err)
	}
	answer := fmt.Sprintf("ok revision=%d", res.NextExpectedVersion)
	if d.HasArg("at") {
		answer += " " + s.position(res.CommitPosition)
	}
	return answer
}

func (s *scenario) cmdRemove(d *datadriven.TestData) string {
	remove := s.delete
	if d.Cmd == "tombstone" {
		remove = s.tombstone
	}
	if _, err := remove(first(d), s.expect(d)); err != nil {
		return refusal(err)
	}
	return "ok"
}

func (s *scenario) cmdMeta(d *datadriven.TestData) string {
	return fmt.Sprintf("ok revision=%d", s.setMeta(first(d), d.Input).NextExpectedVersion)
}

// show is one event on a line: by its name where it has one, otherwise what it says.
func (s *scenario) show(e *esdb.RecordedEvent) string {
	if name, ok := s.events[e.EventID]; ok {
		return fmt.Sprintf("%d %s", e.EventNumber, name)
	}
	if e.EventType == "$streamDeleted" {
		return e.EventType
	}
	return fmt.Sprintf("%d %s %s", e.EventNumber, e.EventType, canonical(e.Data))
}

// canonical is JSON with its keys in order, and anything else as it is.
func canonical(data []byte) string {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // $tb does not fit in a float
	var v any
	if dec.Decode(&v) != nil {
		return string(data)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(data)
	}
	return string(out)
}

func (s *scenario) cmdRead(d *datadriven.TestData) string {
	var from esdb.StreamPosition
	switch text := s.option(d, "from", ""); {
	case text == "start" || text == "" && !d.HasArg("backwards"):
		from = esdb.Start{}
	case text == "end" || text == "":
		from = esdb.End{}
	default:
		from = esdb.Revision(s.number(text))
	}
	events, err := s.readStream(first(d), direction(d), from, s.number(s.option(d, "count", "1000")))
	if err != nil {
		return refusal(err)
	}
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintln(&b, s.show(e))
	}
	if b.Len() == 0 {
		return "nothing"
	}
	return b.String()
}

// named is where in $all the event is.
func (s *scenario) named(name string) esdb.Position {
	for _, e := range s.own() {
		if e.EventID == s.ids[name] {
			return e.Position
		}
	}
	s.t.Fatalf("no event %s in $all", name)
	return esdb.Position{}
}

func (s *scenario) cmdAll(d *datadriven.TestData) string {
	dir, from := direction(d), s.mark
	if dir == esdb.Backwards {
		from = esdb.End{}
	}
	if name := s.option(d, "from", ""); name != "" {
		from = s.named(name)
	}
	count, oldest := s.number(s.option(d, "count", "1000")), s.own()[0].Position.Commit
	var b strings.Builder
	s.eachOfAll(dir, from, func(e *esdb.RecordedEvent) bool {
		short, ok := s.short(e.StreamID)
		if ok {
			count--
			fmt.Fprintf(&b, "%s %s\n", short, s.show(e))
		}
		return count > 0 && (dir == esdb.Forwards || e.Position.Commit > oldest)
	})
	if b.Len() == 0 {
		return "nothing"
	}
	return b.String()
}

func (s *scenario) cmdSubscribe(d *datadriven.TestData) string {
	from := s.option(d, "from", "start")
	var sub *subscription
	if stream := s.option(d, "stream", ""); stream != "" {
		at := map[string]esdb.StreamPosition{"start": esdb.Start{}, "end": esdb.End{}}[from]
		if at == nil {
			at = esdb.Revision(s.number(from))
		}
		sub = s.subscribeStream(stream, at)
	} else {
		// From the mark where others would begin at the start: a full store is long.
		at := map[string]esdb.AllPosition{"start": s.mark, "end": esdb.End{}}[from]
		if at == nil {
			at = s.named(from)
		}
		sub = s.subscribeAll(esdb.SubscribeToAllOptions{From: at})
	}
	s.subs[first(d)] = sub
	var b strings.Builder
	for _, e := range sub.catchUp() {
		s.line(&b, e)
	}
	return b.String() + "caught up"
}

func (s *scenario) cmdNext(d *datadriven.TestData) string {
	var b strings.Builder
	for range s.number(s.option(d, "count", "1")) {
		s.line(&b, s.subs[first(d)].next())
	}
	return b.String()
}

func (s *scenario) line(b *strings.Builder, e *esdb.RecordedEvent) {
	short, _ := s.short(e.StreamID)
	fmt.Fprintf(b, "%s %s\n", short, s.show(e))
}

func (s *scenario) cmdAnswer(d *datadriven.TestData) string {
	resp, _, err := s.rawAppend(appendOptions(s.stream(first(d)), s.expect(d)), proposal(uuid.New(), s.prefix+"t", 2))
	if err != nil {
		return err.Error()
	}
	if resp.GetSuccess() != nil {
		return "success"
	}
	return "OK, wrong expected version\n" + fields(resp.GetWrongExpectedVersion())
}

func (s *scenario) cmdTrailers(d *datadriven.TestData) string {
	stream := s.stream(d.CmdArgs[1].Key)
	trailers, err := s.raw(func(ctx context.Context, conn *grpc.ClientConn) (trailers metadata.MD, err error) {
		client := streams.NewStreamsClient(conn)
		if first(d) == "delete" {
			_, err = client.Delete(ctx, deleteRequest(stream, s.expect(d)), grpc.Trailer(&trailers))
		} else {
			_, err = client.Tombstone(ctx, tombstoneRequest(stream, s.expect(d)), grpc.Trailer(&trailers))
		}
		return trailers, err
	})
	if err == nil {
		return "success"
	}
	var lines []string
	for _, key := range []string{"exception", "stream-name", "expected-version", "actual-version"} {
		if v := trailers.Get(key); len(v) > 0 {
			lines = append(lines, key+": "+strings.ReplaceAll(strings.Join(v, ","), s.prefix, ""))
		}
	}
	slices.Sort(lines)
	return statusName(err) + "\n" + strings.Join(lines, "\n")
}
