package estate

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/acts"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// AdminRights tells who may do what: one row a member of a role's assignment, by the name of the
// person's account where the ledger knows one, else by the id that the source gives, which is
// mostly a group's. Who gave it is the admin action that made the assignment.
var AdminRights = define.Definition{
	ID:    "admin-rights",
	Scope: define.AtMoment, Personal: true,
	Columns: []define.Column{
		{ID: "admin", Type: document.Mixed},
		{ID: "role", Type: document.Text},
		{ID: "assignment", Type: document.Text},
		{ID: "scope", Type: document.Mixed, List: true},
		{ID: "grantedBy", Type: document.Text},
		{ID: "granted", Type: document.Instant},
		{ID: "firstSeen", Type: document.Instant},
		{ID: "lastAction", Type: document.Instant},
		{ID: "daysDormant", Type: document.Number},
		{ID: "assignmentId", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []define.Filter{
		{ID: "role", In: []string{"role"}, Whole: true},
		{ID: "person", Check: define.IsUUID, Shown: define.Somebody},
	},
	Rows: rightRows,
}

const (
	attrRoleID   = "role.id"
	attrRoleKind = "role.kind"
	attrRoleName = "role.name"
	attrGives    = "role.definition"
	attrMember   = "role.member"
	attrTag      = "role.scope-tag"
)

var roleAttributes = []string{attrRoleID, attrRoleKind, attrRoleName, attrGives, "role.definition-name",
	"role.scope-type", attrMember, "role.scope-member", "role.resource-scope", attrTag}

// rights are what the tenant gives, and what is told of those who have it.
type rights struct {
	assignments []projections.Entity
	ids         map[string]content.Cell // names of definitions and tags, by their ids
	id          []string                // of each assignment
	gives       []string                // the id of the role that each gives
	granted     map[string]acts.Action  // by the id of what was made
	persons     map[uuid.UUID]uuid.UUID // by alias
	called      map[uuid.UUID]content.Cell
	acted       map[uuid.UUID]time.Time // by person
}

// mostAssignments bounds what is held: a tenant has few.
const mostAssignments = 20_000

func rightRows(ctx context.Context, q *define.Question) iter.Seq2[define.Row, error] {
	return func(yield func(define.Row, error) bool) {
		var r rights
		for _, read := range []func(context.Context, *define.Question) error{r.read, r.grants, r.members} {
			if err := read(ctx, q); err != nil {
				yield(define.Row{}, err)
				return
			}
		}
		for i := range r.assignments {
			members := r.assignments[i].Values[attrMember]
			if len(members) == 0 {
				members = []projections.Held{{}}
			}
			for _, m := range members {
				alias := aliasOf(m.Text).String()
				if !define.Among(q.Filter["person"], alias) {
					continue
				}
				if !yield(r.row(q, i, m), nil) {
					return
				}
			}
		}
	}
}

// read reads assignments, and what definitions and tags are called.
func (r *rights) read(ctx context.Context, q *define.Question) error {
	var others []projections.Entity
	for e, err := range q.Reader.Entities(ctx, q.Tenant, "role", q.AsOf, roleAttributes...) {
		if err != nil {
			return err
		}
		if kind, _ := e.Get(attrRoleKind); kind.Text == "roleAssignment" {
			r.assignments = append(r.assignments, e)
		} else {
			others = append(others, e)
		}
		if len(r.assignments)+len(others) > mostAssignments {
			return tooMany("roles", mostAssignments)
		}
	}
	of := func(all []projections.Entity, attr string) ([]string, error) {
		texts := make([]projections.Text, len(all))
		for i, e := range all {
			h, _ := e.Get(attr)
			texts[i] = h.Text
		}
		return look(ctx, q, attr, texts)
	}
	ids, err := of(others, attrRoleID)
	if err == nil {
		r.id, err = of(r.assignments, attrRoleID)
	}
	if err == nil {
		r.gives, err = of(r.assignments, attrGives)
	}
	r.ids = map[string]content.Cell{}
	for i, id := range ids {
		if id != "" {
			r.ids[id] = define.ValuesOf(others[i])(attrRoleName)
		}
	}
	return err
}

// grants finds the admin actions that made the assignments.
func (r *rights) grants(ctx context.Context, q *define.Question) error {
	r.granted = map[string]acts.Action{}
	if len(r.assignments) == 0 {
		return nil
	}
	ours := map[string]bool{}
	for _, id := range r.id {
		ours[id] = id != ""
	}
	made := projections.ActionFilter{Verbs: []string{"create", "assign"}, Operations: []string{"RoleAssignment"}}
	for a, err := range q.Reader.AdminActions(ctx, q.Tenant, projections.Period{}, made, q.AsOf) {
		if err != nil {
			return err
		}
		one := acts.Of(a)
		for _, t := range one.On {
			for _, tell := range t.Tells {
				if id := string(tell.Resource); ours[id] {
					r.granted[id] = one
				}
			}
		}
	}
	return nil
}

// members finds whose accounts the members are, and when each last acted.
func (r *rights) members(ctx context.Context, q *define.Question) error {
	var aliases []uuid.UUID
	for _, e := range r.assignments {
		for _, m := range e.Values[attrMember] {
			if alias := aliasOf(m.Text); alias != uuid.Nil {
				aliases = append(aliases, alias)
			}
		}
	}
	var err error
	if r.persons, err = personsOf(ctx, q, aliases); err != nil || len(r.persons) == 0 {
		return err
	}
	sought := map[uuid.UUID]bool{}
	for _, p := range r.persons {
		sought[p] = true
	}
	r.called, r.acted = map[uuid.UUID]content.Cell{}, map[uuid.UUID]time.Time{}
	if err := r.names(ctx, q, sought); err != nil {
		return err
	}
	last, err := q.Reader.LastActs(ctx, q.Tenant, q.AsOf)
	if err != nil {
		return err
	}
	actors := make([]uuid.UUID, 0, len(last))
	for alias := range last {
		actors = append(actors, alias)
	}
	who, err := personsOf(ctx, q, actors)
	for alias, person := range who {
		if at := last[alias]; sought[person] && at.After(r.acted[person]) {
			r.acted[person] = at
		}
	}
	return err
}

// names finds what the accounts of those persons are called.
func (r *rights) names(ctx context.Context, q *define.Question, sought map[uuid.UUID]bool) error {
	var page []projections.Account
	var aliases []uuid.UUID
	flush := func() error {
		who, err := personsOf(ctx, q, aliases)
		for i, a := range page {
			if person := who[aliases[i]]; sought[person] {
				get := define.ValuesOf(a)
				r.called[person] = content.First(get("account.upn"), get("account.display-name"))
			}
		}
		page, aliases = page[:0], aliases[:0]
		return err
	}
	for a, err := range q.Reader.Accounts(ctx, q.Tenant, q.AsOf, "account.upn", "account.display-name") {
		if err != nil {
			return err
		}
		upn, ok := a.Get("account.upn")
		if !ok {
			upn, _ = a.Get("account.display-name")
		}
		page, aliases = append(page, a), append(aliases, aliasOf(upn.Text))
		if len(page) == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (r *rights) row(q *define.Question, i int, m projections.Held) define.Row {
	e, id := r.assignments[i], r.id[i]
	get := define.ValuesOf(e)
	person, known := r.persons[aliasOf(m.Text)]
	var admin, last, dormant content.Cell
	if known {
		admin = slices.Clone(r.called[person])
		if at, acted := r.acted[person]; acted {
			last, dormant = content.Instant(at), content.Whole(define.DaysPassed(at, q.Moment()))
		}
	}
	if len(admin) == 0 {
		admin = content.Of(attrMember, m.Text, uuid.Nil)
	}
	var by, granted content.Cell
	if a, ok := r.granted[id]; ok && id != "" {
		by, granted = slices.Clone(a.By()), content.Instant(a.Occurred)
	}
	scope := get("role.scope-type")
	for _, attr := range []string{"role.scope-member", "role.resource-scope"} {
		for _, h := range e.Values[attr] {
			scope = append(scope, content.Of(attr, h.Text, uuid.Nil)...)
		}
	}
	for _, h := range e.Values[attrTag] {
		scope = append(scope, content.Of(attrTag, h.Text, uuid.Nil)...)
	}
	since, seq := m.Observed, max(define.Newest(e), m.Seq)
	if since.IsZero() {
		h, _ := e.Get(attrRoleKind)
		since = h.Observed
	}
	return define.Row{
		Key: string(e.Stream) + "/" + m.Element, Seq: seq,
		Cells: []content.Cell{admin, content.First(slices.Clone(r.ids[r.gives[i]]), get("role.definition-name")),
			get(attrRoleName), scope, by, granted, content.Instant(since), last, dormant, get(attrRoleID),
			content.Sequence(seq)},
	}
}
