package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/schemas"
)

// On an event store that does to its clients all that a real one can, the main job comes to the
// same end: the same sequence for everybody, nothing twice, nothing missing, and nothing of the
// events that are not the ledger's.
func TestTheMainJobBearsADisturbedEventStore(t *testing.T) {
	dir, gen := smallFleet(t, 15, 2)
	n := newNode(t, "LEDGERLINE_DISTURB=11")
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	s := n.importJSON("Contoso", dir)
	if s.Read != gen.Expected.Read || s.FailedCount != gen.Expected.Failed {
		t.Errorf("read %d and failed %d records, the fleet wrote %d and %d", s.Read, s.FailedCount, gen.Expected.Read,
			gen.Expected.Failed)
	}
	before := check(t, n)
	n.stop()
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}
	var rep struct{ Rows []json.RawMessage }
	out := n.must("", "report", "admin-actions", "--purpose", "review", "--output", "json")
	if err := json.Unmarshal([]byte(out), &rep); err != nil || len(rep.Rows) != gen.Expected.AuditFacts {
		t.Errorf("the report shows %d admin actions (%v), the fleet made %d", len(rep.Rows), err,
			gen.Expected.AuditFacts)
	}
	after := check(t, n)
	for seq, leaf := range before.leaves {
		if after.leaves[seq] != leaf {
			t.Fatalf("sequence %d is another event after the restart", seq)
		}
	}

	// It was disturbed, and reading was cut and taken up again.
	log, err := os.ReadFile(filepath.Join(n.dir, "up.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"disturbs its clients on purpose",
		"reading the ledger was cut and is taken up again"} {
		if !bytes.Contains(log, []byte(said)) {
			t.Errorf("the log of up does not say %q", said)
		}
	}
	for _, r := range after.events {
		if !schemas.InLedger(r.Event) {
			t.Errorf("sequence %d is %s in %s", r.Seq, r.Type, r.Stream)
		}
	}
}
