// Package accounts owns who may sign in: a name, roles, tenants and the digest of a password each.
//
// The list lies in a store that wraps it (the vault). It may lose nothing of it: each change is
// one transaction of the store. It trusts whoever holds that store and its key: accounts tell
// people apart who work with the ledger, and are no defence against its machine's own user.
package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
)

// Bounds.
const (
	MaxAccounts   = 1000
	LeastPassword = 12 // characters
	MaxText       = 256
	MaxTries      = 5                // wrong passwords in a row before an account has to wait
	Wait          = 15 * time.Minute // how long it then waits
)

// Store keeps the list; the vault is one.
type Store interface {
	Accounts(ctx context.Context) ([]byte, error) // nil for none
	UpdateAccounts(ctx context.Context, change func([]byte) ([]byte, error)) error
}

// Config is what the accounts are kept with.
type Config struct {
	Store Store
	Clock func() time.Time
	Cost  Cost // DefaultCost where zero
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("accounts config: Store is missing"))
	}
	if c.Clock == nil {
		errs = append(errs, errors.New("accounts config: Clock is missing"))
	}
	return errors.Join(errs...)
}

// Accounts are those who may sign in. It is safe for concurrent use, by several processes too.
type Accounts struct{ cfg Config }

// New returns the accounts of a store.
func New(c Config) (*Accounts, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Cost == (Cost{}) {
		c.Cost = DefaultCost
	}
	return &Accounts{c}, nil
}

// Account is one who may sign in. The name is who acts, as the ledger records it: the person's
// name in the directory (UPN), where the ledger is to know them for who they are.
type Account struct {
	Name    string        `json:"name"`
	Roles   []access.Role `json:"roles"`
	Tenants []uuid.UUID   `json:"tenants,omitempty"`
	All     bool          `json:"all,omitempty"` // for every tenant, those to come too
	Created time.Time     `json:"created"`
}

// Principal returns who acts when this account is signed in.
func (a Account) Principal() access.Principal {
	return access.Principal{Login: a.Name, Roles: slices.Clone(a.Roles), Tenants: slices.Clone(a.Tenants), All: a.All}
}

// manages reports whether the account can manage all others.
func (a Account) manages() bool {
	return a.All && a.Principal().Can(access.ManageOfficer, uuid.Nil) == nil
}

// check joins what is wrong with the account; its order is the roles' own afterwards.
func (a *Account) check() error {
	var errs []error
	switch {
	case a.Name == "":
		errs = append(errs, &Problem{Field: FieldName, Code: ErrMissing})
	case strings.TrimSpace(a.Name) != a.Name || len(a.Name) > MaxText || !utf8.ValidString(a.Name) ||
		strings.ContainsFunc(a.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		errs = append(errs, &Problem{Field: FieldName, Code: ErrUnfit})
	}
	var roles []access.Role
	for _, r := range access.Roles() {
		if slices.Contains(a.Roles, r) {
			roles = append(roles, r)
		}
	}
	for _, r := range a.Roles {
		if !slices.Contains(roles, r) {
			errs = append(errs, &Problem{Field: FieldRole, Code: ErrUnknown, Given: string(r), Known: RoleNames()})
		}
	}
	if len(a.Roles) == 0 {
		errs = append(errs, &Problem{Field: FieldRole, Code: ErrMissing, Known: RoleNames()})
	}
	if !a.All && len(a.Tenants) == 0 || slices.Contains(a.Tenants, uuid.Nil) {
		errs = append(errs, &Problem{Field: FieldTenant, Code: ErrMissing})
	}
	a.Roles = roles
	return errors.Join(errs...)
}

// RoleNames are the roles that an account may have.
func RoleNames() (names []string) {
	for _, r := range access.Roles() {
		names = append(names, string(r))
	}
	return names
}

// kept is an account as the store has it.
type kept struct {
	Account
	Digest string    `json:"digest"`
	Tries  int       `json:"tries,omitempty"` // looked at, and not found right
	Until  time.Time `json:"until,omitzero"`
}

// list is what the store has.
type list struct {
	Accounts []*kept `json:"accounts"`
	Told     bool    `json:"told,omitempty"` // that nobody has an account, and who acts then
}

func read(raw []byte) (l list, err error) {
	if raw == nil {
		return l, nil
	}
	if json.Unmarshal(raw, &l) != nil { // its error could quote
		return l, errors.New("the list of accounts cannot be read")
	}
	return l, nil
}

// find returns the account of that name, whatever its case; nil for none.
func (l list) find(name string) *kept {
	for _, k := range l.Accounts {
		if strings.EqualFold(k.Name, name) {
			return k
		}
	}
	return nil
}

func (l list) managed() error {
	if !slices.ContainsFunc(l.Accounts, func(k *kept) bool { return k.manages() }) {
		return &Problem{Field: FieldRole, Code: ErrLast, Known: []string{string(access.TenantAdmin)}}
	}
	return nil
}

// update changes the list in one transaction.
func (a *Accounts) update(ctx context.Context, change func(*list) error) error {
	return a.cfg.Store.UpdateAccounts(ctx, func(raw []byte) ([]byte, error) {
		l, err := read(raw)
		if err == nil {
			err = change(&l)
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(l)
	})
}

func (a *Accounts) load(ctx context.Context) (list, error) {
	raw, err := a.cfg.Store.Accounts(ctx)
	if err != nil {
		return list{}, err
	}
	return read(raw)
}

// Any reports whether anybody has an account.
func (a *Accounts) Any(ctx context.Context) (bool, error) {
	l, err := a.load(ctx)
	return len(l.Accounts) > 0, err
}

// TellOnce reports, once in the list's life, that it is yet to be told that nobody has an account.
func (a *Accounts) TellOnce(ctx context.Context) (tell bool, err error) {
	if l, err := a.load(ctx); err != nil || l.Told || len(l.Accounts) > 0 {
		return false, err
	}
	err = a.update(ctx, func(l *list) error {
		tell = !l.Told && len(l.Accounts) == 0
		l.Told = true
		return nil
	})
	return tell && err == nil, err
}

// List returns the accounts in order of their names.
func (a *Accounts) List(ctx context.Context) ([]Account, error) {
	l, err := a.load(ctx)
	out := []Account{}
	for _, k := range l.Accounts {
		out = append(out, k.Account)
	}
	slices.SortFunc(out, func(x, y Account) int {
		return strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name))
	})
	return out, err
}

// Find returns the account of that name, whatever its case; a Problem with ErrNone.
func (a *Accounts) Find(ctx context.Context, name string) (Account, error) {
	l, err := a.load(ctx)
	if err != nil {
		return Account{}, err
	}
	if k := l.find(name); k != nil {
		return k.Account, nil
	}
	return Account{}, noAccount()
}

func noAccount() error { return &Problem{Field: FieldName, Code: ErrNone} }

// CheckNew joins what is wrong with an account whatever others there are.
func CheckNew(n Account) error { return n.check() }

// CheckPassword refuses what is too short or too long.
func CheckPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < LeastPassword:
		return &Problem{Field: FieldPassword, Code: ErrTooShort, Bound: LeastPassword}
	case n > MaxText:
		return &Problem{Field: FieldPassword, Code: ErrTooMany, Bound: MaxText}
	}
	return nil
}

// Add makes an account. The first one has to be able to manage all others.
func (a *Accounts) Add(ctx context.Context, n Account, password string) error {
	if err := errors.Join(n.check(), CheckPassword(password)); err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	d, err := digest(password, a.cfg.Cost)
	if err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	n.Created = a.cfg.Clock().UTC().Truncate(time.Millisecond)
	err = a.update(ctx, func(l *list) error {
		switch {
		case l.find(n.Name) != nil:
			return &Problem{Field: FieldName, Code: ErrExists}
		case len(l.Accounts) == MaxAccounts:
			return &Problem{Field: FieldName, Code: ErrTooMany, Bound: MaxAccounts}
		case len(l.Accounts) == 0 && !n.manages():
			return &Problem{Field: FieldRole, Code: ErrFirst, Known: []string{string(access.TenantAdmin)}}
		}
		l.Accounts = append(l.Accounts, &kept{Account: n, Digest: d})
		return nil
	})
	if err != nil {
		return fmt.Errorf("add account: %w", err)
	}
	return nil
}

// Change gives an account other roles and tenants. ErrLast: nobody could manage accounts then.
func (a *Accounts) Change(
	ctx context.Context, name string, roles []access.Role, tenants []uuid.UUID, all bool,
) (Account, error) {
	var out Account
	err := a.update(ctx, func(l *list) error {
		k := l.find(name)
		if k == nil {
			return noAccount()
		}
		k.Roles, k.Tenants, k.All = roles, tenants, all
		if err := k.check(); err != nil {
			return err
		}
		out = k.Account
		return l.managed()
	})
	if err != nil {
		return Account{}, fmt.Errorf("change account: %w", err)
	}
	return out, nil
}

// Remove removes an account. ErrLast: nobody could manage accounts then.
func (a *Accounts) Remove(ctx context.Context, name string) error {
	err := a.update(ctx, func(l *list) error {
		k := l.find(name)
		if k == nil {
			return noAccount()
		}
		l.Accounts = slices.DeleteFunc(l.Accounts, func(o *kept) bool { return o == k })
		return l.managed()
	})
	if err != nil {
		return fmt.Errorf("remove account: %w", err)
	}
	return nil
}

// SetPassword gives an account a new password, and lets it try again at once.
func (a *Accounts) SetPassword(ctx context.Context, name, password string) error {
	err := CheckPassword(password)
	var d string
	if err == nil {
		d, err = digest(password, a.cfg.Cost)
	}
	if err == nil {
		err = a.update(ctx, func(l *list) error {
			k := l.find(name)
			if k == nil {
				return noAccount()
			}
			k.Digest, k.Tries, k.Until = d, 0, time.Time{}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}

// SignIn returns who acts. A try is counted before it is looked at, so that any number of
// processes have MaxTries between them; ErrLocked says until when no further one is looked at.
// ErrWrong does not tell whether there is such an account, nor does the time it takes.
func (a *Accounts) SignIn(ctx context.Context, name, password string) (access.Principal, error) {
	fail := func(err error) (access.Principal, error) { return access.Principal{}, fmt.Errorf("sign in: %w", err) }
	wrong := &Problem{Field: FieldPassword, Code: ErrWrong}
	var k kept
	err := a.update(ctx, func(l *list) error {
		found := l.find(name)
		switch {
		case len(l.Accounts) == 0:
			return &Problem{Field: FieldName, Code: ErrNobody}
		case found == nil:
			return wrong
		}
		now := a.cfg.Clock()
		if found.Tries >= MaxTries {
			if now.Before(found.Until) {
				return &Problem{Field: FieldPassword, Code: ErrLocked, Until: found.Until}
			}
			found.Tries = 0
		}
		if found.Tries++; found.Tries == MaxTries {
			found.Until = now.Add(Wait)
		}
		k = *found
		return nil
	})
	if errors.Is(err, ErrWrong) { // nobody of that name: as long as it takes for somebody
		if _, derr := digest(password, a.cfg.Cost); derr != nil {
			err = derr
		}
	}
	if err != nil {
		return fail(err)
	}
	switch ok, err := matches(k.Digest, password); {
	case err != nil:
		return fail(err)
	case !ok:
		return fail(wrong)
	}
	err = a.update(ctx, func(l *list) error {
		found := l.find(name)
		if found == nil || found.Digest != k.Digest { // removed or changed meanwhile
			return wrong
		}
		found.Tries, found.Until = 0, time.Time{}
		k = *found
		return nil
	})
	if err != nil {
		return fail(err)
	}
	return k.Principal(), nil
}
