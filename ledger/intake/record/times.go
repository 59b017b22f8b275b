package record

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// The forms in which the sources write times, by how they begin, most frequent first. A fraction
// may have any number of digits. Where day and month could be taken for each other the month comes
// first, as Azure Monitor and .NET's invariant culture write it; a form that others begin with the
// day (dots, a first number above 12) is not guessed at.
var (
	isoLayouts   = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}
	blankLayouts = []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999 Z07:00"}
	usLayouts = []string{"1/2/2006 3:04:05 PM", "1/2/2006 3:04 PM", "1/2/2006 3:04:05 PM Z07:00",
		"1/2/2006 15:04:05", "1/2/2006 15:04:05 Z07:00",
		"1/2/2006 15:04"}
	dateLayouts = []string{time.DateOnly}
)

func layoutsOf(s string) []string {
	switch {
	case len(s) < len(time.DateOnly):
		return nil
	case s[4] != '-':
		return usLayouts
	case len(s) == len(time.DateOnly):
		return dateLayouts
	case s[len(time.DateOnly)] == ' ':
		return blankLayouts
	}
	return isoLayouts
}

// jsonDate is how Windows PowerShell's ConvertTo-Json writes a time: milliseconds since 1970, and
// a zone that does not move it.
var jsonDate = regexp.MustCompile(`^/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/$`)

// ParseTime reads a time; one without zone is UTC. A time of the years 0001 and 9999 is the zero
// time, and ok: the source says it is unknown.
func ParseTime(s string) (at time.Time, ok bool) {
	if s == "" || s[0] != '/' && (s[0] < '0' || s[0] > '9') {
		return time.Time{}, false
	}
	if at, ok := readTime(s); ok {
		return at, true
	}
	// Newer .NET puts U+202F before AM; some cultures write it small.
	plain := strings.ToUpper(strings.Join(strings.Fields(s), " "))
	if plain != s {
		if at, ok := readTime(plain); ok {
			return at, true
		}
	}
	at, ok = ReadJSONDate(s)
	return schemas.KnownTime(at), ok
}

// ReadJSONDate reads the time that .NET wrote as "/Date(milliseconds)/", and reports whether s is
// one. Its offset says nothing: the milliseconds are UTC's.
func ReadJSONDate(s string) (time.Time, bool) {
	m := jsonDate.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(m[1], 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}

func readTime(s string) (time.Time, bool) {
	for _, layout := range layoutsOf(s) {
		if at, err := time.Parse(layout, s); err == nil {
			return schemas.KnownTime(at.UTC()), true
		}
	}
	return time.Time{}, false
}

// WholeSeconds is how the ledger writes an observed date-time.
func WholeSeconds(at time.Time) string { return at.UTC().Truncate(time.Second).Format(time.RFC3339) }

// NamedText is a text with the field in which it stood.
type NamedText struct{ Field, Value string }

// FirstTime returns the first of the values that is a time, unknown where that one says so. No
// readable one is a fault of the first.
func FirstTime(values ...NamedText) (time.Time, error) {
	for _, v := range values {
		if at, ok := ParseTime(v.Value); ok {
			return at, nil
		}
	}
	return time.Time{}, &FieldError{values[0].Field, "is not a time that can be read"}
}
