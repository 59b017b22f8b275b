package intake

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// entities are the streams of entities that the ledger has.
func (w *world) entities() (out []schemas.Stream) {
	for _, r := range w.events() {
		if k := r.Stream.Kind(); (k == "device" || k == "account") && !slices.Contains(out, r.Stream) {
			out = append(out, r.Stream)
		}
	}
	return out
}

// sameFromMemory folds every stream of an entity whole, and from what is remembered of it where
// something is, and returns of how many something is.
func (w *world) sameFromMemory(fatal func(string, ...any)) (remembered int) {
	ctx := context.Background()
	in := w.intake()
	streams := w.entities()
	known, err := in.recall(ctx, w.tenant.ID, streams)
	if err != nil {
		fatal("%v", err)
	}
	for _, s := range streams {
		left := newLeftOut(w.config.Logger)
		whole, err := in.foldFrom(w.tenant.ID, left, s, nil)
		if err != nil {
			fatal("%s: %v", s, err)
		}
		if known[s] == nil {
			continue
		}
		remembered++
		again := newLeftOut(w.config.Logger)
		from, err := in.foldFrom(w.tenant.ID, again, s, known[s])
		if err != nil || from.from == nil {
			fatal("%s from revision %d: %v", s, known[s].revision, err)
		}
		from.state.Behind, whole.state.Behind = 0, 0
		if !reflect.DeepEqual(from.state, whole.state) {
			fatal("%s from revision %d:\n%+v\nwhole:\n%+v", s, known[s].revision, from.state.Content,
				whole.state.Content)
		}
		if !reflect.DeepEqual(left.streams, again.streams) {
			fatal("%s from revision %d: left out %v, whole %v", s, known[s].revision, again.streams, left.streams)
		}
	}
	return remembered
}

// A stream that is folded on from what is remembered says what it says when it is folded whole,
// whatever happened to it before that and since: users and owners that change, persons that are
// erased or whose erasure is taken back, months that expire, events of others.
func TestFoldingOnIsFoldingWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, false)
		rt.Cleanup(w.close)
		others := newIntruder(w, 1)
		at := propertyStart
		// Whatever is drawn, each history begins with something remembered.
		for n, name := range []string{"LT-1", "LT-2"} {
			told := device(1, at.Add(time.Duration(n)*time.Minute).Format(time.RFC3339), fields{"deviceName": name})
			if _, err := run(rt, w, map[string]string{"a": told}); err != nil {
				rt.Fatal(err)
			}
		}
		if w.sameFromMemory(rt.Fatalf) == 0 {
			rt.Fatal("nothing is remembered")
		}
		w.keepEvery = rapid.IntRange(1, 3).Draw(rt, "every")
		var begun func(tx *vault.Tx) error // completes or takes back an erasure
		update := func(do func(tx *vault.Tx) error) {
			if err := w.vault.Update(context.Background(), w.tenant.ID, do); err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(4, 16).Draw(rt, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "hours")) * time.Hour)
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			default:
				record := anyHolding(rt, at.Add(-time.Duration(rapid.IntRange(0, 3).Draw(rt, "late"))*30*time.Hour))
				if _, err := run(rt, w, map[string]string{"a": record}); err != nil {
					rt.Fatal(err)
				}
			case 5, 6:
				if _, err := run(rt, w, map[string]string{"a": anyDevice(rt)}); err != nil {
					rt.Fatal(err)
				}
			case 7:
				w.importWith(map[string]string{"a": user(rapid.IntRange(1, 2).Draw(rt, "user"), map[string]any{
					"department":     rapid.SampledFrom([]any{"Sales", "Care", nil}).Draw(rt, "department"),
					"businessPhones": []any{fmt.Sprint("+31 20 123 456", rapid.IntRange(1, 3).Draw(rt, "phone"))}})},
					Source{Observed: at, TakeNameless: true})
			case 8:
				w.clock.Advance(time.Minute)
				if begun != nil {
					update(begun)
					begun = nil
					break
				}
				order, take := uuid.New(), rapid.Bool().Draw(rt, "take back")
				update(func(tx *vault.Tx) error {
					who, found, err := tx.FindPerson(vault.PersonHint{
						ObjectID: guid(10, rapid.IntRange(1, 2).Draw(rt, "who")), At: at.AddDate(5, 0, 0)})
					if err != nil || !found {
						return err
					}
					keys, err := tx.BeginErasure(who, order)
					begun = func(tx *vault.Tx) error {
						if take {
							return tx.CancelErasure(order)
						}
						return tx.Destroy(order, keys)
					}
					return err
				})
			case 9:
				streams := w.entities()
				if len(streams) == 0 {
					break
				}
				if rapid.IntRange(0, 3).Draw(rt, "expire") == 0 {
					update(func(tx *vault.Tx) error { return tx.ExpirePeriod("inventory", at.Format("200601")) })
					break
				}
				others.plant(rapid.SampledFrom(streams).Draw(rt, "stream"),
					schemastest.Foreign(rand.New(rand.NewPCG(uint64(len(w.events())), 2))))
			}
			w.sameFromMemory(rt.Fatalf)
		}
	})
}

// counting counts the events that are read of streams.
type counting struct {
	Ledger
	mu sync.Mutex
	by map[schemas.Stream]int // guarded by mu
}

func (c *counting) ReadStream(
	ctx context.Context, s schemas.Stream, from uint64,
) iter.Seq2[schemas.RecordedEvent, error] {
	return func(yield func(schemas.RecordedEvent, error) bool) {
		for r, err := range c.Ledger.ReadStream(ctx, s, from) {
			c.mu.Lock()
			c.by[s]++
			c.mu.Unlock()
			if !yield(r, err) {
				return
			}
		}
	}
}

// However long a stream is, an import reads no more than the last few of its events.
func TestALongStreamIsReadFromWhereItWasLeft(t *testing.T) {
	w := newWorld(t, false)
	w.keepEvery = keepEvery
	for n := range 100 {
		at := propertyStart.AddDate(0, 0, n).Format(time.RFC3339)
		reads := &counting{Ledger: w.ledger, by: map[schemas.Stream]int{}}
		w.config.Ledger = reads
		s := w.importFiles(map[string]string{"a": device(1, at, map[string]any{"osVersion": fmt.Sprint("1.", n),
			"managedDeviceOwnerType": "company", "userId": guid(10, 1+n/30), "deviceName": fmt.Sprint("NAME-", n)})})
		if s.EventsAppended == 0 {
			t.Fatalf("day %d: %s", n, asJSON(t, s))
		}
		for s, read := range reads.by {
			if s.Kind() == "device" && read > 2*keepEvery {
				t.Errorf("day %d: %d events read of a stream of %d", n, read, n)
			}
		}
	}
	w.sameFromMemory(t.Fatalf)

	// In one import too, whose cached states are never read.
	w = newWorld(t, false)
	w.keepEvery = keepEvery
	w.config.BatchSize = 1
	files := map[string]string{}
	for n := range 100 {
		files[fmt.Sprintf("%03d", n)] = device(1, propertyStart.AddDate(0, 0, n).Format(time.RFC3339),
			map[string]any{"osVersion": fmt.Sprint("1.", n)})
	}
	w.importFiles(files)
	reads := &counting{Ledger: w.ledger, by: map[schemas.Stream]int{}}
	w.config.Ledger = reads
	w.importFiles(map[string]string{"a": device(1, propertyStart.AddDate(1, 0, 0).Format(time.RFC3339), nil)})
	for s, read := range reads.by {
		if s.Kind() == "device" && read > 1+2*keepBehind {
			t.Errorf("%d events read of a stream of 100", read)
		}
	}
}

// An event store that was restored from an older copy lacks what the vault remembers of it, and
// may have gone on otherwise since: the ledger alone decides.
func TestWhatTheStoreLacksIsNotRemembered(t *testing.T) {
	w := newWorld(t, false)
	ctx := context.Background()
	days := []string{}
	for n := range 4 {
		days = append(days, device(1, propertyStart.AddDate(0, 0, n).Format(time.RFC3339),
			map[string]any{"osVersion": fmt.Sprint("1.", n)}))
		w.importFiles(map[string]string{"a": days[n]})
	}
	before := w.canonical()
	older := ledgertest.NewMemory()
	stream := w.entities()[0]
	next := map[schemas.Stream]ledger.Expect{}
	for _, r := range w.store.Events() {
		if r.Stream == stream && r.Revision > 1 {
			continue
		}
		expect, known := next[r.Stream]
		if !known {
			expect = ledger.NoStream
		}
		if _, err := older.Append(ctx, r.Stream, expect, []schemas.Event{r.Event}); err != nil {
			t.Fatal(err)
		}
		next[r.Stream] = expect.After(1)
	}
	w.store = older
	var err error
	w.ledger, err = ledger.Open(ctx, ledger.Config{Store: older, Origin: w.vault.OriginKey, Logger: w.config.Logger,
		Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Ledger = w.ledger
	known, err := w.intake().recall(ctx, w.tenant.ID, []schemas.Stream{stream})
	if err != nil || known[stream] == nil || known[stream].revision < 2 {
		t.Fatalf("%+v, %v", known[stream], err)
	}
	for n, record := range days {
		s := w.importFiles(map[string]string{"a": record})
		if told := n > 1; told != (s.Recorded == 1) {
			t.Errorf("day %d: %s", n, asJSON(t, s))
		}
	}
	if after := w.canonical(); after != before {
		t.Errorf("the ledger says\n%s\nbefore\n%s", after, before)
	}
	// What another program made, or another catalogue, is not used.
	known, err = w.intake().recall(ctx, w.tenant.ID, []schemas.Stream{stream})
	if err != nil || known[stream] == nil {
		t.Fatal(err)
	}
	text := known[stream].encode(schemas.Default())
	if decodeMemory(text, schemas.Default()) == nil {
		t.Error("what this program made is not used")
	}
	for _, at := range []int{0, 1, 8} {
		other := bytes.Clone(text)
		other[at]++
		if decodeMemory(other, schemas.Default()) != nil {
			t.Errorf("byte %d changed, and it is used", at)
		}
	}
	for n := range len(text) {
		if m := decodeMemory(text[:n], schemas.Default()); m != nil {
			u, err := w.intake().foldFrom(w.tenant.ID, newLeftOut(w.config.Logger), stream, m)
			if err != nil || u.from != nil || u.state.Content == nil {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
}

// But for the last contact, nothing that is sealed in the ledger stands open in what is
// remembered.
func TestWhatIsRememberedIsSealed(t *testing.T) {
	w := newWorld(t, false)
	secrets := map[string]any{"deviceName": "ANNAS-PHONE", "userDisplayName": "Anna Appel", "serialNumber": "SN-4711",
		"userPrincipalName": "anna@contoso.example", "userId": guid(10, 1), "phoneNumber": "+31612345678",
		"managedDeviceOwnerType": "personal", "usersLoggedOn": loggedOn(2)}
	for n := range 3 {
		secrets["osVersion"] = fmt.Sprint("1.", n)
		s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"."}, TakeNameless: true,
			FS: fstest.MapFS{"a": aFile(device(1, propertyStart.AddDate(0, 0, n).Format(time.RFC3339), secrets)),
				"b": aFile(user(1, nil))}, Observed: propertyStart.AddDate(0, 0, n)}, nil)
		if err != nil || s.FailedCount > 0 {
			t.Fatal(err, asJSON(t, s))
		}
	}
	known, err := w.intake().recall(context.Background(), w.tenant.ID, w.entities())
	if err != nil || len(known) != 2 {
		t.Fatal(len(known), err)
	}
	for s, m := range known {
		for _, secret := range []string{"ANNA", "Anna", "anna", "4711", "31612345678", guid(10, 1), guid(10, 2),
			"Sales", guid(50, 1)} {
			if bytes.Contains(m.known, []byte(secret)) {
				t.Errorf("%q stands in what is remembered of a %s", secret, s.Kind())
			}
		}
	}
}
