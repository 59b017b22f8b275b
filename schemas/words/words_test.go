package words_test

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/schemas/words"
	"github.com/ledgerline/ledgerline/schemas/words/wordstest"
)

// A language that lacks a text, or fills in other places than English, does not load: so this
// holds the program's own files against each other.
func TestEveryLanguageHasEveryText(t *testing.T) {
	set, err := words.Load(words.Files())
	if err != nil {
		t.Fatal(err)
	}
	if codes := set.Codes(); !slices.Equal(codes, words.Languages()) || codes[0] != words.Base {
		t.Errorf("languages %v", codes)
	}
	for _, l := range set.Languages() {
		for _, key := range set.Keys("") {
			if s := l.Text(key, words.Args{"count": 1}); strings.TrimSpace(s) == "" || s == key {
				t.Errorf("%s: %s reads %q", l.Code(), key, s)
			}
		}
	}
}

// A word of Dutch that would say two things says one of them, in every text.
func TestADutchWordHasOneMeaning(t *testing.T) {
	nl, _ := words.Default().Language("nl")
	for _, c := range []struct{ word, only, why string }{
		{`doel`, `purpose`, "a purpose; what an action is about is what it concerns"},
		{`betreft`, `target|concerning|continued|disputed`, "what an action concerns"},
		{`wissing`, `^$`, "a device's wipe and the erasure of Art. 17 are told apart: gegevenswissing"},
		{`wisopdracht|wisbevel`, `^$`, "the same"},
		{`persoon gewist`, `^$`, "data is erased, nobody is"},
		{`compatibel`, `^$`, "a device meets the rules or does not: voldoet"},
	} {
		says, in := regexp.MustCompile(`(?i)\b(`+c.word+`)`), regexp.MustCompile(c.only)
		for _, key := range words.Default().Keys("") {
			if text := nl.Text(key, words.Args{"count": 2}); says.MatchString(text) && !in.MatchString(key) {
				t.Errorf("%s reads %q: %s", key, text, c.why)
			}
		}
	}
}

// least is what every file must have.
const least = "format: {time-zone: UTC}\n"

func TestAFaultNamesFileAndKey(t *testing.T) {
	english := least + "a: {b: \"{who} has it\", c: !plural {one: an apple, other: \"{count} apples\"}}\n"
	for name, c := range map[string]struct{ file, text, says string }{
		"missing":          {"nl.yaml", least + "a: {b: \"{who}\"}\n", `nl.yaml: "a.c" is missing`},
		"one too many":     {"nl.yaml", english + "d: more\n", `nl.yaml: "d" is no text of en`},
		"another place":    {"nl.yaml", strings.Replace(english, "{who}", "{what}", 1), `"a.b" fills in [what]`},
		"a place left out": {"nl.yaml", strings.Replace(english, "{who}", "", 1), `"a.b" fills in []`},
		"no plural":        {"nl.yaml", least + "a: {b: \"{who}\", c: apples}\n", `"a.c": one language has plural`},
		"a plural form less": {"nl.yaml", strings.Replace(english, "one: an apple, ", "", 1),
			`"a.c" has no plural form one`},
		"a plural form more": {"nl.yaml", strings.Replace(english, "one: an", "few: x, one: an", 1),
			"few, which no number takes"},
		"the forms of Polish": {"pl.yaml", english, `"a.c" has no plural form few`},
		"a text twice":        {"nl.yaml", english + "a.b: again\n", `"a.b" stands twice`},
		"an empty text":       {"nl.yaml", english + "d: \"\"\n", `"d" is neither a text nor a group`},
		"a list":              {"nl.yaml", english + "d: [x]\n", `"d" is neither a text nor a group`},
		"no map":              {"nl.yaml", "- x\n", "no map of texts"},
		"no language":         {"dutch.yaml", english, "named by the code of its language"},
		"another spelling":    {"NL.yaml", english, "is written nl"},
		"no time zone":        {"nl.yaml", strings.Replace(english, "UTC", "Mars/Olympus", 1), "format.time-zone"},
	} {
		_, err := words.Load(fstest.MapFS{"en.yaml": {Data: []byte(english)}, c.file: {Data: []byte(c.text)}})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s: %v, want it to say %q and name %s", name, err, c.says, c.file)
		}
	}
	if _, err := words.Load(fstest.MapFS{"nl.yaml": {Data: []byte(english)}}); err == nil {
		t.Error("a set without English was loaded")
	}
}

func TestTextFillsInPlacesAndChoosesThePlural(t *testing.T) {
	file := least + `a: "{x} and {x}, {y}"` + "\n" +
		`files: !plural {one: "{count} plik", few: "{count} pliki", many: "{count} plików", other: "{count} pliku"}`
	english := least + `a: "{x} {y}"` + "\nfiles: !plural {one: one file, other: \"{count} files\"}\n"
	set, err := words.Load(fstest.MapFS{"en.yaml": {Data: []byte(english)}, "pl.yaml": {Data: []byte(file)}})
	if err != nil {
		t.Fatal(err)
	}
	polish, _ := set.Language("pl")
	if got := polish.Text("a", words.Args{"x": "{y}", "y": 3}); got != "{y} and {y}, 3" {
		t.Errorf("got %q: what is put in is not looked at again", got)
	}
	if got := polish.Text("a"); got != "{x} and {x}, {y}" {
		t.Errorf("got %q", got)
	}
	for n, want := range map[int]string{1: "1 plik", 3: "3 pliki", 5: "5 plików", 22: "22 pliki", 0: "0 plików"} {
		if got := polish.Text("files", words.Args{"count": n}); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
		if got := polish.Text("files", words.Args{"count": uint64(n)}); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := set.Base().Text("files", words.Args{"count": 1}); got != "one file" {
		t.Errorf("got %q", got)
	}
	if _, ok := polish.Find("nothing"); ok || polish.Text("nothing") != "nothing" {
		t.Error("a text that is not there was found")
	}
}

func TestALanguageWritesNumbersDatesAndLists(t *testing.T) {
	en := words.Default().Base()
	nl, _ := words.Default().Language("nl")
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.In(nl.Location())
	}
	march := at("2026-03-02T06:05:00Z")
	for _, c := range []struct{ got, want string }{
		{en.Count(999), "999"}, {en.Count(1234567), "1,234,567"}, {nl.Count(1234567), "1.234.567"},
		{en.Size(999), "999 B"}, {en.Size(127870000000), "127.9 GB"}, {nl.Size(127870000000), "127,9 GB"},
		{en.Date(march), "2 March 2026"}, {nl.Date(march), "2 maart 2026"}, {nl.Date(time.Time{}), ""},
		{en.ShortDate(march), "2 Mar 2026"}, {nl.ShortDate(march), "2 mrt 2026"}, {en.ShortDate(time.Time{}), ""},
		{nl.Moment(march), "2 mrt 2026, 07:05"},
		{nl.Moment(at("2026-10-25T00:30:00Z")), "25 okt 2026, 02:30 (+02:00)"},
		{nl.Moment(at("2026-10-25T01:30:00Z")), "25 okt 2026, 02:30 (+01:00)"},
		{words.Instant(march, nl.Location()), "2026-03-02 07:05:00 +01:00"},
		{en.List(nil), ""}, {en.List([]string{"a"}), "a"}, {en.List([]string{"a", "b"}), "a and b"},
		{nl.List([]string{"a", "b", "c"}), "a, b en c"},
		{en.NameOf(nl), "Dutch"}, {nl.NameOf(en), "Engels"}, {nl.NameOf(nl), "Nederlands"},
		{nl.Location().String(), "Europe/Amsterdam"}, {en.Location().String(), "UTC"},
		{words.In("nl", "value.yes"), "ja"}, {words.In("eo", "value.yes"), "yes"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// The marked language is whole, and nothing of it stands outside its marks.
func TestTheMarkedLanguage(t *testing.T) {
	set, err := wordstest.Marked()
	if err != nil {
		t.Fatal(err)
	}
	l, ok := set.Language(wordstest.Code)
	if names, _ := fs.Glob(words.Files(), "*.yaml"); !ok || len(set.Codes()) != len(names)+1 {
		t.Fatalf("languages %v", set.Codes())
	}
	for _, key := range set.Keys("") {
		if strings.HasPrefix(key, "format.") || key == "dsar.file" {
			continue
		}
		outside, err := wordstest.Outside(l.Text(key, words.Args{"count": 2}))
		if err != nil || len(outside) > 0 {
			t.Errorf("%s: %q, %v", key, outside, err)
		}
	}
	if outside, err := wordstest.Outside("⟦a ⟦b⟧⟧ lone word", "lone"); err != nil ||
		!slices.Equal(outside, []string{"word"}) {
		t.Errorf("got %q, %v", outside, err)
	}
	if _, err := wordstest.Outside("⟦a"); err == nil {
		t.Error("a mark that is not closed was not seen")
	}
}
