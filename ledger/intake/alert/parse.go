package alert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// fact returns what a record of the form tells, of which nothing but its time is read yet.
func (k *kind) fact(in plan.Parsing, form source.Form, at record.NamedText) (*fact, error) {
	f := &fact{kind: k, source: form.Origin, refused: in.Never, values: map[*schemas.Attribute]json.RawMessage{}}
	var err error
	if f.at, err = record.FirstTime(at); err != nil {
		return nil, err
	}
	if f.at.IsZero() {
		return nil, &record.FieldError{Field: at.Field, Reason: "is of a year that means unknown"}
	}
	return f, nil
}

// take reads the fields of a table, which stand behind the prefix.
func (f *fact) take(in plan.Parsing, prefix string, m *record.Members, table []entity.Mapping) error {
	for _, t := range table {
		if err := f.tell(in, t.Attr, m.Get(t.Field)); err != nil {
			return record.Within(prefix+t.Field, err)
		}
	}
	return nil
}

// about says of which device and user the record is. Nothing says that the service's own id of a
// user is the directory's: it finds whom a record linked it to, or whom the directory knows by the
// same id, and makes nobody known.
func (f *fact) about(in plan.Parsing, intune, directory, id, upn string) error {
	f.device = vault.DeviceHint{IntuneID: intune, DirectoryID: directory, At: f.at}
	f.user = vault.PersonHint{UPN: upn, IntuneID: id, At: f.at}
	for attr, text := range map[string]string{attrUserID: id, attrUserUPN: upn} {
		if text != "" {
			if err := f.tell(in, attr, schemas.JSON(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseEvent reads a troubleshooting event of Graph: an enrolment that failed.
func (k *kind) parseEvent(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	in.Seen.Use("", m, eventNames)
	sh := record.Shapes{Seen: in.Seen}
	sh.Single("", m, entity.FieldNames(event, "id", "eventDateTime", "managedDeviceIdentifier", "deviceId",
		"userId")...)
	inner := sh.Object(m.Get(detailsMember), detailsMember)
	in.Seen.Use(detailsMember+".", inner, detailNames)
	sh.Single(detailsMember+".", inner, entity.FieldNames(details)...)
	if sh.Err != nil {
		return nil, sh.Err
	}
	f, err := k.fact(in, eventForm, record.NamedText{Field: "eventDateTime", Value: m.Text("eventDateTime")})
	if err == nil {
		err = f.take(in, "", m, event)
	}
	if err == nil {
		err = f.take(in, detailsMember+".", inner, details)
	}
	if err != nil {
		return nil, err
	}
	id, ok := record.AsGUID(m.Text("id"))
	switch ofEnrolment := source.TypeName(m.Text("@odata.type")) == eventForm.ODataTypes[0]; {
	case !ok:
		return nil, &record.FieldError{Field: "id",
			Reason: "is missing or no id of the source's form, so that the record cannot be told from another"}
	case !ofEnrolment && !m.Has("failureCategory") && !m.Has("failureReason"):
		return nil, &record.FieldError{Field: "failureCategory",
			Reason: "is missing, and no failureReason stands beside it, so that nothing says what failed"}
	}
	f.canonical = schemas.LP(schemas.LP(nil, "intune/troubleshootingEvent"), id)
	for attr, value := range map[string]string{attrCategory: "enrolment", attrResult: "failure"} {
		if err := f.tell(in, attr, schemas.JSON(value)); err != nil {
			return nil, err
		}
	}
	intune, _ := record.AsGUID(m.Known("managedDeviceIdentifier"))
	directory, _ := record.AsGUID(m.Known("deviceId"))
	user, _ := record.AsGUID(m.Known("userId"))
	return f, f.about(in, intune, directory, user, "")
}

// parseLog reads a record of Azure Monitor.
func (k *kind) parseLog(in plan.Parsing) (plan.Record, error) {
	m, p := in.Members, in.Properties
	in.Seen.Use("", m, fields)
	in.Seen.Use("properties.", p, properties)
	f, err := k.fact(in, logForm, record.NamedText{Field: "time", Value: m.Text("time")})
	if err == nil {
		err = f.take(in, "properties.", p, table)
	}
	if err != nil {
		return nil, err
	}
	result := m.Get("resultType")
	if record.IsEmpty(result) {
		result = m.Get("result")
	}
	if err := f.tell(in, attrResult, result); err != nil {
		return nil, err
	}
	if f.values[k.catalogue.MustAttribute(attrCategory)] == nil {
		if err := f.tell(in, attrCategory, m.Get("operationName")); err != nil {
			return nil, err
		}
	}
	// "Windows 10.0.26100.2894": the version is behind the last blank.
	if text := p.Known("DeviceOperatingSystem"); text != "" {
		name, version := text, ""
		if i := strings.LastIndexByte(text, ' '); i > 0 && strings.Contains(text[i:], ".") {
			name, version = text[:i], text[i+1:]
		}
		if err := errors.Join(f.tell(in, attrSystem, schemas.JSON(name)),
			f.tell(in, attrVersion, schemas.JSON(version))); err != nil {
			return nil, record.Within("properties.DeviceOperatingSystem", err)
		}
	}
	// "DefaultDeviceCompliancePolicy.RequireRemainContact||…": which setting it is.
	first, _, _ := strings.Cut(p.Known("Description"), "||")
	if policy, setting, ok := strings.Cut(strings.TrimSpace(first), "."); ok && !strings.ContainsAny(first, " \t") {
		if err := errors.Join(f.tell(in, attrPolicy, schemas.JSON(policy)),
			f.tell(in, attrSetting, schemas.JSON(setting))); err != nil {
			return nil, record.Within("properties.Description", err)
		}
	}
	return f, f.identify(in, p)
}

// identify says of which device and user the record is, and what tells it apart.
func (f *fact) identify(in plan.Parsing, p *record.Members) error {
	intune, _ := record.AsGUID(p.Known("IntuneDeviceId"))
	directory, _ := record.AsGUID(p.Known("AADDeviceId"))
	id, _ := record.AsGUID(p.Known("IntuneUserId"))
	upn := p.Known("UserName")
	if suffix := p.Known("UPNSuffix"); upn != "" && suffix != "" && !strings.Contains(upn, "@") {
		upn += "@" + suffix
	}
	if !strings.Contains(upn, "@") || schemas.Junk(p.Known("UserName")) {
		upn = ""
	}
	if err := f.about(in, intune, directory, id, upn); err != nil {
		return err
	}
	message, _ := record.AsGUID(p.Known("MessageId"))
	category, _ := record.AsText(f.values[f.kind.catalogue.MustAttribute(attrCategory)])
	// Log Analytics keeps milliseconds.
	b := binary.BigEndian.AppendUint64(nil, uint64(f.at.UnixMilli()))
	for _, s := range []string{category, message, intune, directory, id, strings.ToLower(upn), p.Known("AlertType"),
		p.Known("Description"), p.Known("FailureReason")} {
		b = schemas.LP(b, s)
	}
	f.canonical = b
	if category == "" || message == "" && intune == "" && directory == "" && id == "" && upn == "" {
		return &record.FieldError{Field: "properties.IntuneDeviceId", Reason: "is missing, and no id of a message, " +
			"device or user stands beside it, so that the record cannot be told from another"}
	}
	return nil
}
