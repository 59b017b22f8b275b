package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/schemas"
)

// RemoteActions implements projections.Reader.
func (db *DB) RemoteActions(
	ctx context.Context, tenant uuid.UUID, f projections.RemoteFilter, asOf projections.AsOf,
) iter.Seq2[projections.RemoteAction, error] {
	p := ask.AsOf(tenant, asOf)
	p["limit"] = pageRows
	question := ask.RemoteActions(p, f)
	type place struct{ requested, stream string }
	type row struct {
		projections.RemoteAction
		place
	}
	return func(yield func(projections.RemoteAction, error) bool) {
		pages := ask.Pages(pageRows, func(after place, _ bool) ([]row, error) {
			p["after"], p["behind"] = after.requested, after.stream
			out, err := collect(ask.Paged(ctx), db, p, question, func(scan func(...any) error) (r row, err error) {
				var audited uint8
				var completed, request string
				text := func(t *projections.Text) any { return (*string)(t) }
				err = scan(&r.place.stream, &r.Seq, &r.EventID, &r.Recorded, &r.Actor, &r.Target, &audited,
					text(&r.Action), text(&r.State), &r.requested, &completed, &request, text(&r.RemoteAction.Device),
					text(&r.DeviceName), text(&r.UserUPN), text(&r.Failure), text(&r.ErrorCode), text(&r.ActorID),
					text(&r.ActorUPN), text(&r.ActorName), text(&r.Approver))
				r.Stream, r.Audited = schemas.Stream(r.place.stream), audited != 0
				r.Requested, _ = time.Parse(time.RFC3339, r.requested) // a state that was written by us
				r.Completed, _ = time.Parse(time.RFC3339, completed)
				r.Request, _ = schemas.ParseUUID(request)
				return r, err
			})
			if err != nil {
				return nil, fmt.Errorf("remote actions: %w", err)
			}
			return out, nil
		}, func(r row) place { return r.place })
		for r, err := range pages {
			if !yield(r.RemoteAction, err) || err != nil {
				return
			}
		}
	}
}
