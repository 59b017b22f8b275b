// Package cloudevents reads the envelope of a CloudEvent (CNCF, version 1.0) as its JSON form
// writes it, whatever brought it: a file, a batch, later a request or a message, whose headers are
// members here. What the event tells of is its data; which type tells of what, the kinds say.
//
// It keeps nothing and trusts no event: an attribute that the specification requires and that is
// missing, or is not what it says, is a fault by name.
package cloudevents

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

const (
	// Prefix is what the types of events begin with that are taken in: the reverse of the
	// project's own name in DNS. Of any other type an event is known by its data alone.
	Prefix = "io.github.ledgerline."
	// Name is what an event is counted as that cannot be read.
	Name = "CloudEvent"
	// Data is the member that holds what the event tells of.
	Data = "data"
)

// The attributes of an event.
const (
	version     = "specversion"
	dataBase64  = "data_base64"
	contentType = "datacontenttype"
)

var attributes = record.NamesOf(version, "id", "source", "type", "subject", "time", contentType, "dataschema", Data,
	dataBase64)

// Longest texts that tell events apart, in bytes.
const (
	maxID     = 1 << 10
	maxSource = 2 << 10
)

// Is reports whether members are those of an event: no record of Graph or Azure Monitor has a
// version of the specification.
func Is(m *record.Members) bool { return m.Has(version) && !m.Has("@odata.type") }

// Read returns the event. Its Fault says what is wrong with the envelope; DataOf reads the data.
func Read(m *record.Members) *record.Event {
	e := &record.Event{Extensions: record.NewMembers(0)}
	for name, raw := range m.All {
		if !attributes[name] {
			e.Extensions.Set(name, raw)
		}
	}
	e.Type = text(m, "type")
	e.Never = catalogue.NeverMedia(text(m, contentType))
	e.Fault = envelope(e, m)
	return e
}

var (
	versions = regexp.MustCompile(`^1(\.[0-9]{1,2})?$`)
	shown    = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$`)
)

func fault(field, reason string) *record.FieldError {
	return &record.FieldError{Field: field, Reason: reason}
}

// envelope reads the attributes that the specification requires, and the time.
func envelope(e *record.Event, m *record.Members) *record.FieldError {
	switch v := text(m, version); {
	case versions.MatchString(v):
	case shown.MatchString(v):
		return fault(version, "is "+v+": events of version 1.0 are understood")
	default:
		return fault(version, "is no version of CloudEvents: events of version 1.0 are understood")
	}
	for _, required := range []struct {
		name string
		to   *string
	}{{"id", &e.ID}, {"source", &e.Source}, {"type", &e.Type}} {
		if *required.to = text(m, required.name); *required.to == "" {
			return fault(required.name, "is missing or no text: an event of CloudEvents 1.0 has "+
				"id, source, type and specversion")
		}
	}
	if len(e.ID) > maxID {
		return fault("id", "is longer than 1024 bytes")
	}
	if _, err := url.Parse(e.Source); err != nil || len(e.Source) > maxSource {
		return fault("source", "is no URI reference of up to 2048 bytes")
	}
	if m.Has("time") && string(m.Get("time")) != "null" {
		e.Time = text(m, "time")
		if _, err := time.Parse(time.RFC3339, strings.ToUpper(e.Time)); err != nil {
			return fault("time", "is no time of RFC 3339")
		}
	}
	return nil
}

// text is what a member says that has to be a text; "" for any other.
func text(m *record.Members, name string) string {
	if raw := m.Get(name); record.Begins(raw, '"') {
		s, _ := record.AsText(raw)
		return s
	}
	return ""
}

// DataOf returns the members of an event's data, or why there are none: data is a JSON object, in
// a text or in base64 too.
func DataOf(m *record.Members) (*record.Members, *record.FieldError) {
	if t := text(m, contentType); t != "" && !isJSON(t) {
		return nil, fault(contentType, "names data that is not JSON")
	}
	name, raw := Data, m.Get(Data)
	if encoded := m.Get(dataBase64); !record.Absent(encoded) {
		if !record.Absent(raw) {
			return nil, fault(dataBase64, "stands beside data: an event has one of them")
		}
		name = dataBase64
		plain, err := base64.StdEncoding.DecodeString(text(m, dataBase64))
		if err != nil {
			return nil, fault(name, "is no base64")
		}
		raw = plain
	} else if inner := record.JsonInText(raw); inner != nil {
		raw = inner
	}
	data := record.ReadMembers(json.RawMessage(strings.TrimSpace(string(raw))))
	if data == nil {
		return nil, fault(name, "is missing or no JSON object")
	}
	return data, nil
}

// isJSON reports whether a content type is JSON's.
func isJSON(t string) bool {
	media, _, err := mime.ParseMediaType(t)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// Key tells an event from all others: its source and id, and nothing else.
func Key(e *record.Event) []byte { return schemas.LP(schemas.LP(nil, e.Source), e.ID) }
