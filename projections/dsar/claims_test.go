package dsar_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// claim are the words of a sentence that claims the whole of something.
var claim = regexp.MustCompile(
	`(?i)\b(complete|everything|all|every|each|never|nothing|nobody|always|exactly|cannot|only|` +
		`volledig|compleet|alles|alle|allemaal|elke?|nooit|niets|niemand|altijd|precies|uitsluitend)\b`)

// judged are the texts that say such a word, with what makes it true. A new one is judged before
// it is added.
var judged = map[string]string{
	"empty.2": "“we found nothing that we can link”: what the search by aliases and devices gave; " +
		"limits.1 says what was not searched",
	"limits.1": "“says nothing of other systems” limits",
	"devices.p": "“for every device” is what the loop over Person.Devices writes; “only the time” is " +
		"Device.holds",
	"history.note": "“every day” describes values",
	"history.none": "“every day” describes values; devices.go leaves out volatile ones alone",
	"more":         "data/ has all rows of the category: TestALongTableSaysWhereTheRestIs",
	"refusals.p": "“we keep only that it happened, the rule and how much”: refusal.recorded has no " +
		"other attributes",
	"views.p":           "“only where it is indispensable” is the law's",
	"ground.unreadable": "it says why a value is not shown: GroundUnreadable",
	"none":              "a value that was nothing",
	"how.p": "“every other file”: the manifest lists what was written, and the tests compare it " +
		"with the files",
}

// ours are the keys of the package's texts.
func ours() []string { return words.Default().Under("dsar.") }

// No text claims the whole of something unless it was judged against what the code does.
func TestATextThatClaimsTheWholeOfSomethingWasJudged(t *testing.T) {
	used := map[string]bool{}
	for _, l := range words.Default().Languages() {
		for _, key := range ours() {
			if strings.HasPrefix(key, "glossary.of.") || strings.HasPrefix(key, "verify") {
				continue // explained, and judged below
			}
			text := l.Text("dsar." + key)
			word := claim.FindString(text)
			used[key] = used[key] || word != ""
			if word != "" && judged[key] == "" {
				t.Errorf("%s %s says %q: judge whether the code checks that, and name it in judged\n%s",
					l.Code(), key, word, text)
			}
		}
	}
	for key := range judged {
		if !used[key] {
			t.Errorf("%s claims nothing: take it out of judged", key)
		}
	}
}

// What the package may not say, because nothing checks it.
func TestThePackageDoesNotClaimWhatIsNotChecked(t *testing.T) {
	wide := regexp.MustCompile(`(?i)complete for this ledger|complete copy|volledig voor dit grootboek|nothing ` +
		`(has )?changed|niets veranderd|` +
		`cannot be changed|kan achteraf niet|you have had|u hebt dit apparaat|never stored|nooit opgeslagen|nobody ` +
		`viewed|heeft niemand`)
	for _, l := range words.Default().Languages() {
		for _, key := range ours() {
			if s := wide.FindString(l.Text("dsar." + key)); s != "" {
				t.Errorf("%s %s says %q", l.Code(), key, s)
			}
		}
	}
}
