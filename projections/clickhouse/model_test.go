package clickhouse_test

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

// model answers the Reader's questions from the drafts that events were made from, by the
// words of the design alone.
type model []chtest.Event

func occurred(e chtest.Event) time.Time {
	t := e.Draft.Occurred
	switch {
	case t.IsZero():
		return e.Draft.Recorded
	case t.Before(projections.MinTime):
		return projections.MinTime
	case t.After(projections.MaxTime):
		return projections.MaxTime
	}
	return t
}

func fact(e chtest.Event) projections.Fact {
	return projections.Fact{Seq: e.Seq, EventID: e.ID, Stream: e.Stream, Type: e.Type, Occurred: occurred(e)}
}

// seen returns the tenant's events as of.
func (m model) seen(tenant uuid.UUID, a projections.AsOf) (out []chtest.Event) {
	for _, e := range m {
		if e.Draft.Tenant == tenant && e.Seq <= a.Seq && (a.Time.IsZero() || !occurred(e).After(a.Time)) {
			out = append(out, e)
		}
	}
	return out
}

func within(e chtest.Event, in projections.Period) bool {
	t := occurred(e)
	return (in.From.IsZero() || !t.Before(in.From)) && (in.To.IsZero() || t.Before(in.To))
}

func heldOf(e chtest.Event, v schemas.Value) *projections.Held {
	h := &projections.Held{Element: v.Element(), Text: projections.Text(v.Text()), Seq: e.Seq, Occurred: occurred(e),
		Observed: v.Observed}
	if h.Observed.IsZero() {
		h.Observed = h.Occurred
	}
	return h
}

type place struct {
	stream             schemas.Stream
	attribute, element string
}

// fold returns what is set as of.
func (m model) fold(tenant uuid.UUID, a projections.AsOf) map[place]projections.Held {
	out := map[place]projections.Held{}
	for _, e := range m.seen(tenant, a) {
		for _, v := range e.Draft.Values {
			at := place{e.Stream, v.Attr.ID, v.Element()}
			delete(out, at)
			if !v.Removed {
				out[at] = *heldOf(e, v)
			}
		}
	}
	return out
}

func (m model) devices(tenant uuid.UUID, a projections.AsOf, keep func(place) bool) []projections.Device {
	return m.entities(tenant, "device", a, keep)
}

func (m model) entities(
	tenant uuid.UUID, kind string, a projections.AsOf, keep func(place) bool,
) (out []projections.Device) {
	state := m.fold(tenant, a)
	by := map[schemas.Stream]projections.Device{}
	for at, h := range state {
		if at.stream.Kind() != kind || !keep(at) {
			continue
		}
		d, ok := by[at.stream]
		if !ok {
			d = projections.Device{Stream: at.stream, Values: map[string][]projections.Held{}}
			by[at.stream] = d
		}
		d.Values[at.attribute] = append(d.Values[at.attribute], h)
	}
	for _, d := range by {
		for _, v := range d.Values {
			slices.SortFunc(v, func(a, b projections.Held) int { return strings.Compare(a.Element, b.Element) })
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b projections.Device) int {
		return strings.Compare(string(a.Stream), string(b.Stream))
	})
	return out
}

// deviceAt returns the device as of its own moment, or as its first event has it that says any of
// the attributes.
func (m model) deviceAt(tenant uuid.UUID, d projections.DeviceAt, attributes []string) projections.Device {
	wanted := func(p place) bool { return p.stream == d.Stream && slices.Contains(attributes, p.attribute) }
	says := func(e chtest.Event, removals bool) bool {
		return e.Stream == d.Stream && slices.ContainsFunc(e.Draft.Values, func(v schemas.Value) bool {
			return slices.Contains(attributes, v.Attr.ID) && (removals || !v.Removed)
		})
	}
	asOf := d.AsOf
	if !slices.ContainsFunc(m.seen(tenant, asOf), func(e chtest.Event) bool { return says(e, true) }) {
		asOf.Time = time.Time{}
		for _, e := range m.seen(tenant, asOf) {
			if says(e, false) {
				m = model{e}
				break
			}
		}
	}
	if found := m.devices(tenant, asOf, wanted); len(found) > 0 {
		return found[0]
	}
	return projections.Device{Stream: d.Stream, Values: map[string][]projections.Held{}}
}

// applicationNames returns what the ids were last called.
func (m model) applicationNames(tenant uuid.UUID, ids []string, in projections.Period,
	a projections.AsOf) map[string]projections.ApplicationName {
	out := map[string]projections.ApplicationName{}
	for _, e := range m.seen(tenant, a) {
		id, name := string(text(e, "action.application-id")), text(e, "action.application-name")
		recorded := strings.HasPrefix(e.Type, "adminaction.recorded.")
		if recorded && within(e, in) && slices.Contains(ids, id) && name != "" {
			out[id] = projections.ApplicationName{Event: e.ID, Name: name}
		}
	}
	return out
}

func (m model) tenant(tenant uuid.UUID, a projections.AsOf) map[string]projections.Held {
	out := map[string]projections.Held{}
	for at, h := range m.fold(tenant, a) {
		if at.stream.Kind() == "tenant" {
			out[at.attribute] = h
		}
	}
	return out
}

func (m model) history(tenant uuid.UUID, stream schemas.Stream, in projections.Period, attributes []string,
	a projections.AsOf) (out []projections.Change) {
	state := map[place]*projections.Held{}
	for _, e := range m.seen(tenant, a) {
		if e.Stream != stream {
			continue
		}
		var changes []projections.Change
		for _, v := range e.Draft.Values {
			at := place{e.Stream, v.Attr.ID, v.Element()}
			if len(attributes) > 0 && !slices.Contains(attributes, v.Attr.ID) {
				continue
			}
			c := projections.Change{Fact: fact(e), Recorded: e.Draft.Recorded, Source: e.Draft.Source,
				Causation: e.Draft.Causation, Subjects: subjectsOf(e),
				Attribute: v.Attr.ID, Element: v.Element(), Old: state[at]}
			if !v.Removed {
				c.New = heldOf(e, v)
			}
			state[at] = c.New
			changes = append(changes, c)
		}
		slices.SortFunc(changes, func(a, b projections.Change) int {
			return cmp.Or(strings.Compare(a.Attribute, b.Attribute), strings.Compare(a.Element, b.Element))
		})
		if within(e, in) {
			out = append(out, changes...)
		}
	}
	return out
}

// subjectsOf returns the subjects in the order of the type's roles, as they are encoded.
func subjectsOf(e chtest.Event) (out []projections.Subject) {
	if e.Draft.Type == nil {
		return []projections.Subject{{Alias: e.Draft.Subjects[0].Alias, Role: e.Draft.Subjects[0].Role}}
	}
	for i, r := range e.Draft.Type.Roles {
		if i > 0 && e.Draft.Type.Roles[i-1].Role == r.Role {
			continue // a role of several classes: those without one keep their order
		}
		for _, s := range e.Draft.Subjects {
			if s.Role == r.Role {
				out = append(out, projections.Subject{Alias: s.Alias, Role: s.Role})
			}
		}
	}
	return out
}

func aliases(e chtest.Event, role string) []uuid.UUID {
	out := []uuid.UUID{}
	for _, s := range subjectsOf(e) {
		if s.Role == role {
			out = append(out, s.Alias)
		}
	}
	return out
}

func firstAlias(e chtest.Event, role string) uuid.UUID {
	if a := aliases(e, role); len(a) > 0 {
		return a[0]
	}
	return uuid.Nil
}

func text(e chtest.Event, attribute string) projections.Text { return textAt(e, attribute, "") }

func textAt(e chtest.Event, attribute, element string) projections.Text {
	for _, v := range e.Draft.Values {
		if v.Attr.ID == attribute && v.Element() == element {
			return projections.Text(v.Text())
		}
	}
	return ""
}

func number(e chtest.Event, attribute string) (n uint64) {
	for _, c := range text(e, attribute) {
		if c < '0' || c > '9' {
			return 0 // sealed: it missed its shape
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// ofType returns the tenant's events of a type prefix in a period, by time, then sequence.
func (m model) ofType(tenant uuid.UUID, prefix string, in projections.Period,
	a projections.AsOf) (out []chtest.Event) {
	for _, e := range m.seen(tenant, a) {
		if strings.HasPrefix(e.Type, prefix) && within(e, in) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b chtest.Event) int { return occurred(a).Compare(occurred(b)) })
	return out
}

func (m model) actions(tenant uuid.UUID, in projections.Period, f projections.ActionFilter,
	as projections.AsOf) (out []projections.AdminAction) {
	asked := func(list []string, t projections.Text) bool {
		return len(list) == 0 || slices.Contains(list, string(t))
	}
	for _, e := range m.ofType(tenant, "adminaction.recorded.", in, as) {
		a := projections.AdminAction{Fact: fact(e), Timed: !e.Draft.Occurred.IsZero(), Recorded: e.Draft.Recorded,
			Source:      e.Draft.Source,
			Correlation: e.Draft.Correlation, Actor: firstAlias(e, "actor"), Withheld: number(e, "action.withheld"),
			Cut: number(e, "action.cut"), DisplayName: text(e, "action.display-name"),
			Verb: text(e, "action.verb"), Operation: text(e, "action.operation"),
			ActivityType: text(e, "action.activity-type"),
			Component:    text(e, "action.component"), Category: text(e, "action.category"),
			Result:    text(e, "action.result"),
			ActorType: text(e, "action.actor-type"), Delegated: text(e, "action.delegated"),
			ApplicationID: text(e, "action.application-id"),
			ActorID:       text(e, "action.actor-id"), ActorUPN: text(e, "action.actor-upn"),
			ActorName: text(e, "action.actor-name"),
			ActorIP:   text(e, "action.actor-ip"), ActorPermissions: text(e, "action.actor-permissions"),
			PartnerTenant: text(e, "action.partner-tenant"), ApplicationName: text(e, "action.application-name"),
			Details: text(e, "action.details"), Reason: text(e, "action.reason"),
			TargetAliases: aliases(e, "target"), Targets: []projections.Target{}}
		devices := m.targets(&a, e)
		actors := []uuid.UUID{a.Actor}
		for _, more := range m.seen(tenant, as) {
			if more.Stream != e.Stream || !strings.HasPrefix(more.Type, "adminaction.") || more.ID == e.ID {
				continue
			}
			if strings.HasPrefix(more.Type, "adminaction.disputed.") {
				for i := 0; textAt(more, "action.disputed-attribute", strconv.Itoa(i)) != ""; i++ {
					a.Disputed = append(a.Disputed, string(textAt(more, "action.disputed-attribute", strconv.Itoa(i))))
				}
				continue
			}
			actors = append(actors, firstAlias(more, "actor"))
			for _, alias := range aliases(more, "target") {
				if !slices.Contains(a.TargetAliases, alias) {
					a.TargetAliases = append(a.TargetAliases, alias)
				}
			}
			devices = append(devices, m.targets(&a, more)...)
			for _, v := range more.Draft.Values {
				if v.Element() == "" && strings.HasPrefix(more.Type, "adminaction.supplemented.") {
					a.Supplied = append(a.Supplied, projections.Supplied{Event: more.ID, Attribute: v.Attr.ID,
						Value: projections.Text(v.Text())})
				}
			}
		}
		called := slices.ContainsFunc([]projections.Text{a.Operation, a.ActivityType, a.DisplayName},
			func(t projections.Text) bool {
				_, sealed := t.Token()
				return !sealed && slices.ContainsFunc(f.Operations, func(o string) bool {
					return strings.Contains(strings.ToLower(string(t)), strings.ToLower(o))
				})
			})
		creates := a.Verb == "assign" && slices.Contains(f.Verbs, "create") &&
			strings.HasPrefix(strings.ToLower(string(a.Operation)), "create ")
		if !asked(f.Verbs, a.Verb) && !creates || !asked(f.Categories, a.Category) || !asked(f.Results, a.Result) ||
			!asked(f.Applications, a.ApplicationID) || len(f.Operations) > 0 && !called ||
			len(f.Actors) > 0 && !slices.ContainsFunc(actors, func(x uuid.UUID) bool {
				return slices.Contains(f.Actors, x)
			}) ||
			len(f.Devices) > 0 && !slices.ContainsFunc(devices, func(d string) bool {
				return slices.Contains(f.Devices, d)
			}) {
			continue
		}
		out = append(out, a)
	}
	return out
}

// targets adds an event's targets to the action, and returns the devices among them.
func (m model) targets(a *projections.AdminAction, e chtest.Event) (devices []string) {
	for i := 0; ; i++ {
		n := strconv.Itoa(i)
		t := projections.Target{Event: e.ID, Type: textAt(e, "action.target-type", n),
			Resource: textAt(e, "action.target-resource", n),
			Device:   textAt(e, "action.target-device", n), ID: textAt(e, "action.target-id", n),
			Name: textAt(e, "action.target-name", n), Changes: textAt(e, "action.changes", n)}
		if t.Type == "" {
			return devices // the generator gives each a type
		}
		devices = append(devices, string(t.Device))
		if at := textAt(e, "action.target-index", n); at != "" {
			if k, _ := strconv.Atoi(string(at)); k < len(a.Targets) {
				a.Targets[k].Added = append(a.Targets[k].Added, t)
				continue
			}
		}
		a.Targets = append(a.Targets, t)
	}
}

func (m model) remoteActions(
	tenant uuid.UUID, f projections.RemoteFilter, a projections.AsOf,
) (out []projections.RemoteAction) {
	by, order := map[schemas.Stream]*projections.RemoteAction{}, []schemas.Stream{}
	requested := map[schemas.Stream]string{}
	for _, e := range m.seen(tenant, a) {
		if !strings.HasPrefix(e.Type, "remoteaction.") {
			continue
		}
		r := by[e.Stream]
		if r == nil {
			r = &projections.RemoteAction{Stream: e.Stream, Seq: e.Seq, EventID: e.ID, Recorded: e.Draft.Recorded}
			by[e.Stream], order = r, append(order, e.Stream)
		}
		last := func(to *projections.Text, attr string) {
			if t := text(e, attr); t != "" {
				*to = t
			}
		}
		if alias := firstAlias(e, "actor"); alias != uuid.Nil {
			r.Actor = alias
		}
		if alias := firstAlias(e, "target"); alias != uuid.Nil {
			r.Target = alias
		}
		form := text(e, "remoteaction.form")
		r.Audited = r.Audited || form == "auditEvents" || form == "AuditLogs"
		if text(e, "remoteaction.state") != "" {
			r.Completed, _ = time.Parse(time.RFC3339, string(text(e, "remoteaction.completed-at")))
		}
		if at := text(e, "remoteaction.requested-at"); at != "" {
			requested[e.Stream] = string(at)
			r.Requested, _ = time.Parse(time.RFC3339, string(at))
		}
		if id, err := schemas.ParseUUID(string(text(e, "remoteaction.group"))); err == nil {
			r.Request = id
		}
		for attr, to := range map[string]*projections.Text{"action": &r.Action, "state": &r.State, "device": &r.Device,
			"device-name": &r.DeviceName, "user-upn": &r.UserUPN, "failure": &r.Failure, "error-code": &r.ErrorCode,
			"actor-id": &r.ActorID, "actor-upn": &r.ActorUPN, "actor-name": &r.ActorName, "approver": &r.Approver} {
			last(to, "remoteaction."+attr)
		}
	}
	for _, s := range order {
		r := by[s]
		in := requested[s] != "" && within(chtest.Event{Draft: schemas.Draft{Occurred: r.Requested}}, f.In)
		if in && (len(f.Requests) == 0 || slices.Contains(f.Requests, r.Request)) && !(f.Unaudited && r.Audited) {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b projections.RemoteAction) int {
		return cmp.Or(a.Requested.Compare(b.Requested), strings.Compare(string(a.Stream), string(b.Stream)))
	})
	return out
}

func (m model) refusals(tenant uuid.UUID, in projections.Period, rules []string,
	a projections.AsOf) (out []projections.Refusal) {
	for _, e := range m.ofType(tenant, "refusal.", in, a) {
		r := projections.Refusal{Fact: fact(e), Source: e.Draft.Source, Rule: string(text(e, "refusal.rule")),
			Category: string(text(e, "refusal.category")), Count: number(e, "refusal.count")}
		if len(rules) == 0 || slices.Contains(rules, r.Rule) {
			out = append(out, r)
		}
	}
	return out
}

func (m model) alerts(tenant uuid.UUID, in projections.Period, f projections.AlertFilter,
	a projections.AsOf) (out []projections.Alert) {
	among := func(all []string, t projections.Text) bool { return len(all) == 0 || slices.Contains(all, string(t)) }
	for _, e := range m.ofType(tenant, "alert.", in, a) {
		of := func(attr string) projections.Text { return text(e, "alert."+attr) }
		one := projections.Alert{Fact: fact(e), Recorded: e.Draft.Recorded.Truncate(time.Millisecond),
			Source: e.Draft.Source, User: firstAlias(e, "user"), Category: of("category"), Result: of("result"),
			Kind: of("kind"), Policy: of("policy"), Setting: of("setting"), EnrolmentType: of("enrolment-type"),
			FailureCategory: of("failure-category"), Device: of("device"), FailureReason: of("failure-reason"),
			Title: of("title"), Description: of("description"), DeviceName: of("device-name"),
			OperatingSystem: of("operating-system"), OSVersion: of("os-version"), UserID: of("user-id"),
			UserUPN: of("user-upn"), UserName: of("user-name")}
		if among(f.Categories, one.Category) && among(f.Results, one.Result) && among(f.Devices, one.Device) &&
			(len(f.Users) == 0 || slices.Contains(f.Users, one.User)) {
			out = append(out, one)
		}
	}
	return out
}

// disagreements of two sources in states and of disputed actions, by kind, attribute, who told
// otherwise than whom.
func (m model) disagreements(tenant uuid.UUID, in projections.Period, but []string,
	a projections.AsOf) []projections.Disagreement {
	type told struct {
		by string
		at time.Time
	}
	all, of := map[[4]string]*projections.Disagreement{}, map[[4]string]map[schemas.Stream]bool{}
	last, recorded := map[[3]string]told{}, map[schemas.Stream]string{}
	note := func(e chtest.Event, attr, by, against string) {
		key := [4]string{e.Stream.Kind(), attr, by, against}
		if all[key] == nil {
			all[key] = &projections.Disagreement{Kind: key[0], Attribute: attr, Told: by, Against: against,
				First: occurred(e), Last: occurred(e)}
			of[key] = map[schemas.Stream]bool{}
		}
		d := all[key]
		of[key][e.Stream] = true
		d.Times, d.Records, d.LastSeq = d.Times+1, uint64(len(of[key])), max(d.LastSeq, e.Seq)
		if occurred(e).Before(d.First) {
			d.First = occurred(e)
		}
		if occurred(e).After(d.Last) {
			d.Last = occurred(e)
		}
	}
	for _, e := range m {
		if e.Draft.Tenant != tenant || e.Seq > a.Seq || e.Draft.Type == nil {
			continue
		}
		seen := within(e, in) && (a.Time.IsZero() || !occurred(e).After(a.Time))
		switch kind := e.Stream.Kind(); {
		case kind == "adminaction":
			if strings.HasPrefix(e.Type, "adminaction.recorded.") {
				recorded[e.Stream] = e.Draft.Source
			}
			for _, v := range e.Draft.Values {
				if v.Attr.ID == "action.disputed-attribute" && seen {
					note(e, v.Text(), string(text(e, "action.form")), recorded[e.Stream])
				}
			}
		case slices.Contains(projections.StateKinds(), kind) && !strings.Contains(e.Type, ".restated."):
			by := e.Draft.Source
			if form := text(e, "remoteaction.form"); form != "" {
				by = string(form)
			}
			for _, v := range e.Draft.Values {
				if slices.Contains(but, v.Attr.ID) {
					continue
				}
				key := [3]string{string(e.Stream), v.Attr.ID, strings.Join(v.Path, "")}
				had, ok := last[key]
				soon := occurred(e).Sub(had.at).Abs() < projections.SoonAfter
				if ok && seen && soon && had.by != by {
					note(e, v.Attr.ID, by, had.by)
				}
				last[key] = told{by, occurred(e)}
			}
		}
	}
	out := []projections.Disagreement{}
	for _, d := range all {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b projections.Disagreement) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Attribute, b.Attribute),
			strings.Compare(a.Told, b.Told), strings.Compare(a.Against, b.Against))
	})
	return out
}

func (m model) lastActs(tenant uuid.UUID, a projections.AsOf) map[uuid.UUID]time.Time {
	out := map[uuid.UUID]time.Time{}
	for _, e := range m.seen(tenant, a) {
		by := firstAlias(e, "actor")
		if strings.HasPrefix(e.Type, "adminaction.recorded.") && by != uuid.Nil && occurred(e).After(out[by]) {
			out[by] = occurred(e)
		}
	}
	return out
}

func (m model) access(tenant uuid.UUID, in projections.Period, f projections.AccessFilter,
	a projections.AsOf) (out []projections.AccessRun) {
	runs, of := map[schemas.Stream]*projections.AccessRun{}, map[schemas.Stream][]uuid.UUID{}
	var first []chtest.Event
	for _, e := range m.seen(tenant, a) {
		if !strings.HasPrefix(e.Type, "access.") {
			continue
		}
		if runs[e.Stream] == nil {
			first = append(first, e)
			runs[e.Stream] = &projections.AccessRun{Fact: fact(e), Officer: firstAlias(e, "officer"),
				Report: text(e, "access.report"), PurposeCode: text(e, "access.purpose-code"),
				Purpose: text(e, "access.purpose"),
				Filters: text(e, "access.filters"), OfficerName: text(e, "access.officer"),
				Sequence: number(e, "access.sequence")}
		}
		runs[e.Stream].Persons += number(e, "access.persons")
		of[e.Stream] = append(of[e.Stream], aliases(e, "target")...)
	}
	for _, e := range first {
		run := *runs[e.Stream]
		concerns := func(id uuid.UUID) bool { return slices.Contains(f.Persons, id) }
		if within(e, in) && (len(f.Reports) == 0 || slices.Contains(f.Reports, string(run.Report))) &&
			(len(f.Officers) == 0 || slices.Contains(f.Officers, run.Officer)) &&
			(len(f.Persons) == 0 || slices.ContainsFunc(of[e.Stream], concerns)) {
			out = append(out, run)
		}
	}
	slices.SortStableFunc(out, func(a, b projections.AccessRun) int { return a.Occurred.Compare(b.Occurred) })
	return out
}

func (m model) requests(tenant uuid.UUID, a projections.AsOf) (out []projections.RequestAct) {
	for _, e := range m.seen(tenant, a) {
		if !strings.HasPrefix(e.Type, "request.") && !strings.HasPrefix(e.Type, "subject.") {
			continue
		}
		r := projections.RequestAct{Fact: fact(e), Requester: firstAlias(e, "requester"),
			Officer: firstAlias(e, "officer"),
			Right:   text(e, "request.right"), Subject: text(e, "request.subject"),
			Received: text(e, "request.received"),
			Due:      text(e, "request.due"), IdentityMethod: text(e, "request.identity-method"),
			Package:  text(e, "request.package"),
			Sequence: number(e, "request.sequence"), Files: number(e, "request.files"),
			Ground:     text(e, "request.ground") + text(e, "subject.ground"),
			Completion: text(e, "request.completion"), Keys: []string{}, Order: text(e, "subject.order"),
			KeysDestroyed: number(e, "subject.keys")}
		for _, v := range e.Draft.Values {
			if v.Attr.ID == "request.key" {
				r.Keys = append(r.Keys, v.Text())
			}
		}
		out = append(out, r)
	}
	return out
}

func (m model) byAliases(tenant uuid.UUID, of []uuid.UUID, a projections.AsOf) (out []uint64) {
	for _, e := range m.seen(tenant, a) {
		if slices.ContainsFunc(subjectsOf(e), func(s projections.Subject) bool {
			return slices.Contains(of, s.Alias)
		}) {
			out = append(out, e.Seq)
		}
	}
	return out
}
