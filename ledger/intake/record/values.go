package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// FieldError confines a failure to one record and names its field, never its content.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Within puts the path of the object that a field lies in before its name.
func Within(path string, err error) error {
	var f *FieldError
	if errors.As(err, &f) {
		return &FieldError{path + f.Field, f.Reason}
	}
	return err
}

// maxText is the longest text that a field of a record may hold, in bytes.
const maxText = 32 << 10

const zeroGUID = "00000000-0000-0000-0000-000000000000"

// IsEmpty reports whether the JSON value says nothing: null, an empty text, array or object, or
// what schemas.Nothing knows.
func IsEmpty(raw json.RawMessage) bool {
	t := bytes.TrimSpace(raw)
	switch string(t) {
	case "", "null", `""`, "[]", "{}":
		return true
	}
	if t[0] != '"' {
		return false
	}
	s, ok := AsText(raw)
	if !ok {
		return false
	}
	if at, ok := ParseTime(s); ok && at.IsZero() {
		return true
	}
	return schemas.Nothing(s)
}

// AsText returns a JSON string, number or boolean as text; ok is false for anything else.
func AsText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		s, ok := Unquote(raw)
		return strings.TrimSpace(s), ok
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}

// JsonInText returns the JSON object or array that a JSON text holds, or nil.
func JsonInText(raw json.RawMessage) json.RawMessage {
	if len(raw) < 2 || raw[0] != '"' || beginsText(raw[1]) {
		return nil
	}
	s, ok := Unquote(raw)
	if !ok {
		return nil
	}
	inner := bytes.TrimSpace([]byte(s))
	if len(inner) > 0 && (inner[0] == '{' || inner[0] == '[') && Valid(inner) {
		return inner
	}
	return nil
}

// beginsText reports whether a JSON string that begins with b is certain to hold none: no bracket,
// no blank and nothing that stands for another.
func beginsText(b byte) bool { return b > ' ' && b < 0x80 && b != '{' && b != '[' && b != '\\' }

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "1", "waar", "ja":
		return true, true
	case "false", "no", "0", "onwaar", "nee":
		return false, true
	}
	return false, false
}

// AsGUID returns the canonical form of a directory or device id, which may come in braces or
// without dashes; ok is false for anything that is none, the zero id included.
func AsGUID(s string) (string, bool) {
	s = strings.TrimSpace(s)
	switch len(s) {
	case 36, 38, 32:
	default:
		return "", false
	}
	u, err := uuid.Parse(s)
	if err != nil || u == uuid.Nil {
		return "", false
	}
	return u.String(), true
}

// IsAddress reports whether a text may be a UPN or an e-mail address.
func IsAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(s, " <>")
}

// Finding says what a field of a record tells about an attribute.
type Finding int

const (
	Unreported Finding = iota // absent, or a placeholder: never overwrites
	Emptied                   // present and empty, where that means there is none
	Reported
)

// Normalise turns a source's JSON value into the attribute's own JSON value, in the attribute's
// canonical form: here and nowhere else. unit multiplies sizes. What misses an open attribute's
// shape stays as it was told, and is sealed for that.
func Normalise(a *schemas.Attribute, raw json.RawMessage, unit int64) (json.RawMessage, Finding, error) {
	s, ok := AsText(raw)
	if !ok {
		if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') && !IsEmpty(raw) {
			return nil, Unreported, errors.New("is not a single value")
		}
		return nil, Unreported, nil
	}
	if len(s) > maxText {
		return nil, Unreported, fmt.Errorf("is longer than %d bytes", maxText)
	}
	if s == "" && a.EmptyIsNone {
		return nil, Emptied, nil
	}
	if schemas.Nothing(s) || isPlaceholder(a, s) || identifies(a) && schemas.Junk(s) {
		return nil, Unreported, nil
	}
	switch a.Type {
	case "bool":
		v, ok := parseBool(s)
		if !ok {
			return schemas.JSONText(s), Reported, nil
		}
		return schemas.JSON(v), Reported, nil
	case "time":
		at, ok := ParseTime(s)
		if !ok {
			return nil, Unreported, errors.New("is not a time that can be read")
		}
		if at.IsZero() {
			return nil, Unreported, nil
		}
		return schemas.JSONText(WholeSeconds(at)), Reported, nil
	case "number", "bytes":
		n, ok := ParseNumber(s)
		if n *= float64(unit); !ok || math.Abs(n) > 1<<60 {
			return schemas.JSONText(s), Reported, nil
		}
		if a.Type == "bytes" {
			n = math.Trunc(n)
		}
		return json.RawMessage(strconv.FormatFloat(a.Round(n), 'f', -1, 64)), Reported, nil
	}
	if a.Shape != nil && a.Shape.Kind == "date" {
		if at, ok := ParseTime(s); ok && !at.IsZero() {
			return schemas.JSON(at.Format(time.DateOnly)), Reported, nil
		}
	}
	if s = a.Canonical(s); s == zeroGUID {
		return nil, Unreported, nil
	}
	return schemas.JSONText(s), Reported, nil
}

// ParseNumber reads a number that can be kept exactly. One with a plus is a telephone's.
func ParseNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsNaN(n) && math.Abs(n) <= 1<<53 && !strings.HasPrefix(s, "+")
}

// sentinel is what Graph answers for an enum's value that is newer than the client's version: a
// value is there, and not told.
const sentinel = "unknownFutureValue"

// identifies reports whether the attribute's values tell devices or persons apart: junk there
// ("0", a default serial) is no value.
func identifies(a *schemas.Attribute) bool {
	return a.Shape == nil && a.Type == "text" && a.Identifiability != "non-personal" && a.Form != "text"
}

func isPlaceholder(a *schemas.Attribute, s string) bool {
	if a.Shape != nil && a.Shape.Kind == "enum" && strings.EqualFold(s, sentinel) {
		return true
	}
	for _, p := range a.Placeholders {
		if strings.EqualFold(p, s) || p == unknownWord && strings.EqualFold(s, unknownInDutch) {
			return true
		}
	}
	return false
}

// Whatever is a placeholder as the one is one as the other: the portal writes the language of
// whoever exports.
const (
	unknownWord    = "unknown"
	unknownInDutch = "onbekend"
)

// Compact returns the JSON value without white space.
func Compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw // callers give valid JSON
	}
	return b.Bytes()
}
