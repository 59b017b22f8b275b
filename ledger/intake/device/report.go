package device

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// The parsers of Intune's reports: the tables of the portal and of the export jobs.

var (
	reportDeviceFields = record.NamesOf(entity.FieldNames(reportDevice, bypassCode)...)
	reportAppFields    = record.NamesOf(appReportFields...)
	reportAppRows      = record.NamesOf(reportDeviceID, source.Rows)
)

// twin is behind the name of a member that says for people what another says by a code.
const twin = "_loc"

// twinsOf are those of a table.
func twinsOf(table []entity.Mapping) (out []string) {
	for _, f := range table {
		out = append(out, f.Field+twin)
	}
	return out
}

var reportTwins, complianceTwins = twinsOf(reportDevice), twinsOf(azureCompliance)

// parseReport reads a row of a report on devices. It tells no time of its own: its file dates it.
func (k *kind) parseReport(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	p := k.parser(in, source.Graph)
	for name, raw := range m.All {
		if len(raw) > maxUntold {
			continue
		}
		if text, _ := record.AsText(raw); untold[strings.ToLower(text)] {
			m.Delete(name)
		}
	}
	p.codes(m, reportDevice, reportTwins)
	p.rounded(m)
	if err := p.take(m, reportDevice, false); err != nil {
		return nil, err
	}
	in.Seen.Use("", m, reportDeviceFields)
	if !record.IsEmpty(m.Get(bypassCode)) {
		p.Values[k.unlockCode] = schemas.JSON(true)
	}
	if err := p.finish(reportDeviceID, m.Text(reportDeviceID), m.Known("ReferenceId")); err != nil {
		return nil, err
	}
	contact := record.NamedText{Field: "LastContact", Value: m.Text("LastContact")}
	if err := p.Settle(record.NamedText{}, time.Time{}, in.File, contact, in.Now); err != nil {
		return nil, err
	}
	p.user = p.userHint()
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
}

// codes settles the columns that a report writes twice, as a code and for people: the code counts
// where it is known, else what stands beside it. An unknown code is counted as what is not stored.
func (p *parser) codes(m *record.Members, table []entity.Mapping, twins []string) {
	for i, f := range table {
		beside := m.Get(twins[i])
		if beside == nil && !isDigits(m.Get(f.Field)) {
			continue
		}
		a := p.kind.catalogue.MustAttribute(f.Attr)
		if beside != nil {
			code, codeKnown := known(a, m.Get(f.Field))
			name, nameKnown := known(a, beside)
			switch {
			case codeKnown && nameKnown && !a.Same(code, name):
				p.in.Tally.Contradicted++
			case !codeKnown && (nameKnown || record.IsEmpty(m.Get(f.Field))):
				m.Set(f.Field, beside)
			}
			m.Delete(twins[i])
		}
		if isCode(a, m.Get(f.Field)) {
			m.Set(f.Field+" code", m.Get(f.Field))
			m.Delete(f.Field)
		}
	}
}

// isCode reports whether a value is a code that the catalogue does not know and other sources
// spell out: taken as it is, it would be another value than theirs.
func isCode(a *schemas.Attribute, raw json.RawMessage) bool {
	if a.Shape == nil || a.Shape.Kind != "enum" && a.Shape.Kind != "bool" || !isDigits(raw) {
		return false
	}
	value, found, err := record.Normalise(a, raw, 1)
	return err == nil && found == record.Reported && !a.MayStandOpen(value)
}

// isDigits reports whether a value is a text of digits.
func isDigits(raw json.RawMessage) bool {
	inner := bytes.Trim(raw, `"`)
	return len(inner) > 0 && len(bytes.Trim(inner, "0123456789")) == 0
}

// known returns the value of an attribute in its canonical form, and whether it is one that the
// catalogue knows.
func known(a *schemas.Attribute, raw json.RawMessage) (json.RawMessage, bool) {
	value, found, err := record.Normalise(a, raw, 1)
	return value, err == nil && found == record.Reported && a.MayStandOpen(value)
}

// rounded takes out sizes that are no whole number of mebibytes, as "475,71 GB": compared with
// what others tell exactly they would be news each time. They are counted as what is not stored.
func (p *parser) rounded(m *record.Members) {
	for _, f := range reportDevice {
		if f.Unit != mebibyte || isDigits(m.Get(f.Field)) {
			continue
		}
		text := m.Text(f.Field)
		if text == "" {
			continue
		}
		number, unit, _ := strings.Cut(text, " ")
		if strings.Trim(number, "0123456789") == "" && (unit == "" || strings.EqualFold(unit, "MB")) {
			m.Set(f.Field, schemas.JSON(number))
			continue
		}
		m.Set(f.Field+" rounded", m.Get(f.Field))
		m.Delete(f.Field)
	}
}

// parseAppReport reads rows of a report on discovered apps that are about one device. They are a
// part of its list, since the file may hold others of them elsewhere, or have been asked for a
// few: what is not among them is not gone.
func (k *kind) parseAppReport(in plan.Parsing) (plan.Record, error) {
	m := in.Members
	p := k.parser(in, source.Graph)
	if err := p.take(m, reportDevice[:1], false); err != nil {
		return nil, err
	}
	in.Seen.Use("", m, reportAppRows)
	if err := p.finish(reportDeviceID, m.Text(reportDeviceID), ""); err != nil {
		return nil, err
	}
	if err := p.Settle(record.NamedText{}, time.Time{}, in.File, record.NamedText{Field: reportDeviceID},
		in.Now); err != nil {
		return nil, err
	}
	l := entity.List{Attr: k.app}
	for _, o := range m.Array(source.Rows) {
		row := record.ReadMembers(o)
		if _, err := row.Size(appSize); err != nil {
			row.Set(appSize+" unreadable", row.Get(appSize))
			row.Delete(appSize)
		}
		in.Seen.Use("", row, reportAppFields)
		a := app{Name: row.Name(appName), Version: row.Name(appVersion), Publisher: row.Name(appPublisher),
			ID: row.Known(appKey)}
		if a.Version == "" {
			a.Version = row.Name(appShort)
		}
		a.Size, _ = row.Size(appSize)
		if err := p.put(&l, a, ""); err != nil {
			in.Tally.Cut++ // it alone: the other rows stand for themselves
		}
	}
	if len(l.Items) > 0 {
		p.Lists = append(p.Lists, l)
	}
	in.Tally.Undated = !p.Proven
	return p.snapshot, nil
}
