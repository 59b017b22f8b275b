// Package looks owns what texts look like that may stand open: versions and products, and the
// numbers and dates of people that may not be in them. What stands open for ever may not be
// somebody's number or date, whatever else its shape allows (FORMATS §4).
//
// It keeps nothing, and knows neither attributes nor JSON.
package looks

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// A version's parts each have a digit and few letters, so that no word passes as one.
	version = regexp.MustCompile(`^(0|[1-9][0-9]{0,2})` +
		`((?:[.\-][A-Za-z]{0,2}[0-9]{1,6}(?:[A-Za-z]{1,2}[0-9]{0,6})?){1,6})` +
		`(?: \([0-9]{1,3}[A-Z][0-9]{1,6}[a-z]?\))?$`)
	// Digits in one run, or in groups as numbers of people are written: a phone number, an IMEI, a
	// card.
	longRun    = regexp.MustCompile(`[0-9]{7,}`)
	numberRun  = regexp.MustCompile(`[0-9]+(?:[ ./()+-]{1,2}[0-9]+)*`)
	dateInText = regexp.MustCompile(`(?:^|[^0-9])([0-9]{1,4})[ ./-]([0-9]{1,2})[ ./-]([0-9]{1,4})(?:$|[^0-9])`)
)

// IsVersion reports whether the text is a version of two or more parts with dots, and no date,
// phone number or address that looks like one.
func IsVersion(v string) bool {
	m := version.FindStringSubmatch(v)
	if m == nil || len(v) > 48 || !strings.Contains(m[2], ".") {
		return false
	}
	number, _, _ := strings.Cut(v, " ")
	if tellsDate(number) {
		return false
	}
	parts := strings.FieldsFunc(number, func(r rune) bool { return r == '.' || r == '-' })
	grouped, octets := len(parts) > 2 && len(parts[0]) > 1, len(parts) == 4
	for _, p := range parts {
		grouped = grouped && len(p) == len(parts[0])
		n, err := strconv.Atoi(p)
		octets = octets && err == nil && n <= 255
	}
	return !grouped && !octets
}

// tellsNumber reports whether a text holds a number of a length that people have: seven digits in
// a row, nine in groups, or a date.
func tellsNumber(v string) bool {
	if digitsIn(v) < 6 { // the fewest, of a date
		return false
	}
	if longRun.MatchString(v) || tellsDate(v) {
		return true
	}
	for _, run := range numberRun.FindAllString(v, -1) {
		if digitsIn(run) >= 9 {
			return true
		}
	}
	return false
}

func digitsIn(v string) (n int) {
	for i := range len(v) {
		if v[i] >= '0' && v[i] <= '9' {
			n++
		}
	}
	return n
}

// tellsDate reports whether a text holds a day of the years that people live in, in any order.
func tellsDate(v string) bool {
	if !tellsYear(v) {
		return false
	}
	for _, m := range dateInText.FindAllStringSubmatch(v, -1) {
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		c, _ := strconv.Atoi(m[3])
		year := func(n int) bool { return n >= 1900 && n < 2100 }
		day := func(x, y int) bool { return x >= 1 && y >= 1 && min(x, y) <= 12 && max(x, y) <= 31 }
		if year(a) && day(b, c) || year(c) && day(a, b) {
			return true
		}
	}
	return false
}

// tellsYear reports whether one of the runs of digits is such a year.
func tellsYear(v string) bool {
	run := 0
	for i := range len(v) + 1 {
		if i < len(v) && v[i] >= '0' && v[i] <= '9' {
			run++
			continue
		}
		if run == 4 && (v[i-4:i-2] == "19" || v[i-4:i-2] == "20") {
			return true
		}
		run = 0
	}
	return false
}

// The expressions of JSON Schemas, which cannot say all of it.
var (
	VersionPattern = version.String()
	ProductPattern = `^[\p{L}0-9 .,()+/_-]{1,64}$`
)

// IsProduct reports whether the text may be a product's name: 1 to 64 characters of
// ProductPattern, a letter among them, and no number or date of a person.
func IsProduct(v string) bool {
	return utf8.RuneCountInString(v) <= 64 && strings.IndexFunc(v, notOfProduct) < 0 &&
		strings.ContainsFunc(v, unicode.IsLetter) && !tellsNumber(v)
}

func notOfProduct(r rune) bool {
	return !unicode.IsLetter(r) && (r < '0' || r > '9') && !strings.ContainsRune(" .,()+/_-", r)
}
