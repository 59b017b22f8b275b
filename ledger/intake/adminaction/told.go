package adminaction

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Attributes of an action that its comparison treats by name.
const (
	attrTargetDevice   = "action.target-device"
	attrTargetResource = "action.target-resource"
	attrTargetID       = "action.target-id"
	attrTargetName     = "action.target-name"
	attrTargetIndex    = "action.target-index"
	attrChanges        = "action.changes"
	attrWithheld       = "action.withheld"
	attrCut            = "action.cut"
	attrOccurred       = "occurred-at" // of a dispute alone: when the action was is metadata
)

// toldAction is what the events of one action say of it so far.
type toldAction struct {
	recorded uuid.UUID // the event that counts as the action
	occurred time.Time
	events   int
	cut      bool // not everything that was told had room
	planned  bool // some of it is not in the ledger yet
	values   map[string]*toldValue
	targets  []*toldTarget
	persons  map[uuid.UUID]bool // whom its events name as targets
}

type toldTarget struct {
	values  map[string]*toldValue
	changes []KeptChange
	others  []KeptChange // told otherwise
	sealed  bool         // some of its changes cannot be read any more
	person  uuid.UUID    // whose key sealed something of it
}

// toldValue is what was told of an attribute first, and what was told otherwise since.
type toldValue struct {
	stands json.RawMessage
	gone   bool // its key was destroyed: nothing that is told of it says anything new
	others []json.RawMessage
}

func newTold() *toldAction {
	return &toldAction{values: map[string]*toldValue{}, persons: map[uuid.UUID]bool{}}
}

func (t *toldTarget) text(attr string) string {
	if v := t.values[attr]; v != nil {
		s, _ := record.AsText(v.stands)
		return s
	}
	return ""
}

func (t *toldTarget) gone(attr string) bool { return t.values[attr] != nil && t.values[attr].gone }

// native is the target's id as its source named it, "" where the ledger holds only the device
// that it is.
func (t *toldTarget) native() string {
	id := t.text(attrTargetID)
	if id == "" {
		id = t.text(attrTargetResource)
	}
	return strings.ToLower(id)
}

func (t *toldTarget) identified() bool { return t.native() != "" || t.text(attrTargetDevice) != "" }

// said is one event of an action, with its values opened.
type said struct {
	typ      *schemas.Type
	id       uuid.UUID
	occurred time.Time
	targets  []uuid.UUID // persons
	values   []saidValue
}

type saidValue struct {
	attr   string
	index  int // the target's or dispute's in its event; -1 for a value of the action
	plain  json.RawMessage
	gone   bool
	person uuid.UUID // whose key sealed it
}

// saidByDraft is a draft before it is sealed.
func saidByDraft(d schemas.Draft) said {
	r := said{typ: d.Type, id: d.ID, occurred: d.Occurred}
	for _, s := range d.Subjects {
		if s.Role == "target" {
			r.targets = append(r.targets, s.Person)
		}
	}
	for _, v := range d.Values {
		n := saidValue{attr: v.Attr.ID, index: indexOf(v), plain: v.Plain}
		if v.Owner.Kind == schemas.OwnerPerson && !v.MayStandOpen() {
			n.person = v.Owner.ID
		}
		r.values = append(r.values, n)
	}
	return r
}

func indexOf(v schemas.Value) int {
	if len(v.Path) != 1 {
		return -1
	}
	i, err := strconv.Atoi(v.Path[0])
	if err != nil {
		return -1
	}
	return i
}

// note takes in one more event.
func (a *toldAction) note(r said, k *kind) {
	a.events++
	for _, p := range r.targets {
		a.persons[p] = true
	}
	switch r.typ {
	case k.disputed:
		a.noteDisputes(r)
		return
	case k.recorded, k.continued, k.supplemented:
	default:
		return
	}
	if a.recorded == uuid.Nil {
		a.recorded, a.occurred = r.id, r.occurred
	}
	base := len(a.targets)
	at := map[int]int{} // the event's own index → the action's
	if r.typ == k.supplemented {
		for _, v := range r.values {
			if v.attr == attrTargetIndex {
				at[v.index], _ = strconv.Atoi(string(v.plain))
			}
		}
	}
	for _, v := range r.values {
		if v.index < 0 {
			if v.attr == attrCut {
				a.cut = true
			}
			setTold(a.values, v)
			continue
		}
		i, given := at[v.index]
		if !given {
			i = base + v.index
		}
		if i > len(a.targets) || v.attr == attrTargetIndex && i < 0 {
			continue // no event of ours says so
		}
		if i == len(a.targets) {
			a.targets = append(a.targets, &toldTarget{values: map[string]*toldValue{}})
		}
		t := a.targets[i]
		if v.person != uuid.Nil {
			t.person = v.person
		}
		if v.attr != attrChanges {
			setTold(t.values, v)
			continue
		}
		var changes []KeptChange
		if v.gone || json.Unmarshal(v.plain, &changes) != nil {
			t.sealed = true
		}
		t.changes = append(t.changes, changes...)
	}
}

func setTold(values map[string]*toldValue, v saidValue) {
	if values[v.attr] == nil {
		values[v.attr] = &toldValue{stands: v.plain, gone: v.gone}
	}
}

func (a *toldAction) noteDisputes(r said) {
	type entry struct {
		attribute string
		target    int
		value     json.RawMessage
		gone      bool
	}
	entries := map[int]*entry{}
	for _, v := range r.values {
		if v.index < 0 {
			continue
		}
		e := entries[v.index]
		if e == nil {
			e = &entry{target: -1}
			entries[v.index] = e
		}
		switch v.attr {
		case "action.disputed-attribute":
			e.attribute, _ = record.AsText(v.plain)
		case "action.disputed-index":
			e.target, _ = strconv.Atoi(string(v.plain))
		default:
			e.value, e.gone = v.plain, v.gone
		}
	}
	for _, e := range entries {
		values := a.values
		if e.target >= 0 && e.target < len(a.targets) {
			t := a.targets[e.target]
			if values = t.values; e.attribute == attrChanges {
				var changes []KeptChange
				t.sealed = t.sealed || e.gone || json.Unmarshal(e.value, &changes) != nil
				t.others = append(t.others, changes...)
				continue
			}
		}
		if values[e.attribute] == nil {
			values[e.attribute] = &toldValue{}
		}
		v := values[e.attribute]
		v.gone = v.gone || e.gone
		v.others = append(v.others, e.value)
	}
}

// Fold returns what the events of an action say, opened. A value whose key was destroyed is gone;
// one that the vault cannot have sealed is too, and its event is counted as left out.
func (k *kind) Fold(tx *vault.Tx, h plan.History) (plan.Content, error) {
	a := newTold()
	for _, own := range h.Events {
		r, err := opened(tx, own, h.Left)
		if err != nil {
			return nil, err
		}
		a.note(r, k)
	}
	return a, nil
}

// opened opens what an event says, and tells whose keys sealed it.
func opened(tx *vault.Tx, own ledger.Own, left *ledger.LeftOut) (said, error) {
	d := own.Draft
	r := said{typ: d.Type, id: d.ID, occurred: d.Occurred}
	owners := map[uuid.UUID]uuid.UUID{}
	person := func(alias uuid.UUID) (uuid.UUID, error) {
		if p, known := owners[alias]; known {
			return p, nil
		}
		p, err := entity.PersonOf(tx, alias)
		owners[alias] = p
		return p, err
	}
	for _, s := range d.Subjects {
		if s.Role != "target" {
			continue
		}
		p, err := person(s.Alias)
		if err != nil {
			return r, err
		}
		if p != uuid.Nil {
			r.targets = append(r.targets, p)
		}
	}
	var sealed []vault.Sealed
	var at []int
	for _, v := range d.Values {
		n := saidValue{attr: v.Attr.ID, index: indexOf(v), plain: v.Plain}
		if v.Token != "" {
			h, _, err := v.Token.Parse()
			if err != nil {
				return r, err
			}
			if n.person, err = person(h.Alias); err != nil {
				return r, err
			}
			sealed = append(sealed, vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID})
			at = append(at, len(r.values))
		}
		r.values = append(r.values, n)
	}
	texts, err := tx.Open(sealed)
	if err != nil {
		return r, err
	}
	unfitting := false
	for i, o := range texts {
		v := &r.values[at[i]]
		v.plain, v.gone = o.Plain, o.Err != nil
		if o.Err != nil && !entity.NotSet(o.Err) && !unfitting {
			unfitting = true
			left.Add(ledger.LeftEvent{ID: own.ID, Stream: own.Stream, Revision: own.Revision,
				Verdict: ledger.Unfitting})
		}
	}
	return r, nil
}

// telling is an action as a record tells it, in the ledger's terms.
type telling struct {
	form     string
	occurred time.Time
	what     []schemas.Value // what was done: stands in the first event and those that continue it
	who      []schemas.Value // by whom: likewise
	once     []schemas.Value
	cut      int // values
	actor    uuid.UUID
	targets  []toldAnew
}

// toldAnew is a target of a telling.
type toldAnew struct {
	resolvedTarget
	idAttr *schemas.Attribute // of the target's own id
	values []schemas.Value    // without path; the changes are apart
}

// further is what a telling adds to a target that has that index in the action.
type further struct {
	index   int
	values  []schemas.Value
	changes []KeptChange
	person  uuid.UUID // to be linked, or whose the values are
}

// dispute is what a telling says otherwise than the one that stands.
type dispute struct {
	attr   string
	target int // -1: of the action as a whole
	plain  json.RawMessage
	owner  schemas.Owner
	person uuid.UUID // of the target
}

// difference between a telling and what is told already.
type news struct {
	values   []schemas.Value
	targets  []further
	disputes []dispute
	differs  bool // says otherwise than what stands, new or not
}

func (n news) none() bool { return len(n.values)+len(n.targets)+len(n.disputes) == 0 }

// maxActionEvents bounds the events of one action: a source that tells it differently each time
// is no longer kept.
const maxActionEvents = 4096

// compare tells what a telling says that the action's events do not.
func (a *toldAction) compare(t telling) (n news) {
	for _, v := range slices.Concat(t.what, t.who, t.once) {
		if v.Attr.ID == attrWithheld || v.Attr.ID == attrCut {
			continue // counts of what one telling left out
		}
		n.value(a.values, v, -1, uuid.Nil)
	}
	if !t.occurred.IsZero() && !a.occurred.IsZero() {
		// The forms cut a time differently: one has no more than its second.
		if d := t.occurred.Sub(a.occurred); d > time.Second || d < -time.Second {
			at := schemas.Value{Attr: &schemas.Attribute{ID: attrOccurred},
				Plain: schemas.JSON(record.WholeSeconds(t.occurred))}
			n.value(map[string]*toldValue{attrOccurred: a.time()}, at, -1, uuid.Nil)
		}
	}
	at := a.match(t.targets)
	next := len(a.targets)
	for i, target := range t.targets {
		switch {
		case target.erased:
		case at[i] >= 0:
			n.target(a, at[i], target)
		default:
			n.targets = append(n.targets, further{next, target.values, target.changes, target.person})
			next++
		}
	}
	if a.events >= maxActionEvents {
		return news{differs: n.differs}
	}
	return n
}

func (a *toldAction) time() *toldValue {
	v := &toldValue{stands: schemas.JSON(record.WholeSeconds(a.occurred))}
	if more := a.values[attrOccurred]; more != nil {
		v.others = more.others
	}
	return v
}

// value compares one value.
func (n *news) value(known map[string]*toldValue, v schemas.Value, target int, person uuid.UUID) {
	has := known[v.Attr.ID]
	switch {
	case has == nil || has.stands == nil && !has.gone && len(has.others) == 0:
		n.values = append(n.values, v)
	case has.gone || sameValue(v.Attr.ID, has.stands, v.Plain):
	default:
		n.differs = true
		if !slices.ContainsFunc(has.others, func(o json.RawMessage) bool { return sameValue(v.Attr.ID, o, v.Plain) }) {
			n.disputes = append(n.disputes, dispute{v.Attr.ID, target, v.Plain, v.Owner, person})
		}
	}
}

// target compares one target with the one that it is, or in whose place it stands.
func (n *news) target(a *toldAction, index int, t toldAnew) {
	is := a.targets[index]
	gone := is.gone(attrTargetID)
	own := news{}
	contrary := !gone && is.identified() && t.identified() && !is.is(t.resolvedTarget)
	if contrary {
		stands := &toldValue{stands: schemas.JSON(cmp.Or(is.native(), is.text(attrTargetDevice)))}
		if v := is.values[attrTargetID]; v != nil {
			stands.others = v.others
		}
		own.value(map[string]*toldValue{attrTargetID: stands}, t.idValue(), index, t.person)
	}
	linked := false
	for _, v := range t.values {
		switch v.Attr.ID {
		case attrTargetDevice:
			if linked = !gone && is.text(attrTargetDevice) == ""; linked {
				own.values = append(own.values, v)
			}
		case attrTargetID, attrTargetResource:
			if !gone && !is.identified() {
				own.values = append(own.values, v)
			}
		default:
			own.value(is.values, v, index, t.person)
		}
	}
	more, otherwise, differs := compareChanges(is, t.changes, a.cut)
	if len(otherwise) > 0 {
		own.disputes = append(own.disputes,
			dispute{attrChanges, index, schemas.JSON(otherwise), schemas.PersonOrTenant(t.person), t.person})
	}
	n.differs = n.differs || own.differs || differs
	n.disputes = append(n.disputes, own.disputes...)
	if contrary {
		return // what it adds, it adds to something else
	}
	link := !gone && t.person != uuid.Nil && is.person == uuid.Nil && !a.persons[t.person]
	if link || linked {
		own.values = t.withID(own.values)
	}
	if len(own.values)+len(more) > 0 || link {
		n.targets = append(n.targets, further{index, own.values, more, t.person})
	}
}

func (t toldAnew) identified() bool { return t.id != "" || t.device != uuid.Nil }

// idValue is the target's own id, to be sealed under the key of whose it is.
func (t toldAnew) idValue() schemas.Value {
	return schemas.Value{Attr: t.idAttr, Plain: schemas.JSON(record.Clip(t.id, maxID)),
		Owner: schemas.PersonOrTenant(t.person)}
}

// withID adds the target's id under the key of whose it is: so its event tells for whom the link
// was made.
func (t toldAnew) withID(values []schemas.Value) []schemas.Value {
	if t.id == "" || slices.ContainsFunc(values, func(v schemas.Value) bool { return v.Attr == t.idAttr }) {
		return values
	}
	return append(values, t.idValue())
}

// is reports whether it is the same thing.
func (t *toldTarget) is(r resolvedTarget) bool {
	id := strings.ToLower(record.Clip(r.id, maxID))
	return id != "" && id == t.native() || r.device != uuid.Nil && r.device.String() == t.text(attrTargetDevice)
}

// match finds, for each target of a telling, which target of the action it is; -1 for a further
// one. What is the same by its id is the same; then by its name, then by its place, where one of
// the two has no id. What is left on both sides contradicts.
func (a *toldAction) match(targets []toldAnew) []int {
	at, taken := make([]int, len(targets)), make([]bool, len(a.targets))
	for i := range at {
		at[i] = -1
	}
	pair := func(i, j int) { at[i], taken[j] = j, true }
	byID := map[string][]int{}
	for j, is := range a.targets {
		for _, k := range []string{is.native(), is.text(attrTargetDevice)} {
			if k != "" {
				byID[k] = append(byID[k], j)
			}
		}
	}
	for i, t := range targets {
		if t.erased {
			continue
		}
		candidates := byID[strings.ToLower(record.Clip(t.id, maxID))]
		if t.device != uuid.Nil {
			candidates = append(slices.Clone(candidates), byID[t.device.String()]...)
		}
		if j := slices.IndexFunc(candidates, func(j int) bool { return !taken[j] }); j >= 0 {
			pair(i, candidates[j])
		}
	}
	free := func(i int, fits func(t toldAnew, is *toldTarget) bool) {
		if at[i] >= 0 {
			return
		}
		if i < len(taken) && !taken[i] && fits(targets[i], a.targets[i]) {
			pair(i, i)
			return
		}
		for j := range a.targets {
			if !taken[j] && fits(targets[i], a.targets[j]) {
				pair(i, j)
				return
			}
		}
	}
	for _, fits := range []func(t toldAnew, is *toldTarget) bool{
		func(t toldAnew, is *toldTarget) bool {
			return t.erased && (is.gone(attrTargetID) || is.gone(attrTargetName))
		},
		func(t toldAnew, is *toldTarget) bool {
			same := t.name != "" && record.Clip(t.name, maxFactText) == is.text(attrTargetName)
			return !t.erased && (t.id == "" || !is.identified()) && same
		},
		func(t toldAnew, is *toldTarget) bool { return !t.erased && (t.id == "" || !is.identified()) },
		func(t toldAnew, is *toldTarget) bool { return !t.erased },
	} {
		for i := range targets {
			free(i, fits)
		}
	}
	return at
}

// sameValue reports whether two values of an attribute are one: names and ids are compared
// without case, permissions in any order.
func sameValue(attr string, a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	switch attr {
	case "action.actor-permissions":
		var x, y []string
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return false
		}
		slices.Sort(x)
		slices.Sort(y)
		return slices.Equal(slices.Compact(x), slices.Compact(y))
	case "action.reason", "action.details":
		return false
	}
	x, okX := record.AsText(a)
	y, okY := record.AsText(b)
	return okX && okY && strings.EqualFold(x, y)
}

// compareChanges tells which changes are new: of properties that were not told of, and others.
// Where not everything had room, what is not there is not new.
func compareChanges(is *toldTarget, changes []KeptChange, cut bool) (more, otherwise []KeptChange, differs bool) {
	if is.sealed || len(changes) == 0 {
		return nil, nil, false
	}
	count := map[string]int{}
	names := map[string]bool{}
	for _, c := range is.changes {
		count[c.key()]++
		names[c.Name] = true
		cut = cut || c.More > 0
	}
	for _, c := range is.others {
		count[c.key()]++
	}
	stands := map[string]bool{}
	for _, c := range is.changes {
		stands[c.key()] = true
	}
	for _, c := range changes {
		k := c.key()
		switch {
		case c.More > 0 || c.Cut && cut:
		case count[k] > 0:
			count[k]--
			differs = differs || !stands[k]
		case !names[c.Name]:
			if !cut {
				more = append(more, c)
			}
		case !stands[k]:
			differs = true
			otherwise = append(otherwise, c)
		}
	}
	return more, otherwise, differs
}

// key is what makes two changes one; a source tells "nothing" as null and as an empty text.
func (c KeptChange) key() string {
	empty := func(s *string) *string {
		if s != nil && *s == "" {
			return nil
		}
		return s
	}
	c.Old, c.New = empty(c.Old), empty(c.New)
	return string(schemas.JSON(c))
}
