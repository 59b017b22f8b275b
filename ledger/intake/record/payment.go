package record

import "strings"

// Payment reports whether a number of a payment card or of a bank account stands in a text, told
// by its shape alone: 13 to 19 digits that a card may begin with and whose check digit fits
// (ISO/IEC 7812), or an IBAN of its country's length whose check digits do (ISO 13616). Single
// blanks and dashes in it do not matter. A telephone number with a plus is none.
func Payment(text string) bool {
	for from := range len(text) {
		if !isAlnum(text[from]) || from > 0 && (isAlnum(text[from-1]) || text[from-1] == '+') {
			continue
		}
		number, ends := stretch(text[from:])
		if ofCard(number, ends) || ofAccount(number, ends) {
			return true
		}
	}
	return false
}

// stretch returns the first letters and digits of a text, as far as an IBAN could go, and after
// how many of them a group of them ends.
func stretch(s string) (all string, ends [maxIBAN + 2]bool) {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() <= maxIBAN; i++ {
		switch c := s[i]; {
		case isAlnum(c):
			b.WriteByte(c)
			ends[b.Len()] = i+1 == len(s) || !isAlnum(s[i+1])
		case (c == ' ' || c == '-') && i+1 < len(s) && isAlnum(s[i+1]):
		default:
			return strings.ToUpper(b.String()), ends
		}
	}
	return strings.ToUpper(b.String()), ends
}

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

// Lengths of the numbers, in characters.
const (
	minCard, maxCard = 13, 19
	maxIBAN          = 34
)

// ofCard reports whether groups of digits that the text begins with are a card's number.
func ofCard(s string, ends [maxIBAN + 2]bool) bool {
	if s == "" || s[0] < '2' || s[0] > '6' {
		return false
	}
	for n := 1; n <= len(s) && n <= maxCard && isDigit(s[n-1]); n++ {
		if n >= minCard && ends[n] && luhn(s[:n]) {
			return true
		}
	}
	return false
}

// luhn reports whether the check digit of a number fits.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// ibanLengths are how long an IBAN is, by country.
var ibanLengths = map[string]int{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22,
	"BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20,
	"EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
	"HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
	"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27,
	"MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
	"SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20}

// ofAccount reports whether the text begins with an IBAN.
func ofAccount(s string, ends [maxIBAN + 2]bool) bool {
	if len(s) < 4 || !isDigit(s[2]) || !isDigit(s[3]) {
		return false
	}
	n := ibanLengths[s[:2]]
	return n > 0 && n <= len(s) && ends[n] && mod97(s[4:n]+s[:4]) == 1
}

// mod97 is the remainder by 97 of a number in which letters stand for 10 to 35.
func mod97(s string) (rest int) {
	for _, c := range []byte(s) {
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest
}
