package intake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// meddled is a store at whose snapshots somebody else comes between.
type meddled struct {
	store.Store
	meddle func() error // nil: nobody
	locked atomic.Bool  // a write transaction is under way
}

func (m *meddled) Update(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return m.Store.Update(ctx, tenant, func(r store.Rows) error {
		m.locked.Store(true)
		defer m.locked.Store(false)
		return do(r)
	})
}

func (m *meddled) View(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	if m.meddle != nil {
		if err := m.meddle(); err != nil {
			return err
		}
	}
	return m.Store.View(ctx, tenant, do)
}

// TestWhoComesBetweenChangesNothing imports an invented fleet while others change the tenant's
// vault, each time a batch was planned until it is planned with the lock held, or now and then:
// the ledger says the same as without them, a dry run counts the same, and importing again appends
// nothing.
func TestWhoComesBetweenChangesNothing(t *testing.T) {
	dir := fleetDir(t, 40, 3)
	imported := func(w *world, dry bool) Summary {
		t.Helper()
		s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}, DryRun: dry}, nil)
		if err != nil || !s.Balanced() {
			t.Fatalf("%v: %s", err, asJSON(t, s))
		}
		return s
	}
	seed := rand.Uint64()
	var want, judged Summary
	var says string
	for _, c := range []struct {
		name    string
		planned int  // how often each batch is planned in vain
		views   bool // whether others also come while it is planned, and before
	}{{"nobody", 0, false}, {"once", 1, false}, {"until the lock is held", maxConflicts, false},
		{"now and then", 0, true}} {
		between := &meddled{}
		w := newWorldOn(t, false, func(s store.Store) store.Store {
			between.Store = s
			return between
		})
		w.config.BatchSize = 60
		other, somebody := w.process(), 0
		var mu sync.Mutex // guards somebody and draw
		draw := rand.New(rand.NewPCG(seed, 1))
		meddle := func(chance int) error {
			mu.Lock()
			defer mu.Unlock()
			if draw.IntN(chance) > 0 {
				return nil
			}
			somebody++
			return other.vault.Update(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
				_, _, err := tx.Person(vault.PersonHint{UPN: fmt.Sprintf("somebody%d@contoso.example", somebody)})
				return err
			})
		}
		n := 0
		w.config.Hook = func(point string) error {
			switch {
			case point == PointCommitted:
				n = 0
			case point != PointPlanned:
			case n < c.planned:
				n++
				return meddle(1)
			case !c.views && between.locked.Load() != (n == maxConflicts):
				t.Errorf("%s: planned with the lock held: %v", c.name, n != maxConflicts)
			}
			return nil
		}
		if c.views {
			between.meddle = func() error { return meddle(4) }
		}
		dry := imported(w, true)
		got := imported(w, false)
		if again := imported(w, false); again.EventsAppended != 0 || again.Recorded != 0 {
			t.Errorf("seed %d, %s: imported again: %s", seed, c.name, asJSON(t, again))
		}
		between.meddle = nil
		if c.name == "nobody" {
			want, judged, says = got, dry, w.canonical()
			continue
		}
		if asJSON(t, got) != asJSON(t, want) || asJSON(t, dry) != asJSON(t, judged) {
			t.Errorf("seed %d, %s: %s\n%s\nwant %s\n%s", seed, c.name, asJSON(t, dry), asJSON(t, got),
				asJSON(t, judged), asJSON(t, want))
		}
		if w.canonical() != says {
			t.Errorf("seed %d, %s: the ledger says something else", seed, c.name)
		}
		if somebody == 0 {
			t.Errorf("seed %d, %s: nobody came: the test shows nothing", seed, c.name)
		}
	}
}

// TestWhoBeginsToWaitMeanwhileIsFound: an action that begins to wait for an id while the record is
// planned that tells whose it is, is linked all the same.
func TestWhoBeginsToWaitMeanwhileIsFound(t *testing.T) {
	w := newWorld(t, false)
	file := func(content string) map[string]string { return map[string]string{"a": content} }
	w.importFiles(file(device(1, "2026-03-01T08:00:00Z", map[string]any{"managedDeviceOwnerType": "company"})))
	directory := guid(21, 1)
	action := asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1),
		"activityDateTime": "2026-03-02T08:00:00Z", "activityType": "Patch Device",
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 9)},
		"resources": []any{map[string]any{"resourceId": directory, "displayName": "x",
			"auditResourceType": "Unheard"}}})
	other, planned := w.process(), 0
	w.config.Hook = func(point string) error {
		if point == PointPlanned {
			if planned++; planned == 1 {
				_, err := other.tryImport(file(action))
				return err
			}
		}
		return nil
	}
	w.importFiles(file(device(1, "2026-03-03T08:00:00Z", map[string]any{"managedDeviceOwnerType": "company",
		"azureADDeviceId": directory})))
	if planned < 2 {
		t.Fatal("nobody came between: the test shows nothing")
	}
	if a := w.only(); len(a.devices) != 1 {
		t.Errorf("the action is not linked to the device: %v", a.types())
	}
}

// TestWhoIsWaitedForIsPlannedAtOnce: the record that makes known whom an action waits for is not
// planned behind those that follow it: who is counted for the link hangs on no look before.
func TestWhoIsWaitedForIsPlannedAtOnce(t *testing.T) {
	w := newWorld(t, false)
	directory := guid(21, 1)
	w.importFiles(map[string]string{"a": asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent",
		"id": guid(30, 1), "activityDateTime": "2026-03-02T08:00:00Z", "activityType": "Patch Device",
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 9)},
		"resources": []any{map[string]any{"resourceId": directory, "displayName": "x",
			"auditResourceType": "Unheard"}}})})
	planned := 0
	w.config.Hook = func(point string) error {
		if point == PointPlanned {
			planned++
		}
		return nil
	}
	w.importFiles(map[string]string{"a": device(1, "2026-03-03T08:00:00Z", map[string]any{
		"managedDeviceOwnerType": "company", "azureADDeviceId": directory})})
	if a := w.only(); len(a.devices) != 1 || planned != 1 {
		t.Errorf("planned in %d rounds, want one; the action is of %v", planned, a.types())
	}
}

// TestATenantsImportWaitsForNoOther: while the records of one tenant are being planned, another's
// import begins and ends.
func TestATenantsImportWaitsForNoOther(t *testing.T) {
	w := newWorld(t, true)
	tenant, err := w.vault.AddTenant(context.Background(), vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	other := *w
	other.tenant = tenant
	files := map[string]string{"a": device(1, "2026-03-01T08:00:00Z", map[string]any{"userId": guid(10, 1)})}
	planned, resume, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	w.config.Hook = func(point string) error {
		if point == PointPlanned {
			close(planned)
			<-resume
		}
		return nil
	}
	go func() {
		_, err := w.tryImport(files)
		done <- err
	}()
	<-planned
	for _, what := range []string{"new", "known"} {
		if s, err := other.tryImport(files); err != nil || !s.OK() {
			t.Errorf("the other tenant's import, %s: %v: %s", what, err, asJSON(t, s))
		}
	}
	close(resume)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
