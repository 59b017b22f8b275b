package looks

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// What is looked at before the expressions are asked changes no answer.
func TestLooksAreWhatTheirExpressionsSay(t *testing.T) {
	product := regexp.MustCompile(ProductPattern)
	date := func(v string) bool {
		for _, m := range dateInText.FindAllStringSubmatch(v, -1) {
			a, _ := strconv.Atoi(m[1])
			b, _ := strconv.Atoi(m[2])
			c, _ := strconv.Atoi(m[3])
			day := func(x, y int) bool { return x >= 1 && y >= 1 && min(x, y) <= 12 && max(x, y) <= 31 }
			if a >= 1900 && a < 2100 && day(b, c) || c >= 1900 && c < 2100 && day(a, b) {
				return true
			}
		}
		return false
	}
	number := func(v string) bool {
		return longRun.MatchString(v) || date(v) || slices.ContainsFunc(numberRun.FindAllString(v, -1),
			func(run string) bool { return digitsIn(run) >= 9 })
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.StringMatching(`[0-9]{1,10}`), rapid.StringMatching(`(19|20)[0-9]{1,3}`),
			rapid.StringMatching(`[ ./()+,_-]{1,2}`), rapid.StringMatching(`[a-zäΩ{'@]{1,12}`))
		v := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		if tellsDate(v) != date(v) || tellsNumber(v) != number(v) {
			t.Fatalf("%q: a date %v, a number %v", v, tellsDate(v), tellsNumber(v))
		}
		fits := product.MatchString(v) && strings.ContainsFunc(v, unicode.IsLetter) && !number(v)
		if got := IsProduct(v); got != fits {
			t.Fatalf("%q fits a product: %v", v, got)
		}
	})
}
