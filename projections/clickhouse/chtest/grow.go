package chtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// Grow lets a ledger of that many events have n, and returns how many it has then: the tenant's
// events again, of other streams, ids and aliases and of other years, each time a year later.
// What the first events come to stays as it is, and their tokens open nothing elsewhere. Proofs
// and stored bytes of the further events are not theirs.
func Grow(t testing.TB, cfg clickhouse.Config, tenant uuid.UUID, have, n uint64) uint64 {
	t.Helper()
	const plain = "tenant, revision, type, timed, recorded_at, source, causation, data, metadata, leaf, " +
		"subjects.role, values.attribute, values.element, values.value, values.removed, values.observed, " +
		"catalogue, partition"
	base := have
	for k := 1; have < n; k++ {
		// The group in the middle of an id tells the copy; where it sorts stays as random as it
		// was.
		another := func(id string) string {
			return fmt.Sprintf("toUUID(concat(substring(toString(%s), 1, 9), '%04x', substring(toString(%s), 14)))",
				id, k, id)
		}
		take := min(base, n-have)
		for from := uint64(0); from < take; from += 20_000 {
			exec(t, cfg, fmt.Sprintf(`INSERT INTO events (ledger_seq, stream, event_id, occurred_at, correlation,
				subjects.alias, %s) SELECT ledger_seq + %d, concat(splitByChar('-', stream)[1], '-', toString(%s)),
				%s, occurred_at + toIntervalYear(%d), %s, arrayMap(x -> %s, subjects.alias), %s FROM events
				WHERE ledger_seq >= %d AND ledger_seq < %d AND tenant = '%s' AND NOT startsWith(stream, 'tenant-')`,
				plain, have, another("toUUID(substring(stream, position(stream, '-') + 1))"), another("event_id"), k,
				another("correlation"), another("x"), plain, from, min(take, from+20_000), tenant))
		}
		have += take
	}
	return have
}

// exec runs a statement that the client of the views has no need of.
func exec(t testing.TB, cfg clickhouse.Config, statement string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+cfg.Addrs[0]+"/?database="+cfg.Database, strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(cfg.Username, cfg.Password)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s, %v", statement, answer.Status, said, err)
	}
}
