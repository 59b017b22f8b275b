package protocol

import (
	"context"
	"errors"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// reader serves one Read call: a read or a subscription, of a stream or of $all.
type reader struct {
	svc    *Streams
	ctx    context.Context
	who    guard.Principal
	stream string // "$all" for all of them
	out    streams.Streams_ReadServer
	page   *page
	filter filter
	back   bool
	kind   watch.ReadKind
	live   bool // of a subscription: it has shown all there was

	positions bool  // the client takes messages about a stream's first and last revision
	last      int64 // the stream's newest revision, when it was last looked at
}

// Read serves reads and catch-up subscriptions.
func (svc *Streams) Read(req *streams.ReadReq, out streams.Streams_ReadServer) error {
	opts := req.GetOptions()
	if opts == nil {
		return status.Error(codes.InvalidArgument, "read without options")
	}
	r := &reader{svc: svc, ctx: out.Context(), who: guard.PrincipalOf(out.Context()), stream: guard.AllStream,
		out: out, back: opts.GetReadDirection() == streams.ReadReq_Options_Backwards}
	_, stringIDs := opts.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	r.page = newPage(&encoder{stringIDs: stringIDs})
	if opts.GetResolveLinks() {
		r.page.links = &links{now: svc.cfg.Now}
		if !r.who.Admin() {
			r.page.links.mayRead = func(v *eventlog.View, stream string) bool {
				return svc.cfg.Rights.CanRead(v, r.who, stream)
			}
		}
	}
	r.positions = opts.GetControlOption().GetCompatibility() >= 1

	count, subscription := uint64(0), false
	switch v := opts.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		if count = v.Count; count == 0 {
			return status.Error(codes.InvalidArgument, "read of no events")
		}
	case *streams.ReadReq_Options_Subscription:
		subscription = true
	default:
		return status.Error(codes.InvalidArgument, "read is neither counted nor a subscription")
	}
	r.kind = readKindOf(opts, subscription)
	svc.cfg.Metrics.Began(r.kind)
	if f := opts.GetFilter(); f != nil {
		var err error
		if r.filter, err = newFilter(f, subscription); err != nil {
			return err
		}
	}
	if subscription && r.back {
		return status.Error(codes.InvalidArgument, "a subscription reads forwards")
	}
	switch v := opts.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		stream := string(v.Stream.GetStreamIdentifier().GetStreamName())
		if r.filter.active {
			return status.Error(codes.InvalidArgument, "only $all can be filtered")
		}
		if err := checkStreamName(r.ctx, stream); err != nil {
			return err
		}
		r.stream = stream
		if err := svc.authorize(r.ctx, r.who, guard.ActionRead, stream); err != nil {
			return err
		}
		if subscription {
			return r.ended(FailStore(r.ctx, stream, r.subscribeStream(stream, v.Stream)))
		}
		return r.ended(r.readStream(stream, v.Stream, count))
	case *streams.ReadReq_Options_All:
		if err := svc.authorize(r.ctx, r.who, guard.ActionRead, guard.AllStream); err != nil {
			return err
		}
		if subscription {
			return r.ended(FailStore(r.ctx, guard.AllStream, r.subscribeAll(v.All)))
		}
		return r.ended(r.readAll(v.All, count))
	}
	return status.Error(codes.InvalidArgument, "read names neither a stream nor $all")
}

// ended notes how the call ended where that was this server's doing.
func (r *reader) ended(err error) error {
	if err != nil && r.ctx.Err() == nil { // otherwise it is done, or the client has left
		r.svc.cfg.Metrics.ReadEnded(r.kind, err)
	}
	return err
}

// readKindOf tells what a Read call asks for, as far as it is well formed.
func readKindOf(opts *streams.ReadReq_Options, subscription bool) watch.ReadKind {
	switch all := opts.GetAll() != nil; {
	case !subscription && all:
		return watch.ReadAll
	case !subscription:
		return watch.ReadStream
	case !all:
		return watch.SubscribeStream
	case opts.GetFilter() != nil:
		return watch.SubscribeFiltered
	}
	return watch.SubscribeAll
}

// pause ends a reader whose client has gone or whose server stops.
func (r *reader) pause() error {
	select {
	case <-r.ctx.Done():
		return status.FromContextError(r.ctx.Err()).Err()
	case <-r.svc.cfg.Stopping:
		return ErrStopping
	case <-r.svc.cfg.Log.Failed():
		return r.svc.cfg.Log.Failure()
	default:
		return nil
	}
}

// sendPage sends what the page holds. It blocks while the client does not take it.
func (r *reader) sendPage() error {
	for _, f := range r.page.frames {
		if err := r.out.SendMsg(f); err != nil {
			return err
		}
	}
	r.svc.cfg.Metrics.Sent(r.kind, r.page.figures())
	return r.pause()
}

func (r *reader) readStream(stream string, opts *streams.ReadReq_Options_StreamOptions, count uint64) error {
	err := r.readStreamPages(stream, opts, count)
	if errors.Is(err, eventlog.ErrStreamNotFound) {
		return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
			},
		}})
	}
	if err != nil {
		return FailStore(r.ctx, stream, err)
	}
	return nil
}

// readStreamPages shows the stream as it was when the read began, as far as
// the revisions go; what is deleted meanwhile is no longer shown.
func (r *reader) readStreamPages(stream string, opts *streams.ReadReq_Options_StreamOptions, count uint64) error {
	from, to := uint64(0), uint64(math.MaxInt64)
	switch v := opts.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		if r.back {
			to = 1
		}
	case *streams.ReadReq_Options_StreamOptions_End:
		if !r.back {
			from = math.MaxInt64
		}
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if r.back {
			to = min(v.Revision, math.MaxInt64-1) + 1
		} else {
			from = min(v.Revision, math.MaxInt64)
		}
	default:
		return status.Error(codes.InvalidArgument, "read without a revision")
	}
	begin, told := from, r.back || !r.positions || from == math.MaxInt64
	for first := true; ; first = false {
		r.page.reset()
		more, err := r.streamPage(stream, &from, &to, count, first)
		if err != nil {
			if !first && errors.Is(err, eventlog.ErrStreamNotFound) {
				return nil
			}
			return err
		}
		done := !more || count == uint64(r.page.events)
		if !told && (done || r.page.events > 0) {
			told = true
			if err := r.sendFirstPosition(begin, count); err != nil {
				return err
			}
		}
		count -= uint64(r.page.events)
		if err := r.sendPage(); err != nil {
			return err
		}
		if done {
			return r.sendLastPosition()
		}
	}
}

// serverPage is how many revisions a real server reads at once. It shows in
// when it tells where a stream begins.
const serverPage = 32

// sendFirstPosition tells a reader that asked for it where the stream begins,
// if not where it reads, before the first event. As a real server, it does so
// only when the first page it looks at has no events, and names the end of a
// stream that has none from there on.
func (r *reader) sendFirstPosition(begin, count uint64) error {
	first := r.page.first
	switch {
	case r.page.events == 0:
		if first = uint64(r.last + 1); first == begin {
			return nil
		}
	case first < begin+min(serverPage, count):
		return nil
	}
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: first}})
}

// sendLastPosition tells a reader that asked for it the stream's newest revision.
func (r *reader) sendLastPosition() error {
	if !r.positions || r.last < 0 {
		return nil
	}
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{
		LastStreamPosition: uint64(r.last),
	}})
}

// streamPage reads one page from the newest view and moves the range past it.
func (r *reader) streamPage(stream string, from, to *uint64, limit uint64, first bool) (more bool, err error) {
	v := r.svc.cfg.Log.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	rng, err := v.Stream(stream, r.svc.cfg.Now())
	if err != nil {
		return false, err
	}
	r.last = rng.Last
	if first {
		*to = min(*to, uint64(rng.Last+1))
	}
	next, more, err := r.page.addStream(v, stream, rng, *from, *to, limit, r.back)
	if r.back {
		*to = next
	} else {
		*from = next
	}
	return more, err
}

// readAll reads $all as it was when the read began.
func (r *reader) readAll(opts *streams.ReadReq_Options_AllOptions, count uint64) error {
	v := r.svc.cfg.Log.Acquire()
	from, to := uint64(0), v.End()
	var err error
	switch o := opts.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		if r.back {
			to = 0
		}
	case *streams.ReadReq_Options_AllOptions_End:
		if !r.back {
			from = v.End()
		}
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := o.Position.GetCommitPosition(), o.Position.GetPreparePosition()
		if err = checkPosition(v, commit, prepare); err != nil {
			break
		}
		// Forwards includes the position, backwards excludes it.
		if r.back {
			to = min(to, commit)
		} else {
			from = commit
		}
	default:
		err = status.Error(codes.InvalidArgument, "read without a position")
	}
	if err := errors.Join(err, v.Release()); err != nil {
		return FailStore(r.ctx, guard.AllStream, err)
	}
	for more := true; more && count > 0; {
		r.page.reset()
		if more, err = r.allPage(&from, &to, count); err != nil {
			return FailStore(r.ctx, guard.AllStream, err)
		}
		count -= uint64(r.page.events)
		if err := r.sendPage(); err != nil {
			return FailStore(r.ctx, guard.AllStream, err)
		}
	}
	return nil
}

// checkPosition refuses what no event and no checkpoint of this node can have named.
func checkPosition(v *eventlog.View, commit, prepare uint64) error {
	if prepare > commit {
		return errInvalidPosition
	}
	ok, err := v.IsPosition(commit)
	if err == nil && !ok {
		err = errInvalidPosition
	}
	return err
}

// allPage reads one page of $all and moves the range past it.
func (r *reader) allPage(from, to *uint64, limit uint64) (more bool, err error) {
	v := r.svc.cfg.Log.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	var refused error
	err = v.ScanAll(*from, *to, r.back, func(position uint64, rec *eventlog.Record) bool {
		if r.page.full() || uint64(r.page.events) >= limit {
			more = true
			return false
		}
		r.page.considered++
		if r.back {
			*to = position
		} else {
			*from = position + 1
		}
		refused = r.show(v, position, rec)
		return refused == nil
	})
	return more, errors.Join(err, refused)
}

// show adds an event of $all to the page if the filter lets it through.
func (r *reader) show(v *eventlog.View, position uint64, rec *eventlog.Record) error {
	matched, err := r.filter.match(position, rec)
	if err != nil || !matched {
		return err
	}
	return r.page.addEvent(v, position, rec)
}
