package keyring

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Sealed asks for one token to be opened as the value of attribute Attr, and of
// event Event where that is known.
type Sealed struct {
	Token schemas.Token
	Attr  string    // attribute id, without path
	Event uuid.UUID // uuid.Nil: the containing event is not known

	// Header and Body are Token taken apart. Where they are set it is not parsed again: the header
	// is authenticated as it stands here, and Body's memory becomes that of what is opened.
	Header schemas.TokenHeader
	Body   []byte
}

// Opened is the JSON text of a value and whose key sealed it, or why there is none: ErrErased,
// ErrExpired, ErrLost or ErrTampered.
type Opened struct {
	Plain json.RawMessage
	Owner schemas.Owner
	Err   error
}

// Unlocked are tokens whose keys were looked up, and none of which is open yet. It is the
// transaction's, as that is.
type Unlocked struct {
	tx     *Tx
	lost   Lost
	out    []Opened
	values []Value
	order  []int32 // of the values that have a key, those of one key together
	keys   []*key
}

// key is what became of an alias: the key that it names, or why there is none.
type key struct {
	derived      Derived
	class, month string // what a token under it must say; empty where nothing is known of the alias
	err          error  // ErrErased, ErrExpired, ErrTampered; ErrNotFound: nothing is known of the alias
	count, next  int    // of the tokens in hand, how many it opens; where its next one stands in their order
}

// freshEvery is how many tokens may be worked on before the view is asked whether it grew old.
const freshEvery = 4096

// Lost reports whether the keys of a month were declared to be lost.
type Lost func(month string) (bool, error)

// Unlock looks up the keys of tokens of the transaction's tenant, each once, and opens nothing.
// Its error is the store's; what is wrong with a token, Open says in its place.
func (tx *Tx) Unlock(sealed []Sealed, lost Lost) (*Unlocked, error) {
	u := &Unlocked{tx: tx, lost: lost, out: make([]Opened, len(sealed)), values: make([]Value, len(sealed))}
	fail := func(err error) (*Unlocked, error) { return nil, fmt.Errorf("open tokens: %w", err) }
	if err := tx.goOn(); err != nil {
		return fail(err)
	}
	known := map[uuid.UUID]*key{}
	var ask []uuid.UUID
	for i, s := range sealed {
		v := &u.values[i]
		if v.Header, v.Body = s.Header, s.Body; v.Body == nil {
			var err error
			if v.Header, v.Body, err = s.Token.Parse(); err != nil {
				v.Body = nil
			}
		}
		if v.Header.Attr != s.Attr || s.Event != uuid.Nil && v.Header.Event != s.Event {
			v.Body = nil
		}
		if v.Body == nil || known[v.Header.Alias] != nil {
			continue
		}
		k := &key{}
		known[v.Header.Alias] = k
		if d, ok := tx.CachedOf(v.Header.Alias); ok {
			k.derived, k.class, k.month = d, d.Class, d.Month
			u.keys = append(u.keys, k)
			continue
		}
		ask = append(ask, v.Header.Alias)
	}
	if len(ask) > 0 {
		if err := tx.rows.Fetch(store.Keys{Periods: true, Aliases: ask}); err != nil {
			return fail(err)
		}
	}
	for i, alias := range ask {
		if i%freshEvery == 0 {
			if err := tx.goOn(); err != nil {
				return fail(err)
			}
		}
		k := known[alias]
		if err := tx.find(alias, k); err != nil {
			return fail(err)
		}
		u.keys = append(u.keys, k)
	}
	return u, u.assign(known)
}

// assign gives each token its key, or says why it has none.
func (u *Unlocked) assign(known map[uuid.UUID]*key) error {
	all := 0
	for i := range u.values {
		v, o := &u.values[i], &u.out[i]
		if v.Body == nil {
			o.Err = ErrTampered
			continue
		}
		k := known[v.Header.Alias]
		if err := k.opens(v.Header, u.lost); err != nil {
			if !told(err) {
				return fmt.Errorf("open token %d of %d: %w", i+1, len(u.values), err)
			}
			o.Err = err
			continue
		}
		v.Under, o.Owner = &k.derived, k.derived.Owner
		k.count++
		all++
	}
	at := 0
	for _, k := range u.keys {
		k.next, at = at, at+k.count
	}
	u.order = make([]int32, all)
	for i := range u.values {
		if v := &u.values[i]; v.Under != nil {
			k := known[v.Header.Alias]
			u.order[k.next] = int32(i)
			k.next++
		}
	}
	return nil
}

// Persons returns the persons whose keys the tokens name, each once, in the order in which the
// tokens name them. Whoever is erased, or being erased, is not among them.
func (u *Unlocked) Persons() (out []uuid.UUID) {
	seen := map[uuid.UUID]bool{}
	for _, k := range u.keys {
		if o := k.derived.Owner; o.Kind == schemas.OwnerPerson && !seen[o.ID] {
			seen[o.ID] = true
			out = append(out, o.ID)
		}
	}
	return out
}

// Open opens the tokens, once, and answers in their order.
func (u *Unlocked) Open() ([]Opened, error) {
	for rest := u.order; len(rest) > 0; {
		if err := u.tx.goOn(); err != nil {
			return nil, fmt.Errorf("open tokens: %w", err)
		}
		part := rest[:min(len(rest), freshEvery)]
		rest = rest[len(part):]
		u.tx.OpenAll(u.values, part)
		for _, i := range part {
			if u.out[i].Plain = u.values[i].Text; u.out[i].Plain == nil {
				u.out[i] = Opened{Err: ErrTampered}
			}
		}
	}
	return u.out, nil
}

// goOn errs where the transaction may go on with no key.
func (tx *Tx) goOn() error { return errors.Join(tx.ctx.Err(), tx.Fresh()) }

// told reports whether an error says what is wrong with a token.
func told(err error) bool {
	return errors.Is(err, ErrTampered) || errors.Is(err, ErrErased) || errors.Is(err, ErrExpired) ||
		errors.Is(err, ErrLost)
}

// DerivedOf returns D for the alias of a token, whose class and month must be the alias's own. A
// cached D is as good as the store's: whatever blocks or destroys a key counts as a forgetting, at
// which caches are dropped.
func (tx *Tx) DerivedOf(h schemas.TokenHeader, lost Lost) (Derived, error) {
	var k key
	d, ok := tx.CachedOf(h.Alias)
	if k.derived, k.class, k.month = d, d.Class, d.Month; !ok {
		if err := tx.find(h.Alias, &k); err != nil {
			return Derived{}, err
		}
	}
	return k.derived, k.opens(h, lost)
}

// find looks up what the alias names. Its own error is the store's.
func (tx *Tx) find(alias uuid.UUID, k *key) error {
	row, err := tx.rows.Alias(alias)
	if err != nil {
		return err
	}
	if row == nil {
		k.err = store.ErrNotFound
		return nil
	}
	k.class, k.month = row.Class, row.Month
	switch row.State {
	case store.AliasErased:
		k.err = ErrErased
		return nil
	case store.AliasExpired:
		k.err = ErrExpired
		return nil
	}
	if k.derived, err = tx.Rederive(*row); err != nil {
		k.derived = Derived{}
		if !told(err) {
			return err
		}
		k.err = err
	}
	return nil
}

// opens errs where the key does not open a token that says this of itself.
func (k *key) opens(h schemas.TokenHeader, lost Lost) error {
	switch {
	case errors.Is(k.err, store.ErrNotFound):
		if gone, err := lost(h.Month); err != nil || !gone {
			return cmp.Or(err, ErrTampered)
		}
		return ErrLost
	case k.class != h.Class || k.month != h.Month:
		return ErrTampered
	}
	return k.err
}
