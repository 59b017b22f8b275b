package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

var odd = []string{`{"a":1,"b":{"c":[2]}}`, `{"a":1,"a":2}`, ` {"a" : "b" } `, `[1, "x" ,null]`, `"a\"b"`,
	`"\ud800x"`, `"\ud83d\ude00"`,
	"{\"\xff\":\"\xff\"}", "\"\x00\"", `{"\u0061":1}`, `1e400`, `-0`, `01`, `nul`, `{"a":`, `{"a":1}}`, `[1,]`,
	"", "\"a\" ", `"a" x`,
	`"{\"a\":1}"`, `" [1]"`, `"\u0020{}"`, `"\u00a0{}"`, `{"":1}`, `"0001-01-01T00:00:00Z"`, ` "<null>"`,
	"\"\u2028\"",
	`12345678901234567890.123`, strings.Repeat("[", 10001), strings.Repeat(`{"a":`,
		10000) + "1" + strings.Repeat("}", 10000)}

// What is valid, of members of one name the last, values as they stand, numbers with all their
// digits, texts with what is no Unicode replaced: all is read as encoding/json reads it.
func FuzzMembersAreReadAsEncodingJSONReadsThem(f *testing.F) {
	for _, s := range odd {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if Valid(raw) != json.Valid(raw) {
			t.Errorf("%q is valid %v", raw, Valid(raw))
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil || !Begins(raw, '{') {
			want = nil
		}
		got := ReadMembers(raw)
		if (got == nil) != (want == nil) || !maps.EqualFunc(maps.Collect(got.All), want, same) {
			t.Errorf("%q has the members %v, want %v", raw, got, want)
		}
		for name := range want {
			if !same(got.Get(name), want[name]) || !got.Has(name) {
				t.Errorf("%q: %q is %s, want %s", raw, name, got.Get(name), want[name])
			}
		}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil || !Begins(raw, '[') {
			list = nil
		}
		if elements := Elements(raw); (elements == nil) != (list == nil) || !slices.EqualFunc(elements, list,
			same) {
			t.Errorf("%q has the elements %q, want %q", raw, elements, list)
		}
		var text string
		is := Begins(raw, '"') && json.Unmarshal(raw, &text) == nil
		if s, ok := Unquote(raw); ok != is || ok && s != text {
			t.Errorf("%q is the text %q, %v, want %q, %v", raw, s, ok, text, is)
		}
		inner := bytes.TrimSpace([]byte(text))
		holds := is && (Begins(inner, '{') || Begins(inner, '[')) && json.Valid(inner)
		if in := JsonInText(raw); (in != nil) != holds || holds && !bytes.Equal(in, inner) {
			t.Errorf("%q holds %q, want %q", raw, in, inner)
		}
		if IsEmpty(raw) != wasEmpty(raw) {
			t.Errorf("%q is empty: %v", raw, IsEmpty(raw))
		}
	})
}

func same(x, y json.RawMessage) bool { return bytes.Equal(x, y) }

// wasEmpty is what IsEmpty does, over strings.
func wasEmpty(raw json.RawMessage) bool {
	switch t := strings.TrimSpace(string(raw)); t {
	case "", "null", `""`, "[]", "{}":
		return true
	default:
		s, ok := AsText(raw)
		if t[0] != '"' || !ok {
			return false
		}
		if at, ok := ParseTime(s); ok && at.IsZero() {
			return true
		}
		return schemas.Nothing(s)
	}
}

// Members are found however many there are, and those that were left out are not.
func TestMembersAreFoundHoweverMany(t *testing.T) {
	for _, n := range []int{0, 1, few, few + 1, 64, most, most + 1, 1000} {
		m, want := NewMembers(0), map[string]json.RawMessage{}
		for i := range n {
			name := strings.Repeat("n", i%7) + strconv.Itoa(i)
			m.Set(name, json.RawMessage(strconv.Itoa(i)))
			if want[name] = m.Get(name); i%3 == 0 {
				m.Delete(name)
				delete(want, name)
			}
			if i%9 == 0 {
				m.Set(name, json.RawMessage("0"))
				want[name] = json.RawMessage("0")
			}
		}
		c := m.Clone()
		m.Set("another", nil)
		m.Delete("n1")
		if got := maps.Collect(c.All); !maps.EqualFunc(got, want,
			same) || c.Len() != len(want) || c.Has("another") {
			t.Errorf("%d members: %v, want %v", n, got, want)
		}
		for i := range n {
			name := strings.Repeat("n", i%7) + strconv.Itoa(i)
			if _, is := want[name]; c.Has(name) != is || !same(c.Get(name), want[name]) {
				t.Errorf("%d members: %s is %s", n, name, c.Get(name))
			}
		}
	}
}

// What tells names, times and secrets by hand tells them as the regular expressions did that stood
// there, and what looks first before one misses nothing.
func FuzzTextsAreToldAsTheRegularExpressionsToldThem(f *testing.F) {
	name := regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_]{0,63}(@?\.[A-Za-z][A-Za-z0-9_]{0,63}){0,3}$`)
	short := regexp.MustCompile(`^@\{|^System\.[A-Za-z.]+(\[[^]]*\])*$`)
	jsonDate := regexp.MustCompile(`^/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/$`)
	hex := regexp.MustCompile(`^[0-9a-fA-F-]+$`)
	runs := regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}={0,2}`)
	plainer := strings.NewReplacer("_", "", "-", "", " ", "")
	for _, s := range []string{"a", "@a.b", "a@.b", "a.b.c.d", "a.b.c.d.e", "a..b", "@", "a_1", "1a",
		strings.Repeat("a", 65), "@{x", "System.Object[]",
		"System.[]", "/Date(1)/", "/Date(-12+0200)/", "/Date(1+-20)/", "/Date(+1)/", "/Date(1-0200)/",
		"2026-01-02T03:04:05Z", "2026-01-02 03:04:05",
		"2026-02-29 03:04:05.123456789", "2024-02-29T23:59:60Z", "0000-01-01 00:00:00",
		"2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05.",
		"2026-01-02T03:04:05,5Z", "9999-12-31T23:59:59.9999999", "PassWord", "pass_word", "apiKey", "new-PIN",
		"K\u212aey", "\u017fecret=1", "pin code:",
		"-----BEGIN A-----", "eyJ0123456789.eyJ", "#!/", "<?xml", "Write-Host", "function a-b {", "param (",
		"set-executionpolicy", "get-itemproperty",
		"new-object", "convertto-securestring", "accountkey=", "sharedaccesssignature", "wachtwoord:",
		"kennwort=", "invoke-command", "api_key:",
		"0123456789abcdef01234567==", "V3JpdGUtT3V0cHV0ICJpbnZlbnRlZCI=", "PwD=", "Otp", "TOTP", "cvv", "puk"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if IsName(s) != name.MatchString(s) {
			t.Errorf("%q is a name: %v", s, IsName(s))
		}
		if isCutShort(s) != short.MatchString(s) {
			t.Errorf("%q is cut short: %v", s, isCutShort(s))
		}
		var date time.Time
		is := jsonDate.FindStringSubmatch(s)
		if is != nil {
			ms, err := strconv.ParseInt(is[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			date = time.UnixMilli(ms).UTC()
		}
		if at, ok := ReadJSONDate(s); ok != (is != nil) || ok && !at.Equal(date) {
			t.Errorf("%q is %v, %v, want %v", s, at, ok, date)
		}
		if at, ok := readTime(s); true {
			was, wasOK := byLayouts(s)
			if ok != wasOK || !at.Equal(was) || at.Location() != was.Location() {
				t.Errorf("%q is %v, %v, want %v, %v", s, at, ok, was, wasOK)
			}
		}
		if secretContent.MatchString(s) && !maySecret(s) {
			t.Errorf("%q may be no secret", s)
		}
		plain := plainer.Replace(strings.ToLower(s))
		if catalogue.PlainName(s) != plain {
			t.Errorf("%q is %q plain, want %q", s, catalogue.PlainName(s), plain)
		}
		secret := secretNames.MatchString(plain)
		for _, w := range nameWords(s) {
			secret = secret || secretWords[strings.ToLower(w)]
		}
		if secretName(s, plain) != secret {
			t.Errorf("%q is a secret's name: %v", s, !secret)
		}
		var found []string
		for rest := s; len(found) < maxRuns; {
			run, behind := base64Run(rest)
			if run == "" {
				break
			}
			if isHex(run) != hex.MatchString(run) {
				t.Errorf("%q is hexadecimal: %v", run, isHex(run))
			}
			found, rest = append(found, run), behind
		}
		if want := runs.FindAllString(s, maxRuns); !slices.Equal(found, want) {
			t.Errorf("%q has the stretches %q, want %q", s, found, want)
		}
	})
}

// byLayouts reads a time by all its layouts.
func byLayouts(s string) (time.Time, bool) {
	for _, layout := range layoutsOf(s) {
		if at, err := time.Parse(layout, s); err == nil {
			return schemas.KnownTime(at.UTC()), true
		}
	}
	return time.Time{}, false
}
