package protocol

import (
	"errors"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// Subscriptions always read from the store, page by page, also when they are
// live: what is new is in memory there anyway. So there is one code path, a
// slow subscriber holds one page, and nobody sees what is not durable.
//
// A subscription that falls behind says nothing, as in 24.x: its servers know
// FellBehind and do not send it. It says CaughtUp again when it is level.

func (r *reader) confirm() error {
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

// follow calls next until it has nothing more, then waits for news. next fills
// the page from the view. level is called on each switch to live, and says from
// where the subscription could be resumed.
func (r *reader) follow(
	next func(v *eventlog.View) (more bool, err error),
	level func() (resume []byte, err error),
) error {
	sub := r.svc.cfg.Metrics.Subscribed(r.kind)
	defer sub.End()
	for {
		r.page.reset()
		v := r.svc.cfg.Log.Acquire()
		more, err := r.nextAllowed(v, next)
		superseded, end := v.Superseded(), v.End()
		err = errors.Join(err, v.Release())
		// What comes before an error is shown: events before a tombstone, or before one
		// that the filter gave up on.
		if sendErr := r.sendPage(); err == nil {
			err = sendErr
		}
		if err != nil {
			return err
		}
		sub.Took(r.page.figures(), end, more)
		r.live = r.live && !more
		if more {
			continue
		}
		if !r.live {
			r.live = true
			resume, err := level()
			if err != nil {
				return err
			}
			if err := r.out.Send(caughtUp(r.svc.cfg.Now(), resume)); err != nil {
				return err
			}
		}
		select {
		case <-superseded:
		case <-r.ctx.Done():
			return status.FromContextError(r.ctx.Err()).Err()
		case <-r.svc.cfg.Stopping:
			return ErrStopping
		case <-r.svc.cfg.Log.Failed():
			return r.svc.cfg.Log.Failure()
		}
	}
}

// nextAllowed ends a subscription whose reader may no longer read.
func (r *reader) nextAllowed(v *eventlog.View, next func(v *eventlog.View) (more bool, err error)) (more bool,
	err error) {
	ok, err := r.svc.cfg.Rights.MayIn(v, r.who, guard.ActionRead, r.stream)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, failAccessDenied(r.ctx, "this stream can no longer be read by this user")
	}
	more, err = next(v)
	if hook := r.svc.cfg.Paged; hook != nil {
		hook(r, r.page.events, r.page.size)
	}
	return more, err
}

func (r *reader) subscribeAll(opts *streams.ReadReq_Options_AllOptions) error {
	from, considered, err := r.allStart(opts)
	if err != nil {
		return err
	}
	if err := r.confirm(); err != nil {
		return err
	}
	sinceCheckpoint, told := uint64(0), uint64(math.MaxUint64) // told is the newest checkpoint; none yet
	checkpoint := func(position uint64) {
		if sinceCheckpoint = 0; position != told {
			r.page.addCheckpoint(position, r.svc.cfg.Now())
			told = position
		}
	}
	next := func(v *eventlog.View) (more bool, err error) {
		var refused error
		err = v.ScanAll(from, v.End(), false, func(position uint64, rec *eventlog.Record) bool {
			if r.page.full() {
				more = true
				return false
			}
			r.page.considered++
			if refused = r.show(v, position, rec); refused != nil {
				return false
			}
			from, considered, r.page.last = position+1, position, position
			if sinceCheckpoint++; r.filter.active && sinceCheckpoint >= r.filter.interval {
				checkpoint(position)
			}
			return true
		})
		return more, errors.Join(err, refused)
	}
	return r.follow(next, func() ([]byte, error) {
		if !r.filter.active {
			return resumeAll(considered), nil
		}
		r.page.reset()
		checkpoint(considered)
		return resumeAll(considered), r.sendPage()
	})
}

// allStart returns the first position that a subscription to $all considers,
// as it excludes the one it is given, and the one that its first checkpoint
// names if nothing comes before that.
func (r *reader) allStart(opts *streams.ReadReq_Options_AllOptions) (from, considered uint64, err error) {
	v := r.svc.cfg.Log.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	switch o := opts.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return 0, 0, nil
	case *streams.ReadReq_Options_AllOptions_End:
		last, err := v.LastBefore(v.End())
		return v.End(), last, err
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := o.Position.GetCommitPosition(), o.Position.GetPreparePosition()
		if commit == math.MaxUint64 && prepare == commit { // some clients' name for the end
			last, err := v.LastBefore(v.End())
			return v.End(), last, err
		}
		if err := checkPosition(v, commit, prepare); err != nil {
			return 0, 0, err
		}
		if prepare < commit { // before the event at commit, which has this commit and prepare position
			last, err := v.LastBefore(commit)
			return commit, last, err
		}
		return commit + 1, commit, nil
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
	next := func(v *eventlog.View) (bool, error) {
		rng, err := v.Stream(stream, r.svc.cfg.Now())
		notFound, deleted := errors.Is(err, eventlog.ErrStreamNotFound), errors.Is(err, eventlog.ErrStreamDeleted)
		switch {
		case err != nil && !notFound && !deleted:
			return false, err
		case r.live:
			// It gets what was written since it was level, also what metadata
			// or a delete has hidden meanwhile: a real server had sent it before.
			rng.First, rng.Oldest = 0, math.MinInt64
			if deleted {
				rng.Last = math.MaxInt64 // the tombstone's own revision
			}
		case deleted:
			return false, err
		case notFound:
			return false, nil // it may come, or come back
		}
		next, more, scanErr := r.page.addStream(v, stream, rng, from, math.MaxInt64+1, noLimit, false)
		from = max(from, next)
		if scanErr != nil || more {
			return more, scanErr
		}
		if deleted {
			return false, err
		}
		return false, nil
	}
	return r.follow(next, func() ([]byte, error) { return resumeStream(from), nil })
}

// streamStart returns the first revision that a subscription considers: it
// excludes the one it is given. A tombstoned stream has no subscriptions.
func (r *reader) streamStart(stream string, opts *streams.ReadReq_Options_StreamOptions) (from uint64, err error) {
	v := r.svc.cfg.Log.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	rng, err := v.Stream(stream, r.svc.cfg.Now())
	if err != nil && !errors.Is(err, eventlog.ErrStreamNotFound) {
		return 0, err
	}
	switch o := opts.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		return 0, nil
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if o.Revision == math.MaxUint64 { // some clients' name for the end
			return uint64(rng.Last + 1), nil
		}
		if o.Revision >= math.MaxInt64 {
			return 0, status.Errorf(codes.InvalidArgument, "revision %d is out of range", o.Revision)
		}
		return o.Revision + 1, nil
	case *streams.ReadReq_Options_StreamOptions_End:
		return uint64(rng.Last + 1), nil
	}
	return 0, status.Error(codes.InvalidArgument, "subscription without a revision")
}
