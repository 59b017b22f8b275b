package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
)

// memory is a store in memory.
type memory struct {
	mu   sync.Mutex
	list []byte
}

func (m *memory) Accounts(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list, nil
}

func (m *memory) UpdateAccounts(_ context.Context, change func([]byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, err := change(m.list)
	if err == nil {
		m.list = list
	}
	return err
}

type bench struct {
	*Accounts
	store *memory
	now   time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: &memory{}, now: time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC)}
	var err error
	b.Accounts, err = New(Config{Store: b.store, Clock: func() time.Time { return b.now },
		Cost: Cost{Passes: 1, MemoryKB: 8, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const right, wrong = "correct horse battery", "correct horse batterY"

var (
	admin  = Account{Name: "Anna@Contoso.example", Roles: []access.Role{access.Officer, access.TenantAdmin}, All: true}
	viewer = Account{Name: "piet", Roles: []access.Role{access.Viewer}, Tenants: []uuid.UUID{{1}}}
)

func (b *bench) add(t *testing.T, all ...Account) {
	t.Helper()
	for _, a := range all {
		if err := b.Add(t.Context(), a, right); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhoSignsInIsWhoTheAccountSays(t *testing.T) {
	b := newBench(t)
	if _, err := b.SignIn(t.Context(), "anna", right); !errors.Is(err, ErrNobody) {
		t.Errorf("where nobody has an account: %v", err)
	}
	b.add(t, admin, viewer)
	p, err := b.SignIn(t.Context(), "anna@contoso.example", right)
	if err != nil || p.Login != admin.Name || !p.All || p.Can(access.Reveal, uuid.New()) != nil {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = b.SignIn(t.Context(), "PIET", right)
	if err != nil || p.Login != "piet" || p.All || !p.Sees(uuid.UUID{1}) || p.Sees(uuid.UUID{2}) {
		t.Errorf("%+v, %v", p, err)
	}
	unknown, lacks := func() (error, error) {
		_, u := b.SignIn(t.Context(), "nobody", right)
		_, l := b.SignIn(t.Context(), "piet", wrong)
		return u, l
	}()
	if !errors.Is(unknown, ErrWrong) || !errors.Is(lacks, ErrWrong) || unknown.Error() != lacks.Error() {
		t.Errorf("no such account is told apart from a wrong password: %v, %v", unknown, lacks)
	}
	list, err := b.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != admin.Name || list[0].Created != b.now {
		t.Errorf("%+v, %v", list, err)
	}
}

// No password is kept, and each digest has a salt of its own and its parameters with it.
func TestADigestIsOfOnePasswordAndTellsItsParameters(t *testing.T) {
	c := Cost{Passes: 2, MemoryKB: 64, Lanes: 2}
	one, err := digest(right, c)
	if err != nil {
		t.Fatal(err)
	}
	two, err := digest(right, c)
	if err != nil || one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=64,t=2,p=2$") {
		t.Errorf("%s, %s, %v", one, two, err)
	}
	for password, want := range map[string]bool{right: true, wrong: false, "": false, right + "\n": false} {
		if ok, err := matches(one, password); err != nil || ok != want {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	for _, damaged := range []string{"", "$argon2id$", right, strings.Replace(one, "argon2id", "argon2i", 1),
		strings.Replace(one, "v=19", "v=16", 1), strings.Replace(one, "m=64", "m=999999999", 1),
		strings.Replace(one, "t=2", "t=0", 1), strings.Replace(one, "p=2", "p=200", 1), one[:len(one)-30]} {
		if ok, err := matches(damaged, right); err == nil || ok {
			t.Errorf("%q matched: %v", damaged, err)
		}
	}
	b := newBench(t)
	b.add(t, admin)
	if raw, _ := b.store.Accounts(t.Context()); strings.Contains(string(raw), right) {
		t.Error("the password is kept")
	}
}

// After MaxTries wrong ones nothing is looked at for a while, not the right one either; then it is
// counted anew.
func TestTriesAreBounded(t *testing.T) {
	b := newBench(t)
	b.add(t, admin, viewer)
	for range MaxTries - 1 {
		if _, err := b.SignIn(t.Context(), "piet", wrong); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	if _, err := b.SignIn(t.Context(), "piet", right); err != nil {
		t.Fatalf("the last try, and right: %v", err)
	}
	for range MaxTries {
		if _, err := b.SignIn(t.Context(), "piet", wrong); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	_, err := b.SignIn(t.Context(), "piet", right)
	var p *Problem
	if !errors.As(err, &p) || p.Code != ErrLocked || !p.Until.Equal(b.now.Add(Wait)) {
		t.Fatalf("after too many: %v", err)
	}
	if _, err := b.SignIn(t.Context(), admin.Name, right); err != nil {
		t.Errorf("another account waits too: %v", err)
	}
	b.now = b.now.Add(Wait)
	if _, err := b.SignIn(t.Context(), "piet", right); err != nil {
		t.Errorf("after waiting: %v", err)
	}
	for range MaxTries {
		_, _ = b.SignIn(t.Context(), "piet", wrong)
	}
	if err := b.SetPassword(t.Context(), "piet", wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignIn(t.Context(), "piet", wrong); err != nil {
		t.Errorf("with a new password: %v", err)
	}
}

// Any number of guesses at once are MaxTries guesses.
func TestTriesAtOnceAreCountedToo(t *testing.T) {
	b := newBench(t)
	b.add(t, admin)
	var looked atomic.Int64
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, err := b.SignIn(context.Background(), admin.Name, wrong); errors.Is(err, ErrWrong) {
				looked.Add(1)
			}
		})
	}
	all.Wait()
	if looked.Load() != MaxTries {
		t.Errorf("%d were looked at, want %d", looked.Load(), MaxTries)
	}
}

// The first account can manage the others, and one that can is always left.
func TestSomebodyCanAlwaysManageAccounts(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	some := admin
	some.All, some.Tenants = false, []uuid.UUID{{1}}
	for _, first := range []Account{viewer, some} {
		if err := b.Add(ctx, first, right); !errors.Is(err, ErrFirst) {
			t.Errorf("first %v: %v", first, err)
		}
	}
	b.add(t, admin, viewer)
	_, demoted := b.Change(ctx, admin.Name, []access.Role{access.Officer}, nil, true)
	_, bounded := b.Change(ctx, admin.Name, admin.Roles, []uuid.UUID{{1}}, false)
	for _, err := range []error{b.Remove(ctx, admin.Name), demoted, bounded} {
		if !errors.Is(err, ErrLast) {
			t.Errorf("the last one: %v", err)
		}
	}
	if a, err := b.Change(ctx, "PIET", []access.Role{access.TenantAdmin, access.Viewer}, nil, true); err != nil ||
		a.Roles[0] != access.Viewer {
		t.Errorf("%v, %v", a, err)
	}
	if err := b.Remove(ctx, admin.Name); err != nil {
		t.Errorf("not the last one any more: %v", err)
	}
	if _, err := b.SignIn(ctx, admin.Name, right); !errors.Is(err, ErrWrong) {
		t.Errorf("removed, and signs in: %v", err)
	}
}

func TestWhatCannotBeAnAccountIsRefused(t *testing.T) {
	b := newBench(t)
	b.add(t, admin)
	for _, c := range []struct {
		account  Account
		password string
		code     error
	}{
		{Account{Roles: viewer.Roles, All: true}, right, ErrMissing},
		{Account{Name: " x", Roles: viewer.Roles, All: true}, right, ErrUnfit},
		{Account{Name: "x\ny", Roles: viewer.Roles, All: true}, right, ErrUnfit},
		{Account{Name: strings.Repeat("x", MaxText+1), Roles: viewer.Roles, All: true}, right, ErrUnfit},
		{Account{Name: "x", All: true}, right, ErrMissing},
		{Account{Name: "x", Roles: []access.Role{"king"}, All: true}, right, ErrUnknown},
		{Account{Name: "x", Roles: viewer.Roles}, right, ErrMissing},
		{Account{Name: "x", Roles: viewer.Roles, Tenants: []uuid.UUID{uuid.Nil}}, right, ErrMissing},
		{Account{Name: "ANNA@contoso.example", Roles: viewer.Roles, All: true}, right, ErrExists},
		{Account{Name: "x", Roles: viewer.Roles, All: true}, "short", ErrTooShort},
		{Account{Name: "x", Roles: viewer.Roles, All: true}, strings.Repeat("x", MaxText+1), ErrTooMany},
	} {
		if err := b.Add(t.Context(), c.account, c.password); !errors.Is(err, c.code) ||
			strings.Contains(err.Error(), "@") {
			t.Errorf("%+v: %v, want %v", c.account, err, c.code)
		}
	}
	_, changed := b.Change(t.Context(), "nobody", viewer.Roles, nil, true)
	_, found := b.Find(t.Context(), "nobody")
	for _, err := range []error{changed, found, b.Remove(t.Context(), "nobody"),
		b.SetPassword(t.Context(), "nobody", right)} {
		if !errors.Is(err, ErrNone) {
			t.Errorf("nobody: %v", err)
		}
	}
}

func TestThatNobodyHasAnAccountIsToldOnce(t *testing.T) {
	b := newBench(t)
	for _, want := range []bool{true, false, false} {
		if tell, err := b.TellOnce(t.Context()); err != nil || tell != want {
			t.Errorf("%v, %v", tell, err)
		}
	}
	other := newBench(t)
	other.add(t, admin)
	if tell, err := other.TellOnce(t.Context()); err != nil || tell {
		t.Errorf("where somebody has one: %v, %v", tell, err)
	}
}
