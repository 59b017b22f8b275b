package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ledgerline/ledgerline/internal/retry"
)

// Status says what a Reconciler does and what the last run found. It may be read while it runs.
type Status struct {
	Running     *Progress `json:"running,omitempty"` // nil: nothing is being compared
	Last        *Result   `json:"last,omitempty"`    // nil: nothing was compared yet
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
}

// Status returns a consistent copy.
func (r *Reconciler) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *Reconciler) note(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// Daily compares at once after an unclean stop, goes on with what was interrupted otherwise, and
// compares again once a day, until ctx ends, which returns nil. What fails is told in Status until
// it works again; a run that failed begins again an hour later.
func (r *Reconciler) Daily(ctx context.Context, unclean bool) error {
	var notBefore time.Time
	for forgotten := !unclean; ; {
		err := error(nil)
		if !forgotten { // what was compared before the stop is compared again
			err = r.cfg.Views.SaveState(ctx, progressName+r.cfg.Name, nil)
			forgotten = err == nil
		}
		due := false
		if err == nil {
			due, err = r.due(ctx, unclean)
		}
		now := r.cfg.Now()
		ran := err == nil && due && !now.Before(notBefore)
		if ran {
			var res Result
			res, err = r.Run(ctx)
			switch {
			case err == nil:
				unclean = false
				r.cfg.Log.Info("compared the views with the ledger",
					"through", res.Through, "differences", res.Differences)
			case !errors.Is(err, ErrNothing):
				notBefore = now.Add(min(time.Hour, r.cfg.Every))
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, ErrNothing):
			text, at := err.Error(), r.cfg.Now()
			r.cfg.Log.Warn("the views could not be compared with the ledger", "error", err)
			r.note(func(s *Status) { s.LastError, s.LastErrorAt = text, at })
		case ran || notBefore.IsZero():
			r.note(func(s *Status) { s.LastError, s.LastErrorAt = "", time.Time{} })
		}
		if retry.Wait(ctx, r.cfg.Look) != nil {
			return nil
		}
	}
}

// due reads the last result, which another process may have found, and says
// whether it is time for another.
func (r *Reconciler) due(ctx context.Context, unclean bool) (bool, error) {
	raw, err := r.cfg.Views.LoadState(ctx, resultName)
	if err != nil {
		return false, err
	}
	var last Result
	if len(raw) > 0 && json.Unmarshal(raw, &last) == nil {
		r.note(func(s *Status) { s.Last = &last })
	}
	began, err := r.cfg.Views.LoadState(ctx, progressName+r.cfg.Name)
	if err != nil {
		return false, err
	}
	return unclean || len(began) > 0 || r.cfg.Now().Sub(last.Finished) >= r.cfg.Every, nil
}
