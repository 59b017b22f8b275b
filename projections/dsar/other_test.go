package dsar_test

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
)

// TestARecordOfAnyKindSaysWhatItHolds: a kind that the page has no part for is shown with its
// values, in words, as far as they can be.
func TestARecordOfAnyKindSaysWhatItHolds(t *testing.T) {
	s := chtest.NewStory(t)
	hers := id("fatima account")
	s.Add("account.observed.v1", schemas.NewStream("account", id("her account")), "2026-10-25T08:00:00Z", "",
		subjects(as("user", hers)), val{Attr: "account.display-name", V: "Fatima <b>el Amrani", Alias: hers},
		val{Attr: "account.enabled", V: true}, val{Attr: "account.user-type", V: "guest"})
	s.Add("registration.observed.v1", schemas.NewStream("registration", id("her app")), "2026-10-25T09:00:00Z", "",
		subjects(as("user", hers)), val{Attr: "registration.device-tag", V: "tag-one", Alias: hers},
		val{Attr: "registration.app", V: "com.contoso.mail", Alias: hers})
	s.Add("status.observed.v1", schemas.NewStream("status", id("her policy")), "2026-10-25T10:00:00Z", "",
		subjects(as("user", hers)), val{Attr: "status.device", V: "dev-17", Alias: hers},
		val{Attr: "status.state", V: "nonCompliant"})
	s.Add("terms.observed.v1", schemas.NewStream("terms", id("her terms")), "2026-10-25T11:00:00Z", "",
		subjects(as("user", hers)), val{Attr: "terms.user-upn", V: "fatima@contoso.example", Alias: hers},
		val{Attr: "terms.version", V: 15})
	p := dsar.Person{Request: aRequest, Tenant: id("tenant"), Seq: 4, Aliases: []dsar.Alias{{ID: hers}}}
	for lang, want := range map[string][]string{
		"en": {"Name: Fatima &lt;b&gt;el Amrani", "Account enabled: yes", "Kind of user: guest",
			"Managed application device tag: tag-one", "State of the policy or app: not compliant",
			"Version of the terms accepted: 15"},
		"nl": {"Naam: Fatima &lt;b&gt;el Amrani", "Account ingeschakeld: ja", "Soort gebruiker: gast",
			"Apparaattag van beheerde toepassing: tag-one", "Status van het beleid of de app: voldoet niet",
			"Geaccepteerde versie van de voorwaarden: 15"},
	} {
		_, files, _ := build(t, config(s.Load(), s, lang), p)
		page := string(files[map[string]string{"en": "02-your-data.html", "nl": "02-uw-gegevens.html"}[lang]])
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("the page does not say %q", text)
			}
		}
	}
}
