package record

import (
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
		"1/2/2006 15:04", "1/2/2006, 3:04:05 PM"}
	dutchLayouts = []string{"2-1-2006 15:04:05", "2-1-2006 15:04", "2-1-2006", "2-1-2006, 15:04:05"}
	dateLayouts  = []string{time.DateOnly}
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

// FromDutch returns a time that is written as Dutch does, the day first and dashes between, in a
// form that ParseTime reads; any other text as it is.
func FromDutch(s string) string {
	for _, layout := range dutchLayouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at.Format("2006-01-02 15:04:05.999999999")
		}
	}
	return s
}

// ReadJSONDate reads the time that .NET wrote as "/Date(milliseconds)/", as Windows PowerShell's
// ConvertTo-Json does, and reports whether s is one. Behind the milliseconds since 1970, of up to
// 15 digits, may stand an offset, as +0200. It says nothing: the milliseconds are UTC's.
func ReadJSONDate(s string) (time.Time, bool) {
	inner, begins := strings.CutPrefix(s, "/Date(")
	inner, ends := strings.CutSuffix(inner, ")/")
	if !begins || !ends {
		return time.Time{}, false
	}
	digits := strings.TrimPrefix(inner, "-")
	if i := strings.IndexAny(digits, "+-"); i >= 0 {
		if offset := digits[i+1:]; len(offset) != 4 || !areDigits(offset) {
			return time.Time{}, false
		}
		inner, digits = inner[:len(inner)-len(digits)+i], digits[:i]
	}
	if len(digits) == 0 || len(digits) > 15 || !areDigits(digits) {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(inner, 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}

func areDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func readTime(s string) (time.Time, bool) {
	if at, ok := readSorted(s); ok {
		return schemas.KnownTime(at), true
	}
	for _, layout := range layoutsOf(s) {
		if at, err := time.Parse(layout, s); err == nil {
			return schemas.KnownTime(at.UTC()), true
		}
	}
	return time.Time{}, false
}

// readSorted reads what most times are, "2006-01-02" with a T or a blank, "15:04:05", perhaps a
// fraction of up to nine digits and perhaps a Z, and leaves all others to their layouts.
func readSorted(s string) (time.Time, bool) {
	s = strings.TrimSuffix(s, "Z")
	if len(s) < len(time.DateTime) || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != ' ' || s[13] != ':' ||
		s[16] != ':' {
		return time.Time{}, false
	}
	ok := true
	number := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			ok = ok && isDigit(s[i])
			n = n*10 + int(s[i]-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, nano := number(11, 13), number(14, 16), number(17, 19), 0
	if len(s) > 19 {
		if len(s) == 20 || len(s) > 29 || s[19] != '.' {
			return time.Time{}, false
		}
		nano = number(20, len(s))
		for range 29 - len(s) {
			nano *= 10
		}
	}
	if !ok || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC)
	return at, at.Day() == day // else the month has no such day
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
