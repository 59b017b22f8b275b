package custody

import (
	"bytes"
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
	Code    string         // why: one of Purposes; required
	Text    string         // the officer's own words beside it; required where the code is OtherPurpose
	Filters map[string]any // what was asked for; stored sealed
	Seq     uint64         // the ledger sequence the report is computed at
}

// OtherPurpose is the purpose that only its words tell.
const OtherPurpose = "other"

// Purposes lists the purposes for which personal data may be unsealed.
func Purposes() []string {
	return slices.Clone(schemas.Default().MustAttribute("access.purpose-code").Shape.Values)
}

// CheckPurpose errs with a *Problem where the tenant's data is not unsealed for that purpose. A
// request of a data subject is answered whatever the tenant chose.
func CheckPurpose(t vault.Tenant, code string) error {
	if len(t.Purposes) == 0 || code == AnswerRequest {
		return nil
	}
	return oneOf(FieldPurpose, code, t.Purposes)
}

// AnswerRequest is the purpose of answering a data subject.
const AnswerRequest = "data-subject-request"

// maxPurpose bounds the words, in bytes.
const maxPurpose = 2000

// check errs with a *Problem.
func (p Purpose) check() error {
	if err := oneOf(FieldPurpose, p.Code, Purposes()); err != nil {
		return err
	}
	switch words := strings.TrimSpace(p.Text); {
	case p.Code == OtherPurpose && words == "":
		return &Problem{Field: FieldWords, Code: ErrMissing}
	case len(words) > maxPurpose:
		return &Problem{Field: FieldWords, Code: ErrTooMany, Most: maxPurpose}
	}
	return nil
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
}

// Access records who unseals, why and for what, and returns the session in which tokens can be
// opened.
func (c *Custody) Access(ctx context.Context, p access.Principal, purpose Purpose) (*Session, error) {
	if err := p.Can(access.Reveal, purpose.Tenant); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	if err := purpose.check(); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	t, err := c.cfg.Vault.TenantByID(ctx, purpose.Tenant)
	if err == nil {
		err = CheckPurpose(t, purpose.Code)
	}
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	s := &Session{c: c, tenant: purpose.Tenant, purpose: purpose, login: p,
		stream: schemas.NewStream("access", uuid.New()),
		seen:   map[uuid.UUID]bool{}}
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
// officer. Persons may be none: then it says who unseals and why.
func (s *Session) announce(ctx context.Context, persons []uuid.UUID, expect ledger.Expect) error {
	parts := slices.Collect(slices.Chunk(persons, schemas.MaxSubjects-1))
	if len(persons) == 0 {
		parts = [][]uuid.UUID{nil}
	}
	for len(parts) > 0 {
		n, size := 0, 0
		var events []schemas.Event
		err := s.c.cfg.Vault.Update(ctx, s.tenant, func(tx *vault.Tx) error {
			for n, size, events = 0, 0, nil; n < min(len(parts), announcements); n++ {
				e, err := s.announcement(tx, parts[n])
				if err != nil {
					return err
				}
				if size += e.Size(); n > 0 && size > schemas.MaxAppendBytes {
					return nil // it is made again, for the next append
				}
				events = append(events, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		last, err := s.c.appendBehind(ctx, s.stream, expect, events...)
		if err != nil {
			return err
		}
		s.revision, expect = last, ledger.Exact(last)
		for _, part := range parts[:n] {
			for _, p := range part {
				s.seen[p] = true
			}
		}
		parts = parts[n:]
	}
	return nil
}

// announcements bounds the events of one append, beside their bytes.
const announcements = 64

// announcement is an event that names these persons.
func (s *Session) announcement(tx *vault.Tx, part []uuid.UUID) (schemas.Event, error) {
	d := s.c.draft("access.unsealed.v2", s.tenant, s.stream)
	if s.officer == uuid.Nil {
		id, err := officer(tx, s.login, d.Occurred)
		if err != nil {
			return schemas.Event{}, err
		}
		s.officer = id
	}
	owner := personOwner(s.officer)
	s.c.set(&d, "access.report", s.purpose.Report, tenantOwner)
	s.c.set(&d, "access.purpose-code", s.purpose.Code, tenantOwner)
	if words := strings.TrimSpace(s.purpose.Text); words != "" {
		s.c.set(&d, "access.purpose", words, owner)
	}
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
	return s.c.sealAndEncode(tx, &d)
}

// Open unseals tokens of the session's tenant. Persons that are concerned and not yet named by
// the session are named in the ledger first, all of them together: a token is opened on a snapshot
// of the vault on which its key was somebody's whom the session has named.
func (s *Session) Open(ctx context.Context, tokens []vault.Sealed) ([]vault.Opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]vault.Opened, len(tokens))
	left := make([]portion, 0, len(tokens)/openPortion+1)
	for from := 0; from < len(tokens); from += openPortion {
		to := min(from+openPortion, len(tokens))
		left = append(left, portion{tokens[from:to], out[from:to]})
	}
	for len(left) > 0 {
		fresh := map[uuid.UUID]bool{}
		var again []portion
		for _, p := range left {
			unnamed, err := s.open(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("unseal: %w", err)
			}
			for _, id := range unnamed {
				fresh[id] = true
			}
			if len(unnamed) > 0 {
				again = append(again, p)
			}
		}
		if left = again; len(left) == 0 {
			break
		}
		persons := slices.SortedFunc(maps.Keys(fresh), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		if err := s.announce(ctx, persons, ledger.Exact(s.revision)); err != nil {
			return nil, fmt.Errorf("unseal: %w", err)
		}
	}
	return out, nil
}

// Search unseals tokens of the session's tenant for the program's own eyes, to find what is sought
// among them: it names nobody. The session's event, which says what is sought, is in the ledger by
// then. Whatever is shown to anybody has to be opened by Open.
func (s *Session) Search(ctx context.Context, tokens []vault.Sealed) ([]vault.Opened, error) {
	out := make([]vault.Opened, 0, len(tokens))
	for part := range slices.Chunk(tokens, openPortion) {
		err := s.unlock(ctx, part, func(u *vault.Unlocked) error {
			opened, err := u.Open()
			out = append(out, opened...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
	}
	return out, nil
}

// openPortion is how many tokens are opened on one snapshot of the vault, which must not grow old.
const openPortion = 4000

// portion are tokens that are opened on one snapshot, and the place of what becomes of them.
type portion struct {
	tokens []vault.Sealed
	out    []vault.Opened
}

// open opens a portion, or returns whom the session has to name first.
func (s *Session) open(ctx context.Context, p portion) (unnamed []uuid.UUID, err error) {
	err = s.unlock(ctx, p.tokens, func(u *vault.Unlocked) error {
		unnamed = slices.DeleteFunc(u.Persons(), func(p uuid.UUID) bool { return s.seen[p] })
		if len(unnamed) > 0 {
			return nil
		}
		opened, err := u.Open()
		copy(p.out, opened)
		return err
	})
	return unnamed, err
}

// unlock finds the keys of a portion on one snapshot of the vault, on which do may open it.
func (s *Session) unlock(ctx context.Context, tokens []vault.Sealed, do func(*vault.Unlocked) error) error {
	return s.c.cfg.Vault.View(ctx, s.tenant, func(tx *vault.Tx) error {
		u, err := tx.Unlock(tokens)
		if err != nil {
			return err
		}
		return do(u)
	})
}
