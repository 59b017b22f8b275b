package office

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/tenant"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Asked is a report as people ask for it, in texts: the flags of a command, the fields of a form.
// What is empty was not asked.
type Asked struct {
	Lang, Zone     string // of the answer; the tenant's where empty
	From, To, AsOf string // dates or times; a date alone as the moment means the end of that day
	Seq            *int64
	Filters        map[string]string
	Purpose        string // one of report.Purposes, and words of one's own behind a colon
	Masked         bool
	Sample         *int // rows to draw, at least one; nil: all
	Seed           *uint64
	Wait           time.Duration // for the views at most
	NoWait         bool          // report on what they hold
}

// Check refuses what is wrong whatever the tenant. Its error is a *report.Problem or a *Problem.
func (a Asked) Check(d report.Definition) error {
	switch {
	case d.Personal && a.Masked && a.Purpose != "":
		return &report.Problem{Field: define.FieldPurpose, Code: define.Masked}
	case a.Sample != nil && *a.Sample < 1:
		return &report.Problem{Field: define.FieldSample, Code: define.Negative, Given: fmt.Sprint(*a.Sample)}
	case a.Sample != nil && a.Seed == nil:
		return &report.Problem{Field: define.FieldSample, Code: define.Alone, Other: define.FieldSeed}
	case a.Wait <= 0:
		return &Problem{Field: FieldWait, Code: ErrUnfit, Given: a.Wait.String()}
	case a.Seq != nil && *a.Seq < 0:
		return &report.Problem{Field: define.FieldAsOfSeq, Code: define.Negative, Given: fmt.Sprint(*a.Seq)}
	}
	if d.Personal && !a.Masked {
		if err := report.CheckPurpose(a.purpose()); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.Filters)) {
		if strings.TrimSpace(a.Filters[id]) == "" {
			return &report.Problem{Field: id, Filter: true, Code: define.Empty}
		}
	}
	for _, f := range d.Filters {
		if _, given := a.Filters[f.ID]; f.Required && !given {
			return &report.Problem{Field: f.ID, Filter: true, Code: define.Missing, Filters: &f}
		}
	}
	return nil
}

func (a Asked) purpose() (code, words string) {
	code, words, _ = strings.Cut(a.Purpose, ":")
	return strings.TrimSpace(code), strings.TrimSpace(words)
}

// Patience is how long the report waits for the views. waiting is called meanwhile.
func (a Asked) Patience(waiting func()) Patience {
	if a.NoWait {
		return Patience{}
	}
	return Patience{a.Wait, waiting}
}

// Request is what the report is asked for the tenant. Its error is a *report.Problem or a
// *Problem.
func (a Asked) Request(d report.Definition, t vault.Tenant) (report.Request, error) {
	req := report.Request{Report: d.ID, Tenant: t.ID, TenantName: t.Name, Lang: cmp.Or(a.Lang, t.Language),
		Filters: a.Filters, Reveal: d.Personal && !a.Masked}
	req.Purpose, req.PurposeWords = a.purpose()
	if a.Sample != nil {
		req.Sample = *a.Sample
	}
	if a.Seed != nil {
		req.Seed = *a.Seed
	}
	if a.Seq != nil {
		seq := uint64(*a.Seq)
		req.AsOfSeq = &seq
	}
	var err error
	if req.Location, err = time.LoadLocation(cmp.Or(a.Zone, t.TimeZone)); err != nil {
		return req, &Problem{Field: FieldZone, Code: ErrUnknown, Given: a.Zone}
	}
	for _, at := range []struct {
		field, given string
		to           *time.Time
	}{{define.FieldFrom, a.From, &req.From}, {define.FieldTo, a.To, &req.To}, {define.FieldAsOf, a.AsOf, &req.AsOf}} {
		if at.given == "" {
			continue
		}
		if *at.to, err = report.ParseTime(at.field, at.given, req.Location); err != nil {
			return req, err
		}
	}
	if _, err := time.Parse(time.DateOnly, a.AsOf); err == nil { // its last moment
		req.AsOf = req.AsOf.AddDate(0, 0, 1).Add(-time.Millisecond)
	}
	return req, nil
}

// AskedRequest is a request of a data subject as people open one.
type AskedRequest struct {
	Right, Subject, Method string
	Received               string // a day; today where empty
	Person                 int    // which of several, 0 for none chosen
}

// Check refuses what is wrong whatever the tenant. Its error is a *Problem.
func (a AskedRequest) Check() error {
	if _, err := time.Parse(time.DateOnly, a.Received); a.Received != "" && err != nil {
		return &Problem{Field: FieldReceived, Code: ErrUnfit, Given: a.Received}
	}
	if a.Person < 0 {
		return &Problem{Field: FieldPerson, Code: ErrUnfit, Given: fmt.Sprint(a.Person)}
	}
	return nil
}

// Request is what is opened for the tenant, whose calendar says which day it came in. Its error is
// a *Problem.
func (a AskedRequest) Request(now time.Time, t vault.Tenant) (custody.NewRequest, error) {
	r := custody.NewRequest{Right: a.Right, Identifier: a.Subject, Person: a.Person, Method: a.Method}
	loc, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return r, err
	}
	if r.Received = now.In(loc); a.Received == "" {
		return r, nil
	}
	r.Received, err = time.ParseInLocation(time.DateOnly, a.Received, loc)
	if err != nil || r.Received.After(now) {
		return r, &Problem{Field: FieldReceived, Code: ErrUnknown, Given: a.Received,
			Known: []string{now.In(loc).Format(time.DateOnly), loc.String()}}
	}
	return r, nil
}

// ParseRequest reads the number of a request. Its error is a *Problem.
func ParseRequest(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, &Problem{Field: FieldRequest, Code: ErrUnfit, Given: s}
	}
	return id, nil
}

// ParseMerge reads the number of a merge. Its error is a *Problem.
func ParseMerge(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, &Problem{Field: FieldMerge, Code: ErrUnfit, Given: s}
	}
	return id, nil
}

// ParseEvents reads ids of events. Its error is a *Problem.
func ParseEvents(given []string) (ids []uuid.UUID, err error) {
	for _, s := range given {
		id, err := schemas.ParseUUID(s)
		if err != nil {
			return nil, &Problem{Field: FieldEvent, Code: ErrUnfit, Given: s}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// CheckPaths refuses an import of nothing, and of what is not there. Its error is a *Problem.
func CheckPaths(paths []string) error {
	if len(paths) == 0 {
		return &Problem{Field: FieldPath, Code: ErrMissing}
	}
	for _, p := range paths {
		_, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return &Problem{Field: FieldPath, Code: ErrUnknown, Given: p}
		} else if err != nil {
			return &Problem{Field: FieldPath, Code: ErrUnfit, Given: err.Error()}
		}
	}
	return nil
}

// AskedImport is an import as people ask for it.
type AskedImport struct {
	Paths        []string
	Observed     string // when snapshots were taken that do not tell it
	DryRun       bool
	TakeNameless bool
	Pace         Pace
}

// Source is what is imported. Its error is a *Problem.
func (a AskedImport) Source(now time.Time) (intake.Source, error) {
	s := intake.Source{Paths: a.Paths, DryRun: a.DryRun, TakeNameless: a.TakeNameless}
	if a.Pace.Workers < 0 || a.Pace.Batch < 0 {
		return s, &Problem{Field: FieldPace, Code: ErrUnfit}
	}
	if a.Observed == "" {
		return s, nil
	}
	at, err := time.Parse(time.RFC3339, a.Observed)
	switch {
	case err != nil:
		return s, &Problem{Field: FieldObserved, Code: ErrUnfit, Given: a.Observed}
	case schemas.KnownTime(at).IsZero():
		return s, &Problem{Field: FieldObserved, Code: ErrUnknown, Given: a.Observed}
	case at.After(now):
		return s, &Problem{Field: FieldObserved, Code: ErrFuture, Given: a.Observed}
	}
	s.Observed = at
	return s, nil
}

// AskedTenant is a tenant as people declare one.
type AskedTenant struct {
	Name, Zone, Language string // without a zone, that of the language
	Sources              AskedSources
}

// Tenant is what is declared. Its error is a *Problem, or what vault.NewTenant.Validate finds.
func (a AskedTenant) Tenant() (vault.NewTenant, error) {
	n := vault.NewTenant{Name: a.Name, TimeZone: a.Zone, Language: a.Language}
	var err error
	if n.AnySource, n.Sources, err = a.Sources.Check(); err != nil {
		return n, err
	}
	if strings.TrimSpace(n.Name) == "" {
		return n, &Problem{Field: FieldName, Code: ErrMissing}
	}
	if l, ok := words.Default().Language(n.Language); ok && n.TimeZone == "" {
		n.TimeZone = l.Location().String()
	}
	if _, err := time.LoadLocation(n.TimeZone); err != nil {
		return n, &Problem{Field: FieldZone, Code: ErrUnknown, Given: a.Zone}
	}
	return n, n.Validate()
}

// ZonesOfLanguages says which time zone a language has where nobody gives one.
func ZonesOfLanguages() string {
	base, out := words.Default().Base(), ""
	for _, l := range words.Default().Languages() {
		if l.Location().String() != base.Location().String() {
			out += l.Location().String() + " for " + l.Code() + ", "
		}
	}
	return out + "else " + base.Location().String()
}

// AnySource names every source tenant, among AskedSources.
const AnySource = "any"

// AskedSources are source tenants as people name them: ids, or AnySource.
type AskedSources []string

// Check refuses what cannot be a tenant's sources. Its error is a *Problem.
func (a AskedSources) Check() (all bool, ids []string, err error) {
	if len(a) == 0 {
		return false, nil, &Problem{Field: FieldSources, Code: ErrMissing}
	}
	all, ids = a.split()
	if tenant.CheckSources(all, ids) != nil {
		return all, ids, &Problem{Field: FieldSources, Code: ErrUnfit}
	}
	return all, ids, nil
}

func (a AskedSources) split() (all bool, ids []string) {
	for _, s := range a {
		if s == AnySource {
			all = true
		} else {
			ids = append(ids, s)
		}
	}
	return all, ids
}

// AllPurposes stands for every purpose that there is, among AskedPurposes.
const AllPurposes = "all"

// AskedPurposes are the purposes of a tenant as people name them: codes, or AllPurposes.
type AskedPurposes []string

// Check returns the codes, none for all that there are. Its error is a *custody.Problem.
func (a AskedPurposes) Check() (codes []string, err error) {
	if slices.Contains(a, AllPurposes) && len(a) == 1 {
		return nil, nil
	}
	for _, code := range a {
		if !slices.Contains(custody.Purposes(), code) {
			return nil, &custody.Problem{Field: custody.FieldPurpose, Code: custody.ErrUnknown, Given: code,
				Known: append(custody.Purposes(), AllPurposes)}
		}
	}
	return a, nil
}

// CheckChange refuses what cannot be changed of a tenant: nothing is named, or what cannot be. Its
// error is that of either's Check.
func CheckChange(s AskedSources, p AskedPurposes) (all bool, ids, codes []string, err error) {
	if len(s) > 0 || len(p) == 0 {
		if all, ids, err = s.Check(); err != nil {
			return all, ids, nil, err
		}
	}
	codes, err = p.Check()
	return all, ids, codes, err
}

// AllTenants names those of an account that acts for all tenants, those to come too.
const AllTenants = "all"

// AskedAccount is an account as people ask for it. Without tenants it is for the only one.
type AskedAccount struct{ Roles, Tenants []string }

// Account is the account of that name, for those of the principal's tenants that were named. Its
// error is a *Problem.
func (a AskedAccount) Account(
	ctx context.Context, o *Office, p access.Principal, name string,
) (accounts.Account, error) {
	n := accounts.Account{Name: name, All: slices.Contains(a.Tenants, AllTenants)}
	for _, r := range a.Roles {
		n.Roles = append(n.Roles, access.Role(r))
	}
	names := a.Tenants
	switch {
	case n.All && len(names) > 1:
		return n, &Problem{Field: FieldTenants, Code: ErrUnfit}
	case n.All:
		return n, nil
	case len(names) == 0:
		names = []string{""} // the only one
	}
	for _, t := range names {
		found, err := o.Tenant(ctx, p, t)
		if err != nil {
			return n, err
		}
		n.Tenants = append(n.Tenants, found.ID)
	}
	return n, nil
}

// NoItems stands for no items, among AskedPolicy.Items.
const NoItems = "none"

// DefaultPeriod takes a class's own period back, in AskedPolicy.Retention.
const DefaultPeriod = "default"

// What AskedPolicy says of optional data.
const (
	In  = "in"
	Out = "out"
)

// optional are In and Out as a policy says them.
var optional = map[string]string{In: policy.Kept, Out: policy.Refused}

// AskedPolicy is what people ask of a tenant's policy: what it names is changed, all else stays.
type AskedPolicy struct {
	Diagnostics string   // In, Out, or "" for as it is
	Items       []string // those that are refused from then on, and no others; or NoItems
	Retention   []string // CLASS=PERIOD, or CLASS=DefaultPeriod
	Ground      string   // of these periods
}

// Change returns what makes the policy asked for of the one that holds. Its error is a *Problem
// where nothing is asked for, or joins *policy.Errors.
func (a AskedPolicy) Change() (func(policy.Policy) policy.Policy, error) {
	if len(a.Items)+len(a.Retention)+len(a.Diagnostics) == 0 {
		return nil, &Problem{Field: FieldPolicy, Code: ErrMissing}
	}
	change := func(p policy.Policy) policy.Policy {
		if a.Diagnostics != "" {
			p.Diagnostics = optional[a.Diagnostics]
		}
		if len(a.Items) > 0 {
			p.Items = a.Items
			if slices.Equal(a.Items, []string{NoItems}) {
				p.Items = nil
			}
		}
		p.Retention = maps.Clone(p.Retention)
		for _, r := range a.Retention {
			class, keep, _ := strings.Cut(r, "=")
			if keep == DefaultPeriod {
				delete(p.Retention, class)
				continue
			}
			if p.Retention == nil {
				p.Retention = map[string]policy.Retention{}
			}
			p.Retention[class] = policy.Retention{Keep: keep, Ground: a.Ground}
		}
		return p
	}
	return change, change(policy.Default()).Validate(catalogue.Default())
}
