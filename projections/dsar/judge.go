package dsar

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
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
	GroundReview     Ground = "review"     // free text that others wrote: a human must read it first
	GroundUnreadable Ground = "unreadable" // an event in a form this version cannot read
)

// freeText are attributes in which people write what they like, about whomever they like.
var freeText = []string{"device.notes", "action.reason", "action.details", "access.purpose", "access.filters"}

// item is one event as it concerns the person.
type item struct {
	row      projections.Event
	category Category
	roles    []string // the person's own roles in it
	others   []other  // everybody else it names
	values   []value
	opaque   bool // its data could not be read
}

type other struct{ role, label string }

// value is one value of an event: shown, or not and why.
type value struct {
	attr    *schemas.Attribute
	element string
	removed bool
	ground  Ground // with v.State == document.Withheld
	v       report.Value
	at      time.Time // observed
}

// dossier is everything about the person, judged and opened.
type dossier struct {
	c      Config
	p      Person
	made   time.Time
	items  []*item
	labels map[string]map[uuid.UUID]int // per kind of label, who has which number
}

// judge decides of each value whether the person may see it, opens those, and gives everybody
// else a label.
func judge(ctx context.Context, c Config, p Person, rows []projections.Event) (*dossier, error) {
	d := &dossier{c: c, p: p, made: c.Clock().UTC().Truncate(time.Second), labels: map[string]map[uuid.UUID]int{}}
	mine := map[uuid.UUID]bool{}
	for _, a := range p.Aliases {
		mine[a.ID] = true
	}
	owners, err := d.owners(ctx, rows, mine)
	if err != nil {
		return nil, err
	}
	var sealed []*report.Value
	for _, r := range rows {
		it := &item{row: r, opaque: r.Opaque}
		for _, s := range r.Subjects {
			if mine[s.Alias] {
				if !slices.Contains(it.roles, s.Role) {
					it.roles = append(it.roles, s.Role)
				}
				continue
			}
			it.others = append(it.others, other{s.Role, d.label(s, owners)})
		}
		it.category = categoryOf(r, it.roles)
		for _, v := range r.Values {
			a := c.Catalogue.Attribute(v.Attribute)
			if a == nil {
				return nil, fmt.Errorf("event %s has attribute %s, which is not in the catalogue", r.EventID,
					v.Attribute)
			}
			x := value{attr: a, element: v.Element, removed: v.Removed, at: v.Observed}
			if !v.Removed {
				x.v = report.ValueOf(v.Attribute, projections.Text(v.Text), r.EventID)
				if token := x.v.Token(); token != "" && x.v.Check() {
					h, _, err := token.Parse()
					if err != nil {
						return nil, fmt.Errorf("event %s: %w", r.EventID, err)
					}
					if x.ground = d.withhold(r, a, h.Alias, mine, owners); x.ground != "" {
						x.v.State = document.Withheld
					}
				}
			}
			it.values = append(it.values, x)
		}
		it.row.Values = nil // each stands among it.values now
		d.items = append(d.items, it)
	}
	// Events of one action are in one category: what the person did, if they did it.
	did := map[schemas.Stream]bool{}
	for _, it := range d.items {
		did[it.row.Stream] = did[it.row.Stream] || it.category == ActionsBy
	}
	for _, it := range d.items {
		if it.row.Stream.Kind() == "adminaction" && did[it.row.Stream] {
			it.category = ActionsBy
		}
	}
	for _, it := range d.items {
		for i := range it.values {
			if x := &it.values[i]; x.v.Token() != "" && x.v.State == document.Masked {
				sealed = append(sealed, &x.v)
			}
		}
	}
	if c.Opener != nil {
		if err := report.OpenValues(ctx, c.Opener, sealed); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// owners asks whom the aliases in events and tokens name, beside the person's own.
func (d *dossier) owners(
	ctx context.Context, rows []projections.Event, mine map[uuid.UUID]bool,
) (map[uuid.UUID]schemas.Owner, error) {
	if d.c.Owners == nil {
		return nil, nil
	}
	ask := map[uuid.UUID]bool{}
	for _, r := range rows {
		for _, s := range r.Subjects {
			ask[s.Alias] = true
		}
		for _, v := range r.Values {
			if schemas.IsSealed(v.Text) {
				if h, _, err := schemas.Token(v.Text).Parse(); err == nil { // a malformed one is refused by judge
					ask[h.Alias] = true
				}
			}
		}
	}
	ids := make([]uuid.UUID, 0, len(ask))
	for id := range ask {
		if !mine[id] {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := d.c.Owners(ctx, d.p.Tenant, ids)
	if err != nil {
		return nil, fmt.Errorf("whom %d aliases name: %w", len(ids), err)
	}
	return out, nil
}

// withhold says why a sealed value is not the person's to see; "" when it is. When in doubt, it
// is not.
func (d *dossier) withhold(
	r projections.Event, a *schemas.Attribute, key uuid.UUID, mine map[uuid.UUID]bool,
	owners map[uuid.UUID]schemas.Owner,
) Ground {
	owner, known := owners[key]
	switch {
	case mine[key]:
		// Filters name whom was asked about.
		if slices.Contains(freeText, a.ID) && (!acted(r, mine) || a.ID == "access.filters") {
			return GroundReview
		}
		return ""
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
				if h.Stream == r.Stream && h.holds(r.Occurred) && (h.Ownership == "company" || known) {
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

// acted reports whether the person did it: words in it are their own.
func acted(r projections.Event, mine map[uuid.UUID]bool) bool {
	return slices.ContainsFunc(r.Subjects, func(s projections.Subject) bool {
		return mine[s.Alias] && (s.Role == "actor" || s.Role == "officer")
	})
}

func categoryOf(r projections.Event, roles []string) Category {
	did := slices.Contains(roles, "actor") || slices.Contains(roles, "officer")
	switch r.Stream.Kind() {
	case "device":
		if strings.HasPrefix(r.Type, "device.apps-changed.") {
			return Apps
		}
		return Devices
	case "adminaction":
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

// label gives somebody else a name of ours: the same one wherever they appear, in order of first
// appearance.
func (d *dossier) label(s projections.Subject, owners map[uuid.UUID]schemas.Owner) string {
	id := s.Alias
	if o, ok := owners[s.Alias]; ok {
		id = o.ID
	}
	kind := "person"
	if s.Role == "actor" || s.Role == "officer" {
		kind = "administrator"
	}
	if d.labels[kind] == nil {
		d.labels[kind] = map[uuid.UUID]int{}
	}
	n, ok := d.labels[kind][id]
	if !ok {
		n = len(d.labels[kind]) + 1
		d.labels[kind][id] = n
	}
	return fmt.Sprintf("%s-%d", kind, n)
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
		for _, g := range []Ground{GroundOthers, GroundReview, GroundUnreadable} {
			if n := counts[withheldLine{Category: c, Ground: g}]; n > 0 {
				out = append(out, withheldLine{c, g, n})
			}
		}
	}
	return out
}
