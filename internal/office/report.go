package office

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
)

// filterDevice is the id of the filter on devices, which people name in words of their own.
const filterDevice = "device"

// persons are the filters that name people, and the classes of the aliases under which they stand
// there: none for all.
var persons = map[string][]string{"actor": {"audit-actor"}, "officer": {"access"}, "person": nil}

// Patience says how long a report waits for the views to reach the ledger's end.
type Patience struct {
	Longest time.Duration // 0: it reports on what the views hold
	Waiting func()        // called now and then meanwhile; may be nil
}

// Question is a report that may be made: nothing is left to refuse, and nothing was recorded yet.
// It is of one tenant.
type Question struct {
	o       *Office
	p       access.Principal
	request report.Request
	views   confined
}

// Ask prepares a report of the tenant. The request's filters name devices and persons as people
// do; its tenant and who asks are filled in. Masked reports are authorised too. A wait that ended
// too early is an ErrViewsBehind.
func (o *Office) Ask(
	ctx context.Context, p access.Principal, tenant uuid.UUID, r report.Request, wait Patience,
) (*Question, error) {
	do := access.ReadMasked
	if r.Reveal {
		do = access.Reveal
	}
	if err := p.Can(do, tenant); err != nil {
		return nil, err
	}
	l, _, err := o.acts()
	if err != nil {
		return nil, err
	}
	t, err := o.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return nil, err
	}
	r.Tenant, r.TenantName, r.By = t.ID, t.Name, p.Login
	if r.Reveal {
		if err := custody.CheckPurpose(t, r.Purpose); err != nil {
			return nil, err
		}
	}
	if err := o.resolve(ctx, l, tenant, &r); err != nil {
		return nil, err
	}
	r.Owners = o.personsOf(tenant)
	if err := r.Validate(); err != nil {
		return nil, err
	}
	views, err := o.cfg.Views(ctx)
	if err != nil {
		return nil, err
	}
	if wait.Longest > 0 {
		within, cancel := context.WithTimeout(ctx, wait.Longest)
		defer cancel()
		if _, err := WaitForViews(within, l, views, wait.Waiting); err != nil {
			return nil, err
		}
	}
	if r.AsOfSeq == nil { // fixed now, so that the access recorded and the header name the same sequence
		if seq, ok, err := views.Through(ctx); err != nil {
			return nil, err
		} else if ok {
			r.AsOfSeq = &seq
		}
	}
	q := &Question{o, p, r, confined{views, tenant}}
	return q, r.Check(ctx, q.views)
}

// Answer records the access, where protected values are to be seen, and returns the report.
func (q *Question) Answer(ctx context.Context) (*report.Report, error) {
	var opener projections.Searcher // none: protected values stay masked
	if r := q.request; r.Reveal {
		purpose := custody.Purpose{Tenant: r.Tenant, Report: r.Report, Code: r.Purpose, Text: r.PurposeWords,
			Filters: map[string]any{}}
		for k, f := range r.Filters {
			if purpose.Filters[k] = f; r.Sought(k) { // a text may name somebody, and would outlive their erasure
				purpose.Filters[k] = true
			}
		}
		if r.AsOfSeq != nil {
			purpose.Seq = *r.AsOfSeq
		}
		session, err := q.o.cfg.Custody.Access(ctx, q.p, purpose)
		if err != nil {
			return nil, err
		}
		opener = sessionOpener{session}
	}
	return report.Run(ctx, q.views, opener, q.request)
}

// resolve turns what people call devices and persons into the ledger's own ids, in place. What a
// device is called beside its ids is left for the report to look up, where it may unseal.
func (o *Office) resolve(ctx context.Context, l Ledger, tenant uuid.UUID, r *report.Request) error {
	r.Typed = map[string]string{}
	if given := r.Filters[filterDevice]; given != "" {
		var devices []string
		for part := range strings.SplitSeq(given, ",") {
			part = strings.TrimSpace(part)
			switch s, err := o.device(ctx, l, tenant, part); {
			case err == nil:
				devices = append(devices, string(s))
			case errors.Is(err, errNoDevice) && r.Reveal && isName(part):
				devices = append(devices, part)
			default:
				return err
			}
		}
		r.Filters[filterDevice], r.Typed[filterDevice] = strings.Join(devices, ","), given
	}
	for id, classes := range persons {
		given := r.Filters[id]
		if given == "" {
			continue
		}
		aliases, err := o.named(ctx, tenant, given, classes)
		if err != nil {
			return err
		}
		if len(aliases) == 0 {
			return &report.Problem{Field: id, Filter: true, Code: define.Nobody}
		}
		r.Filters[id], r.Typed[id] = strings.Join(aliases, ","), given
	}
	return nil
}

// personsOf tells which persons aliases of the tenant name.
func (o *Office) personsOf(tenant uuid.UUID) func(context.Context, []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	return func(ctx context.Context, aliases []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
		found, err := owners(o.cfg.Vault)(ctx, tenant, aliases)
		out := make(map[uuid.UUID]uuid.UUID, len(found))
		for alias, owner := range found {
			if owner.Kind == schemas.OwnerPerson {
				out[alias] = owner.ID
			}
		}
		return out, err
	}
}

// isName reports whether a text may be what a device is called, and is no id.
func isName(s string) bool {
	_, err := uuid.Parse(s)
	return err != nil && schemas.Stream(s).Kind() == ""
}

var errNoDevice = &report.Problem{Field: filterDevice, Filter: true, Code: define.NoDevice}

// device returns the tenant's device that is called so: its stream or that stream's uuid, as a
// report printed it, or its id at the source. One that the tenant does not have is no such device.
func (o *Office) device(ctx context.Context, l Ledger, tenant uuid.UUID, given string) (schemas.Stream, error) {
	s := schemas.Stream(given)
	if s.Kind() != "device" {
		found, err := o.deviceOfSource(ctx, tenant, given)
		if found != "" || err != nil {
			return found, err
		}
		id, err := uuid.Parse(given)
		if err != nil {
			return "", errNoDevice
		}
		s = schemas.NewStream("device", id)
	}
	for r, err := range l.ReadStream(ctx, s, 0) {
		if err != nil {
			return "", err
		}
		if m, err := schemas.ParseMetadata(r.Metadata); err == nil && m.Tenant == tenant {
			return s, nil
		}
	}
	return "", errNoDevice
}

// deviceOfSource returns the device of that id at the source, "" for none.
func (o *Office) deviceOfSource(ctx context.Context, tenant uuid.UUID, id string) (found schemas.Stream, err error) {
	err = o.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		for _, h := range []vault.DeviceHint{{IntuneID: id}, {DirectoryID: id}} {
			dev, ok, err := tx.FindDevice(h)
			if errors.Is(err, vault.ErrErasedSubject) {
				continue
			}
			if err != nil {
				return err
			}
			if ok {
				found = dev.Stream
				return nil
			}
		}
		return nil
	})
	return found, err
}

// named turns what a person is called into their aliases of the classes; aliases of the tenant, as
// a report or the stream shows them, are taken as they are.
func (o *Office) named(
	ctx context.Context, tenant uuid.UUID, given string, classes []string,
) (aliases []string, err error) {
	err = o.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) (err error) {
		if aliases, err = aliasesOf(tx, given, classes); err == nil && len(aliases) == 0 {
			aliases, err = knownAliases(tx, given)
		}
		return err
	})
	return aliases, err
}

// aliasesOf returns the aliases of the classes of those who are known by that name.
func aliasesOf(tx *vault.Tx, name string, classes []string) (aliases []string, err error) {
	persons, err := tx.FindPersons(name)
	if err != nil {
		return nil, err
	}
	for _, p := range persons {
		found, err := tx.Aliases(p.ID, classes...)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			if !slices.Contains(aliases, a.ID.String()) {
				aliases = append(aliases, a.ID.String())
			}
		}
	}
	return aliases, nil
}

// knownAliases returns what is given, where that is aliases of the tenant and nothing else.
func knownAliases(tx *vault.Tx, given string) (aliases []string, err error) {
	for part := range strings.SplitSeq(given, ",") {
		id, err := uuid.Parse(strings.TrimSpace(part))
		if err != nil {
			return nil, nil
		}
		switch _, err := tx.AliasOwner(id); {
		case errors.Is(err, vault.ErrNotFound):
			return nil, nil
		case err != nil && !errors.Is(err, vault.ErrErased) && !errors.Is(err, vault.ErrExpired):
			return nil, fmt.Errorf("find a person: %w", err)
		}
		aliases = append(aliases, id.String())
	}
	return aliases, nil
}
