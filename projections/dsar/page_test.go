package dsar_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

var void = []string{"meta", "br", "hr", "img", "input", "link"}

// TestThePagesAreWellFormedAndAccessible: what WCAG 2.2 AA asks of such a page and a program can
// see.
func TestThePagesAreWellFormedAndAccessible(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for _, p := range []dsar.Person{fatima(s),
		{Request: aRequest, Tenant: id("tenant"), TenantName: "A & B <i>", Seq: 3}} {
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
				labelled = append(labelled, strings.Fields(l)...)
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
		if bytes.Contains(files[name], []byte("<b>van")) ||
			!bytes.Contains(files[name], []byte("&lt;b&gt;van&lt;/b&gt;")) {
			t.Errorf("%s: a device's name is markup", name)
		}
	}
}

// The texts claim nothing that no page may claim, and the Dutch keeps apart what it must: "op
// afstand wissen" of a device and "gegevenswissing" of a person.
func TestTheTextsKeepApartWhatTheyMust(t *testing.T) {
	dutch, _ := words.Default().Language("nl")
	for _, key := range ours() {
		for _, l := range words.Default().Languages() {
			for _, never := range []string{"anonymous", "anoniem", "irreversib", "onomkeerbaar", "onherroepelijk",
				"all data", "alle gegevens", "everywhere", "overal"} {
				if s := l.Text("dsar." + key); strings.Contains(strings.ToLower(s), never) {
					t.Errorf("%s claims %q", s, never)
				}
			}
		}
		for _, never := range []string{"compatib", "compliant", "certificaat", "ontvangstbewijs"} {
			if s := dutch.Text("dsar." + key); strings.Contains(strings.ToLower(s), never) {
				t.Errorf("%q says %q", s, never)
			}
		}
	}
	if s := dutch.Text("dsar.glossary.of.wipe.text"); !strings.Contains(s, "iets anders dan gegevenswissing") {
		t.Errorf("%q is not kept apart from gegevenswissing", s)
	}
	for lang, says := range map[string]string{
		"en": "complete for what was searched", "nl": "volledig voor wat is doorzocht"} {
		if !strings.Contains(words.In(lang, "dsar.verify"), says) {
			t.Errorf("VERIFY.txt does not say in %s what the package is complete for", lang)
		}
	}
}
