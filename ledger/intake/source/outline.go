package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// outline is what is known of an object before it is taken apart. Content decides, not the order
// of members:
//
//  1. An object of a known name is a record, whatever members it has (a device with `records`).
//  2. One whose members are those of a page, batch, response or table holds records.
//  3. Any other in which a record of a known name stands is a wrapper, and that record is taken.
//  4. What is left is a record of no known name.
//
// A row of a page or batch is never rule 2's.
type outline struct {
	text    []byte // as far as was looked ahead
	whole   bool   // the object ends within it
	valid   bool   // and is JSON
	named   bool   // rule 1
	rec     record.Record
	context string   // its own @odata.context, else that around it
	columns []string // of a table
	page    bool     // its value is a part of a collection
	more    bool     // it names a page after it
	members []string // that hold records
	field   string
	answer  string // that it is an answer without records, and which
}

// how a member is read.
type opening int

const (
	openNot    opening = iota
	openRows           // each element is a record
	openCells          // each is a row of a table
	openValues         // what stands there may hold records
	openText           // and stands in a text
)

// containers are the members by which sources hold records, lower-cased.
var containers = map[string]bool{"value": true, "records": true, "responses": true, "body": true, "tables": true}

func (o *outline) container() bool { return len(o.members) > 0 }

// readable reports whether an object on a line that is no JSON can be told from its fault.
func (o *outline) readable() bool { return o.valid && o.named || o.answer != "" || o.container() }

func (o *outline) opens(key string, b byte) opening {
	found := false
	for _, m := range o.members {
		found = found || m == key
	}
	list := strings.EqualFold(key, "value") || strings.EqualFold(key, "records")
	switch {
	case !found:
	case b == '[' && o.columns != nil:
		return openCells
	case b == '[' && list:
		return openRows
	case b == '[' || b == '{':
		return openValues
	case b == '"':
		return openText
	}
	return openNot
}

func isLink(key string) bool {
	if len(key) < len("nextlink") || len(key) > len("@odata.nextlink")+3 { // a letter k may have three bytes, an i two
		return false
	}
	switch strings.ToLower(key) {
	case "@odata.nextlink", "odata.nextlink", "nextlink":
		return true
	}
	return false
}

// outline looks ahead at the object that begins here. container says that it may be rule 2's.
func (s *scanner) outline(context string, container bool) *outline {
	o := &outline{context: context}
	if seen := s.look(); seen.valid {
		o.text, o.whole, o.valid = bytes.Clone(seen.text), true, true
		o.rec.Members = s.seen.Members(o.text)
	} else {
		o.text, o.whole = s.valueAhead(maxRecordBytes)
	}
	holds := o.rec.Members // as they stand; settling renames some
	if !o.valid {
		holds, o.rec.Members = record.NewMembers(0), record.NewMembers(0)
		eachMember(o.text, func(name string, value []byte) bool {
			holds.Set(name, value)
			if o.rec.Set(name, value); !record.Valid(value) {
				o.rec.Set(name, json.RawMessage("null")) // it is there, and that tells the kind
			}
			return true
		})
	}
	own := holds.Text("@odata.context")
	s.forms.settle(&o.rec)
	around := context
	for key, raw := range holds.All {
		switch {
		case isLink(key):
			o.more = !record.IsEmpty(raw)
		case strings.EqualFold(key, "value") && own != "" && !strings.HasSuffix(own, "/$entity"):
			// The context names what value holds, not the object.
			o.page = o.page || record.Begins(raw, '[')
			if record.Begins(raw, '[') || record.Begins(raw, '{') {
				o.context = own
			}
		}
	}
	judged := o.rec
	if o.context == own && own != "" {
		judged.Members = o.rec.Members.Clone()
		judged.Delete("@odata.context")
		around = ""
	}
	if s.forms.kind(judged, around).Named && !isCollection(o.rec.Text("@odata.type")) {
		o.context, o.named = context, true
		return o
	}
	if own != "" {
		o.context = own
	}
	if o.field, o.answer = faultOf(holds); o.answer != "" && o.valid {
		return o
	}
	o.answer = ""
	o.find(holds, s, container)
	return o
}

// find lists the members that hold records.
func (o *outline) find(holds *record.Members, s *scanner, container bool) {
	if o.columns = columnsOf(holds); o.columns != nil {
		for _, name := range []string{"rows", "Rows"} {
			if record.Begins(holds.Get(name), '[') {
				o.members = append(o.members, name)
			}
		}
		if o.container() {
			return
		}
		o.columns = nil
	}
	for key, raw := range holds.All {
		lower := strings.ToLower(key)
		switch {
		case record.Begins(raw, '"') && s.decoded:
			// One level of text is decoded.
		case containers[lower] && container && o.isContainer(lower, raw, holds),
			s.depth+1 < maxNesting && s.forms.holdsRecord(raw, s.depth+1, s.decoded):
			o.members = append(o.members, key)
			o.page = o.page || lower == "value" && record.Begins(raw, '[')
		}
	}
}

// isContainer tells by an object's other members whether one of a container's name is one. Only
// `value` is a name that a record of no known name may well have.
func (o *outline) isContainer(lower string, raw json.RawMessage, holds *record.Members) bool {
	switch {
	case record.Begins(raw, '"'):
		return lower == "body" && looksJSON(raw)
	case !record.Begins(raw, '[') && !record.Begins(raw, '{'):
		return false
	case lower != "value" || o.page || !o.valid: // what is broken or too large is no record anyway
		return true
	}
	for key := range holds.All {
		switch l := strings.ToLower(key); {
		case l == "value", strings.Contains(l, "odata."), strings.HasPrefix(l, "@"), isLink(l), l == "count":
		default:
			return false
		}
	}
	return true
}

// looksJSON reports whether a text begins as JSON does that is no single value.
func looksJSON(raw json.RawMessage) bool {
	s, _ := record.AsText(raw)
	return strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
}

// isCollection reports whether a type is that of an answer and not of what it holds.
func isCollection(odata string) bool {
	return strings.HasPrefix(odata, "#Collection(") || strings.HasSuffix(odata, "CollectionResponse")
}

// columnsOf returns the names of a table's columns, in the forms of Log Analytics and of Kusto.
func columnsOf(m *record.Members) (names []string) {
	list := m.Array("columns")
	if list == nil {
		list = m.Array("Columns")
	}
	for _, raw := range list {
		c := record.ReadMembers(raw)
		if c == nil {
			return nil
		}
		name := c.Text("name")
		if name == "" {
			name = c.Text("ColumnName")
		}
		if name == "" {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// faultOf tells an answer that says an error from one that holds records: a part of a batch that
// was put off or refused, or a saved error.
func faultOf(m *record.Members) (field, reason string) {
	status := m.Text("status")
	answer := m.Has("body") || m.Has("headers")
	if answer && len(status) == 3 && status >= "400" && status <= "599" && m.Get("status")[0] != '"' {
		part := ""
		if id := m.Text("id"); record.IsName(id) || isShortNumber(id) {
			part = " " + id
		}
		code := ""
		if c := m.Object("body").Object("error").Text("code"); record.IsName(c) {
			code = ", " + c
		}
		return "status", fmt.Sprintf("says that part%s of a batch was not answered (%s%s): ask for it again and "+
			"import the answer", part, status, code)
	}
	if e := m.Object("error"); e.Has("code") && !m.Has("value") && !m.Has("records") {
		code := "without a name"
		if c := e.Text("code"); record.IsName(c) {
			code = c
		}
		return "error", "says that the source answered with an error (" + code + "), and holds no record"
	}
	return "", ""
}

func isShortNumber(s string) bool {
	return s != "" && len(s) <= 6 && strings.Trim(s, "0123456789") == ""
}

// holdsRecord reports whether a record stands in the value that is taken in, or that is of Azure
// Monitor and so names its kind; or an answer that holds some.
func (r *Recogniser) holdsRecord(raw json.RawMessage, depth int, decoded bool) bool {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || depth > maxNesting {
		return false
	}
	switch raw[0] {
	case '"':
		inner := record.JsonInText(raw)
		return inner != nil && !decoded && r.holdsRecord(inner, depth, true)
	case '[':
		for _, e := range record.Elements(raw) {
			if (record.Begins(e, '{') || record.Begins(e, '[')) && r.holdsRecord(e, depth+1, decoded) {
				return true
			}
		}
	case '{':
		rec, err := r.decode(raw)
		if err != nil {
			return false
		}
		if record.Begins(rec.Get("value"), '[') && contextPath(rec.Text("@odata.context")) != "" {
			return true
		}
		k := r.kind(rec, "")
		if _, monitor := r.monitorKind(rec); monitor || k.Form != nil {
			return true
		}
		if k.Named {
			return false // what it holds is its own
		}
		for _, inner := range rec.All {
			if r.holdsRecord(inner, depth+1, decoded) {
				return true
			}
		}
	}
	return false
}
