package source

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/schemas"
)

// What transports do to a record, undone: the parsers know Graph's and Azure Monitor's forms
// alone. Log Analytics makes columns of a record's members, PowerShell's SDK writes names with a
// capital, and many a pipeline puts JSON into a text.

// settle brings the record into the form of its source.
func (r *Recogniser) settle(rec *record.Record) {
	if cloudevents.Is(rec.Members) {
		r.open(rec)
		return
	}
	if table := r.table(rec.Members); table != "" {
		r.fromLogAnalytics(rec, table)
	} else if r.isSDK(rec.Members) {
		rec.Members = r.fromSDK(rec.Members)
	}
	if rec.Has("category") {
		// One level of text is decoded: what is a text in there stays one.
		if inner := record.JsonInText(rec.Get("properties")); record.Begins(inner, '{') {
			rec.Set("properties", inner)
			rec.Decoded = true
		}
	}
	rec.Properties = rec.Object("properties")
}

// open reads a CloudEvent, and makes a record of its data where its type is one that is taken in.
func (r *Recogniser) open(rec *record.Record) {
	e := cloudevents.Read(rec.Members)
	if rec.Event = e; e.Fault != nil || r.events[e.Type] == nil || e.Never != "" {
		return
	}
	var data *record.Members
	if data, e.Fault = cloudevents.DataOf(rec.Members); e.Fault == nil {
		rec.Members = data
	}
}

// table returns the table that a row of Log Analytics is of: the one it names, or where a query
// left the name out, the one whose columns it has.
func (r *Recogniser) table(m *record.Members) string {
	switch {
	case m.Has("category") || m.Has("properties"):
		return ""
	case m.Has("TimeGenerated", "Type"):
		return m.Text("Type")
	}
	if f := r.ofRow(m); f != nil {
		return f.Table
	}
	return ""
}

// logAnalyticsOwn are the columns that Log Analytics adds. Its TenantId is the workspace's id, and
// names no source tenant.
var logAnalyticsOwn = map[string]bool{"TenantId": true, "SourceSystem": true, "Type": true, "TableName": true,
	"MG": true, "ManagementGroupName": true, "Computer": true, "RawData": true, "TimeGenerated": true}

// fromLogAnalytics makes an Azure Monitor record of a row.
func (r *Recogniser) fromLogAnalytics(rec *record.Record, table string) {
	rec.Table = table
	category := r.tables[strings.ToLower(table)]
	if category == "" {
		return
	}
	form := r.ofCategory(category)
	flat := form != nil && form.Flat
	m := record.NewMembers(rec.Len())
	m.Set("category", schemas.JSON(category))
	m.Set("time", rec.Get("TimeGenerated"))
	columns := record.NewMembers(rec.Len())
	for name, raw := range rec.All {
		switch {
		case logAnalyticsOwn[name] || strings.HasPrefix(name, "_"):
		case flat && name != "OperationName" && name != "Result":
			columns.Set(name, raw)
		case !flat && name == "Category":
		default:
			m.Set(lowerFirst(name), raw)
		}
	}
	if flat {
		for _, name := range form.Unshared {
			if record.IsEmpty(columns.Get(name)) {
				columns.Delete(name)
			}
		}
		m.Set("properties", schemas.JSON(columns))
	}
	rec.Members = m
}

// graphName returns Graph's spelling of a name of PowerShell's SDK: a small first letter, but for
// names that the forms spell otherwise.
func (r *Recogniser) graphName(s string) string {
	if n := r.names[strings.ToLower(s)]; n != "" {
		return n
	}
	return lowerFirst(s)
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || !unicode.IsUpper(r) {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// fromSDK gives a record Graph's names, in all it holds.
func (r *Recogniser) fromSDK(m *record.Members) *record.Members {
	if out := record.ReadMembers(r.graphForm(schemas.JSON(m), 0)); out != nil {
		return out
	}
	return m
}

// graphForm renames the members of an object and of the objects in it. What the SDK found no
// member for (AdditionalProperties, by Graph's own names) stands beside the others again.
func (r *Recogniser) graphForm(raw json.RawMessage, depth int) json.RawMessage {
	if len(raw) == 0 || depth > maxNesting {
		return raw
	}
	switch raw[0] {
	case '{':
		in := record.ReadMembers(raw)
		if in == nil {
			return raw
		}
		out := record.NewMembers(in.Len())
		for name, v := range in.All {
			if name != "AdditionalProperties" {
				out.Set(r.graphName(name), r.graphForm(v, depth+1))
			}
		}
		for name, v := range in.Object("AdditionalProperties").All {
			if !out.Has(name) {
				out.Set(name, v)
			}
		}
		return schemas.JSON(out)
	case '[':
		in := record.Elements(raw)
		if in == nil {
			return raw
		}
		for i := range in {
			in[i] = r.graphForm(in[i], depth+1)
		}
		return schemas.JSON(in)
	case '"':
		if s, ok := record.AsText(raw); ok {
			if at, ok := record.ReadJSONDate(s); ok {
				return schemas.JSON(at.Format(time.RFC3339Nano))
			}
		}
	}
	return raw
}
