package words

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language/display"
)

// Instant writes an instant in a zone, with its offset: the double hour at the end of summer time
// stays two hours. It is ISO 8601 with blanks, which every language reads.
func Instant(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2006-01-02 15:04:05 -07:00")
}

// Count writes a whole number with the language's thousands mark.
func (l *Language) Count(n int) string {
	s := strconv.Itoa(n)
	mark := l.Text("format.thousands")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + mark + s[i:]
	}
	return s
}

// Size writes a number of bytes with a decimal unit, as device makers do.
func (l *Language) Size(bytes float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for bytes >= 1000 && i < len(units)-1 {
		bytes /= 1000
		i++
	}
	digits := 1
	if i == 0 {
		digits = 0
	}
	s := strconv.FormatFloat(bytes, 'f', digits, 64)
	s = strings.Replace(s, ".", l.Text("format.decimal"), 1)
	return l.Text("format.size", Args{"number": s, "unit": units[i]})
}

// Date writes the day of t in its location, "" for the zero time.
func (l *Language) Date(t time.Time) string { return l.date(t, "format.month.") }

// ShortDate is Date with the month shortened.
func (l *Language) ShortDate(t time.Time) string { return l.date(t, "format.month-short.") }

func (l *Language) date(t time.Time, months string) string {
	if t.IsZero() {
		return ""
	}
	month := l.Text(months + strconv.Itoa(int(t.Month())))
	return l.Text("format.date", Args{"day": t.Day(), "month": month, "year": t.Year()})
}

// Moment writes a moment for reading, in its location. An hour that the clock shows twice carries
// its offset.
func (l *Language) Moment(t time.Time) string {
	key := "format.moment"
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		if t.Add(by).Format("2006-01-02 15:04") == t.Format("2006-01-02 15:04") {
			key = "format.moment-twice"
		}
	}
	clock := l.Text("format.clock", Args{"hour": t.Format("15"), "minute": t.Format("04")})
	return l.Text(key, Args{"date": l.ShortDate(t), "clock": clock, "offset": t.Format("-07:00")})
}

// List writes things one after the other, the last after the language's "and".
func (l *Language) List(things []string) string {
	switch n := len(things); n {
	case 0:
		return ""
	case 1:
		return things[0]
	case 2:
		return l.Text("format.list-end", Args{"first": things[0], "last": things[1]})
	default:
		return l.Text("format.list", Args{"first": things[0], "rest": l.List(things[1:])})
	}
}

// NameOf returns what the language calls a language: in Dutch, English is "Engels".
func (l *Language) NameOf(other *Language) string {
	if names := display.Languages(l.tag); names != nil {
		if name := names.Name(other.tag); name != "" {
			return name
		}
	}
	return display.Self.Name(other.tag)
}
