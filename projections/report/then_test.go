package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

var (
	laptop, tablet, unseen = schemas.NewStream("device", id("laptop")), schemas.NewStream("device", id("tablet")),
		schemas.NewStream("device", id("never seen"))
	karim         = id("karim 2026-03")
	portal, robot = "5926fc8e-304e-4f59-8bed-58ca97cc39a4", "a24e744c-b0e0-448c-91ab-5a44bb6dbf48"
)

// deed adds an action on devices that it names by our ids alone.
func deed(s *chtest.Story, when, operation, application string, devices []schemas.Stream, more ...val) uuid.UUID {
	values := append([]val{{Attr: "action.verb", V: "action"}, {Attr: "action.operation", V: operation},
		{Attr: "action.result", V: "success"}, {Attr: "action.application-id", V: application}}, more...)
	for i, d := range devices {
		path := []string{string(rune('0' + i))}
		values = append(values, val{Attr: "action.target-device", Path: path, V: d.UUID().String()})
	}
	return s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id(when)), when, "", actorAnna,
		values...)
}

// theNames: a laptop is renamed and changes hands; a tablet is known by its serial number alone;
// what is done to them is told by our ids.
func theNames(t *testing.T) *chtest.Story {
	s := chtest.NewStory(t)
	s.Add("device.enrolled.v1", laptop, "2026-03-05T08:00:00Z", "", userFatima,
		val{Attr: "device.name", V: "LT-ONE", Alias: fatima}, val{Attr: "device.ownership", V: "company"},
		val{Attr: "device.serial-number", V: "SER1", Alias: fatima},
		val{Attr: "device.user-id", V: "user 1", Alias: fatima},
		val{Attr: "device.user-upn", V: "fatima@example.test", Alias: fatima},
		val{Attr: "device.management-state", V: "managed"})
	s.Add("device.enrolled.v1", tablet, "2026-03-05T08:00:00Z", "", nil,
		val{Attr: "device.serial-number", V: "SER2", Alias: id("tablet key")},
		val{Attr: "device.ownership", V: "personal"})
	s.Add("device.inventory-changed.v1", laptop, "2026-03-10T08:00:00Z", "", userFatima,
		val{Attr: "device.name", V: "LT-TWO", Alias: fatima})
	s.Add("device.ownership-changed.v1", laptop, "2026-03-12T08:00:00Z", "",
		[]schemas.SubjectRef{{Role: "user", Alias: karim}}, val{Attr: "device.user-id", V: "user 2", Alias: karim},
		val{Attr: "device.user-upn", V: "karim@example.test", Alias: karim})
	s.Add("device.retired.v1", laptop, "2026-03-20T08:00:00Z", "", []schemas.SubjectRef{{Role: "user", Alias: karim}},
		val{Attr: "device.management-state", V: "wipePending"})
	// Told last, and of days before.
	upn := val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna}
	deed(s, "2026-03-01T09:00:00Z", "rebootNow ManagedDevice", robot, []schemas.Stream{laptop}, upn)
	deed(s, "2026-03-07T09:00:00Z", "remoteLock ManagedDevice", portal, []schemas.Stream{laptop, tablet}, upn,
		val{Attr: "action.application-name", V: "Intune portal", Alias: anna})
	deed(s, "2026-03-11T09:00:00Z", "syncDevice ManagedDevice", portal, []schemas.Stream{laptop}, upn)
	deed(s, "2026-03-19T09:00:00Z", "wipe ManagedDevice", portal, []schemas.Stream{laptop}, upn,
		val{Attr: "action.reason", V: "left in a taxi", Alias: fatima})
	deed(s, "2026-03-21T09:00:00Z", "syncDevice ManagedDevice", portal, []schemas.Stream{unseen}, upn)
	// What became of two of them on each device, and a request that no administrator's act tells.
	asked := func(name string, request uuid.UUID, at, action, state, form string, more ...val) schemas.Stream {
		on := schemas.NewStream("remoteaction", id(name))
		s.Add("remoteaction.requested.v1", on, at, "", nil, append([]val{{Attr: "remoteaction.action", V: action},
			{Attr: "remoteaction.state", V: state}, {Attr: "remoteaction.requested-at", V: at},
			{Attr: "remoteaction.form", V: form}, {Attr: "remoteaction.group", V: request.String()}}, more...)...)
		return on
	}
	lock, wipe := id("2026-03-07T09:00:00Z"), id("2026-03-19T09:00:00Z")
	onLaptop := val{Attr: "remoteaction.device", V: laptop.UUID().String()}
	asked("lock 1", lock, "2026-03-07T09:00:00Z", "remoteLock", "done", "auditEvents", onLaptop)
	asked("lock 2", lock, "2026-03-07T09:00:00Z", "remoteLock", "requested", "auditEvents",
		val{Attr: "remoteaction.device", V: tablet.UUID().String()})
	wiped := asked("wipe", wipe, "2026-03-19T09:00:01Z", "wipe", "requested", "auditEvents", onLaptop)
	s.Add("remoteaction.progressed.v1", wiped, "2026-03-19T09:30:00Z", "", nil,
		val{Attr: "remoteaction.state", V: "failed"},
		val{Attr: "remoteaction.completed-at", V: "2026-03-19T09:30:00Z"},
		val{Attr: "remoteaction.failure", V: "no battery", Alias: fatima},
		val{Attr: "remoteaction.form", V: "deviceActionResults"})
	for i, name := range []string{"Phone", "Tablet"} {
		values := []val{{Attr: "remoteaction.device-name", V: name, Alias: karim},
			{Attr: "remoteaction.actor-upn", V: "bob@example.test", Alias: bob}}
		if i == 0 {
			values = append(values, val{Attr: "remoteaction.user-upn", V: "bo@example.test", Alias: karim})
		}
		asked(name, id("bulk"), "2026-03-20T09:00:0"+string(rune('0'+i))+"Z", "retire", "pending",
			"remoteActionAudits", values...)
	}
	return s
}

// column returns what people read in a column, row by row, several values joined.
func column(t *testing.T, db *clickhouse.DB, opener projections.Searcher, r report.Request, id string) (out []string) {
	t.Helper()
	rep, err := report.Run(t.Context(), db, opener, r)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rep.Columns, func(c report.Column) bool { return c.ID == id })
	for row, err := range rep.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, v := range row.Cells[at] {
			texts = append(texts, v.People(english, time.UTC))
		}
		out = append(out, strings.Join(texts, " + "))
	}
	return out
}

// A device that an action names by our id alone is called as the ledger knew it then: by its name,
// its serial number, or as it was first known; by our id only where nothing is known of it.
func TestADeviceIsCalledAsItWasThen(t *testing.T) {
	s := theNames(t)
	db := s.Load()
	all := request("admin-actions", "en")
	early := all
	seq := uint64(2) // the tablet is the last that is known
	early.AsOfSeq = &seq
	masked := all
	masked.Reveal = false
	for _, c := range []struct {
		r      report.Request
		column string
		want   []string
	}{
		{all, "target", []string{"LT-ONE", "LT-ONE + SER2", "LT-TWO", "LT-TWO", unseen.UUID().String()}},
		{all, "targetId", []string{laptop.UUID().String(),
			laptop.UUID().String() + " + " + tablet.UUID().String(), laptop.UUID().String(), laptop.UUID().String(),
			unseen.UUID().String()}},
		{all, "application", []string{robot, "Intune portal", "Intune portal", "Intune portal", "Intune portal"}},
		{masked, "application", []string{robot, "●●●", portal, portal, portal}},
		{masked, "target", []string{"●●●", "●●● + ●●●", "●●●", "●●●", unseen.UUID().String()}},
		{early, "target", nil},
	} {
		if got := column(t, db, s, c.r, c.column); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.column, got, c.want)
		}
	}
	for token, o := range s.Plain { // whose application name it is was erased: the id stays
		if strings.Contains(string(token), "application-name") {
			o.Err = projections.ErrErased
			s.Plain[token] = o
		}
	}
	want := []string{robot, "erased", portal, portal, portal}
	if got := column(t, db, s, all, "application"); !slices.Equal(got, want) {
		t.Errorf("an erased name: %q, want %q", got, want)
	}
}

// What was asked of devices is a row, however many they are and whoever tells of it, with whose
// they were then, how far it has come, and with a device's management only where what was asked
// shows in it.
func TestRemoteActionsSayWhoseDeviceItWas(t *testing.T) {
	s := theNames(t)
	db := s.Load()
	for _, c := range []struct {
		filters map[string]string
		column  string
		want    []string
	}{
		{nil, "device", []string{"LT-ONE", "LT-ONE + SER2", "LT-TWO", "LT-TWO", "Phone + Tablet",
			unseen.UUID().String()}},
		{nil, "userThen", []string{"fatima@example.test", "fatima@example.test + ", "fatima@example.test",
			"karim@example.test", "bo@example.test + ", ""}},
		{nil, "devices", []string{"1", "2", "1", "1", "2", "1"}},
		{nil, "state", []string{"", "", "", "wipe asked", "", ""}},
		{nil, "stateSince", []string{"", "", "", "2026-03-20 08:00:00 +00:00", "", ""}},
		{nil, "result", []string{"accepted", "accepted", "accepted", "accepted", "", "accepted"}},
		{nil, "progress", []string{"", "done + requested", "", "failed", "pending", ""}},
		{nil, "progressOn", []string{"", "1 + 1", "", "1", "2", ""}},
		{nil, "completed", []string{"", "", "", "2026-03-19 09:30:00 +00:00", "", ""}},
		{nil, "failure", []string{"", "", "", "no battery", "", ""}},
		{nil, "by", []string{"anna@example.test", "anna@example.test", "anna@example.test", "anna@example.test",
			"bob@example.test", "anna@example.test"}},
		{map[string]string{"operation": "buiten,retire"}, "device", []string{"Phone + Tablet"}},
		{map[string]string{"device": string(tablet)}, "progress", []string{"requested"}},
		{map[string]string{"device": string(tablet)}, "action", []string{"lock remotely"}},
		{map[string]string{"ownership": "company", "operation": "LOCK,wipe"}, "action",
			[]string{"lock remotely", "wipe"}},
		{map[string]string{"device": "lt-two", "text": "TAXI"}, "reason", []string{"left in a taxi"}},
		{map[string]string{"operation": "action.operation"}, "action", nil},
	} {
		r := request("remote-actions", "en")
		r.Filters = c.filters
		if got := column(t, db, s, r, c.column); !slices.Equal(got, c.want) {
			t.Errorf("%v %s: %q, want %q", c.filters, c.column, got, c.want)
		}
	}
}

// An operation is found by what the language of the report calls it, and an application by its id
// without unsealing anything.
func TestOperationsAndApplicationsAreFound(t *testing.T) {
	s := theNames(t)
	db := s.Load()
	for _, c := range []struct {
		filters map[string]string
		reveal  bool
		rows    int
	}{
		{map[string]string{"operation": "wissen"}, false, 1},
		{map[string]string{"operation": "vergrendel,herstart"}, false, 2},
		{map[string]string{"application": strings.ToUpper(portal)}, false, 4},
		{map[string]string{"application": portal + "," + robot}, true, 5},
		{map[string]string{"application": "intune PORT"}, true, 4},
		{map[string]string{"target": "ser2"}, true, 1},
		{map[string]string{"text": "taxi"}, true, 1},
	} {
		r := request("admin-actions", "nl")
		r.Filters, r.Reveal = c.filters, c.reveal
		if got := column(t, db, s, r, "sequence"); len(got) != c.rows {
			t.Errorf("%v: %d actions, want %d", c.filters, len(got), c.rows)
		}
	}
	r := request("admin-actions", "nl")
	r.Reveal, r.Filters = false, map[string]string{"application": "portal"}
	if err := r.Validate(); err == nil {
		t.Error("a name is looked for where nothing is unsealed")
	}
}

// A breach report says whose device it was and is, what was asked of it, and where nothing is
// recorded that too.
func TestAnExposureSaysWhatIsRecordedAndWhatIsNot(t *testing.T) {
	s := theNames(t)
	db := s.Load()
	r := request("device-exposure", "en")
	r.Filters = map[string]string{"device": string(laptop)}
	what := column(t, db, s, r, "item")
	values, since := column(t, db, s, r, "value"), column(t, db, s, r, "since")
	for _, want := range [][3]string{
		{"Sign-in name of the user", "karim@example.test", "2026-03-12 08:00:00 +00:00"},
		{"Earlier user", "fatima@example.test", "2026-03-05 08:00:00 +00:00"},
		{"Encrypted", "(nothing recorded)", ""},
		{"Management state", "wipe asked", "2026-03-20 08:00:00 +00:00"},
		{"Asked from a distance", "wipe + 2026-03-19 09:00:00 +00:00 + anna@example.test + accepted + left in a taxi",
			"2026-03-19 09:00:00 +00:00"},
		{"Asked from a distance", "restart + 2026-03-01 09:00:00 +00:00 + anna@example.test + accepted",
			"2026-03-01 09:00:00 +00:00"},
	} {
		found := false
		for i := range what {
			found = found || [3]string{what[i], values[i], since[i]} == want
		}
		if !found {
			t.Errorf("no row says %q:\n%q\n%q\n%q", want, what, values, since)
		}
	}
	r.AsOf = at("2026-03-06T00:00:00Z")
	if got := strings.Join(column(t, db, s, r, "value"), "\n"); strings.Contains(got, "karim") ||
		strings.Contains(got, "wipe") || !strings.Contains(got, "fatima") {
		t.Errorf("as of the day after it was first seen: %s", got)
	}
	r.Filters, r.AsOf = map[string]string{"device": string(unseen)}, time.Time{}
	const none, sync = "(nothing recorded)", "synchronise + 2026-03-21 09:00:00 +00:00 + anna@example.test + accepted"
	if got := column(t, db, s, r, "value"); !slices.Equal(got, []string{none, none, none, none, none, sync, none}) {
		t.Errorf("of a device that was acted on and never seen: %q", got)
	}
	r.AsOf = at("2026-03-06T00:00:00Z")
	if got := column(t, db, s, r, "item"); len(got) > 0 {
		t.Errorf("of a device of which nothing was known: %q", got)
	}
}
