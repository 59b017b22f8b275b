package custody

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Purpose says why personal data is to be unsealed.
type Purpose struct {
	Tenant  uuid.UUID
	Report  string         // our own vocabulary: the report's or act's id ("admin-actions")
	Text    string         // why, in the officer's words; required
	Filters map[string]any // what was asked for; stored sealed
	Seq     uint64         // the ledger sequence the report is computed at
}

// Session is a permission to unseal for one purpose. Its event is in the ledger before the first
// plaintext, and so is a further one for each 64 persons more whose data is asked for. It is safe
// for concurrent use.
type Session struct {
	c       *Custody
	tenant  uuid.UUID
	purpose Purpose
	login   access.Principal
	stream  schemas.Stream

	mu       sync.Mutex // serialises appends and guards what follows
	officer  uuid.UUID
	revision uint64
	seen     map[uuid.UUID]bool // persons announced in the ledger
	aliases  map[uuid.UUID]bool // aliases resolved already
}

// Access records who unseals, why and for what, and returns the session in which tokens can be
// opened.
func (c *Custody) Access(ctx context.Context, p access.Principal, purpose Purpose) (*Session, error) {
	if err := p.Can(access.Reveal, purpose.Tenant); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	if strings.TrimSpace(purpose.Text) == "" {
		return nil, fmt.Errorf("access: %w", &Problem{Field: FieldPurpose, Code: ErrMissing})
	}
	s := &Session{c: c, tenant: purpose.Tenant, purpose: purpose, login: p,
		stream: schemas.NewStream("access", uuid.New()),
		seen:   map[uuid.UUID]bool{}, aliases: map[uuid.UUID]bool{}}
	if err := s.announce(ctx, nil, ledger.NoStream); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return s, nil
}

// Stream returns the session's stream in the ledger.
func (s *Session) Stream() schemas.Stream { return s.stream }

// Persons returns how many persons' data the session has named so far.
func (s *Session) Persons() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// announce appends the events that name these persons, at most MaxSubjects-1 in each beside the
// officer.
func (s *Session) announce(ctx context.Context, persons []uuid.UUID, expect ledger.Expect) error {
	for first := true; first || len(persons) > 0; first = false {
		n := min(len(persons), schemas.MaxSubjects-1)
		part := persons[:n]
		persons = persons[n:]
		var e schemas.Event
		err := s.c.cfg.Vault.Update(ctx, s.tenant, func(tx *vault.Tx) error {
			d := s.c.draft("access.unsealed.v1", s.tenant, s.stream)
			if s.officer == uuid.Nil {
				id, err := officer(tx, s.login, d.Occurred)
				if err != nil {
					return err
				}
				s.officer = id
			}
			owner := personOwner(s.officer)
			s.c.set(&d, "access.report", s.purpose.Report, tenantOwner)
			s.c.set(&d, "access.purpose", s.purpose.Text, owner)
			s.c.set(&d, "access.officer", s.login.Login, owner)
			if len(s.purpose.Filters) > 0 {
				s.c.set(&d, "access.filters", s.purpose.Filters, owner)
			}
			s.c.set(&d, "access.persons", len(part), tenantOwner)
			s.c.set(&d, "access.sequence", s.purpose.Seq, tenantOwner)
			for _, p := range part {
				d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "target", Person: p})
			}
			d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "officer", Person: s.officer})
			var err error
			e, err = s.c.sealAndEncode(tx, &d)
			return err
		})
		if err != nil {
			return err
		}
		last, err := s.c.appendBehind(ctx, s.stream, expect, e)
		if err != nil {
			return err
		}
		s.revision, expect = last, ledger.Exact(last)
		for _, p := range part {
			s.seen[p] = true
		}
	}
	return nil
}

// Open unseals tokens of the session's tenant. Persons that are concerned and not yet named by
// the session are named in the ledger first.
func (s *Session) Open(ctx context.Context, tokens []vault.Sealed) ([]vault.Opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, checked := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, t := range tokens {
		// A malformed token is reported by opening it.
		if h, _, err := t.Token.Parse(); err == nil && !s.aliases[h.Alias] {
			checked[h.Alias] = true
		}
	}
	err := s.c.cfg.Vault.View(ctx, s.tenant, func(tx *vault.Tx) error {
		if err := tx.LookAhead(vault.Ahead{Aliases: slices.Collect(maps.Keys(checked))}); err != nil {
			return err
		}
		for alias := range checked {
			owner, err := tx.AliasOwner(alias)
			if err == nil && owner.Kind == schemas.OwnerPerson && !s.seen[owner.ID] {
				fresh[owner.ID] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	if len(fresh) > 0 {
		persons := make([]uuid.UUID, 0, len(fresh))
		for p := range fresh {
			persons = append(persons, p)
		}
		slices.SortFunc(persons, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
		if err := s.announce(ctx, persons, ledger.Exact(s.revision)); err != nil {
			return nil, fmt.Errorf("unseal: %w", err)
		}
	}
	for a := range checked {
		s.aliases[a] = true
	}
	out := make([]vault.Opened, 0, len(tokens))
	for part := range slices.Chunk(tokens, openPortion) {
		err := s.c.cfg.Vault.View(ctx, s.tenant, func(tx *vault.Tx) error {
			opened, err := tx.Open(part)
			out = append(out, opened...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("unseal: %w", err)
		}
	}
	return out, nil
}

// openPortion is how many tokens are opened on one snapshot of the vault, which must not grow old.
const openPortion = 2000
