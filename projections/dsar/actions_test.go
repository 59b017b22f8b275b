package dsar_test

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

// What was asked of a person's device from afar is one row, with how far it has come, whoever
// tells of it: the administrator's act, or the device's record alone.
func TestARemoteActionIsOneRowWithItsState(t *testing.T) {
	s := chtest.NewStory(t)
	zero := []string{"0"}
	act := schemas.NewStream("adminaction", id("wipe"))
	s.Add("adminaction.recorded.v1", act, "2026-10-25T08:00:00Z", "", subjects(as("actor", anna),
		as("target", fatimaTarget)),
		val{Attr: "action.verb", V: "action"}, val{Attr: "action.operation", V: "wipe ManagedDevice"},
		val{Attr: "action.result", V: "success"},
		val{Attr: "action.target-name", Path: zero, V: "HER-PHONE", Alias: fatimaTarget})
	asked := func(name, action, group string) schemas.Stream {
		on := schemas.NewStream("remoteaction", id(name))
		s.Add("remoteaction.requested.v1", on, "2026-10-25T08:00:00Z", "", nil,
			val{Attr: "remoteaction.action", V: action}, val{Attr: "remoteaction.state", V: "requested"},
			val{Attr: "remoteaction.group", V: group})
		return on
	}
	for _, on := range []schemas.Stream{asked("1", "wipe", act.UUID().String()),
		asked("2", "remoteLock", id("nobody's").String())} {
		s.Add("remoteaction.progressed.v1", on, "2026-10-25T08:10:00Z", "", subjects(as("target", fatimaTarget)),
			val{Attr: "remoteaction.state", V: "done"},
			val{Attr: "remoteaction.device-name", V: "HER-PHONE", Alias: fatimaTarget})
	}
	db := chtest.Start(t)
	chtest.Load(t, db, s.Events...)
	p := fatima(s)
	p.Devices, p.Seq = nil, uint64(len(s.Events)-1)
	_, files, _ := build(t, config(db, s, "en"), p)
	_, rest, _ := strings.Cut(string(files["02-your-data.html"]), `id="about"`)
	about, _, _ := strings.Cut(rest, "</section>")
	if n := strings.Count(about, "<tr>") - strings.Count(about, "<thead>"); n != 2 {
		t.Errorf("%d rows: %s", n, about)
	}
	if strings.Count(about, "done") != 2 || !strings.Contains(about, "Remote lock") ||
		strings.Count(about, "HER-PHONE") != 2 {
		t.Error(about)
	}
	if data := string(files["data/actions-about.json"]); strings.Count(data, "remoteaction.requested.v1") != 2 {
		t.Errorf("not all of what became of it is in the copy: %s", data)
	}
}

// TestAnActionIsOneRowHoweverManyEventsTellIt: an action that a further event links to the person
// comes with its first event, which tells what it was; one that she did on many targets is
// counted and shown once, and what is disputed is marked.
func TestAnActionIsOneRowHoweverManyEventsTellIt(t *testing.T) {
	s := chtest.NewStory(t)
	zero := []string{"0"}
	linked, hers := schemas.NewStream("adminaction", id("linked later")), schemas.NewStream("adminaction",
		id("many targets"))
	s.Add("adminaction.recorded.v1", linked, "2026-10-25T08:00:00Z", "", subjects(as("actor", anna)),
		val{Attr: "action.verb", V: "action"}, val{Attr: "action.operation", V: "wipe ManagedDevice"},
		val{Attr: "action.result", V: "success"},
		val{Attr: "action.target-id", Path: zero, V: "an id", Alias: tenantKey})
	s.Add("adminaction.supplemented.v1", linked, "2026-10-25T08:00:00Z", "", subjects(as("target", fatimaTarget)),
		val{Attr: "action.target-index", Path: zero, V: 0},
		val{Attr: "action.target-device", Path: zero, V: phone.UUID().String()},
		val{Attr: "action.target-id", Path: zero, V: "an id", Alias: fatimaTarget})
	s.Add("adminaction.disputed.v1", linked, "2026-10-25T08:00:00Z", "", subjects(as("target", fatimaTarget)),
		val{Attr: "action.disputed-attribute", Path: zero, V: "action.result"},
		val{Attr: "action.disputed-value", Path: zero, V: "failure", Alias: tenantKey})
	s.Add("adminaction.recorded.v1", hers, "2026-10-26T08:00:00Z", "", subjects(as("actor", fatimaActor)),
		val{Attr: "action.verb", V: "update"}, val{Attr: "action.operation", V: "Patch DeviceCategory"},
		val{Attr: "action.result", V: "success"},
		val{Attr: "action.target-name", Path: zero, V: "FIRST-TARGET", Alias: fatimaActor})
	s.Add("adminaction.continued.v1", hers, "2026-10-26T08:00:00Z", "", subjects(as("actor", fatimaActor)),
		val{Attr: "action.verb", V: "update"}, val{Attr: "action.operation", V: "Patch DeviceCategory"},
		val{Attr: "action.result", V: "success"},
		val{Attr: "action.target-name", Path: zero, V: "SECOND-TARGET", Alias: fatimaActor})
	db := chtest.Start(t)
	chtest.Load(t, db, s.Events...)
	p := fatima(s)
	p.Devices, p.Seq = nil, uint64(len(s.Events)-1)
	_, files, _ := build(t, config(db, s, "en"), p)
	page := string(files["02-your-data.html"])
	section := func(id string) string {
		_, rest, _ := strings.Cut(page, `id="`+id+`"`)
		text, _, _ := strings.Cut(rest, "</section>")
		return text
	}
	rows := func(text string) int { return max(0, strings.Count(text, "<tr>")-strings.Count(text, "<thead>")) }
	about, by := section("about"), section("by")
	if rows(about) != 1 || !strings.Contains(about, "told otherwise by another record") ||
		!strings.Contains(strings.ToLower(about), "wipe") {
		t.Errorf("about her, %d rows: %s", rows(about), about)
	}
	if rows(by) != 1 || !strings.Contains(by, "FIRST-TARGET") || !strings.Contains(by, "SECOND-TARGET") {
		t.Errorf("by her, %d rows: %s", rows(by), by)
	}
}
