package device

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

const (
	attrOwnership   = "device.ownership"
	attrShared      = "device.shared"
	attrUserID      = "device.user-id"
	attrUserUPN     = "device.user-upn"
	attrUserEmail   = "device.user-email"
	attrManagement  = "device.management-state"
	attrStorageFree = "device.storage-free"
	attrApp         = "device.app"
	attrLoggedOn    = "device.logged-on-user"
	attrContact     = "device.last-contact"
)

// kind is the kind of managed devices.
type kind struct {
	catalogue *schemas.Catalogue
	entity.Definition
	enrolled, inventory, compliance, ownershipType, apps, whole, retired, security, setup *schemas.Type

	ownership, shared, userID, userUPN, userEmail, management, contact *schemas.Attribute
	storageTotal, storageFree, unlockCode, app, loggedOn               *schemas.Attribute

	assistanceLink, wiredIP, scopeTags, feature, baseline, cached *schemas.Attribute
	bitLocker, fileVault, encryptionPolicy                        *schemas.Attribute
}

var _ plan.Kind = (*kind)(nil)

// New returns the kind, in the terms of the catalogue.
func New(c *schemas.Catalogue) plan.Kind {
	k := &kind{catalogue: c,
		enrolled: c.MustType("device.enrolled.v2"), inventory: c.MustType("device.inventory-changed.v1"),
		compliance:    c.MustType("device.compliance-changed.v1"),
		ownershipType: c.MustType("device.ownership-changed.v1"), apps: c.MustType("device.apps-changed.v1"),
		whole: c.MustType("device.restated.v2"), retired: c.MustType("device.retired.v1"),
		security: c.MustType("device.security-changed.v1"), setup: c.MustType("device.setup-changed.v1"),

		ownership: c.MustAttribute(attrOwnership), shared: c.MustAttribute(attrShared),
		userID:  c.MustAttribute(attrUserID),
		userUPN: c.MustAttribute(attrUserUPN), userEmail: c.MustAttribute(attrUserEmail),
		management: c.MustAttribute(attrManagement), contact: c.MustAttribute(attrContact),
		storageTotal: c.MustAttribute("device.storage-total"), storageFree: c.MustAttribute(attrStorageFree),
		unlockCode: c.MustAttribute("device.unlock-code-withheld"), app: c.MustAttribute(attrApp),
		loggedOn: c.MustAttribute(attrLoggedOn),

		assistanceLink: c.MustAttribute("device.assistance-link-withheld"),
		wiredIP:        c.MustAttribute("device.wired-ip"),
		scopeTags:      c.MustAttribute("device.scope-tags"),
		feature:        c.MustAttribute("device.config-manager-feature"),
		baseline:       c.MustAttribute("device.baseline"), cached: c.MustAttribute("device.cached-user"),
		bitLocker: c.MustAttribute("device.bitlocker-state"), fileVault: c.MustAttribute("device.filevault-state"),
		encryptionPolicy: c.MustAttribute("device.encryption-policy"),
	}
	k.Definition = entity.Define(k.whole, k.contact)
	return k
}

func (k *kind) Stream() string { return "device" }
func (k *kind) Facts() bool    { return false }

func (k *kind) Forms() []plan.KindForm {
	return []plan.KindForm{{Form: forms[0], Parse: k.parseGraph},
		{Form: forms[1], OwnTime: true, Parse: k.parseAzureMonitor},
		{Form: forms[2], Parse: k.parseReport}, {Form: forms[3], Parse: k.parseAppReport},
		{Form: forms[4], Parse: k.parseEncryption}, {Form: forms[5], OwnTime: true, Parse: k.parseCompliance}}
}

// Origin is the source, and S.
func (s *snapshot) Origin() (string, time.Time) { return s.Source, s.Observed }

// RefusalStream is told apart by device and time, which the vault keeps only as an HMAC.
func (s *snapshot) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	b := schemas.LP(schemas.LP([]byte("refused"), rule), s.intuneID)
	b = schemas.LP(schemas.LP(b, s.directoryID), s.Source)
	// A copy of the file is no other record: what counts is the age.
	return tx.MappedStream("refusal", binary.BigEndian.AppendUint64(b, uint64(s.Age().Unix())))
}

func (s *snapshot) hint() vault.DeviceHint {
	return vault.DeviceHint{IntuneID: s.intuneID, DirectoryID: s.directoryID, At: s.Age()}
}

// Look names the device's stream, those of what may be refused of it, and whom it names.
func (s *snapshot) Look(l *plan.Looking) {
	l.Device(s.hint(), s.mayRefuse()...)
	if s.tellsUser() == userNamed {
		l.Meet(s.user)
	}
	for _, list := range s.Lists {
		for _, item := range list.Items {
			if item.Person != "" {
				l.Meet(hintOf(item, time.Time{}))
			}
		}
	}
}

// hintOf is how an entry of a list names the person it is about: by an object id or by a UPN.
func hintOf(item entity.Item, at time.Time) vault.PersonHint {
	if strings.Contains(item.Person, "@") {
		return vault.PersonHint{UPN: item.Person, At: at}
	}
	return vault.PersonHint{ObjectID: item.Person, At: at}
}

// userHint is how the snapshot names the user, once it is dated.
func (s *snapshot) userHint() vault.PersonHint {
	text := func(a *schemas.Attribute) string {
		t, _ := record.AsText(s.Values[a])
		return t
	}
	object, _ := record.AsGUID(text(s.kind.userID))
	return vault.PersonHint{ObjectID: object, UPN: text(s.kind.userUPN), Email: text(s.kind.userEmail), At: s.Age()}
}

// mayRefuse lists the rules that could keep a part of the snapshot out.
func (s *snapshot) mayRefuse() (rules []string) {
	for _, r := range s.refused {
		rules = append(rules, r.Key())
	}
	for _, l := range s.Lists {
		if l.Attr == s.kind.app {
			rules = append(rules, plan.RulePersonalApps)
		}
	}
	return rules
}

// Without takes out of the snapshot: what it told stays known, so that none of it stands open.
func (s *snapshot) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *s, 0
	kept.Snapshot, n = s.Snapshot.Without(refused)
	return &kept, n
}

// Plan compares the snapshot with what is known of the device.
func (s *snapshot) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	kept := *s
	s = &kept
	if err := s.Expired(p.Tx); err != nil {
		return nil, 0, err
	}
	device, err := p.Device(s.hint())
	if err != nil {
		return nil, 0, err
	}
	if device.ID == uuid.Nil {
		return nil, 0, &record.FieldError{Field: "id", Reason: "identifies no device"}
	}
	known, err := p.State(device.Stream)
	if err != nil {
		return nil, 0, err
	}
	st := known.Content.(*State)
	if s.alone && isShared(st.Text(s.kind.shared)) {
		s.Snapshot = s.Clone()
		s.Values[s.kind.shared] = schemas.JSON(false)
	}
	if known.Exists {
		var over bool
		if over, p.Tally.SameMoment = st.contradicts(s); over {
			return nil, plan.Superseded, nil
		}
	}
	who, user, err := s.resolveUser(p, st)
	if err != nil {
		return nil, 0, err
	}
	owner, then := st.ownershipOf(s)
	lists, refusals, err := s.lists(p, device.Stream, then, st)
	if err != nil {
		return nil, 0, err
	}
	if then != owner {
		refusals = s.refused // no news about the device as it is now
	}
	p.Meet(plan.Met{Device: device.ID, Stream: device.Stream, IDs: []string{s.intuneID, s.directoryID}})
	holds := holding{kind: s.kind, device: device.ID, ownership: owner, shared: st.sharedOf(s),
		user: st.User}
	if who != userUntold {
		holds.user = user
	}
	return func() ([]plan.Step, plan.Outcome, error) {
		return s.write(p, known, holds, who, lists, refusals)
	}, 0, nil
}

// write reports what rules keep out, and what the snapshot changes.
func (s *snapshot) write(
	p *plan.Planner, known *plan.StreamState, holds holding, who userHint, lists []entity.ResolvedList,
	refused []plan.Refusal,
) ([]plan.Step, plan.Outcome, error) {
	st := known.Content.(*State)
	terms := st.terms(p, known.Exists, s, who, holds)
	diff := st.Diff(s.Snapshot, lists, terms)
	steps, apply, err := p.Refusals(known.Stream, s.Source, s.Observed, refused)
	if err != nil {
		return nil, 0, err
	}
	if !diff.Writes() {
		apply()
		return steps, p.Unwritten(diff.Late, diff.Moments), nil
	}
	if terms.Restate || !known.Exists && holds.user != uuid.Nil || !st.Newest(s.Moment) {
		p.Unsettle(known.Stream)
	}
	at := s.Age() // of a holder's period; none that is proven: the snapshot's
	if at.IsZero() {
		at = s.Observed
	}
	_, err = p.Tx.SetHolder(holds.device, holds.vaultOwnership(), holds.user, st.Latest(at))
	if err != nil {
		return nil, 0, err
	}
	if err := st.Former(p.Tx, diff); err != nil {
		return nil, 0, err
	}
	diff.Protect(s.whole, st.State)
	d := s.kind.drafter(p, known, s, holds)
	changes, err := p.Encode(known, d.Events(st.State, s.Snapshot, diff))
	if err != nil {
		return nil, 0, err
	}
	apply()
	known.Advance(changes)
	for a, said := range s.Values {
		if have, _ := st.Value(a); !has(st.State, a) || !a.Same(said, have.Plain) && s.Newer(have.Moment) {
			st.name(a, st.State)
		}
	}
	st.hold(holds.user, s.Observed, s.kind.toldUser(st.State))
	st.belong(holds.ownership, st.State)
	st.share(holds.shared, st.State)
	st.Apply(s.Snapshot, diff, holds.ownerOf)
	return append(steps, changes...), plan.Recorded, nil
}

// dropUser leaves out what is the user's own, and returns how many values that were. What the
// record tells stays as it is.
func (s *snapshot) dropUser() int {
	s.Snapshot = s.Clone()
	return s.DropUser()
}

// userHint says what a snapshot tells of the device's user.
type userHint int

const (
	userUntold userHint = iota
	userNone
	userNamed
)

func (s *snapshot) tellsUser() userHint {
	switch {
	case s.Values[s.kind.userID] != nil || s.Values[s.kind.userUPN] != nil:
		return userNamed
	case s.None[s.kind.userID]:
		return userNone
	}
	return userUntold
}

// resolveUser resolves whom the snapshot names, leaving out of it what may not be kept: everything
// of a person whose erasure is not older than the record. A snapshot that is not later than what
// is known of the user changes nothing about who that is.
func (s *snapshot) resolveUser(p *plan.Planner, st *State) (userHint, uuid.UUID, error) {
	id, upn := s.kind.userID, s.kind.userUPN
	told := s.tellsUser()
	if told == userUntold {
		return told, uuid.Nil, nil
	}
	knownID, hasID := st.Value(id)
	knownUPN, hasUPN := st.Value(upn)
	at := knownID.Moment
	if !hasID || hasUPN && knownUPN.Newer(at) {
		at = knownUPN.Moment
	}
	if (hasID || hasUPN) && !s.Newer(at) {
		sameID := s.Values[id] != nil && string(s.Values[id]) == string(knownID.Plain)
		sameUPN := s.Values[upn] != nil && strings.EqualFold(string(s.Values[upn]), string(knownUPN.Plain))
		if told == userNone && st.User == uuid.Nil || sameID || sameUPN {
			return told, st.User, nil
		}
		s.dropUser()
		return userUntold, uuid.Nil, nil
	}
	if told == userNone {
		return told, uuid.Nil, nil
	}
	user, err := p.Person(s.user)
	if errors.Is(err, vault.ErrErasedSubject) {
		p.Tally.Omitted += s.dropUser()
		return userUntold, uuid.Nil, nil
	}
	return told, user, err
}

// lists gives the entries of the reported lists their elements, and refuses those that policy
// keeps out: apps of a device that is not known to be the company's.
func (s *snapshot) lists(
	p *plan.Planner, stream schemas.Stream, ownership string, st *State,
) ([]entity.ResolvedList, []plan.Refusal, error) {
	refused := s.refused
	var out []entity.ResolvedList
	for _, l := range s.Lists {
		if l.Attr == s.kind.app {
			if ownership != ownershipCompany {
				p.Tally.RefuseItems(plan.RulePersonalApps, len(l.Items))
				refused = append(refused[:len(refused):len(refused)],
					plan.Refusal{Rule: plan.RulePersonalApps, Category: plan.CategoryApps, Count: len(l.Items)})
				continue
			}
			p.Tally.Kept += len(l.Items)
		}
		r := l.Resolve()
		for _, item := range l.Items {
			var person uuid.UUID
			if item.Person != "" {
				var err error
				if person, err = p.Person(hintOf(item, s.Age())); errors.Is(err, vault.ErrErasedSubject) {
					p.Tally.Omitted++
					continue
				} else if err != nil {
					return nil, nil, err
				}
			}
			element, err := p.Tx.Element(stream, s.kind.ListName(l.Attr), item.Key)
			if err != nil {
				return nil, nil, err
			}
			value := item.Value
			if l.Attr == s.kind.app {
				value = complete(value, st.Element(l.Attr, element.String()))
			}
			r.Add(element, value, person)
		}
		out = append(out, r)
	}
	return out, refused, nil
}

// complete returns an app with what is known of it already and not told now: a report names no
// sizes, and not every app has a publisher there. Else each form would undo the other.
func complete(told, known json.RawMessage) json.RawMessage {
	var now, before app
	if known == nil || bytes.Equal(told, known) || json.Unmarshal(told, &now) != nil ||
		json.Unmarshal(known, &before) != nil {
		return told
	}
	now.Name, now.Version = cmp.Or(now.Name, before.Name), cmp.Or(now.Version, before.Version)
	now.Publisher, now.Size = cmp.Or(now.Publisher, before.Publisher), cmp.Or(now.Size, before.Size)
	return schemas.JSON(now)
}

// Ahead implements plan.Remembering.
func (k *kind) Ahead(known []byte, a *vault.Ahead) {
	m := entity.Ahead(known, a)
	f := &folding{st: &State{kind: k}}
	f.Take(m)
	for _, u := range f.users {
		a.Aliases = append(a.Aliases, u.alias)
	}
}

// Fold returns what the events of a device say now, and who used it when.
func (k *kind) Fold(tx *vault.Tx, h plan.History) (plan.Content, error) {
	f := &folding{st: &State{kind: k}}
	told, err := entity.Fold(k.Definition, tx, entity.Past(h), f)
	if err != nil {
		return nil, err
	}
	f.st.State = told
	if err := f.settle(tx); err != nil {
		return nil, err
	}
	return f.st, nil
}
