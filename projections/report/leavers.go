package report

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/acts"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// leavers: whose account was disabled or deleted and who is still the user of a device; and, of
// users whose account the ledger does not know, devices that were asked to leave.
var leavers = Definition{
	ID:    "leavers",
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{ID: "person", Type: document.Text},
		{ID: "account", Type: document.Text},
		{ID: "left", Type: document.Instant},
		{ID: "deletedAt", Type: document.Reported, Machine: true},
		{ID: "device", Type: document.Text},
		{ID: "serial", Type: document.Text},
		{ID: "ownership", Type: document.Text},
		{ID: "lastAsked", Type: document.Text},
		{ID: "asked", Type: document.Instant},
		{ID: "result", Type: document.Text},
		{ID: "state", Type: document.Text},
		{ID: "done", Type: document.Instant},
		{ID: "daysOpen", Type: document.Number},
		{ID: "lastContact", Type: document.Reported},
		{ID: "id", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: append([]Filter{{ID: "open", Flag: true}}, onDevices...),
	Rows:    leaverRows,
}

var (
	accountAttributes = []string{"account.upn", "account.display-name", "account.enabled", "account.deleted-at"}
	leaverAttributes  = []string{
		"device.name", "device.serial-number", "device.ownership", "device.user-upn", "device.user-name",
		"device.user-id", attributeManagement, "device.last-contact",
	}
	// leaving are the states of management in which a device was asked to leave, and has not.
	leaving = []string{"retirePending", "retireIssued", "retireFailed", "wipePending", "wipeIssued", "wipeFailed",
		"deletePending"}
)

// What became of a leaver's account.
const (
	accountDisabled = "disabled"
	accountDeleted  = "deleted"
)

// leaver is what the ledger knows of an account that is disabled or deleted.
type leaver struct {
	name, deletedAt Cell
	how             string
	left            time.Time // when the ledger's sources first showed it so
	seq             uint64
}

// leaverOf returns the leaver whose account it is; nil while it is in use.
func leaverOf(a projections.Account) *leaver {
	get := valuesOf(a)
	l := &leaver{name: first(get("account.upn"), get("account.display-name")), deletedAt: get("account.deleted-at"),
		seq: newest(a)}
	if h, ok := a.Get("account.enabled"); ok && h.Text == "false" {
		l.how, l.left = accountDisabled, h.Observed
	}
	if h, ok := a.Get("account.deleted-at"); ok {
		if l.how = accountDeleted; l.left.IsZero() || h.Observed.Before(l.left) {
			l.left = h.Observed
		}
	}
	if l.how == "" {
		return nil
	}
	return l
}

// someone is the alias of the person for whom an entity's values are sealed.
func someone(d projections.Device, attributes ...string) uuid.UUID {
	for _, a := range attributes {
		if h, ok := d.Get(a); ok {
			if t, sealed := h.Text.Token(); sealed {
				if header, _, err := t.Parse(); err == nil {
					return header.Alias
				}
			}
		}
	}
	return uuid.Nil
}

// entitiesAtOnce is how many accounts or devices are looked at together.
const entitiesAtOnce = 500

// withOwners yields entities and whose they are, uuid.Nil where nobody can tell: by the attributes
// that are sealed for that person.
func withOwners(ctx context.Context, q *question, entities iter.Seq2[projections.Device, error], attributes ...string,
) iter.Seq2[[]owned, error] {
	return func(yield func([]owned, error) bool) {
		var part []owned
		flush := func() bool {
			var aliases []uuid.UUID
			for _, e := range part {
				if e.owner != uuid.Nil {
					aliases = append(aliases, e.owner)
				}
			}
			owners, err := ownersOf(ctx, q, aliases)
			for i, e := range part {
				part[i].owner = owners[e.owner]
			}
			more := yield(part, err) && err == nil
			part = part[:0]
			return more
		}
		for e, err := range entities {
			if err != nil {
				yield(nil, err)
				return
			}
			part = append(part, owned{e, someone(e, attributes...)})
			if len(part) == entitiesAtOnce && !flush() {
				return
			}
		}
		if len(part) > 0 {
			flush()
		}
	}
}

// owned is an entity and the person whose it is.
type owned struct {
	projections.Device
	owner uuid.UUID
}

func leaverRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		// Of each person whose account is known: the leaver, or nil.
		gone := map[uuid.UUID]*leaver{}
		accounts := q.Reader.Accounts(ctx, q.Tenant, q.AsOf, accountAttributes...)
		for part, err := range withOwners(ctx, q, accounts, "account.upn", "account.display-name") {
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, a := range part {
				if a.owner != uuid.Nil {
					gone[a.owner] = leaverOf(a.Device)
				}
			}
		}
		_, open := q.Filter["open"]
		person := q.Filter["person"]
		devices := q.Reader.Devices(ctx, q.Tenant, q.AsOf, leaverAttributes...)
		for part, err := range withOwners(ctx, q, devices, "device.user-id", "device.user-upn", "device.user-name") {
			if err != nil {
				yield(Row{}, err)
				return
			}
			var chosen []owned
			for _, d := range part {
				if len(person) > 0 && !isUserOf(d.Device, person) {
					continue
				}
				l, known := gone[d.owner]
				h, _ := d.Get(attributeManagement)
				if l != nil || !known && slices.Contains(leaving, string(h.Text)) {
					chosen = append(chosen, d)
				}
			}
			asked, err := askedOf(ctx, q, chosen)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, d := range chosen {
				a := asked[d.Stream.UUID().String()]
				if open && !a.done.IsZero() {
					continue
				}
				if !yield(leaverRow(q, d.Device, gone[d.owner], a), nil) {
					return
				}
			}
		}
	}
}

// farewell is the last thing that was asked of a device to make it leave, and when it was removed.
type farewell struct {
	action, result Cell
	asked, done    time.Time
	seq            uint64
}

// askedOf returns, by uuid, what administrators asked of the devices.
func askedOf(ctx context.Context, q *question, devices []owned) (map[string]farewell, error) {
	out := map[string]farewell{}
	if len(devices) == 0 {
		return out, nil
	}
	f := projections.ActionFilter{Verbs: remoteVerbs}
	for _, d := range devices {
		f.Devices = append(f.Devices, d.Stream.UUID().String())
	}
	for a, err := range q.Reader.AdminActions(ctx, q.Tenant, projections.Period{}, f, q.AsOf) {
		if err != nil {
			return nil, err
		}
		what, _, _ := strings.Cut(strings.ToLower(string(cmp.Or(a.Operation, a.ActivityType))), " ")
		if what != "wipe" && what != "retire" && a.Verb != "delete" {
			continue
		}
		asked := acts.Of(a)
		for _, t := range asked.On {
			if t.Stream == "" || !slices.Contains(f.Devices, t.Stream.UUID().String()) {
				continue
			}
			// The last one counts: what was removed and asked again is open again.
			last := farewell{action: first(asked.What(), of("action.verb", a.Verb, a.EventID)),
				result: asked.Accepted(), asked: a.Occurred, seq: a.Seq}
			if a.Verb == "delete" && a.Result == "success" {
				last.result, last.done = of("action.result", a.Result, a.EventID), a.Occurred
			}
			out[t.Stream.UUID().String()] = last
		}
	}
	return out, nil
}

func leaverRow(q *question, d projections.Device, l *leaver, a farewell) Row {
	get := valuesOf(d)
	row := leaver{name: userOf(get)} // of an account that the ledger does not know
	if l != nil {
		row = *l
		row.name = slices.Clone(first(l.name, row.name)) // a person may have several devices
		row.deletedAt = slices.Clone(l.deletedAt)
	}
	state, since := get(attributeManagement), time.Time{}
	if h, ok := d.Get(attributeManagement); ok && slices.Contains(leaving, string(h.Text)) {
		if since = h.Observed; a.asked.IsZero() { // askedOf where no record of an action came from
			a.action, a.asked = of(attributeManagement, h.Text, uuid.Nil), since
		}
	}
	var account, days Cell
	if row.how != "" {
		account = named(content.OfAccount, row.how)
	}
	from, until := row.left, q.Moment()
	if from.IsZero() {
		from = a.asked
	}
	if !a.done.IsZero() {
		until = a.done
	}
	if !from.IsZero() {
		days = whole(daysPassed(from, until))
	}
	seq := max(newest(d), row.seq, a.seq)
	return Row{
		Key: string(d.Stream), Seq: seq,
		Cells: cells(
			row.name, account, instant(row.left), row.deletedAt, get("device.name"), get("device.serial-number"),
			get("device.ownership"), a.action, instant(a.asked), a.result, state, instant(a.done), days,
			get("device.last-contact"), text(d.Stream.UUID().String()), sequence(seq),
		),
	}
}

// ownersOf tells whom aliases name; without somebody who can tell, nobody.
func ownersOf(ctx context.Context, q *question, aliases []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	if q.Owners == nil || len(aliases) == 0 {
		return nil, nil
	}
	return q.Owners(ctx, aliases)
}
