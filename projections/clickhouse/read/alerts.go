package read

import (
	"context"
	"iter"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// Alerts implements projections.Reader.
func (db *Views) Alerts(ctx context.Context, tenant uuid.UUID, in projections.Period, f projections.AlertFilter,
	asOf projections.AsOf) iter.Seq2[projections.Alert, error] {
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"categories": f.Categories, "results": f.Results,
		"devices": f.Devices, "users": f.Users})
	question := "SELECT " + factColumns + `, recorded_at, source, alerted, category, result, kind, policy, setting,
		enrolment_type, failure_category, device, failure_reason, title, description, device_name, operating_system,
		os_version, user_id, user_upn, user_name FROM alert WHERE tenant = {tenant:UUID}`
	for _, narrow := range []struct {
		given     int
		condition string
	}{
		{len(f.Categories), " AND category IN {categories:Array(String)}"},
		{len(f.Results), " AND result IN {results:Array(String)}"},
		{len(f.Devices), " AND device IN {devices:Array(String)}"},
		{len(f.Users), " AND alerted IN {users:Array(UUID)}"},
	} {
		if narrow.given > 0 {
			question += narrow.condition
		}
	}
	return byTime(ctx, db, "alerts", p, question, func(scan func(...any) error) (a projections.Alert, err error) {
		text := func(t *projections.Text) any { return (*string)(t) }
		err = scan(into(&a.Fact, &a.Recorded, &a.Source, &a.User, text(&a.Category), text(&a.Result), text(&a.Kind),
			text(&a.Policy), text(&a.Setting), text(&a.EnrolmentType), text(&a.FailureCategory), text(&a.Device),
			text(&a.FailureReason), text(&a.Title), text(&a.Description), text(&a.DeviceName),
			text(&a.OperatingSystem), text(&a.OSVersion), text(&a.UserID), text(&a.UserUPN), text(&a.UserName))...)
		return a, err
	}, nil, func(a projections.Alert) projections.Fact { return a.Fact })
}
