package estate

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
)

// What changed between two snapshots is ascribed to the one person who acted on the policy in
// between, and to nobody where several did.
func TestAChangeIsAscribedWhereOnePersonAloneActed(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	anna, bob := uuid.New(), uuid.New()
	act := func(hour int, by uuid.UUID) touched { return touched{at(hour), by, "", content.Text(by.String())} }
	app := func(hour int, id string) touched {
		return touched{at(hour), uuid.Nil, projections.Text(id), content.Text(id)}
	}
	for _, c := range []struct {
		what string
		acts []touched
		want uuid.UUID
	}{
		{"nobody acted", nil, uuid.Nil},
		{"before the snapshot before", []touched{act(7, anna)}, uuid.Nil},
		{"at the snapshot before", []touched{act(8, anna)}, uuid.Nil},
		{"in between", []touched{act(9, anna)}, anna},
		{"at this snapshot", []touched{act(10, anna)}, anna},
		{"behind it", []touched{act(11, anna)}, uuid.Nil},
		{"one person twice, another elsewhere",
			[]touched{act(7, bob), act(9, anna), act(10, anna), act(11, bob)}, anna},
		{"two applications", []touched{app(9, "1"), app(10, "2")}, uuid.Nil},
		{"two persons", []touched{act(9, anna), act(10, bob)}, uuid.Nil},
	} {
		if by := between(c.acts, at(8), at(10)); by.alias != c.want || c.want == uuid.Nil && by.by != nil {
			t.Errorf("%s: ascribed to %s, want %s", c.what, by.alias, c.want)
		}
	}
}
