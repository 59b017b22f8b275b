package device

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// What stands in objects and lists of a device beside its hardware: how it attests its health,
// what Configuration Manager does, baselines, and who has data on a shared one.

// defaults are the first values of enums. Graph answers with them where it has not looked: a
// phone's Credential Guard is "running".
var defaults = map[string]string{
	"device.virtualization-security": "running",
	"device.credential-guard":        "running",
	"device.virtualization-hardware": "meetHardwareRequirements",
}

// looked reports whether Graph has looked at the hardware's guards: it tells of the TPM beside
// them, or one of them is no default.
func looked(hardware *record.Members) bool {
	if hardware.Known("tpmSpecificationVersion") != "" {
		return true
	}
	return slices.ContainsFunc(graphHardware, func(f entity.Mapping) bool {
		usual := defaults[f.Attr]
		text := hardware.Known(f.Field)
		return usual != "" && text != "" && text != "0" && !strings.EqualFold(text, usual)
	})
}

// details reads the objects and lists of a device beside its hardware.
func (p *parser) details(m, hardware *record.Members, reader *record.Shapes) error {
	for _, o := range []struct {
		field string
		table []entity.Mapping
		known record.Names
	}{
		{"deviceHealthAttestationState", graphHealth, graphHealthFields},
		{"configurationManagerClientHealthState", graphClientHealth, graphClientHealthFields},
		{"configurationManagerClientInformation", graphClient, graphClientFields},
	} {
		inner := reader.Object(m.Get(o.field), o.field)
		p.in.Seen.Use(o.field+".", inner, o.known)
		if err := p.take(inner, o.table, false); err != nil {
			return record.Within(o.field+".", err)
		}
	}
	p.features(reader.Object(m.Get("configurationManagerClientEnabledFeatures"),
		"configurationManagerClientEnabledFeatures"))
	const wired = "hardwareInformation.wiredIPv4Addresses"
	p.joined(p.kind.wiredIP, reader.Texts(hardware.Get("wiredIPv4Addresses"), wired, true))
	p.joined(p.kind.scopeTags, reader.Texts(m.Get("roleScopeTagIds"), "roleScopeTagIds", true))
	if !record.IsEmpty(m.Get("remoteAssistanceSessionUrl")) {
		p.Values[p.kind.assistanceLink] = schemas.JSON(true)
	}
	if err := p.baselines(m, reader); err != nil {
		return err
	}
	p.cachedUsers(hardware, reader)
	return reader.Err
}

// maxJoined is how many texts of a list are kept as one value.
const maxJoined = 64

// joined tells a list of texts as one value, whatever their order. An empty one says nothing:
// Graph answers so where it has not looked.
func (p *parser) joined(a *schemas.Attribute, texts []string) {
	var out []string
	for _, text := range texts {
		if !schemas.Junk(text) || a == p.kind.scopeTags && text == "0" {
			out = append(out, strings.Join(strings.Fields(text), " "))
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxJoined {
		p.in.Tally.Cut += len(out) - maxJoined
		out = out[:maxJoined]
	}
	if value := record.Clip(strings.Join(out, ", "), maxDetail); value != "" {
		p.Values[a] = schemas.JSON(value)
	}
}

// features lists what Intune manages of a device that Configuration Manager manages too.
func (p *parser) features(m *record.Members) {
	if m == nil {
		return
	}
	p.in.Seen.Use("configurationManagerClientEnabledFeatures.", m, graphFeatureFields)
	var on []string
	for _, name := range p.kind.feature.Shape.Values {
		if strings.EqualFold(m.Text(name), "true") {
			on = append(on, name)
		}
	}
	p.words(p.kind.feature, on)
}

// words tells a list of words of the attribute's vocabulary, or of what stands for one.
func (p *parser) words(a *schemas.Attribute, texts []string) {
	l := entity.List{Attr: a, Complete: true}
	for _, text := range texts {
		value, found, err := record.Normalise(a, schemas.JSON(text), 1)
		if err != nil || found != record.Reported || len(value) > maxDetail {
			continue
		}
		l.Put(entity.Item{Key: strings.ToLower(text), Value: value})
	}
	p.Lists = append(p.Lists, l)
}

// baseline is the one value of an entry. The order of its members is frozen, as in all of these.
type baseline struct {
	Name     string `json:"name,omitempty"`
	State    string `json:"state,omitempty"`
	Template string `json:"template"`
}

// maxDetail is the longest that an entry's text may be, in bytes.
const maxDetail = 4 << 10

// baselines reads the security baselines that were assigned to the device, and how it stands by
// them.
func (p *parser) baselines(m *record.Members, reader *record.Shapes) error {
	l := entity.List{Attr: p.kind.baseline, Complete: true}
	for i, o := range reader.Objects(m.Get("securityBaselineStates"), "securityBaselineStates") {
		path := fmt.Sprintf("securityBaselineStates[%d].", i)
		reader.Single(path, o, "securityBaselineTemplateId", "displayName", "state")
		p.in.Seen.Use("securityBaselineStates.", o, graphBaselineFields)
		b := baseline{Name: record.Clip(o.Name("displayName"), maxDetail), State: record.Clip(o.Known("state"), 64),
			Template: strings.ToLower(o.Known("securityBaselineTemplateId"))}
		if len(b.Template) > maxDetail {
			return &record.FieldError{Field: path + "securityBaselineTemplateId",
				Reason: fmt.Sprintf("is longer than %d bytes", maxDetail)}
		}
		if b.Template == "" {
			p.in.Tally.Unnamed++
			l.Complete = false
			continue
		}
		l.Put(entity.Item{Key: b.Template, Value: schemas.JSON(b)})
	}
	if len(l.Items) > 0 {
		p.Lists = append(p.Lists, l)
	}
	return nil
}

type cachedUser struct {
	UPN string `json:"upn"`
}

// cachedUsers reads who has data on a shared device. Each is sealed under their own key.
func (p *parser) cachedUsers(hardware *record.Members, reader *record.Shapes) {
	const field = "hardwareInformation.sharedDeviceCachedUsers"
	l := entity.List{Attr: p.kind.cached, Complete: true}
	for i, o := range reader.Objects(hardware.Get("sharedDeviceCachedUsers"), field) {
		reader.Single(fmt.Sprintf("%s[%d].", field, i), o, "userPrincipalName")
		p.in.Seen.Use(field+".", o, graphCachedFields)
		upn := o.Known("userPrincipalName")
		if schemas.Junk(upn) || !strings.Contains(upn, "@") || len(upn) > maxDetail {
			p.in.Tally.Unnamed++
			l.Complete = false
			continue
		}
		l.Put(entity.Item{Key: strings.ToLower(upn), Value: schemas.JSON(cachedUser{upn}), Person: upn})
	}
	if len(l.Items) > 0 {
		p.Lists = append(p.Lists, l)
	}
}

// encryptionPolicy is a policy on encryption that applies to the device.
type encryptionPolicy struct {
	Name string `json:"name,omitempty"`
	ID   string `json:"id"`
}

// encryption reads the lists of a state of encryption.
func (p *parser) encryption(m *record.Members, reader *record.Shapes) {
	// Graph writes flags as one text: "tpmNotReady,networkError".
	apart := func(r rune) bool { return r == ',' || r == ' ' }
	if text := m.Known("advancedBitLockerStates"); text != "" {
		p.words(p.kind.bitLocker, strings.FieldsFunc(text, apart))
	}
	if text := m.Known("fileVaultStates"); text != "" {
		p.words(p.kind.fileVault, strings.FieldsFunc(text, apart))
	}
	l := entity.List{Attr: p.kind.encryptionPolicy, Complete: true}
	for i, o := range reader.Objects(m.Get("policyDetails"), "policyDetails") {
		reader.Single(fmt.Sprintf("policyDetails[%d].", i), o, "policyId", "policyName")
		p.in.Seen.Use("policyDetails.", o, graphPolicyFields)
		id := strings.ToLower(o.Known("policyId"))
		if id == "" || len(id) > maxDetail {
			p.in.Tally.Unnamed++
			l.Complete = false
			continue
		}
		l.Put(entity.Item{Key: id, Value: schemas.JSON(encryptionPolicy{
			Name: record.Clip(o.Name("policyName"), maxDetail), ID: id})})
	}
	if m.Has("policyDetails") && string(m.Get("policyDetails")) != "null" {
		p.Lists = append(p.Lists, l)
	}
}
