package semantics

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"
)

// states are what a stream can be before something is done to it. prepare
// returns the stream's last revision, -1 for none.
var states = []struct {
	name    string
	prepare func(w *world, stream string) (last int64, err error)
}{
	{"missing", func(*world, string) (int64, error) { return -1, nil }},
	{"metadata only", func(w *world, stream string) (int64, error) { return -1, w.tryMeta(stream, `{"a":1}`) }},
	{"three events", threeEvents},
	{"emptied by $tb", func(w *world, stream string) (int64, error) {
		last, err := threeEvents(w, stream)
		if err == nil {
			err = w.tryMeta(stream, `{"$tb":3}`)
		}
		return last, err
	}},
	{"softly deleted", softlyDeleted},
	{"revived", func(w *world, stream string) (int64, error) {
		last, err := softlyDeleted(w, stream)
		if err == nil {
			_, err = w.tryAppend(stream, esdb.Any{}, w.event(`{}`))
		}
		return last + 1, err
	}},
	{"tombstoned", func(w *world, stream string) (int64, error) {
		last, err := threeEvents(w, stream)
		if err == nil {
			_, err = w.tombstone(stream, esdb.Any{})
		}
		var e *esdb.Error
		if errors.As(err, &e) && e.Code() == esdb.ErrorCodeStreamDeleted {
			err = nil // by the first of two attempts
		}
		return last, err
	}},
}

func threeEvents(w *world, stream string) (int64, error) {
	_, err := w.tryAppend(stream, esdb.NoStream{}, w.events(3)...)
	return 2, err
}

func softlyDeleted(w *world, stream string) (int64, error) {
	last, err := threeEvents(w, stream)
	if err == nil {
		_, err = w.delete(stream, esdb.Any{})
	}
	return last, err
}

func (w *world) tryMeta(stream, json string) error {
	_, err := w.tryAppend("$$"+stream, esdb.Any{}, esdb.EventData{
		EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(json),
	})
	return err
}

// expectations are what a client can ask for of a stream whose last revision
// is known; ok is false where there is no such revision.
var expectations = []struct {
	name string
	of   func(last int64) (expect esdb.ExpectedRevision, ok bool)
}{
	{"no stream", func(int64) (esdb.ExpectedRevision, bool) { return esdb.NoStream{}, true }},
	{"any", func(int64) (esdb.ExpectedRevision, bool) { return esdb.Any{}, true }},
	{"exists", func(int64) (esdb.ExpectedRevision, bool) { return esdb.StreamExists{}, true }},
	{"its last", func(last int64) (esdb.ExpectedRevision, bool) { return esdb.Revision(uint64(last)), last >= 0 }},
	{"one before", func(last int64) (esdb.ExpectedRevision, bool) {
		return esdb.Revision(uint64(last - 1)), last >= 1
	}},
	{"one after", func(last int64) (esdb.ExpectedRevision, bool) { return esdb.Revision(uint64(last + 1)), true }},
}

// cmdMatrix does one thing to streams in each state with each expectation. An
// append has one new event; its answers are shown with the revision they name:
// that of the event, or the stream's in a conflict.
func (s *scenario) cmdMatrix(d *datadriven.TestData) string {
	op := s.option(d, "op", "append")
	cells := make([][]string, len(states))
	var wg sync.WaitGroup
	for i, state := range states {
		cells[i] = make([]string, len(expectations))
		for j, expectation := range expectations {
			wg.Go(func() {
				// Another stream each time, for whoever repeats an operation
				// that may have been done gets the answer of a repetition.
				for n := 0; ; n++ {
					stream := fmt.Sprintf("%s-%d-%d-%d", op, i, j, n)
					last, err := state.prepare(s.world, stream)
					if err != nil {
						cells[i][j] = err.Error()
						return
					}
					expect, ok := expectation.of(last)
					if !ok {
						cells[i][j] = "-"
						return
					}
					if cells[i][j], err = s.cell(op, stream, expect); !passing(err) || s.ctx.Err() != nil {
						return
					}
				}
			})
		}
	}
	wg.Wait()
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 1, 2, ' ', 0)
	for _, e := range expectations {
		fmt.Fprintf(tw, "\t%s", e.name)
	}
	fmt.Fprintln(tw)
	for i, state := range states {
		fmt.Fprintf(tw, "%s\t%s\n", state.name, strings.Join(cells[i], "\t"))
	}
	if err := tw.Flush(); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// cell is the answer to one operation, made once, and its error.
func (s *scenario) cell(op, stream string, expect esdb.ExpectedRevision) (string, error) {
	var err error
	answer := "ok"
	switch op {
	case "append":
		var res *esdb.WriteResult
		if res, err = s.client.AppendToStream(s.ctx, s.stream(stream),
			esdb.AppendToStreamOptions{ExpectedRevision: expect}, s.event(`{}`)); err == nil {
			answer = fmt.Sprint("ok ", res.NextExpectedVersion)
		}
	case "delete":
		_, err = s.client.DeleteStream(s.ctx, s.stream(stream), esdb.DeleteStreamOptions{ExpectedRevision: expect})
	default:
		_, err = s.client.TombstoneStream(s.ctx, s.stream(stream),
			esdb.TombstoneStreamOptions{ExpectedRevision: expect})
	}
	if err == nil {
		return answer, nil
	}
	text := strings.TrimPrefix(refusal(err), "stream ")
	if text == "wrong expected version" {
		text = "conflict"
		if _, got, ok := strings.Cut(err.Error(), "but got "); ok {
			text += " " + strings.Trim(got, "'")
		}
	}
	return text, err
}
