package intake

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

// fleetForms returns one day of a small fleet: every device as a row, on a page and by itself with
// its apps, every action in both forms.
func fleetForms(t testing.TB, seed uint64) (docs [][]byte) {
	t.Helper()
	cfg := fleet.Sized(7)
	cfg.Seed, cfg.Days, cfg.Tenant = seed, 1, sourceTenant
	cfg.GraphShare, cfg.GraphEvery, cfg.DetailPerDay, cfg.GraphPage, cfg.AppsPerDevice, cfg.GraphAuditShare,
		cfg.AuditPerDay = 1, 1, 7, 3, 6, 1, 8
	f, err := fleet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for day := range f.Days() {
		for _, file := range day.Files() {
			for rec := range file.Records {
				switch rec.Kind {
				case fleet.DeviceRow, fleet.GraphDevice, fleet.GraphDetail, fleet.AuditLog, fleet.GraphAudit:
					docs = append(docs, bytes.Clone(rec.Data))
				}
			}
		}
	}
	return docs
}

// TestASecondSpellingIsNoChange: every device and action of a fleet, told in each form of its
// sources and spelled as it may be, causes no event after the first sight; and while it is first
// seen, in any order, nothing is set twice.
func TestASecondSpellingIsNoChange(t *testing.T) {
	for range 6 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			docs := fleetForms(t, seed)
			if len(docs) < 12 {
				t.Fatalf("the fleet has %d documents", len(docs))
			}
			w := newWorld(t, false)
			r := speller{rand.New(rand.NewPCG(seed, 2))}
			first := map[string]string{}
			for i, n := range r.Perm(len(docs)) {
				first[fmt.Sprintf("%03d.ndjson", i)] = r.line(t, docs[n]) + "\n"
			}
			if s := w.importFiles(first); s.FailedCount != 0 || s.Recorded == 0 || s.Superseded != 0 {
				t.Fatalf("first sight: %d recorded, %d tell something else, failed %v", s.Recorded, s.Superseded,
					s.Failed)
			}
			onceEach(t, w)
			for i := range uint64(6) {
				respellAndImport(t, w, seed+i, docs)
			}
		})
	}
}
