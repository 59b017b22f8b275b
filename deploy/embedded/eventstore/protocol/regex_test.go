package protocol

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

const ledgerStream = `^[a-z]{2,20}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`

// What clients send takes the fast path; what RE2 lacks, or reads differently, does not.
func TestExpressionPaths(t *testing.T) {
	for _, p := range []string{
		`^[^\$].*`, `^eventType-194$`, `^[^$]`, ledgerStream, `ed$`, `^(device|app)-`, `a{2,}?b`, `\w+-\d+`,
		`(?:ab)*c`, `a.c\.`, `[a-z-]`,
	} {
		if e, err := newExpression(p); err != nil || e.fast == nil {
			t.Errorf("%s: not matched by RE2: %v", p, err)
		}
	}
	for _, p := range []string{
		`^(?!\$).*`, `(?<=a)b`, `(a)\1`, `(?<n>a)\k<n>`, `(?i)a`, `(?m)^a`, `a(?#x)`, `\p{L}`, `[[:alpha:]]`,
		`[a-z-[m]]`, `\Aa\Z`, `é`, `\x41`,
		`a\<1`, `[]a]`, `(){1,}?`, `(a?)*`, `(a|b*)+`, `(a|)?`, `(^)*`, `a{1000}`, `a{,2}`,
		strings.Repeat("a", maxFastPattern+1),
	} {
		e, err := newExpression(p)
		if err != nil {
			t.Errorf("%s: %v", p, err)
		} else if e.fast != nil {
			t.Errorf("%s: matched by RE2", p)
		}
	}
	for _, p := range []string{`(`, `a**`, `a{1,2}{3}`, `[z-a]`, `\`, strings.Repeat("a", MaxPattern+1)} {
		if _, err := newExpression(p); err == nil {
			t.Errorf("%.20s: accepted", p)
		}
	}
}

// Subjects on which RE2 and .NET differ get .NET's answer.
func TestExpressionMeansWhatDotNetMeans(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{`^(?!\$).*`, "$stats", false}, {`^(?!\$).*`, "device", true},
		{`(?<=device-)\d+$`, "device-12", true}, {`^(\w)\1`, "aab", true}, {`^(?<first>\w)\k<first>`, "abb", false},
		{`ed$`, "enrolled\n", true}, {`ed$`, "enrolled\n\n", false}, // $ also before the last line end
		{`^\d+$`, "٣", true}, {`^\w+$`, "Straße", true}, {`^\w+$`, "日本", true}, // Unicode classes
		{`^\s$`, "\u00a0", true}, {`^\s$`, "\v", true}, {`^a.b$`, "a\nb", false},
		{`\bß`, "aß", false}, // a word boundary is one of Unicode words
		{`^[^a-z]$`, "é", true},
		{`^[^\$].*`, "", false}, {`^[^\$].*`, "$x", false}, {`^[^\$].*`, "x", true},
	} {
		e, err := newExpression(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.match([]byte(c.subject)); err != nil || got != c.want {
			t.Errorf("%s on %q: got %v, %v, want %v", c.pattern, c.subject, got, err, c.want)
		}
	}
}

// drawPattern draws from more than the grammar that the fast path knows.
func drawPattern(t *rapid.T, depth int) string {
	atoms := []string{"a", "b", "-", "$", `\$`, ".", `\.`, `\d`, `\W`, `\w`, `\s`, "[a-c]", "[^a]", `[^\$]`, `[\d-]`,
		"[-a]", "[a^]", "[]a]", "^", `\b`, `\B`, " ", "#", "0", "{", "}", `\-`}
	var b strings.Builder
	for range rapid.IntRange(0, 4).Draw(t, "terms") {
		switch k := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case k < 6 || depth == 0:
			b.WriteString(rapid.SampledFrom(atoms).Draw(t, "atom"))
		case k < 8:
			b.WriteString(rapid.SampledFrom([]string{"(", "(?:"}).Draw(t, "group") + drawPattern(t, depth-1) + ")")
		default:
			b.WriteString("|")
		}
		b.WriteString(rapid.SampledFrom([]string{"", "", "", "", "", "*", "+", "?", "*?", "{2}", "{0,2}",
			"{1,}?"}).Draw(t, "quantifier"))
	}
	return b.String()
}

// Where the fast path is taken, both engines agree on whether there is a match.
func TestFastPathAgreesWithDotNet(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 30 {
			e, err := newExpression(drawPattern(t, 3))
			if err != nil || e.fast == nil {
				continue
			}
			taken++
			e.net.MatchTimeout = 50 * time.Millisecond
			for range 8 {
				subject := rapid.StringOfN(rapid.SampledFrom([]rune("aab01-$. A_c{}#")), 0, 8, -1).Draw(t, "subject")
				want, err := e.net.MatchString(subject)
				if err != nil {
					break // too slow for the engine that follows .NET: nothing to compare with
				}
				if got := e.fast.MatchString(subject); got != want {
					t.Fatalf("%s on %q: RE2 %v, .NET's engine %v", e.net, subject, got, want)
				}
			}
		}
	})
	if taken == 0 {
		t.Error("no pattern took the fast path")
	}
}

// Whatever the pattern: no panic, and one of both engines answers.
func FuzzExpression(f *testing.F) {
	for _, p := range []string{`^[^\$].*`, `(a+)+$`, `(?<n>a)\k<n>`, `[a-z-[m]]`, `a{2,3}?`, `\p{L}`,
		`(?'a'b)(?(a)c|d)`} {
		f.Add(p, "abc")
	}
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		e, err := newExpression(pattern)
		if err != nil {
			return
		}
		e.net.MatchTimeout = 10 * time.Millisecond
		got, err := e.match([]byte(subject))
		if err != nil || e.fast == nil || !plainText([]byte(subject)) {
			return
		}
		if want, err := e.net.MatchString(subject); err == nil && want != got {
			t.Fatalf("%q on %q: %v, .NET's engine %v", pattern, subject, got, want)
		}
	})
}

func TestMatchTimeIsBounded(t *testing.T) {
	e, err := newExpression(`^(?=(a+)+b)`)
	if err != nil {
		t.Fatal(err)
	}
	e.net.MatchTimeout = time.Millisecond
	if _, err := e.match([]byte(strings.Repeat("a", 60))); !errors.Is(err, errMatchTime) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkExpression(b *testing.B) {
	stream := "device-" + uuid.NewString()
	for name, pattern := range map[string]string{"system": `^[^\$].*`, "ledger": ledgerStream,
		"lookahead": `^(?!\$).*`} {
		e, err := newExpression(pattern)
		if err != nil {
			b.Fatal(err)
		}
		subject := []byte(stream)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := e.match(subject); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
		if e.fast != nil {
			b.Run(name+"/regexp2", func(b *testing.B) {
				re := regexp2.MustCompile(pattern, regexp2.None)
				for b.Loop() {
					if ok, err := re.MatchString(stream); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
			b.Run(name+"/regexp", func(b *testing.B) {
				re := regexp.MustCompile(pattern)
				for b.Loop() {
					if !re.Match(subject) {
						b.Fatal("no match")
					}
				}
			})
		}
	}
}
