package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/schemas"
)

// Limits of an entry of a list.
const (
	maxEntry = 48 << 10 // bytes
	maxWords = 1000     // of one member
)

// list reads a list. One that is there and empty says that there is none.
func (r *reading) list(m *record.Members, l *list) error {
	out := entity.List{Attr: l.attr, Complete: l.Field != "" && record.IsEmpty(m.Get(l.Field+"@odata.nextLink"))}
	var err error
	if l.Rest != nil {
		if !tellsRest(m, l.Rest) {
			return nil
		}
		out.Complete = l.Rest.Entry == ""
		for _, o := range r.rest(m, l.Rest) {
			if err = r.entry(o, l, &out, ""); err != nil {
				return err
			}
		}
		if out.Complete || len(out.Items) > 0 {
			r.Lists = append(r.Lists, out)
		}
		return nil
	}
	switch path := r.prefix + l.Field; {
	case l.Field == "":
		err = r.entry(m, l, &out, "")
	case record.Absent(m.Get(l.Field)):
		return nil
	case l.Members == nil:
		err = r.texts(m, l, &out, path)
	default:
		spread := r.shapes.Objects
		if l.Spread != nil {
			spread = func(raw json.RawMessage, path string) []*record.Members { return l.Spread(raw, path, &r.shapes) }
		}
		for i, o := range spread(m.Get(l.Field), path) {
			r.in.Seen.Use(path+".", o, l.known)
			if err = r.entry(o, l, &out, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				break
			}
		}
	}
	if err == nil && (l.Field != "" || len(out.Items) > 0) {
		r.Lists = append(r.Lists, out)
	}
	return err
}

// texts reads a list of texts.
func (r *reading) texts(m *record.Members, l *list, out *entity.List, path string) error {
	for i, text := range r.shapes.Texts(m.Get(l.Field), path, true) {
		value, found, err := record.Normalise(l.attr, schemas.JSON(text), 1)
		switch {
		case err != nil:
			return &record.FieldError{Field: fmt.Sprintf("%s[%d]", path, i), Reason: err.Error()}
		case found != record.Reported:
		case record.SecretText(text), r.payment(text):
			r.in.Tally.Withheld++
		default:
			out.Put(entity.Item{Key: string(value), Value: value})
		}
	}
	return nil
}

// entry reads one entry.
func (r *reading) entry(o *record.Members, l *list, out *entity.List, path string) error {
	told := make(map[string]json.RawMessage, len(l.Members))
	var b bytes.Buffer
	for i := range l.Members {
		member := &l.Members[i]
		value, err := r.member(o, member, path)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		told[member.Name] = value
		b.WriteByte(between(b.Len()))
		b.Write(schemas.JSON(member.Name))
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	if b.Len() > maxEntry {
		return &record.FieldError{Field: path, Reason: fmt.Sprintf("is longer than %d bytes", maxEntry)}
	}
	var key []string
	for _, name := range l.Key {
		if told[name] == nil {
			r.in.Tally.Unnamed++
			out.Complete = false // it may be any of those known
			return nil
		}
		text, _ := record.AsText(told[name])
		key = append(key, text)
	}
	item := entity.Item{Key: keyOf(key), Value: b.Bytes()}
	if l.Person != "" {
		text, _ := record.AsText(told[l.Person])
		item.Person, _ = record.AsGUID(text)
	}
	out.Put(item)
	return nil
}

// member reads a member of an entry; nil where it says nothing.
func (r *reading) member(o *record.Members, m *Member, path string) (json.RawMessage, error) {
	field := path
	for name, rest, deeper := strings.Cut(m.Field, "."); ; name, rest, deeper = strings.Cut(rest, ".") {
		if strings.HasPrefix(name+"."+rest, odataType) {
			name, rest, deeper = odataType, "", false
		}
		if field = strings.TrimPrefix(field+"."+name, "."); deeper {
			if o = r.shapes.Object(o.Get(name), field); o == nil {
				return nil, nil
			}
			continue
		}
		return r.value(o, name, m.As, field)
	}
}

// value brings what a member holds into one form.
func (r *reading) value(o *record.Members, name string, as As, field string) (json.RawMessage, error) {
	raw := o.Get(name)
	if as == told {
		return raw, nil
	}
	if record.Absent(raw) {
		return nil, nil
	}
	if as == Words {
		words := r.shapes.Words(raw, field)
		if len(words) > maxWords {
			return nil, &record.FieldError{Field: field, Reason: fmt.Sprintf("has more than %d entries", maxWords)}
		}
		all := len(words)
		words = slices.DeleteFunc(words, func(w string) bool { return record.Secretive(name, w) || r.payment(w) })
		r.in.Tally.Withheld += all - len(words)
		if len(words) == 0 {
			return nil, nil
		}
		return schemas.JSON(slices.Compact(slices.Sorted(slices.Values(words)))), nil
	}
	prefix, _ := strings.CutSuffix(field, name)
	r.shapes.Single(prefix, o, name)
	text := o.Known(name)
	if text == "" {
		return nil, nil
	}
	switch as {
	case Time:
		at, ok := record.ParseTime(text)
		if !ok {
			return nil, &record.FieldError{Field: field, Reason: "is not a time that can be read"}
		}
		if at.IsZero() {
			return nil, nil
		}
		return schemas.JSON(record.WholeSeconds(at)), nil
	case Number:
		if n, ok := record.ParseNumber(text); ok && n == float64(int64(n)) {
			return json.RawMessage(fmt.Sprint(int64(n))), nil
		}
	case Switch:
		if text = strings.ToLower(text); text == "true" || text == "false" {
			return json.RawMessage(text), nil
		}
	case ID, GUID:
		if id, ok := record.AsGUID(text); ok {
			return schemas.JSON(id), nil
		}
		if as == GUID {
			return nil, nil
		}
		text = strings.ToLower(text)
	case Type:
		text = source.TypeName(text)
	case Name:
		text = o.Name(name)
	}
	if record.Secretive(name, text) || r.payment(text) {
		r.in.Tally.Withheld++
		return nil, nil
	}
	return schemas.JSON(text), nil
}

// keyOf is what tells an entry apart: one member's text as it is, or several.
func keyOf(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	var b []byte
	for _, p := range parts {
		b = schemas.LP(b, p)
	}
	return string(b)
}

// between is what stands before a member of an object of which so many bytes are written.
func between(written int) byte {
	if written == 0 {
		return '{'
	}
	return ','
}
