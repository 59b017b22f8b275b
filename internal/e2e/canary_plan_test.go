//go:build canary

package e2e

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// keeper says whose a canary is, and so where it may come out again.
type keeper string

const (
	// stored nowhere, not even sealed: secrets, unknown fields, refused parts, foreign records
	never    keeper = "nobody"
	shown    keeper = "summary"    // as never, but an import's summary may say it: names of files, fields and kinds
	native   keeper = "vault"      // known to the vault as a hash, or wrapped; no event holds it
	tenants  keeper = "tenant"     // sealed under the tenant's key
	officer  keeper = "officer"    // sealed under the key of who runs reports
	admin    keeper = "admin"      // the administrator's
	anna     keeper = "anna"       // hers, and goes with her when she is erased
	annas    keeper = "anna's"     // the company device's that she uses: hers to see, and not erased with her
	bram     keeper = "bram"       // another user
	brams    keeper = "bram's"     // his company devices'
	chris    keeper = "chris"      // somebody who once logged on
	moved    keeper = "moved"      // of a device that was bram's and the company's, and became anna's own
	standing keeper = "open value" // no canary but the positive control: everybody may see it
)

// canaryPlan makes canaries and remembers them.
type canaryPlan struct {
	random *rand.Rand
	all    []*canary
}

func newCanaryPlan(t testing.TB) *canaryPlan {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &canaryPlan{random: rand.New(rand.NewPCG(seed, 1))}
}

func (p *canaryPlan) add(c *canary, what string) *canary {
	c.attributes = map[string]bool{}
	c.id = what
	if what == "" {
		c.id = fmt.Sprintf("canary %d", len(p.all))
	}
	p.all = append(p.all, c)
	return c
}

func (p *canaryPlan) letters(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[p.random.IntN(len(alphabet))]
	}
	return string(b)
}

// word is text of 20 letters and digits that survives every normalisation there is.
func (p *canaryPlan) word(k keeper, what string) *canary {
	return p.add(&canary{form: formWord, in: k, text: "q" + p.letters("abcdefghijkmnpqrstuvwxyz23456789", 19)}, what)
}

func (p *canaryPlan) hex(k keeper, what string, n int) *canary {
	return p.add(&canary{form: formWord, in: k, text: "A7" + p.letters("0123456789ABCDEF", n-2)}, what)
}

func (p *canaryPlan) guid(k keeper, what string) *canary {
	var u uuid.UUID
	for i := range u {
		u[i] = byte(p.random.Uint32())
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return p.add(&canary{form: formGUID, in: k, text: u.String()}, what)
}

func (p *canaryPlan) digits(k keeper, what string, n int) *canary {
	return p.add(&canary{form: formDigits, in: k, text: "8" + p.letters("123456789", n-1)}, what)
}

func (p *canaryPlan) mac(k keeper, what string) *canary {
	b := []byte{0x02, 0, 0, 0, 0, 0}
	for i := 1; i < len(b); i++ {
		b[i] = byte(1 + p.random.IntN(255))
	}
	return p.add(&canary{form: formMAC, in: k, text: strings.ToUpper(hex.EncodeToString(b))}, what)
}

// moment is a second of years in which nothing else of this test happens.
func (p *canaryPlan) moment(k keeper, what string) *canary {
	at := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(p.random.Int64N(7*365*86400)) * time.Second)
	return p.add(&canary{form: formMoment, in: k, text: at.Format("2006-01-02T15:04:05"), at: at}, what)
}

// fraction is the end of a time of seven decimals: finer than a millisecond, it would lead from an
// event back to its source.
func (p *canaryPlan) fraction(what string, at time.Time) *canary {
	return p.add(&canary{form: formWord, in: never, text: at.Format("15:04:05.") + p.letters("123456789", 7)}, what)
}

// ip is an address of the documentation range with 24 random hex digits.
func (p *canaryPlan) ip(k keeper, what string) *canary {
	groups := make([]string, 6)
	for i := range groups {
		groups[i] = strconv.FormatInt(int64(0x1111+p.random.IntN(0xeeee)), 16)
	}
	return p.add(&canary{form: formWord, in: k, text: strings.Join(groups, ":")}, what)
}

// control is a value of product form, which stands open. Those with one stem differ only at their
// ends: whatever compresses a file keeps the first as it is and writes the others as references to
// it, so that finding all of them says that nothing was compressed.
func (p *canaryPlan) control(stem, what string) string {
	c := p.word(standing, what)
	// digits could look like a number of somebody's
	c.text = stem + p.letters("abcdefghijkmnpqrstuvwxyz", len(c.text)-len(stem))
	return c.text
}

func (p *canaryPlan) stem() string { return "Z" + p.letters("abcdefghijkmnpqrstuvwxyz", 12) }

// of declares that the attribute will hold the canary, and returns the canary's text.
func (c *canary) of(attributes ...string) string {
	for _, a := range attributes {
		c.attributes[a] = true
	}
	if strings.HasPrefix(c.id, "canary ") && len(attributes) > 0 {
		c.id = string(c.in) + " " + attributes[0]
	}
	return c.text
}

// canaryPerson is somebody whom records name.
type canaryPerson struct {
	in                   keeper
	id, upn, name, email *canary
}

func (p *canaryPlan) person(k keeper) canaryPerson {
	w := func(what string) *canary { return p.word(k, string(k)+" "+what) }
	out := canaryPerson{in: k, id: p.guid(k, string(k)+" object id"), upn: w("UPN"), name: w("name")}
	if k != admin { // no record tells an administrator's
		out.email = w("e-mail")
	}
	return out
}

const canaryDomain = "@corp.example"

// unreached are the attributes that no field of a source reaches with a value of the
// source's own choice, and why. The test fails when one of them gets a canary after all, so
// that the list only shrinks.
var unreached = map[string]string{
	"action.target-resource": "only a GUID of a kind that is no person and no device stands here; anything else " +
		"becomes action.target-id",
	"action.target-device":            "our own uuid of the device",
	"alert.device":                    "our own uuid of the device",
	"device.assistance-link-withheld": "our own note that a link was there",
	"device.config-manager-feature":   "names of the source's own switches: only those that are known are read",
	"action.withheld":                 "our own count",
	"action.cut":                      "our own count",
	"action.target-index":             "our own number",
	"action.form":                     "our own word",
	"action.disputed-attribute":       "our own word",
	"action.disputed-index":           "our own number",
	"device.unlock-code-withheld":     "our own note that a code was there",
	"remoteaction.approver":           "no source has a field of this meaning yet",
	"remoteaction.requested-at":       "a time in whole seconds, or the record fails",
	"remoteaction.completed-at":       "a time in whole seconds, or the record fails",
	"remoteaction.group":              "our own uuid",
	"remoteaction.device":             "our own uuid of the device",
	"remoteaction.form":               "our own word",
	"remoteaction.withheld":           "our own count",
	"ledger.id":                       "our own uuid",
	"ledger.lost-events":              "our own count",
	"ledger.lost-aliases":             "our own count",
	"ledger.lost-through":             "our own number",
	"disowned.event":                  "an event's id, which the ledger is asked for",
	"disowned.sequence":               "our own number",
	"disowned.ground":                 "our own word",
	"access.filters": "what a report is asked for is resolved and checked first: our own ids, and words " +
		"that the views hold",
	"tenant.time-zone":        "an IANA name, which the declaration checks",
	"policy.number":           "our own number",
	"policy.personal-apps":    "our own word",
	"policy.location":         "our own word",
	"policy.diagnostics":      "our own word",
	"policy.refused-items":    "numbers of our own list",
	"policy.retention":        "classes and periods, which the command checks",
	"refusal.rule":            "our own word",
	"refusal.category":        "our own word",
	"refusal.count":           "our own count",
	"access.purpose-code":     "one of a list",
	"tenant.purposes":         "codes of that list",
	"access.report":           "our own word",
	"access.persons":          "our own count",
	"access.sequence":         "our own number",
	"request.right":           "our own word",
	"request.received":        "a day, which the command checks",
	"request.due":             "our own day",
	"request.identity-method": "our own word",
	"request.package":         "our own digest",
	"request.sequence":        "our own number",
	"request.files":           "our own count",
	"request.key":             "our own uuid",
	"request.ground":          "our own word",
	"request.completion":      "our own uuid",
	"subject.order":           "our own uuid",
	"subject.keys":            "our own count",
	"subject.ground":          "our own word",
	"subject.likeness":        "our own word",
	"subject.persons":         "our own count",
}
