package dsar_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/ledgerline/ledgerline/projections/dsar"
)

var void = []string{"meta", "br", "hr", "img", "input", "link"}

// TestThePagesAreWellFormedAndAccessible: what WCAG 2.2 AA asks of such a page and a program can see.
func TestThePagesAreWellFormedAndAccessible(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for _, p := range []dsar.Person{fatima(s), {Request: aRequest, Tenant: id("tenant"), TenantName: "A & B <i>", Seq: 3}} {
		_, files, _ := build(t, config(db, s, "nl"), p)
		for lang, name := range map[string]string{"en": "02-your-data.html", "nl": "02-uw-gegevens.html"} {
			t.Run(name, func(t *testing.T) { checkPage(t, lang, files[name]) })
		}
	}
}

func attr(n html.Token, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func checkPage(t *testing.T, lang string, page []byte) {
	if !bytes.HasPrefix(page, []byte("<!DOCTYPE html>\n<html lang=\""+lang+"\">")) {
		t.Errorf("the page does not begin with its type and language: %.60q", page)
	}
	z := html.NewTokenizer(bytes.NewReader(page))
	var open, links, labelled []string
	ids, seen := map[string]bool{}, map[string]int{}
	level, captions := 0, 0
	var running strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
			for _, l := range append(links, labelled...) {
				if !ids[l] {
					t.Errorf("nothing has id %q", l)
				}
			}
			for _, one := range []string{"html", "head", "title", "body", "main", "h1", "header", "footer"} {
				if seen[one] != 1 {
					t.Errorf("%d of %s, want 1", seen[one], one)
				}
			}
			if captions != seen["table"] || seen["table"] == 0 {
				t.Errorf("%d tables, %d captions", seen["table"], captions)
			}
			if seen["script"]+seen["img"]+seen["link"]+seen["iframe"] > 0 {
				t.Error("the page is not self-contained and still")
			}
			if m := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}`).FindString(running.String()); m != "" {
				t.Errorf("the running text has a uuid: %s", m)
			}
			return
		case html.StartTagToken:
			n := z.Token()
			seen[n.Data]++
			if i := attr(n, "id"); i != "" {
				if ids[i] {
					t.Errorf("id %q is given twice", i)
				}
				ids[i] = true
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
					t.Errorf("<%s> has %s", n.Data, a.Key)
				}
			}
			switch n.Data {
			case "a":
				h, internal := strings.CutPrefix(attr(n, "href"), "#")
				if !internal {
					t.Errorf("a link leads out of the page: %s", attr(n, "href"))
				}
				links = append(links, h)
			case "th":
				if !slices.Contains([]string{"col", "row", "rowgroup"}, attr(n, "scope")) {
					t.Error("a th has no scope")
				}
			case "caption":
				captions++
			case "h1", "h2", "h3", "h4":
				l := int(n.Data[1] - '0')
				if l > level+1 {
					t.Errorf("a heading of level %d follows one of %d", l, level)
				}
				level = l
			}
			if l := attr(n, "aria-labelledby"); l != "" {
				labelled = append(labelled, l)
			}
			if !slices.Contains(void, n.Data) {
				open = append(open, n.Data)
			}
		case html.EndTagToken:
			n := z.Token()
			if len(open) == 0 || open[len(open)-1] != n.Data {
				t.Fatalf("</%s> closes nothing: open are %v", n.Data, open)
			}
			open = open[:len(open)-1]
		case html.TextToken:
			if len(open) > 0 && slices.Contains([]string{"p", "h1", "h2", "h3", "li", "caption"}, open[len(open)-1]) {
				running.WriteString(z.Token().Data + "\n")
			}
		}
	}
}

// TestNamesAreEscaped: a device may be called anything.
func TestNamesAreEscaped(t *testing.T) {
	s := fatimasStory(t)
	_, files, _ := build(t, config(s.Load(), s, "en"), fatima(s))
	for _, name := range []string{"02-your-data.html", "02-uw-gegevens.html"} {
		if bytes.Contains(files[name], []byte("<b>van")) || !bytes.Contains(files[name], []byte("&lt;b&gt;van&lt;/b&gt;")) {
			t.Errorf("%s: a device's name is markup", name)
		}
	}
}

// TestContrast: every text colour of the page on every ground it stands on reaches 4.5 : 1.
func TestContrast(t *testing.T) {
	css := dsar.PageHTML
	variable := func(name string) string {
		m := regexp.MustCompile(`--` + name + `: (#[0-9a-f]{3,6})`).FindStringSubmatch(css)
		if m == nil {
			t.Fatalf("the page has no colour %s", name)
		}
		return m[1]
	}
	for _, c := range [][2]string{
		{variable("ink"), variable("paper")}, {variable("soft"), variable("paper")}, {variable("accent"), variable("paper")},
		{variable("ink"), variable("wash")}, {"#4a4035", "#f4efe6"}, {"#b3541e", variable("paper")},
	} {
		if !strings.Contains(css, c[0]) || !strings.Contains(css, c[1]) {
			t.Errorf("%v are not the page's colours any more", c)
		}
		a, b := luminance(t, c[0]), luminance(t, c[1])
		if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < 4.5 {
			t.Errorf("%s on %s has a contrast of %.2f", c[0], c[1], ratio)
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	h := hex[1:]
	if len(h) == 3 {
		h = fmt.Sprintf("%c%c%c%c%c%c", h[0], h[0], h[1], h[1], h[2], h[2])
	}
	var l float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(h[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		l += weight * v
	}
	return l
}

// TestTheTextsOfBothLanguages say the same things, and the Dutch keeps apart what it must.
func TestTheTextsOfBothLanguages(t *testing.T) {
	en, nl := dsar.Texts["en"], dsar.Texts["nl"]
	for key := range en {
		if nl[key] == "" || en[key] == "" {
			t.Errorf("%s lacks a language", key)
		}
		if strings.Count(en[key], "%") != strings.Count(nl[key], "%") {
			t.Errorf("%s has other places to fill in", key)
		}
	}
	if len(en) != len(nl) || len(dsar.Glossary["en"]) != len(dsar.Glossary["nl"]) || len(dsar.NeverCollected["en"]) != len(dsar.NeverCollected["nl"]) {
		t.Error("one language says more than the other")
	}
	var dutch, all []string
	for key := range nl {
		dutch = append(dutch, nl[key])
		all = append(all, nl[key], en[key])
	}
	for _, lang := range []string{"en", "nl"} {
		for _, term := range dsar.Glossary[lang] {
			all = append(all, term.Label, term.Text)
		}
		all = append(all, dsar.VerifyTexts[lang])
	}
	for _, term := range dsar.Glossary["nl"] {
		dutch = append(dutch, term.Label, term.Text)
	}
	for _, s := range dutch {
		for _, never := range []string{"compatib", "compliant", "certificaat", "ontvangstbewijs"} {
			if strings.Contains(strings.ToLower(s), never) {
				t.Errorf("%q says %q", s, never)
			}
		}
	}
	for _, s := range all { // what no page may ever claim
		for _, never := range []string{"anonymous", "anoniem", "irreversib", "onomkeerbaar", "onherroepelijk", "all data", "alle gegevens", "everywhere", "overal"} {
			if strings.Contains(strings.ToLower(s), never) {
				t.Errorf("%q claims %q", s, never)
			}
		}
	}
	for _, term := range dsar.Glossary["nl"] {
		if term.Label == "Op afstand wissen" && !strings.Contains(term.Text, "iets anders dan gegevenswissing") {
			t.Errorf("%q is not kept apart from gegevenswissing", term.Text)
		}
	}
	for _, lang := range []string{"en", "nl"} { // every state, ground and category that can occur has a word
		for _, key := range []string{"state.erased", "state.expired", "state.withheld", "state.masked", "state.lost",
			"states.lost", "state.not-genuine", "states.not-genuine", "ground.others", "ground.review", "ground.unreadable"} {
			if dsar.Texts[lang][key] == "" {
				t.Errorf("%s: %s has no word", lang, key)
			}
		}
		for _, c := range dsar.Categories {
			if dsar.Texts[lang]["category."+string(c)] == "" {
				t.Errorf("%s: category %s has no word", lang, c)
			}
		}
	}
	if !strings.Contains(dsar.VerifyTexts["en"], "complete for what was searched") ||
		!strings.Contains(dsar.VerifyTexts["nl"], "volledig voor wat is doorzocht") {
		t.Error("VERIFY.txt does not say what the package is complete for")
	}
}

// TestEveryKeyOfThePageHasAText: a key that is missing would be an empty place on the page.
func TestEveryKeyOfThePageHasAText(t *testing.T) {
	for _, m := range regexp.MustCompile(`\.T\.([a-z]+)`).FindAllStringSubmatch(dsar.PageHTML, -1) {
		for _, lang := range []string{"en", "nl"} {
			if dsar.Texts[lang][m[1]] == "" {
				t.Errorf("%s: %s has no text", lang, m[1])
			}
		}
	}
}

// TestEveryTextIsThereAndUsed: a key without a text is an empty place on the page, a text without a key is forgotten.
func TestEveryTextIsThereAndUsed(t *testing.T) {
	used := map[string]bool{}
	for _, file := range []string{"view.go", "format.go", "devices.go", "write.go", "judge.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bt\["([a-z0-9.-]+)"\]`).FindAllStringSubmatch(string(source), -1) {
			used[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`"([a-z0-9.-]+)"`).FindAllStringSubmatch(string(source), -1) {
			used["?"+m[1]] = true // by way of a variable
		}
	}
	for key := range used {
		if !strings.HasPrefix(key, "?") && dsar.Texts["en"][key] == "" {
			t.Errorf("%q has no text", key)
		}
	}
	// A prefix that is joined with a value at run time stands for all that begin with it.
	joined := []string{"category.", "ground.", "state.", "group.", "kind.", "device.of.", "col."}
	for _, m := range regexp.MustCompile(`\.T\.([a-z]+)`).FindAllStringSubmatch(dsar.PageHTML, -1) {
		used[m[1]] = true
	}
	for key := range dsar.Texts["en"] {
		ok := used[key] || used["?"+key] || slices.ContainsFunc(joined, func(p string) bool { return strings.HasPrefix(key, p) })
		for _, section := range []string{"about", "by"} {
			ok = ok || strings.HasPrefix(key, section+".")
		}
		if !ok {
			t.Errorf("nothing says %q", key)
		}
	}
	for _, m := range regexp.MustCompile(`w\.table\((.*)\)`).FindAllStringSubmatch(sourceOf(t, "view.go")+sourceOf(t, "devices.go"), -1) {
		for _, k := range regexp.MustCompile(`, "([a-z-]+)[.a-z]*"`).FindAllStringSubmatch(m[1], -1) {
			if dsar.Texts["nl"]["col."+k[1]] == "" {
				t.Errorf("column %q has no head", k[1])
			}
		}
	}
}

func sourceOf(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
