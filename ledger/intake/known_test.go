package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// step is what happens to two worlds, one of which takes no record for known.
type step struct {
	what string
	do   func(w *world) (Summary, error)
}

// comparable is what two summaries have in common where records that are known count as unchanged
// or superseded by what became of them first. What a list's entries count as, and what was
// withheld, follows from that.
func (s Summary) comparable() string {
	s.Unchanged, s.Superseded = s.Unchanged+s.Superseded, 0
	s.Files, s.Kinds = slices.Clone(s.Files), nil
	for i := range s.Files {
		s.Files[i].Unchanged, s.Files[i].Superseded = s.Files[i].Unchanged+s.Files[i].Superseded, 0
	}
	s.ListItemsKept, s.ListItemsRefused, s.ValuesWithheld = 0, nil, 0
	s.EventsLeftOut, s.LeftOutInMore = nil, false
	return fmt.Sprintf("%+v", s)
}

var errDied = errors.New("died here")

// dies returns a hook that ends an import at the nth time that it comes to a point.
func dies(at string, n int) func(string) error {
	return func(point string) error {
		if point == at {
			n--
		}
		if n == 0 {
			return errDied
		}
		return nil
	}
}

// importOf imports records as files of a few each.
func (w *world) importOf(src Source, files map[string]string) (Summary, error) {
	fsys := fstest.MapFS{}
	for n, c := range files {
		fsys[n] = aFile(c)
	}
	src.Paths, src.FS, src.TakeNameless = []string{"."}, fsys, true
	s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err == nil && !s.Balanced() {
		w.t.Errorf("the summary does not add up: %+v", s)
	}
	return s, err
}

// loseEnd takes the last events from the ledger, as a restored copy of its store lacks them.
func (w *world) loseEnd(n int) {
	w.t.Helper()
	ctx, older := context.Background(), ledgertest.NewMemory()
	all := w.store.Events()
	next := map[schemas.Stream]ledger.Expect{}
	for _, r := range all[:max(1, len(all)-n)] {
		expect, known := next[r.Stream]
		if !known {
			expect = ledger.NoStream
		}
		if _, err := older.Append(ctx, r.Stream, expect, []schemas.Event{r.Event}); err != nil {
			w.t.Fatal(err)
		}
		next[r.Stream] = expect.After(1)
	}
	w.store = older
	var err error
	w.ledger, err = ledger.Open(ctx, ledger.Config{Store: older, Origin: w.vault.OriginKey, Logger: w.config.Logger,
		Clock: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.config.Ledger = w.ledger
}

// disown has the nth of the ledger's events disowned.
func (w *world) disown(n int) {
	w.t.Helper()
	c := schemas.Default()
	d := schemas.Draft{Type: c.MustType(ledger.DisownedType), Tenant: w.tenant.ID,
		Stream: ledger.DisownedStream(w.tenant.ID), ID: schemas.NewID(), Occurred: w.clock.Now(),
		Recorded: w.clock.Now(), Source: "ledger", Policy: w.tenant.Policy.Number}
	value := func(attr string, plain any, path ...string) {
		d.Values = append(d.Values, schemas.Value{Attr: c.MustAttribute(attr), Plain: schemas.JSON(plain), Path: path,
			Owner: schemas.Owner{Kind: schemas.OwnerTenant}})
	}
	value("disowned.ground", "test")
	value("disowned.event", w.events()[n].ID.String(), "0")
	value("disowned.sequence", n+1, "0")
	err := w.vault.Update(context.Background(), w.tenant.ID, func(tx *vault.Tx) error { return tx.Seal(&d) })
	var e schemas.Event
	if err == nil {
		e, err = c.Encode(d)
	}
	expect := ledger.NoStream
	for r := range w.ledger.ReadStream(context.Background(), d.Stream, 0) {
		expect = ledger.Exact(r.Revision)
	}
	if err == nil {
		_, err = w.ledger.Append(context.Background(), d.Stream, expect, []schemas.Event{e})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// anyPool draws the records that a history imports, some of them again and again.
func anyPool(t *rapid.T) []string {
	pool := anyRecords(t)
	for _, h := range rapid.SliceOfNDistinct(rapid.IntRange(0, 80), 0, 5, rapid.ID[int]).Draw(t, "hours") {
		// At minutes at which no other record was observed.
		pool = append(pool, anyHolding(t, propertyStart.Add(time.Duration(h)*time.Hour+17*time.Second)))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "users") {
		pool = append(pool, strings.TrimSpace(user(1+i, map[string]any{"userPrincipalName": fmt.Sprintf(
			"user%d@contoso.example", rapid.IntRange(1, 2).Draw(t, "name"))})))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "by name") {
		pool = append(pool, asLine(map[string]any{"category": "AuditLogs", "time": "2026-03-02T08:00:00Z",
			"tenantId": sourceTenant, "operationName": "Patch something", "properties": map[string]any{
				"AuditEventId": guid(31, i), "ActivityType": 2,
				"Actor":              map[string]any{"ActorType": 1, "UPN": "user2@contoso.example"},
				"TargetObjectIds":    []any{guid(10, 1+i), guid(20, 1+i)},
				"TargetDisplayNames": []any{"user1@contoso.example", "x"}}}))
	}
	return pool
}

// anyStep draws what happens next. begun is an erasure that is under way.
// lengths are how many events the ledger had after each step.
func anyStep(t *rapid.T, pool []string, begun *func(*world) error, lengths []int) step {
	draw := func(name string) (Source, map[string]string) {
		of := rapid.Permutation(pool).Draw(t, name)
		of = of[:rapid.IntRange(1, len(of)).Draw(t, "of them")]
		src := Source{}
		if rapid.IntRange(0, 2).Draw(t, "observed") == 0 {
			src.Observed = propertyStart.AddDate(0, 0, rapid.IntRange(3, 6).Draw(t, "day"))
		}
		return src, files(t, of)
	}
	update := func(w *world, do func(tx *vault.Tx) error) error {
		return w.vault.Update(context.Background(), w.tenant.ID, do)
	}
	switch what := rapid.IntRange(0, 15).Draw(t, "what"); what {
	default:
		src, of := draw("records")
		size := rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "batch")
		src.DryRun = what == 0
		crash := rapid.IntRange(0, 5).Draw(t, "crash")
		return step{fmt.Sprint("import ", crash, " ", src.DryRun), func(w *world) (Summary, error) {
			w.config.BatchSize = size
			if crash < 3 || src.DryRun {
				return w.importOf(src, of)
			}
			if crash == 3 { // a batch is taken, and not remembered
				w.config.Hook = dies(PointDone, 2)
			} else { // an append took effect
				appends := 0
				w.config.BatchSize, w.config.Workers = 1, 1
				w.store.After = func(schemas.Stream, []schemas.Event) error {
					if appends++; appends == crash-2 {
						return errDied
					}
					return nil
				}
			}
			_, err := w.importOf(src, of)
			w.config.Hook, w.store.After, w.config.Workers = nil, nil, 0
			if err != nil && !errors.Is(err, errDied) {
				return Summary{}, err
			}
			_, err = w.importOf(src, of)
			return Summary{}, err
		}}
	case 9, 10: // two at once
		srcA, a := draw("records")
		srcB, b := draw("records of another")
		n := rapid.IntRange(1, 2).Draw(t, "the time")
		return step{"two imports", func(w *world) (Summary, error) {
			var inner error
			w.config.BatchSize = 2
			hook := dies(PointDone, n) // the next batches are recognised already
			w.config.Hook = func(point string) error {
				if hook(point) != nil {
					w.config.Hook, hook = nil, func(string) error { return nil }
					_, inner = w.importOf(srcB, b)
				}
				return nil
			}
			s, err := w.importOf(srcA, a)
			w.config.Hook = nil
			return s, cmp.Or(err, inner)
		}}
	case 11, 12:
		if do := *begun; do != nil {
			*begun = nil
			return step{"erasure ends", func(w *world) (Summary, error) { return Summary{}, do(w) }}
		}
		order, take := uuid.New(), rapid.Bool().Draw(t, "take back")
		who := guid(10, rapid.IntRange(1, 2).Draw(t, "who"))
		keys := map[*world][]uuid.UUID{}
		*begun = func(w *world) error {
			return update(w, func(tx *vault.Tx) error {
				switch {
				case keys[w] == nil:
					return nil
				case take:
					return tx.CancelErasure(order)
				}
				return tx.Destroy(order, keys[w])
			})
		}
		return step{"erasure begins", func(w *world) (Summary, error) {
			w.clock.Advance(time.Minute)
			return Summary{}, update(w, func(tx *vault.Tx) error {
				id, found, err := tx.FindPerson(vault.PersonHint{ObjectID: who, At: propertyStart.AddDate(5, 0, 0)})
				if errors.Is(err, vault.ErrErasedSubject) || err == nil && !found {
					return nil
				}
				if err == nil {
					keys[w], err = tx.BeginErasure(id, order)
				}
				return err
			})
		}}
	case 13:
		return step{"a month expires", func(w *world) (Summary, error) {
			return Summary{}, update(w, func(tx *vault.Tx) error { return tx.ExpirePeriod("inventory", "202603") })
		}}
	case 14:
		upto := rapid.SampledFrom(append([]int{0}, lengths...)).Draw(t, "what is left")
		return step{"the ledger loses its end", func(w *world) (Summary, error) {
			w.loseEnd(max(0, len(w.events())-upto))
			w.clock.Advance(time.Minute)
			return Summary{}, nil
		}}
	case 15:
		return step{"all is imported", func(w *world) (Summary, error) {
			w.config.BatchSize = 0
			return w.importOf(Source{}, map[string]string{"a": strings.Join(pool, "\n")})
		}}
	}
}

// Whatever happens to a ledger, an import that takes records for known comes to what one comes to
// that looks at each.
func TestWhatIsKnownChangesNothing(t *testing.T) {
	known := 0
	rapid.Check(t, func(rt *rapid.T) {
		pool := anyPool(rt)
		with, without := newWorld(t, false), newWorld(t, false)
		rt.Cleanup(with.close)
		rt.Cleanup(without.close)
		without.ignorant = true
		var begun func(*world) error
		var history []string
		var lengths []int
		for range rapid.IntRange(3, 10).Draw(rt, "steps") {
			next := anyStep(rt, pool, &begun, lengths)
			history = append(history, next.what)
			a, err := next.do(with)
			b, err2 := next.do(without)
			if err != nil || err2 != nil {
				rt.Fatalf("%v: %v, %v", history, err, err2)
			}
			if got, want := a.comparable(), b.comparable(); got != want {
				rt.Fatalf("%v: with what is known:\n%s\nwithout:\n%s", history, got, want)
			}
			if got, want := with.everything(), without.everything(); got != want {
				rt.Fatalf("%v: with what is known:\n%s\nwithout:\n%s", history, got, want)
			}
			if got, want := len(with.events()), len(without.events()); got != want {
				rt.Fatalf("%v: %d events with what is known, %d without", history, got, want)
			}
			lengths = append(lengths, len(with.events()))
			known += with.pages()
		}
	})
	if known == 0 {
		t.Error("nothing was known")
	}
}

// everything is what the events say, as far as it opens, stream by stream, without random ids.
func (w *world) everything() string {
	w.t.Helper()
	streams := map[schemas.Stream]string{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		var lines []string
		for _, s := range d.Subjects {
			lines = append(lines, "  "+s.Role)
		}
		for _, v := range d.Values {
			text := string(v.Plain)
			if v.Token != "" {
				text = w.openToken(d, v)
			}
			if kind := ours[v.Attr.ID]; kind != "" {
				text = "a " + kind
			}
			if strings.HasPrefix(text, "<") {
				text = "gone"
			}
			lines = append(lines, fmt.Sprint("  ", v.Attr.ID, " ", v.Removed, " ", text, " ", v.Observed))
		}
		slices.Sort(lines)
		streams[e.Stream] += fmt.Sprintf("%s of %s\n%s\n", d.Type.Name, d.Occurred, strings.Join(lines, "\n"))
	}
	var out []string
	for s, text := range streams {
		out = append(out, s.Kind()+"\n"+text)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// pages is 1 where the vault keeps anything of records.
func (w *world) pages() (n int) {
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		if b := tx.Known().Basis(); b.Stream != "" {
			n = 1
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
