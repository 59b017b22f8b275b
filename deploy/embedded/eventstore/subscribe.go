package eventstore

import (
	"errors"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Subscriptions always read from the store, page by page, also when they are
// live: what is new is in memory there anyway. So there is one code path, a
// slow subscriber holds one page, and nobody sees what is not durable.

var (
	respCaughtUp   = &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}
	respFellBehind = &streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}}
)

func (r *reader) confirm() error {
	id, err := randomID()
	if err != nil {
		return err
	}
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: formatUUID(id)},
	}})
}

// follow calls next until it has nothing more, then waits for news. next fills
// the page from the view. caughtUp is called on each switch to live.
func (r *reader) follow(next func(v *view) (more bool, err error), caughtUp func() error) error {
	live := false
	for {
		r.page.reset()
		v := r.svc.server.store.acquire()
		more, err := next(v)
		superseded := v.superseded
		if err := errors.Join(err, v.release()); err != nil {
			return err
		}
		if live && more {
			live = false
			if err := r.out.Send(respFellBehind); err != nil {
				return err
			}
		}
		if err := r.sendPage(); err != nil {
			return err
		}
		if more {
			continue
		}
		if !live {
			live = true
			if err := caughtUp(); err != nil {
				return err
			}
			if err := r.out.Send(respCaughtUp); err != nil {
				return err
			}
		}
		select {
		case <-superseded:
		case <-r.ctx.Done():
			return status.FromContextError(r.ctx.Err()).Err()
		case <-r.svc.server.stopping:
			return errStopping
		case <-r.svc.server.store.failed:
			return r.svc.server.store.failure()
		}
	}
}

func (r *reader) subscribeAll(opts *streams.ReadReq_Options_AllOptions) error {
	from, considered, err := r.allStart(opts)
	if err != nil {
		return err
	}
	if err := r.confirm(); err != nil {
		return err
	}
	sinceCheckpoint := uint64(0)
	next := func(v *view) (more bool, err error) {
		err = v.scanAll(from, v.end, false, func(position uint64, rec *record) bool {
			if r.page.full() {
				more = true
				return false
			}
			r.page.considered++
			from, considered = position+1, position
			if r.filter.match(rec) {
				r.page.addEvent(position, rec)
			}
			if sinceCheckpoint++; r.filter.active && sinceCheckpoint >= r.filter.interval {
				r.page.addCheckpoint(position)
				sinceCheckpoint = 0
			}
			return true
		})
		return more, err
	}
	return r.follow(next, func() error {
		if !r.filter.active {
			return nil
		}
		sinceCheckpoint = 0
		r.page.reset()
		r.page.addCheckpoint(considered)
		return r.sendPage()
	})
}

// allStart returns the first position that a subscription to $all considers,
// as it excludes the one it is given, and the one that its first checkpoint
// names if nothing comes before that.
func (r *reader) allStart(opts *streams.ReadReq_Options_AllOptions) (from, considered uint64, err error) {
	v := r.svc.server.store.acquire()
	defer func() { err = errors.Join(err, v.release()) }()
	switch o := opts.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return 0, 0, nil
	case *streams.ReadReq_Options_AllOptions_End:
		last, err := v.lastBefore(v.end)
		return v.end, last, err
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := o.Position.GetCommitPosition(), o.Position.GetPreparePosition()
		if err := v.checkPosition(commit, prepare); err != nil {
			return 0, 0, err
		}
		if prepare < commit { // before the event at commit, which has this commit and prepare position
			last, err := v.lastBefore(commit)
			return commit, last, err
		}
		return min(commit, math.MaxUint64-1) + 1, commit, nil
	}
	return 0, 0, status.Error(codes.InvalidArgument, "subscription without a position")
}

func (r *reader) subscribeStream(stream string, opts *streams.ReadReq_Options_StreamOptions) error {
	from, err := r.streamStart(stream, opts) // first revision to consider
	if err != nil {
		return err
	}
	if err := r.confirm(); err != nil {
		return err
	}
	next := func(v *view) (bool, error) {
		sr, err := v.streamRange(stream, r.svc.server.cfg.Now())
		if errors.Is(err, errStreamNotFound) {
			return false, nil // it may come, or come back
		}
		if err != nil {
			return false, err
		}
		next, more, err := v.streamPage(r.page, stream, sr, from, math.MaxInt64, noLimit, false)
		from = max(from, next)
		return more, err
	}
	return r.follow(next, func() error { return nil })
}

// streamStart returns the first revision that a subscription considers: it
// excludes the one it is given.
func (r *reader) streamStart(stream string, opts *streams.ReadReq_Options_StreamOptions) (from uint64, err error) {
	switch o := opts.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		return 0, nil
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if o.Revision >= math.MaxInt64 {
			return 0, status.Errorf(codes.InvalidArgument, "revision %d is out of range", o.Revision)
		}
		return o.Revision + 1, nil
	case *streams.ReadReq_Options_StreamOptions_End:
		v := r.svc.server.store.acquire()
		defer func() { err = errors.Join(err, v.release()) }()
		h, err := v.streamHead(stream)
		if err != nil && !errors.Is(err, errStreamNotFound) {
			return 0, err
		}
		return uint64(h.last + 1), nil
	}
	return 0, status.Error(codes.InvalidArgument, "subscription without a revision")
}
