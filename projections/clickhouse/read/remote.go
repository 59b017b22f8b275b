package read

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/schemas"
)

// RemoteActions implements projections.Reader.
func (db *Views) RemoteActions(ctx context.Context, tenant uuid.UUID, f projections.RemoteFilter,
	asOf projections.AsOf) iter.Seq2[projections.RemoteAction, error] {
	p := ask.AsOf(tenant, asOf)
	question := ask.RemoteActions(p, f, pageRows)
	type row struct {
		projections.RemoteAction
		at [2]string // requested, stream
	}
	return func(yield func(projections.RemoteAction, error) bool) {
		for r, err := range ask.Pages(pageRows, func(after [2]string, _ bool) ([]row, error) {
			p["after"], p["behind"] = after[0], after[1]
			out, err := ask.All(ask.Paged(ctx), db.Asker, p, question,
				func(scan func(...any) error) (r row, err error) {
					var audited uint8
					var completed, request string
					text := func(t *projections.Text) any { return (*string)(t) }
					err = scan(&r.at[1], &r.Seq, &r.EventID, &r.Recorded, &r.Actor, &r.Target, &audited,
						text(&r.Action), text(&r.State), &r.at[0], &completed, &request, text(&r.RemoteAction.Device),
						text(&r.DeviceName), text(&r.UserUPN), text(&r.Failure), text(&r.ErrorCode), text(&r.ActorID),
						text(&r.ActorUPN), text(&r.ActorName), text(&r.Approver))
					r.Stream, r.Audited = schemas.Stream(r.at[1]), audited != 0
					r.Requested, _ = time.Parse(time.RFC3339, r.at[0]) // a state that was written by us
					r.Completed, _ = time.Parse(time.RFC3339, completed)
					r.Request, _ = schemas.ParseUUID(request)
					return r, err
				})
			return out, err
		}, func(r row) [2]string { return r.at }) {
			if !yield(r.RemoteAction, err) || err != nil {
				return
			}
		}
	}
}
