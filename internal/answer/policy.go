package answer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Policy is a tenant's collection policy: the one that holds, or an earlier version.
type Policy struct {
	Version      uint64      `json:"version"`
	Since        *time.Time  `json:"since,omitempty"`
	PersonalApps string      `json:"personalApps"`
	Diagnostics  string      `json:"diagnostics"`
	RefusedItems []string    `json:"refusedItems"`
	Retention    []Retention `json:"retention"`

	in *words.Language
}

// Retention is how long a class is kept. Own says that the tenant chose the period; of an earlier
// version its ground is not told, since it is sealed.
type Retention struct {
	Class  string `json:"class"`
	Keep   string `json:"keep"`
	Ground string `json:"ground,omitempty"`
	Own    bool   `json:"own"`
}

// PolicyOf is the policy that holds, with the period of each class.
func PolicyOf(in *words.Language, p policy.Policy) Policy {
	doc := Policy{Version: p.Number, PersonalApps: p.PersonalApps, Diagnostics: p.Diagnostics,
		RefusedItems: append([]string{}, p.Items...), Retention: []Retention{}, in: in}
	for _, c := range catalogue.Default().Classes() {
		keep, ground := p.Keep(c)
		_, own := p.Retention[c.Name]
		if !own {
			ground = content.Word(in, content.OfRetentionGround, c.Name)
		}
		doc.Retention = append(doc.Retention, Retention{c.Name, keep.String(), ground, own})
	}
	return doc
}

// choice is the word for what the policy says of optional data.
func (d Policy) choice(attr, value string) string {
	return catalogue.Label("enum." + attr + "." + value).Of(d.in)
}

// WriteText writes the policy as people read it.
func (d Policy) WriteText(w io.Writer) {
	t := func(key string, args ...words.Args) string { return d.in.Text("answer.policy."+key, args...) }
	fmt.Fprintln(w, t("version", words.Args{"number": d.Version}))
	fmt.Fprintln(w, t("personal-apps", words.Args{"choice": d.choice("policy.personal-apps", d.PersonalApps)}))
	fmt.Fprintln(w, t("diagnostics", words.Args{"choice": d.choice("policy.diagnostics", d.Diagnostics)}))
	if len(d.RefusedItems) == 0 {
		fmt.Fprintln(w, t("no-items"))
	}
	for _, id := range d.RefusedItems {
		fmt.Fprintln(w, t("item", words.Args{"item": id, "name": catalogue.Label("item." + id).Of(d.in)}))
	}
	fmt.Fprintln(w, t("retention"))
	for _, r := range d.Retention {
		own := ""
		if r.Own {
			own = " *"
		}
		fmt.Fprintf(w, "  %s %s %s%s\n", terminal.Left(r.Class, 14), terminal.Left(r.Keep, 5), r.Ground, own)
	}
}

// Versions are the versions of a policy.
type Versions []Policy

// PolicyVersions are the versions of a policy, first first.
func PolicyVersions(in *words.Language, all []custody.PolicyVersion) Versions {
	docs := Versions{}
	for _, v := range all {
		doc := PolicyOf(in, v.Policy)
		since := v.Since.UTC()
		doc.Since = &since
		var own []Retention
		for _, r := range doc.Retention {
			if r.Own {
				own = append(own, r)
			}
		}
		doc.Retention = own
		docs = append(docs, doc)
	}
	return docs
}

// WriteText writes a version a line.
func (all Versions) WriteText(w io.Writer) {
	for _, d := range all {
		items, periods := strings.Join(d.RefusedItems, " "), []string{}
		for _, r := range d.Retention {
			periods = append(periods, r.Class+"="+r.Keep)
		}
		none := d.in.Text("answer.policy.none")
		if items == "" {
			items = none
		}
		kept := strings.Join(periods, " ")
		if kept == "" {
			kept = none
		}
		fmt.Fprintln(w, d.in.Text("answer.policy.line", words.Args{"number": d.Version,
			"since": words.Instant(*d.Since, d.in.Location()), "items": items, "periods": kept,
			"diagnostics": d.choice("policy.diagnostics", d.Diagnostics)}))
	}
}

// PolicySet says which version of its policy a tenant has now.
func PolicySet(in *words.Language, before policy.Policy, t vault.Tenant) string {
	key := "answer.policy.set"
	if before.Number == t.Policy.Number {
		key = "answer.policy.unchanged"
	}
	return in.Text(key, words.Args{"name": t.Name, "number": t.Policy.Number})
}
