package dsar

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// Category is what kind of thing an event is to the person. Each event is in exactly one.
type Category string

// Categories, in the order in which they are shown.
const (
	Devices      Category = "devices"
	Apps         Category = "apps"
	ActionsAbout Category = "actions-about"
	ActionsBy    Category = "actions-by"
	Refusals     Category = "refusals"
	Requests     Category = "requests"
	Views        Category = "views"
	Other        Category = "other"
)

var categories = []Category{Devices, Apps, ActionsAbout, ActionsBy, Refusals, Requests, Views, Other}

// Ground is why a value is withheld.
type Ground string

// Grounds of withholding.
const (
	GroundOthers     Ground = "others"     // it is somebody else's (Art. 15(4))
	GroundLocked     Ground = "locked"     // it is nobody's, but under the key of somebody else
	GroundReview     Ground = "review"     // free text that others wrote: a human must read it first
	GroundUnreadable Ground = "unreadable" // an event in a form this version cannot read
)

var grounds = []Ground{GroundOthers, GroundLocked, GroundReview, GroundUnreadable}

// nobodys are attributes of what was done that say nothing of a person, though the key of whoever
// did it seals them.
var nobodys = []string{"action.application-name", "action.application-id"}

// freeText are attributes in which people write what they like, about whomever they like.
var freeText = []string{"device.notes", "action.reason", "action.details", "access.purpose", "access.filters",
	"subject.reason"}

// item is one event as it concerns the person.
type item struct {
	row      projections.Event
	category Category
	roles    []string // the person's own roles in it
	others   []other  // everybody else it names
	values   []value
	opaque   bool // its data could not be read
}

type other struct {
	role, label string
	who         uuid.UUID // until arrange has given them the label
}

// value is one value of an event: shown, or not and why.
type value struct {
	attr    *schemas.Attribute
	element string
	removed bool
	ground  Ground // with v.State == document.Withheld
	v       content.Value
	at      time.Time // observed
}

// dossier is everything about the person, judged and opened.
type dossier struct {
	c      Config
	p      Person
	made   time.Time
	items  []*item
	mine   map[uuid.UUID]bool
	owners map[uuid.UUID]schemas.Owner // of others' aliases that were asked for; zero: of nobody known
	shared map[string]string           // texts that many events have
	// once arranged: the act by which it was asked, of what became of it on a device
	asked map[schemas.Stream]schemas.Stream
}

func newDossier(c Config, p Person) *dossier {
	d := &dossier{c: c, p: p, made: c.Clock().UTC().Truncate(time.Second), mine: map[uuid.UUID]bool{},
		owners: map[uuid.UUID]schemas.Owner{}, shared: map[string]string{}}
	for _, a := range p.Aliases {
		d.mine[a.ID] = true
	}
	return d
}

// judge takes a portion of the events: it decides of each value whether the person may see it, and
// opens those. What it keeps of them is what is written, and no token.
func (d *dossier) judge(ctx context.Context, rows []projections.Event) error {
	var tokens content.Tokens
	type sealed struct {
		x     *value
		token projections.Sealed
	}
	first := len(d.items)
	var genuine [][]sealed
	ask := map[uuid.UUID]bool{}
	for _, r := range rows {
		it := &item{row: r, opaque: r.Opaque, values: make([]value, 0, len(r.Values))}
		it.row.Values, it.row.Subjects = nil, nil // each stands in the item
		it.row.Type, it.row.Source = d.share(r.Type), d.share(r.Source)
		for _, s := range r.Subjects {
			ask[s.Alias] = ask[s.Alias] || named(r, s)
		}
		var of []sealed
		for _, v := range r.Values {
			a := d.c.Catalogue.Attribute(v.Attribute)
			if a == nil {
				return fmt.Errorf("event %s has attribute %s, which is not in the catalogue", r.EventID, v.Attribute)
			}
			x := value{attr: a, element: v.Element, removed: v.Removed, at: v.Observed}
			if !v.Removed {
				x.v = content.ValueOf(a.ID, projections.Text(v.Text), r.EventID)
			}
			if x.v.Token() == "" && !x.removed && a.Key != schemas.KeyPerson && d.shares(r) {
				x.ground = GroundOthers
				x.v.Withhold()
			}
			it.values = append(it.values, x)
			if x.v.Token() == "" {
				continue
			}
			kept := &it.values[len(it.values)-1]
			if token, ok := tokens.Parse(&kept.v); ok {
				ask[token.Header.Alias] = true
				of = append(of, sealed{kept, token})
			}
		}
		d.items, genuine = append(d.items, it), append(genuine, of)
	}
	if err := d.ask(ctx, ask); err != nil {
		return err
	}
	for i, r := range rows {
		it := d.items[first+i]
		d.name(it, r.Subjects)
		it.category = categoryOf(r, it.roles)
		for _, s := range genuine[i] {
			if s.x.ground = d.withhold(r, s.x.attr, s.token.Header.Alias); s.x.ground != "" {
				s.x.v.Withhold()
				continue
			}
			if d.c.Opener == nil {
				continue
			}
			if tokens.Add(&s.x.v, s.token); tokens.Len() == content.OpenBatch {
				if err := tokens.Open(ctx, d.c.Opener); err != nil {
					return err
				}
			}
		}
	}
	if err := tokens.Open(ctx, d.c.Opener); err != nil {
		return err
	}
	for _, it := range d.items[first:] {
		it.compact()
	}
	return nil
}

// named reports whether somebody else in an event is told of by a label. Whose data a viewing
// showed beside the person's is not the person's to know, nor even that they are the same as
// elsewhere: access.persons says how many they were.
func named(r projections.Event, s projections.Subject) bool {
	return r.Stream.Kind() != "access" || s.Role != "target"
}

// name says who the event names: the person's own roles, and the others.
func (d *dossier) name(it *item, subjects []projections.Subject) {
	for _, s := range subjects {
		if d.mine[s.Alias] {
			if !slices.Contains(it.roles, s.Role) {
				it.roles = append(it.roles, d.share(s.Role))
			}
			continue
		}
		if named(it.row, s) {
			it.others = append(it.others, other{role: d.share(s.Role), who: s.Alias})
		}
	}
}

// share returns the one copy of a text that many events have.
func (d *dossier) share(s string) string {
	have, ok := d.shared[s]
	if !ok {
		have = strings.Clone(s)
		d.shared[have] = have
	}
	return have
}

// compact puts what the values say into memory of its own: what was opened lies between the
// tokens of a whole portion.
func (it *item) compact() {
	size := 0
	for i := range it.values {
		size += len(it.values[i].v.JSON)
	}
	all := make([]byte, 0, size)
	for i := range it.values {
		if v := &it.values[i].v; v.JSON != nil {
			at := len(all)
			all = append(all, v.JSON...)
			v.JSON = all[at:len(all):len(all)]
		}
	}
}

// arrange brings the events into ledger order, when all were judged, and gives everybody else a
// label.
func (d *dossier) arrange() {
	slices.SortFunc(d.items, func(a, b *item) int { return cmp.Compare(a.row.Seq, b.row.Seq) })
	// Events of one action are in one category: what the person did, if they did it.
	did := map[schemas.Stream]bool{}
	for _, it := range d.items {
		if isAction(it) && it.category == ActionsBy {
			did[it.row.Stream] = true
		}
	}
	labels := map[labelled]string{}
	count := map[string]int{}
	for _, it := range d.items {
		if did[it.row.Stream] {
			it.category = ActionsBy
		}
		for i := range it.others {
			o := &it.others[i]
			o.label, o.who = d.label(*o, labels, count), uuid.Nil
		}
	}
	d.owners, d.shared = nil, nil
}

// ask finds out whom aliases name that were not asked for before, beside the person's own.
func (d *dossier) ask(ctx context.Context, aliases map[uuid.UUID]bool) error {
	if d.c.Owners == nil {
		return nil
	}
	var ids []uuid.UUID
	for id := range aliases {
		if _, known := d.owners[id]; aliases[id] && !known && !d.mine[id] {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	found, err := d.c.Owners(ctx, d.p.Tenant, ids)
	if err != nil {
		return fmt.Errorf("whom %d aliases name: %w", len(ids), err)
	}
	for _, id := range ids {
		d.owners[id] = found[id]
	}
	return nil
}

// owner returns whom an alias names, and whether that is known.
func (d *dossier) owner(alias uuid.UUID) (o schemas.Owner, known bool) {
	o = d.owners[alias]
	return o, o.Kind != ""
}

// withhold says why a sealed value is not the person's to see; "" when it is. When in doubt, it
// is not.
func (d *dossier) withhold(r projections.Event, a *schemas.Attribute, key uuid.UUID) Ground {
	mine := d.mine
	owner, known := d.owner(key)
	switch {
	case mine[key]:
		// Filters name whom was asked about.
		if slices.Contains(freeText, a.ID) && (!acted(r, mine) || a.ID == "access.filters") {
			return GroundReview
		}
		return ""
	case slices.Contains(freeText, a.ID) && (a.Role == "actor" || a.Role == "officer"):
		return GroundReview // under the key of who wrote it, of whomever it speaks
	case slices.Contains(nobodys, a.ID) && a.Role == "actor":
		return GroundLocked
	case known && owner.Kind == schemas.OwnerPerson:
		return GroundOthers
	case slices.ContainsFunc(r.Subjects, func(s projections.Subject) bool { return s.Alias == key }):
		return GroundOthers
	case slices.Contains(freeText, a.ID):
		return GroundReview
	case a.Key == schemas.KeyDeviceOwner, a.Key == schemas.KeyDevice:
		// A company device's own key, if the device was the person's then; a previous owner's
		// otherwise.
		if known && owner.Kind == schemas.OwnerDevice || !known && d.c.Owners == nil {
			for _, h := range d.p.Devices {
				if h.Stream == r.Stream && h.holds(r.Occurred) && h.Ownership != Shared &&
					(h.Ownership == "company" || known) {
					return ""
				}
			}
		}
		return GroundOthers
	case a.Key == schemas.KeyTenant:
		return ""
	}
	// The key of a person whom nobody knew, or of the organisation in their place: it may speak
	// of anybody.
	if known && owner.Kind == schemas.OwnerTenant && a.Role == "user" {
		for _, h := range d.p.Devices {
			if h.Stream == r.Stream && h.holds(r.Occurred) {
				return "" // the person's device, before it was known whose it was
			}
		}
	}
	others := func(s projections.Subject) bool { return s.Role == a.Role && !mine[s.Alias] }
	if slices.ContainsFunc(r.Subjects, others) {
		return GroundOthers
	}
	return GroundReview
}

// shares reports whether the event tells of a device that several people used then, of whom the
// person was one: what it says of the device is not the person's.
func (d *dossier) shares(r projections.Event) bool {
	return slices.ContainsFunc(d.p.Devices, func(h Device) bool {
		return h.Stream == r.Stream && h.Ownership == Shared && h.holds(r.Occurred)
	})
}

// acted reports whether the person did it: words in it are their own.
func acted(r projections.Event, mine map[uuid.UUID]bool) bool {
	return slices.ContainsFunc(r.Subjects, func(s projections.Subject) bool {
		return mine[s.Alias] && (s.Role == "actor" || s.Role == "officer")
	})
}

// isAction reports whether the event tells of something that was done, as others of its stream do.
func isAction(it *item) bool {
	kind := it.row.Stream.Kind()
	return kind == "adminaction" || kind == kindRemote
}

func categoryOf(r projections.Event, roles []string) Category {
	did := slices.Contains(roles, "actor") || slices.Contains(roles, "officer")
	switch r.Stream.Kind() {
	case "device":
		if strings.HasPrefix(r.Type, "device.apps-changed.") {
			return Apps
		}
		return Devices
	case "alert":
		return Devices
	case "adminaction", kindRemote:
		if did {
			return ActionsBy
		}
		return ActionsAbout
	case "refusal":
		return Refusals
	case "request", "subject":
		if did && !slices.Contains(roles, "requester") {
			return ActionsBy // an operator who handled somebody's request
		}
		return Requests
	case "access":
		if did && !slices.Contains(roles, "target") {
			return ActionsBy
		}
		return Views
	}
	return Other
}

// labelled is somebody else who gets a label, by kind.
type labelled struct {
	kind string
	who  uuid.UUID
}

// label gives somebody else a name of ours: the same one wherever they appear, in order of first
// appearance.
func (d *dossier) label(o other, labels map[labelled]string, count map[string]int) string {
	who := labelled{"person", o.who}
	if owner, known := d.owner(o.who); known {
		who.who = owner.ID
	}
	if o.role == "actor" || o.role == "officer" {
		who.kind = "administrator"
	}
	label, ok := labels[who]
	if !ok {
		count[who.kind]++
		label = fmt.Sprintf("%s-%d", who.kind, count[who.kind])
		labels[who] = label
	}
	return label
}

// any reports whether a value is in that state.
func (d *dossier) any(state document.State) bool {
	for _, it := range d.items {
		for _, x := range it.values {
			if x.v.State == state {
				return true
			}
		}
	}
	return false
}

// withheldLine is one line of what was withheld.
type withheldLine struct {
	Category Category
	Ground   Ground
	Count    int
}

func (d *dossier) withheld() []withheldLine {
	counts := map[withheldLine]int{}
	for _, it := range d.items {
		if it.opaque {
			counts[withheldLine{Category: it.category, Ground: GroundUnreadable}]++
		}
		for _, x := range it.values {
			if x.v.State == document.Withheld {
				counts[withheldLine{Category: it.category, Ground: x.ground}]++
			}
		}
	}
	var out []withheldLine
	for _, c := range categories {
		for _, g := range grounds {
			if n := counts[withheldLine{Category: c, Ground: g}]; n > 0 {
				out = append(out, withheldLine{c, g, n})
			}
		}
	}
	return out
}
