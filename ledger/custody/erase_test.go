package custody_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

const orderType, completionType = "request.erasure-ordered.v1", "subject.erased.v1"

// found reads the request again.
func (b *bench) found(r custody.Request) custody.Request {
	b.t.Helper()
	out, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, r.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) count(typ string) (n int) {
	for _, t := range b.types() {
		if t == typ {
			n++
		}
	}
	return n
}

// erasedOnce checks that the person is erased by one order and one completion, and that there is
// nothing left to do.
func (b *bench) erasedOnce(sealed vault.Sealed, r custody.Request) {
	b.t.Helper()
	if _, err := b.open(sealed); !errors.Is(err, vault.ErrErased) {
		b.t.Errorf("the value opens: %v", err)
	}
	if o, c := b.count(orderType), b.count(completionType); o != 1 || c != 1 {
		b.t.Errorf("%d orders and %d completions, want one of each", o, c)
	}
	if p, err := b.vault.PendingErasures(b.ctx); err != nil || len(p) != 0 {
		b.t.Errorf("pending: %v, %v", p, err)
	}
	now := b.found(r)
	if now.Person != uuid.Nil || now.Erasing != uuid.Nil || !now.Ordered {
		b.t.Errorf("the request is %+v", now)
	}
	if _, err := b.custody.Erase(b.ctx, officer, now, "unlawful", nil); !errors.Is(err, vault.ErrErased) {
		b.t.Errorf("erased again: %v", err)
	}
}

// untouched checks that nothing was ordered and the person is as before.
func (b *bench) untouched(sealed vault.Sealed, r custody.Request) {
	b.t.Helper()
	if _, err := b.open(sealed); err != nil {
		b.t.Errorf("the value: %v", err)
	}
	if b.count(orderType) != 0 {
		b.t.Error("something was ordered")
	}
	if now := b.found(r); now.Person != r.Person || now.Erasing != uuid.Nil || now.Ordered {
		b.t.Errorf("the request is %+v, was %+v", now, r)
	}
	if p, err := b.vault.PendingErasures(b.ctx); err != nil || len(p) != 0 {
		b.t.Errorf("pending: %v, %v", p, err)
	}
}

// An order that is refused, or conflicts for ever, leaves the person as before, and the next call
// erases.
func TestAnOrderThatFailsForCertainIsTakenBack(t *testing.T) {
	for name, refusal := range map[string]error{"refused": errors.New("access denied"),
		"conflict": fmt.Errorf("append: %w", ledger.ErrConflict)} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			anna := b.person("anna@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			b.store.Fail = func(s schemas.Stream, e []schemas.Event) error {
				if e[0].Type == orderType {
					return refusal
				}
				return nil
			}
			for range 2 {
				if _, err := b.custody.Erase(b.ctx, officer, b.found(r), "unlawful", nil); !errors.Is(err, refusal) {
					t.Fatalf("not refused: %v", err)
				}
				b.untouched(anna, r)
			}
			b.store.Fail = nil
			if _, err := b.custody.Erase(b.ctx, officer, b.found(r), "unlawful", nil); err != nil {
				t.Fatal(err)
			}
			b.erasedOnce(anna, r)
		})
	}
}

// Where the caller's context ends with the refusal, the mark is taken back all the same, or the
// next call goes on.
func TestAnOrderWhoseCallerGivesUpIsCarriedOn(t *testing.T) {
	for _, landed := range []bool{false, true} {
		t.Run(fmt.Sprintf("landed %v", landed), func(t *testing.T) {
			b := newBench(t)
			anna := b.person("anna@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			lost := func(s schemas.Stream, e []schemas.Event) error {
				if e[0].Type == orderType {
					cancel()
					return ledger.ErrUnknownOutcome
				}
				return nil
			}
			if landed {
				b.store.After = lost
			} else {
				b.store.Fail = lost
			}
			if _, err := b.custody.Erase(ctx, officer, r, "unlawful", nil); !errors.Is(err, ledger.ErrUnknownOutcome) {
				t.Fatalf("%v, want an unknown outcome", err)
			}
			b.store.Fail, b.store.After = nil, nil
			if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
				t.Errorf("the value opens while it may be ordered: %v", err)
			}
			p, err := b.vault.PendingErasures(b.ctx)
			if err != nil || len(p) != 1 {
				t.Fatal(p, err)
			}
			now := b.found(r)
			if now.Erasing != r.Person || now.Person != uuid.Nil || now.Ordered != landed {
				t.Errorf("the request is %+v", now)
			}
			done, err := b.custody.Erase(b.ctx, officer, now, "unlawful", nil)
			if err != nil || done.Completion != p[0].Completion {
				t.Fatalf("carried on as %v, %v; want %v", done.Completion, err, p[0].Completion)
			}
			b.erasedOnce(anna, r)
		})
	}
}

// What else is appended to the request meanwhile does not stop its order.
func TestAnOrderThatConflictsIsAppendedAnew(t *testing.T) {
	b := newBench(t)
	anna := b.person("anna@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	times := 0
	b.store.Fail = func(s schemas.Stream, e []schemas.Event) error {
		if e[0].Type == orderType && times < 3 {
			times++
			b.garbage(r.Stream(), orderType, fmt.Sprintf(`{"keys":["%s"],"n":%d}`, uuid.New(), times))
		}
		return nil
	}
	if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); err != nil || times != 3 {
		t.Fatal(err, times)
	}
	b.store.Fail = nil
	if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
		t.Errorf("the value opens: %v", err)
	}
}

// garbage appends an event of a true one's metadata and other data, past the ledger.
func (b *bench) garbage(s schemas.Stream, typ, data string) {
	b.t.Helper()
	b.garbageOf(uuid.Nil, s, typ, data)
}

// garbageOf is garbage with metadata of that tenant, or of whichever.
func (b *bench) garbageOf(tenant uuid.UUID, s schemas.Stream, typ, data string) {
	b.t.Helper()
	all := b.store.Events()
	last := slices.IndexFunc(all, func(r schemas.RecordedEvent) bool {
		return r.Type == "request.opened.v1" && (tenant == uuid.Nil ||
			strings.Contains(string(r.Metadata), tenant.String()))
	})
	revision := -1
	for _, r := range all {
		if r.Stream == s {
			revision = int(r.Revision)
		}
	}
	expect := ledger.NoStream
	if revision >= 0 {
		expect = ledger.Exact(uint64(revision))
	}
	hook := b.store.Fail
	b.store.Fail = nil
	_, err := b.store.Append(b.ctx, s, expect, []schemas.Event{{ID: uuid.New(), Stream: s, Type: typ,
		Data: []byte(data), Metadata: all[last].Metadata}})
	b.store.Fail = hook
	if err != nil {
		b.t.Fatal(err)
	}
}

// A second caller is told that the erasure is under way, at every point of the first one's act,
// never that the person is erased.
func TestASecondCallerIsToldThatItIsUnderWay(t *testing.T) {
	b := newBench(t)
	anna := b.person("anna@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	asked := map[string]bool{}
	ask := func(point string) {
		asked[point] = true
		_, err := b.custody.Erase(b.ctx, officer, b.found(r), "unlawful", nil)
		if !errors.Is(err, custody.ErrUnderWay) || errors.Is(err, vault.ErrErased) {
			t.Errorf("%s: a second caller is told %v", point, err)
		}
	}
	b.at = ask
	if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", func(time.Duration) { ask("waiting") }); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 5 {
		t.Errorf("asked at %v", asked)
	}
	b.at = nil
	b.erasedOnce(anna, r)
}

// An act cut at any point, and not resumed, is carried on by the next call once nobody can be at
// it any more, under the same completion event. So is one that failed, at once.
func TestTheNextCallCarriesAnActOn(t *testing.T) {
	fails := map[string]func(b *bench){
		custody.PointErasing:   func(b *bench) { b.crashAt = custody.PointErasing },
		custody.PointOrdered:   func(b *bench) { b.crashAt = custody.PointOrdered },
		custody.PointDestroyed: func(b *bench) { b.crashAt = custody.PointDestroyed },
		custody.PointCompleted: func(b *bench) { b.crashAt = custody.PointCompleted },
		"completion refused": func(b *bench) {
			b.store.Fail = func(s schemas.Stream, e []schemas.Event) error {
				if e[0].Type == completionType {
					return errCrash
				}
				return nil
			}
		},
	}
	for name, arm := range fails {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			anna := b.person("anna@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			arm(b)
			if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
				t.Fatalf("not cut: %v", err)
			}
			b.crashAt, b.store.Fail = "", nil
			p, err := b.vault.PendingErasures(b.ctx)
			if err != nil || len(p) != 1 {
				t.Fatal(p, err)
			}
			if strings.HasPrefix(name, "erase:") { // killed: its claim stands
				_, err := b.custody.Erase(b.ctx, officer, b.found(r), "unlawful", nil)
				if !errors.Is(err, custody.ErrUnderWay) {
					t.Errorf("at once: %v", err)
				}
				b.ahead = 6 * time.Minute
				b.newCustody()
			}
			done, err := b.custody.Erase(b.ctx, officer, b.found(r), "unlawful", nil)
			if err != nil || done.Completion != p[0].Completion {
				t.Fatalf("carried on as %v, %v; want %v", done.Completion, err, p[0].Completion)
			}
			b.erasedOnce(anna, r)
		})
	}
}

func TestNothingIsMarkedForAGroundThatIsNone(t *testing.T) {
	b := newBench(t)
	anna := b.person("anna@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	if _, err := b.custody.Erase(b.ctx, officer, r, "spring cleaning", nil); err == nil {
		t.Error("erased")
	}
	b.untouched(anna, r)
}

// Events of the order's type that are no orders do not keep erasures from being resumed.
func TestGarbageAmongTheOrdersStopsNoResume(t *testing.T) {
	b := newBench(t)
	anna := b.person("anna@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	for _, data := range []string{`{}`, `{"keys":["not-a-uuid"],"ground":"unlawful","completion":"neither"}`,
		`{"keys":[],"completion":"` + uuid.NewString() + `"}`} {
		b.garbage(schemas.NewStream("request", uuid.New()), orderType, data)
	}
	b.crashAt = custody.PointOrdered
	if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b.crashAt = ""
	if completed, back, err := b.custody.Resume(b.ctx); err != nil || completed != 1 || back != 0 {
		t.Fatalf("completed %d, took %d back, %v", completed, back, err)
	}
	if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
		t.Errorf("the value opens: %v", err)
	}
}

// Replaying.

// backup copies the vault's files into a folder of their own, and goes on with the vault.
func (b *bench) backup() string {
	b.t.Helper()
	to := b.t.TempDir()
	if err := b.vault.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.copy(b.dir, to)
	b.useVault(b.dir)
	return to
}

func (b *bench) copy(from, to string) {
	b.t.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f.Name()), raw, 0o600)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// useVault opens the vault in a folder as the bench's.
func (b *bench) useVault(dir string) {
	b.t.Helper()
	b.useVaultThrough(dir, func(s store.Store) store.Store { return s })
}

// useVaultThrough opens the vault in dir on what through makes of its store.
func (b *bench) useVaultThrough(dir string, through func(store.Store) store.Store) {
	b.t.Helper()
	kek, err := vault.OpenFileKEK(filepath.Join(dir, "kek"))
	if err != nil {
		b.t.Fatal(err)
	}
	st, err := sqlite.Open(b.ctx, filepath.Join(dir, "vault.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	if b.vault, err = vault.Open(b.ctx, vault.Config{Store: through(st), KEK: kek, Clock: time.Now,
		Logger: slog.New(slog.DiscardHandler)}); err != nil {
		b.t.Fatal(err)
	}
	b.ledger, err = ledger.Open(b.ctx, ledger.Config{Store: b.store, Origin: b.vault.OriginKey,
		Logger: slog.New(slog.DiscardHandler), Clock: time.Now})
	if err != nil {
		b.t.Fatal(err)
	}
	b.newCustody()
}

func (b *bench) restore(dir string) {
	b.t.Helper()
	if err := b.vault.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.useVault(dir)
}

func (b *bench) replay() custody.Replayed {
	b.t.Helper()
	n, err := b.custody.Replay(b.ctx, b.ledger.Events(b.ctx))
	if err != nil {
		b.t.Fatal(err)
	}
	if n.Orders != n.Replayed+n.Done+n.NoTenant+n.LeftOut {
		b.t.Errorf("the counts do not add up: %+v", n)
	}
	return n
}

// A vault restored from before an erasure holds the person again; replaying the ledger's orders
// erases them again, whether or not the act was complete, and once only.
func TestARestoredVaultForgetsAgain(t *testing.T) {
	for _, point := range []string{"", custody.PointOrdered, custody.PointDestroyed} {
		t.Run("cut at "+point, func(t *testing.T) {
			b := newBench(t)
			empty := b.backup()
			anna, piet := b.person("anna@contoso.example"), b.person("piet@contoso.example")
			before := b.backup()
			r := b.request("erasure", "anna@contoso.example")
			ordered := time.Now()
			b.crashAt = point
			if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); (point == "") != (err == nil) {
				t.Fatal(err)
			}
			b.crashAt = ""
			b.restore(before)
			if got, err := b.open(anna); err != nil || got != `"anna@contoso.example"` {
				t.Fatalf("the restored vault: %s, %v; the test shows nothing", got, err)
			}
			n := b.replay()
			want := custody.Replayed{Orders: 1, Replayed: 1, Keys: n.Keys}
			if point != "" {
				want.Pending = 1
			}
			if n != want || n.Keys < 2 {
				t.Errorf("replayed %+v, want %+v", n, want)
			}
			if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
				t.Errorf("Anna's value: %v", err)
			}
			if _, err := b.open(piet); err != nil {
				t.Errorf("Piet's value: %v", err)
			}
			completed, back, err := b.custody.Resume(b.ctx)
			if err != nil || completed != want.Pending || back != 0 {
				t.Errorf("resumed: %d, %d, %v", completed, back, err)
			}
			if n := b.replay(); n != (custody.Replayed{Orders: 1, Done: 1}) {
				t.Errorf("replayed again: %+v", n)
			}
			if b.count(completionType) != 1 || b.count(orderType) != 1 {
				t.Error("another order or completion was recorded")
			}
			err = b.vault.Update(b.ctx, b.tenant.ID, func(tx *vault.Tx) error {
				if _, _, err := tx.Person(vault.PersonHint{UPN: "anna@contoso.example",
					At: ordered.Add(-time.Hour)}); !errors.Is(err, vault.ErrErasedSubject) {
					t.Errorf("an old record of Anna: %v", err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}

			// One from before Anna was known: her keys leave tombstones;
			// what was sealed since is lost.
			b.restore(empty)
			if n := b.replay(); n.Replayed != 1 || n.Keys < 2 {
				t.Errorf("on an older vault: %+v", n)
			}
			if n := b.replay(); n.Done != 1 {
				t.Errorf("on an older vault, again: %+v", n)
			}
			if _, err := b.open(anna); !errors.Is(err, vault.ErrTampered) {
				t.Errorf("a value of which the vault knows nothing: %v", err)
			}
			if err := b.vault.Bind(b.ctx, b.ledger.ID()); err != nil {
				t.Fatal(err)
			}
			if err := b.vault.AcceptLoss(b.ctx, vault.Loss{Ledger: b.ledger.ID(), Through: 9,
				Until: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.open(anna); !errors.Is(err, vault.ErrLost) {
				t.Errorf("its loss accepted: %v", err)
			}
			if now := b.found(r); now.Person != uuid.Nil || now.Erasing != uuid.Nil {
				t.Errorf("a request of a person who is lost: %+v", now)
			}
		})
	}
}

// What is no order, another tenant's, or of a tenant the vault does not know is left out and
// counted; the rest is done.
func TestReplayLeavesOutWhatIsNoOrder(t *testing.T) {
	b := newBench(t)
	alone := b.backup()
	anna, piet := b.person("anna@contoso.example"), b.person("piet@contoso.example")
	first := b.tenant
	other, err := b.custody.RegisterTenant(b.ctx, officer, vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	b.tenant = other
	theirs := b.person("anna@contoso.example")
	both := b.backup()
	if _, err := b.custody.Erase(b.ctx, officer, b.request("erasure", "anna@contoso.example"),
		"unlawful", nil); err != nil {
		t.Fatal(err)
	}
	b.tenant = first
	if _, err := b.custody.Erase(b.ctx, officer, b.request("erasure", "anna@contoso.example"),
		"unlawful", nil); err != nil {
		t.Fatal(err)
	}
	// The first tenant's metadata around the other's order, and garbage.
	for _, e := range b.store.Events() {
		if e.Type == orderType {
			b.garbage(schemas.NewStream("request", uuid.New()), orderType, string(e.Data))
			break
		}
	}
	b.garbage(schemas.NewStream("request", uuid.New()), orderType, `{"keys":["x"]}`)
	// An order of Piet's keys in the right form, by somebody who has no vault.
	err = b.vault.View(b.ctx, first.ID, func(tx *vault.Tx) error {
		m, err := tx.FindPersons("piet@contoso.example")
		if err != nil || len(m) != 1 {
			return fmt.Errorf("found %d: %w", len(m), err)
		}
		keys, err := tx.SubjectKeys(m[0].ID)
		b.garbageOf(first.ID, schemas.NewStream("request", uuid.New()), orderType,
			fmt.Sprintf(`{"keys":["%s"],"ground":"unlawful","completion":"%s"}`, keys[0], uuid.New()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.restore(both)
	n := b.replay()
	if n.Orders != 5 || n.Replayed != 2 || n.LeftOut != 3 || n.Pending != 0 {
		t.Errorf("replayed %+v", n)
	}
	for what, tc := range map[string]struct {
		tenant vault.Tenant
		sealed vault.Sealed
		want   error
	}{"Anna": {first, anna, vault.ErrErased}, "Piet": {first, piet, nil},
		"the other tenant's Anna": {other, theirs, vault.ErrErased}} {
		b.tenant = tc.tenant
		if _, err := b.open(tc.sealed); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, tc.want)
		}
	}
	b.restore(alone)
	if n := b.replay(); n.NoTenant != 2 || n.Replayed != 1 || n.LeftOut != 2 {
		t.Errorf("on a vault that knows one tenant: %+v", n)
	}
}

// Many orders are carried out in a few transactions, and a replay cut short goes on.
func TestReplayOfManyOrders(t *testing.T) {
	b := newBench(t)
	const persons = 150
	var sealed []vault.Sealed
	for i := range persons {
		sealed = append(sealed, b.person(fmt.Sprintf("user%d@contoso.example", i)))
	}
	before := b.backup()
	for i := range persons {
		if i%10 == 0 {
			continue // stays
		}
		b.order(b.request("erasure", fmt.Sprintf("user%d@contoso.example", i)))
	}
	b.restore(before)
	ctx, cancel := context.WithCancel(b.ctx)
	seen := 0
	events := func(yield func(schemas.Envelope, error) bool) {
		for r, err := range b.ledger.Events(b.ctx) {
			if seen++; seen == 40 {
				cancel()
			}
			if !yield(r, err) {
				return
			}
		}
	}
	if _, err := b.custody.Replay(ctx, events); !errors.Is(err, context.Canceled) {
		t.Fatalf("not cut: %v", err)
	}
	if n := b.replay(); n.Replayed != persons-persons/10 || n.Pending != n.Replayed {
		t.Errorf("replayed %+v", n)
	}
	s := b.session()
	out, err := s.Open(b.ctx, sealed)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		if (i%10 == 0) != (o.Err == nil) || i%10 != 0 && !errors.Is(o.Err, vault.ErrErased) {
			t.Errorf("user %d: %v", i, o.Err)
		}
	}
}

// order appends the request's order of erasure and does nothing more.
func (b *bench) order(r custody.Request) {
	b.t.Helper()
	b.crashAt = custody.PointOrdered
	if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
		b.t.Fatal(err)
	}
	b.crashAt = ""
}
