package protocol

import (
	"bytes"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// defaultSearchWindow is used where a client asks for no limit, as in a real server.
const defaultSearchWindow = 32

// filter decides which events of $all a reader gets. The zero filter lets all through.
type filter struct {
	active     bool
	byType     bool // otherwise by stream
	prefixes   [][]byte
	expression *expression
	interval   uint64 // considered events between checkpoints
}

// newFilter refuses what it cannot apply: a filter that is ignored would send
// events that somebody asked not to get.
func newFilter(opts *streams.ReadReq_Options_FilterOptions, subscription bool) (filter, error) {
	f := filter{active: true}
	var expr *streams.ReadReq_Options_FilterOptions_Expression
	switch v := opts.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expr = v.StreamIdentifier
	case *streams.ReadReq_Options_FilterOptions_EventType:
		expr, f.byType = v.EventType, true
	default:
		return f, status.Error(codes.InvalidArgument, "filter names neither streams nor types")
	}
	for _, p := range expr.GetPrefix() {
		f.prefixes = append(f.prefixes, []byte(p))
	}
	if expr.GetRegex() != "" && len(f.prefixes) > 0 {
		return f, status.Error(codes.InvalidArgument, "filter has both prefixes and a regular expression")
	}
	if expr.GetRegex() != "" {
		re, err := newExpression(expr.GetRegex())
		if err != nil {
			return f, status.Errorf(codes.InvalidArgument, "filter: this server cannot apply the regular "+
				"expression: %v", err)
		}
		f.expression = re
	}
	window := uint64(defaultSearchWindow)
	if v, ok := opts.GetWindow().(*streams.ReadReq_Options_FilterOptions_Max); ok {
		if v.Max == 0 {
			return f, status.Error(codes.InvalidArgument, "filter: the search window must be above 0")
		}
		window = uint64(v.Max)
	}
	multiplier := uint64(opts.GetCheckpointIntervalMultiplier())
	if multiplier == 0 {
		if subscription {
			return f, status.Error(codes.InvalidArgument, "filter: the checkpoint interval multiplier must be above 0")
		}
		multiplier = 1
	}
	f.interval = window * multiplier
	return f, nil
}

// filterError says at which event a filter gave up.
type filterError struct {
	position uint64
	err      error
}

func (e *filterError) Error() string {
	return fmt.Sprintf("filter: %v, at position %d", e.err, e.position)
}

func (e *filterError) Unwrap() error { return e.err }

// match tells whether a reader gets the event. An error ends the reader:
// whether it should have got the event is not known.
func (f *filter) match(position uint64, r *eventlog.Record) (bool, error) {
	if !f.active {
		return true, nil
	}
	subject := r.Stream
	if f.byType {
		subject = r.Type
	}
	if f.expression != nil {
		matched, err := f.expression.match(subject)
		if err != nil {
			return false, &filterError{position, err}
		}
		return matched, nil
	}
	for _, p := range f.prefixes {
		if bytes.HasPrefix(subject, p) {
			return true, nil
		}
	}
	return false, nil
}
