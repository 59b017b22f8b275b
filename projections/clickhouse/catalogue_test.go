package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
	"github.com/ledgerline/ledgerline/schemas"
)

const shownByWhose = "shown by whose it is, as every event that names somebody; a report of its own is to come"

// heldByVault: the vault says who is one, and the merge's own stream says since when and by whom.
const heldByVault = "an act on the vault; its rows among requests are read by nobody"

// ignored are types that no view shows, each by decision.
var ignored = map[string]string{
	"ledger.created.v1":          "read from events, by whoever opens the ledger",
	"adminusage.recorded.v1":     shownByWhose,
	"correspondence.recorded.v1": shownByWhose,
	"diagnostic.recorded.v1":     shownByWhose,
	"ledger.keys-lost.v1":        "an act on the vault, which holds what it declares",
	"subject.merged.v1":          heldByVault,
	"subject.unmerged.v1":        heldByVault,
}

// shownByPrefix are attributes that a view takes without naming each.
var shownByPrefix = []string{"action.target-", "action.disputed-"}

// TestEveryTypeIsShownOrIgnored fails for a type, or a new version of one, whose attributes no
// view takes: a state's are generic, a fact's are named in SQL, as are those of a state that has a
// view of its own.
func TestEveryTypeIsShownOrIgnored(t *testing.T) {
	migrations, err := migrations.Read()
	if err != nil {
		t.Fatal(err)
	}
	var sql strings.Builder
	for _, m := range migrations {
		sql.WriteString(strings.Join(m.Statements, "\n"))
	}
	shown := func(attribute string) bool {
		for _, p := range shownByPrefix {
			if strings.HasPrefix(attribute, p) {
				return true
			}
		}
		return strings.Contains(sql.String(), "'"+attribute+"'")
	}
	for _, typ := range schemas.Default().Types() {
		if ignored[typ.Name] != "" {
			continue
		}
		if typ.Form == schemas.FormState {
			own := !slices.ContainsFunc(typ.Attributes(), func(a *schemas.Attribute) bool { return !shown(a.ID) })
			if !own && !strings.Contains(sql.String(), "'"+typ.Kind()+"'") {
				t.Errorf("state type %s: no attribute view takes streams of kind %s", typ.Name, typ.Kind())
			}
			continue
		}
		for _, a := range typ.Attributes() {
			if !shown(a.ID) {
				t.Errorf("type %s: no view shows %s", typ.Name, a.ID)
			}
		}
	}
}
