package dsar_test

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
)

// TestWhoHasARoleOrAConnectorIsShownIt: what a role and a connector say of the person is in their
// package, in words; what they say of others is not.
func TestWhoHasARoleOrAConnectorIsShownIt(t *testing.T) {
	s := chtest.NewStory(t)
	hers, contact := id("fatima access"), id("fatima contact")
	s.Add("role.observed.v1", schemas.NewStream("role", id("a role")), "2026-10-25T08:00:00Z", "",
		subjects(as("user", hers)), val{Attr: "role.kind", V: "roleAssignment"},
		val{Attr: "role.member", Path: []string{id("a member").String()}, V: map[string]any{"id": "fatimas-id"},
			Alias: hers},
		val{Attr: "role.scope-type", V: "allDevices"})
	s.Add("connector.observed.v1", schemas.NewStream("connector", id("a connector")), "2026-10-25T08:00:00Z", "",
		subjects(as("contact", contact)), val{Attr: "connector.apple-id", V: "fatima@appleid.example", Alias: contact},
		val{Attr: "connector.state", V: "expired"})
	p := dsar.Person{Request: aRequest, Tenant: id("tenant"), Seq: 2,
		Aliases: []dsar.Alias{{ID: hers}, {ID: contact}}}
	for lang, want := range map[string][]string{
		"en": {"What it is: assignment of a role", "fatimas-id", "all devices", "fatima@appleid.example",
			"State of the connector: expired"},
		"nl": {"Wat het is: roltoewijzing", "fatimas-id", "alle apparaten", "fatima@appleid.example",
			"Status van de connector: verlopen"},
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
