package dsar_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
)

// read returns the records of CSV for people.
func read(t *testing.T, text []byte, separator rune) [][]string {
	t.Helper()
	body, ok := bytes.CutPrefix(text, []byte("\ufeff"))
	if !ok || bytes.Count(body, []byte("\n")) != bytes.Count(body, []byte("\r\n")) {
		t.Errorf("a spreadsheet does not open it as it is: %q", text)
	}
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = separator
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// The files for people are in the language of the request, and a spreadsheet of it opens them.
func TestTheFilesForPeopleOpenInASpreadsheet(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for lang, want := range map[string]struct {
		separator     rune
		log, withheld [][]string
	}{
		"en": {',', [][]string{
			{"When (local)", "When (UTC)", "For", "Why", "By", "Ledger sequence"},
			{"2026-11-11 15:20:00 +01:00", "2026-11-11 14:20:00Z", "Device history", "withheld",
				"Administrator 1", "15"},
			{"2026-11-14 09:00:00 +01:00", "2026-11-14 08:00:00Z", "Admin actions", "security incident",
				"Administrator 1", "19"},
			{"2026-11-14 09:00:00 +01:00", "2026-11-14 08:00:00Z", "Admin actions", "other; withheld",
				"Administrator 1", "20"},
		}, [][]string{{"Category", "How much", "Why"}, {"Your devices", "3",
			"It is the personal data of somebody else (Article 15(4) GDPR)."}}},
		"nl": {';', [][]string{
			{"Wanneer (lokaal)", "Wanneer (UTC)", "Voor", "Waarom", "Door", "Volgnummer van het grootboek"},
			{"2026-11-11 15:20:00 +01:00", "2026-11-11 14:20:00Z", "Apparaatgeschiedenis", "achtergehouden",
				"Beheerder 1", "15"},
			{"2026-11-14 09:00:00 +01:00", "2026-11-14 08:00:00Z", "Beheerhandelingen", "beveiligingsincident",
				"Beheerder 1", "19"},
			{"2026-11-14 09:00:00 +01:00", "2026-11-14 08:00:00Z", "Beheerhandelingen", "overig; achtergehouden",
				"Beheerder 1", "20"},
		}, [][]string{{"Categorie", "Hoeveel", "Waarom"}, {"Uw apparaten", "3",
			"Het zijn persoonsgegevens van iemand anders (artikel 15, vierde lid, AVG)."}}},
	} {
		c := config(db, s, lang)
		c.Owners = owners
		_, files, _ := build(t, c, fatima(s))
		if got := read(t, files["03-access-log.csv"], want.separator); !equal(got, want.log) {
			t.Errorf("%s: the access log is %q", lang, got)
		}
		if got := read(t, files["05-withheld.csv"], want.separator); !equal(got[:2], want.withheld) {
			t.Errorf("%s: what is withheld is %q", lang, got[:2])
		}
		if bytes.HasPrefix(files["data/views.csv"], []byte("\ufeff")) ||
			!bytes.HasPrefix(files["data/views.csv"], []byte("ledgerSequence,event,")) {
			t.Errorf("%s: data/ is not for programs", lang)
		}
	}
}

func equal(a, b [][]string) bool {
	return slices.EqualFunc(a, b, func(x, y []string) bool { return slices.Equal(x, y) })
}

// The ground of what is withheld follows from what it is, not from whose key seals it: a purpose
// and the name of an application are nobody's data.
func TestTheGroundFollowsFromWhatItIs(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for _, known := range []bool{true, false} {
		c := config(db, s, "en")
		if known {
			c.Owners = owners
		}
		_, files, _ := build(t, c, fatima(s))
		got := map[string]string{}
		for _, name := range []string{"data/views.json", "data/actions-about.json"} {
			for _, e := range events(t, files[name]) {
				for _, v := range e.Values {
					if v.State == "withheld" {
						got[v.Attribute] = v.Ground
					}
				}
			}
		}
		for attr, want := range map[string]dsar.Ground{"access.purpose": dsar.GroundReview,
			"access.officer": dsar.GroundOthers, "action.application-name": dsar.GroundLocked,
			"action.actor-upn": dsar.GroundOthers} {
			if got[attr] != string(want) {
				t.Errorf("owners known %t: %s is withheld as %q, want %q", known, attr, got[attr], want)
			}
		}
	}
}

type event struct {
	Others []struct{ Role, Label string }
	Values []struct{ Attribute, State, Ground string }
}

func events(t *testing.T, text []byte) (out []event) {
	t.Helper()
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whose data a viewing showed beside the person's is nowhere in the package, not even by a label,
// whether the person was looked at or looked.
func TestAViewingNamesNobodyElseWhoseDataItShowed(t *testing.T) {
	s := chtest.NewStory(t)
	seen := []schemas.SubjectRef{as("target", fatimaAccess)}
	for i := range 62 {
		seen = append(seen, as("target", id(fmt.Sprint("other ", i))))
	}
	viewing := func(name string, officer schemas.SubjectRef) {
		s.Add("access.unsealed.v1", schemas.NewStream("access", id(name)), "2026-11-11T14:20:00Z", "",
			append(slices.Clone(seen), officer), val{Attr: "access.report", V: "device-inventory"},
			val{Attr: "access.purpose", V: "the monthly check", Alias: officer.Alias},
			val{Attr: "access.persons", V: len(seen)}, val{Attr: "access.sequence", V: 0})
	}
	viewing("of her", as("officer", annaAccess))
	seen[0] = as("target", id("another"))
	viewing("by her", as("officer", fatimaAccess))
	p := dsar.Person{Request: aRequest, Tenant: id("tenant"), Seq: uint64(len(s.Events) - 1),
		Aliases: []dsar.Alias{{ID: fatimaAccess}}}
	c := config(s.Load(), s, "en")
	c.Owners = func(
		ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID,
	) (map[uuid.UUID]schemas.Owner, error) {
		if !slices.Equal(aliases, []uuid.UUID{annaAccess}) {
			t.Errorf("the vault is asked about %d persons, want the officer alone", len(aliases))
		}
		return owners(ctx, tenant, aliases)
	}
	_, files, _ := build(t, c, p)
	of, by := events(t, files["data/views.json"]), events(t, files["data/actions-by.json"])
	if len(of) != 1 || len(of[0].Others) != 1 || of[0].Others[0].Label != "administrator-1" {
		t.Errorf("the viewing of her data names %+v", of)
	}
	if len(by) != 1 || len(by[0].Others) != 0 {
		t.Errorf("her own viewing names %+v", by)
	}
	page := string(files["02-your-data.html"])
	if strings.Contains(page, "Another person") || !strings.Contains(page, "data of 63 persons") {
		t.Error("the page names others, or does not say how many they were")
	}
}

// Rows that show nothing and differ in nothing but their times are one row with a count; rows that
// show a value stand each for itself.
func TestRowsThatShowNothingAreSaidOnce(t *testing.T) {
	s := chtest.NewStory(t)
	user := subjects(as("user", fatimaInv))
	var values []val
	for i := range 51 {
		values = append(values, val{Attr: "device.logged-on-user",
			Path: []string{id(fmt.Sprint("logon ", i)).String()},
			V:    map[string]any{"userId": fmt.Sprint("u-", i), "lastLogOn": "2026-10-01T07:58:00Z"}, Alias: bob})
	}
	values = append(values, val{Attr: "device.logged-on-user", Path: []string{id("her logon").String()},
		V: map[string]any{"userId": "u", "lastLogOn": "2026-10-01T07:58:00Z"}, Alias: fatimaInv})
	var apps []val
	for i := range 7 {
		apps = append(apps, val{Attr: "device.app", Path: []string{id(fmt.Sprint("app ", i)).String()},
			V: map[string]any{"name": fmt.Sprint("App ", i), "id": fmt.Sprint(i)}, Alias: bob})
	}
	s.Add("device.enrolled.v1", mac, "2026-10-01T08:00:00Z", "", user, values[:40]...)
	s.Add("device.inventory-changed.v1", mac, "2026-10-03T08:00:00Z", "", user, values[40:]...)
	s.Add("device.apps-changed.v1", mac, "2026-10-04T08:00:00Z", "", user, apps...)
	p := dsar.Person{Request: aRequest, Tenant: id("tenant"), Seq: uint64(len(s.Events) - 1),
		Aliases: []dsar.Alias{{ID: fatimaInv}},
		Devices: []dsar.Device{{Stream: mac, From: at("2026-10-01T08:00:00Z"), Ownership: "company"}}}
	c := config(s.Load(), s, "en")
	c.Owners = owners
	_, files, _ := build(t, c, p)
	page := string(files["02-your-data.html"])
	const row = `<th scope="row"><span class="cellline">User logged on</span></th>`
	if n := strings.Count(page, row); n != 2 {
		t.Errorf("%d rows of who logged on, want hers and one more", n)
	}
	for _, text := range []string{"withheld, 51 times", "withheld, 7 times", "1 Oct 2026 –", "3 Oct 2026"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if got := strings.Count(string(files["data/devices.json"]), `"device.logged-on-user"`); got != 52 {
		t.Errorf("data/ has %d values, want each", got)
	}
}

// The glossary explains words that the page says, and no others.
func TestTheGlossaryExplainsWhatThePageSays(t *testing.T) {
	s := fatimasStory(t)
	s.Add("device.inventory-changed.v1", phone, "2026-11-14T08:00:00Z", "", subjects(as("user", fatimaInv)),
		val{Attr: "device.eas-id", V: "EAS-1", Alias: fatimaInv}, val{Attr: "device.sku-family", V: "Enterprise"},
		val{Attr: "device.management-agent", V: "mdm"}, val{Attr: "device.autopilot-enrolled", V: true})
	_, files, _ := build(t, config(s.Load(), s, "nl"), fatima(s))
	glossary := func(page string) string {
		_, rest, _ := strings.Cut(page, `<dl class="glossary">`)
		rest, _, _ = strings.Cut(rest, "</dl>")
		return rest
	}
	dutch, english := glossary(string(files["02-uw-gegevens.html"])), glossary(string(files["02-your-data.html"]))
	for _, term := range []string{"Exchange ActiveSync, EAS", "SKU-familie", "Aanmeldnaam, UPN", "Autopilot",
		"Beheer van mobiele apparaten, MDM", "IMEI, MEID"} {
		if !strings.Contains(dutch, "<dt>"+term+"</dt>") {
			t.Errorf("%s is not explained", term)
		}
	}
	if strings.Contains(dutch, "ICCID") || strings.Contains(english, "ICCID") {
		t.Error("a word that the page does not say is explained")
	}
	for page, never := range map[string]string{"02-uw-gegevens.html": ">UPN", "02-your-data.html": "principal name<"} {
		if strings.Contains(string(files[page]), never) {
			t.Errorf("%s calls a sign-in name by another word", page)
		}
	}
}
