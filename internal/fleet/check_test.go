package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
)

type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

var _ failer = (*testing.T)(nil)

type readFile struct {
	path string
	data []byte
}

func readDir(t failer, dir string) (files []readFile) {
	t.Helper()
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, path)
		files = append(files, readFile{path, b})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type azureRecord struct {
	Time, TenantID, Category, OperationName, CorrelationID string
	Properties                                             struct {
		Stats                                                    *struct{ RecordCount int }
		DeviceID, OSVersion, CompliantState, Ownership           string
		UPN, PrimaryUser, LastContact, AuditEventID, DeviceState string
		SerialNumber, ActivityDate                               string
		StorageFree                                              int
		Actor                                                    struct{ ObjectID, UPN string }
		TargetObjectIDs                                          []string
		Targets                                                  []struct{ ModifiedProperties []any }
	}
}

type graphAuditEvent struct {
	ID, ActivityType, ActivityDateTime, CorrelationID string
	Actor                                             struct{ UserID, UserPrincipalName string }
	Resources                                         []struct {
		ResourceID         string
		ModifiedProperties []any
	}
}

type graphDevice struct {
	ID, UserID, OwnerType string
	DetectedApps          []struct{ ID, DisplayName string }
}

// A fact is what both forms of an action must say alike.
type fact struct {
	operation, second, correlation, actor, upn, target string
	changes                                            int
}

// A tally is what the files hold, found by reading them as a stranger would.
type tally struct {
	records map[Kind]int
	facts   map[string]fact
	reports int
	devices map[string]azureRecord // the last row about each
	persons map[string]bool
	apps    map[string]Apps
	bytes   int64
}

func checkFiles(t failer, c Config, dir string, s Summary) {
	t.Helper()
	files := readDir(t, dir)
	got := tally{records: map[Kind]int{}, facts: map[string]fact{}, devices: map[string]azureRecord{},
		persons: map[string]bool{}, apps: map[string]Apps{}}
	for _, file := range files {
		got.bytes += int64(len(file.data))
		if strings.HasSuffix(file.path, ".ndjson") {
			got.lines(t, file, s.Tenant)
		} else {
			got.graph(t, file)
		}
	}
	e := s.Expected
	apps := Apps{}
	for _, a := range got.apps {
		apps.Company += a.Company
		apps.Personal += a.Personal
		apps.UnknownOwner += a.UnknownOwner
	}
	owners := map[string]int{}
	for _, d := range got.devices {
		owners[d.Properties.Ownership]++
	}
	read := 0
	for _, n := range got.records {
		read += n
	}
	for _, n := range []struct {
		what      string
		got, want int
	}{
		{"files", len(files), s.Files},
		{"bytes", int(got.bytes), int(s.Bytes)},
		{"read", read, e.Read},
		{"failed", got.records[MalformedLine] + got.records[ForeignRecord], e.Failed},
		{"unrecognised", got.records[DeviceStats], e.Unrecognised},
		{"malformed", got.records[MalformedLine], c.Malformed * c.Days},
		{"foreign", got.records[ForeignRecord], c.Foreign * c.Days},
		{"facts", len(got.facts), e.AuditFacts},
		{"facts made", c.AuditPerDay * c.Days, e.AuditFacts},
		{"repeats", got.reports - len(got.facts), e.AuditRepeats},
		{"devices", len(got.devices), e.Devices},
		{"company", owners["Corporate"], e.Company},
		{"personal", owners["Personal"], e.Personal},
		{"unknown owner", owners["Unknown"], e.UnknownOwner},
		{"persons", len(got.persons), e.Persons},
	} {
		if n.got != n.want {
			t.Fatalf("%s: the files hold %d, the summary says %d", n.what, n.got, n.want)
		}
	}
	maps.DeleteFunc(got.records, func(_ Kind, n int) bool { return n == 0 })
	if !maps.Equal(got.records, s.Records) {
		t.Fatalf("the files hold %v, the summary says %v", got.records, s.Records)
	}
	if apps != e.Apps {
		t.Fatalf("the files hold apps %+v, the summary says %+v", apps, e.Apps)
	}
	checkTruth(t, c, got)
}

// checkTruth compares the last row about every device with what the fleet says of it,
// and the people of the files with its accounts.
func checkTruth(t failer, c Config, got tally) {
	t.Helper()
	rows := got.devices
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for range f.Days() {
		continue
	}
	n, gone := 0, 0
	for want := range f.Truth() {
		p := rows[want.ID].Properties
		user := p.PrimaryUser
		if user == zeroGUID {
			user = ""
		}
		contact, err := time.Parse("2006-01-02 15:04:05", p.LastContact)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Truth{p.DeviceID, p.SerialNumber, p.OSVersion, p.CompliantState, p.Ownership, user, p.UPN, contact,
			p.StorageFree, want.Gone}); got != want {
			t.Fatalf("last row:\n%+v\ntruth:\n%+v", got, want)
		}
		if want.Gone && p.DeviceState == "Managed" {
			t.Fatalf("%s is gone and nothing said so", want.ID)
		}
		n++
		gone += bit(want.Gone)
	}
	devices, actions := map[string]int{}, map[string]int{}
	for _, r := range rows {
		devices[r.Properties.PrimaryUser]++
	}
	for _, a := range got.facts {
		actions[a.actor]++
	}
	people := 0
	for who := range f.Accounts() {
		people++
		if !got.persons[who.ID] || len(who.Devices) != devices[who.ID] || who.Actions != actions[who.ID] {
			t.Fatalf("the files hold %d devices and %d actions of %+v", devices[who.ID], actions[who.ID], who)
		}
		for _, id := range who.Devices {
			if p := rows[id].Properties; p.PrimaryUser != who.ID || p.UPN != who.UPN {
				t.Fatalf("device %s is not of %+v", id, who)
			}
		}
	}
	if people != len(got.persons) {
		t.Fatalf("%d accounts, the files name %d persons", people, len(got.persons))
	}
	if n != len(rows) || gone != f.Expected().Gone {
		t.Fatalf("%d devices, %d gone; rows about %d, expected gone %d", n, gone, len(rows), f.Expected().Gone)
	}
}

func (y *tally) lines(t failer, file readFile, tenant string) {
	t.Helper()
	end := "\n"
	if bytes.Contains(file.data, []byte("\r\n")) {
		end = "\r\n"
	}
	rows, stats, first := 0, -1, true
	for line := range strings.SplitSeq(strings.TrimSuffix(string(file.data), end), end) {
		if !json.Valid([]byte(line)) {
			if first && !bytes.Contains(file.data, []byte(`"RecordCount":0}`)) {
				t.Fatalf("%s begins with a malformed line", file.path)
			}
			first = false
			y.records[MalformedLine]++
			continue
		}
		first = false
		var batch struct{ Records []azureRecord }
		if err := json.Unmarshal([]byte(line), &batch); err != nil {
			t.Fatalf("%s: %v", file.path, err)
		}
		if batch.Records == nil {
			batch.Records = make([]azureRecord, 1)
			if err := json.Unmarshal([]byte(line), &batch.Records[0]); err != nil {
				t.Fatalf("%s: %v", file.path, err)
			}
		}
		if stats >= 0 {
			t.Fatalf("%s goes on after its Stats row", file.path)
		}
		for _, r := range batch.Records {
			switch {
			case r.TenantID != tenant:
				y.records[ForeignRecord]++
			case r.Category == "AuditLogs":
				y.records[AuditLog]++
				y.azureAudit(t, r)
			case r.Properties.Stats != nil:
				y.records[DeviceStats]++
				stats = r.Properties.Stats.RecordCount
			default:
				y.records[Kind(r.Category)]++
				if Kind(r.Category) == DeviceRow {
					rows++
					y.devices[r.Properties.DeviceID] = r
					if u := r.Properties.PrimaryUser; u != zeroGUID {
						y.persons[u] = true
					}
				}
			}
		}
	}
	if strings.HasSuffix(file.path, "/devices.ndjson") && stats != rows {
		t.Fatalf("%s: %d rows, Stats says %d", file.path, rows, stats)
	}
}

func (y *tally) azureAudit(t failer, r azureRecord) {
	t.Helper()
	p := r.Properties
	when, err := time.Parse(time.RFC3339, r.Time)
	if err != nil { // the unreadable one
		if when, err = time.Parse("1/2/2006 3:04:05 PM", p.ActivityDate); err != nil {
			t.Fatal(err)
		}
	}
	a := fact{r.OperationName, when.Format(seconds), r.CorrelationID, p.Actor.ObjectID, p.Actor.UPN,
		fmt.Sprint(p.TargetObjectIDs), len(p.Targets[0].ModifiedProperties)}
	if a.upn == "" {
		a.actor = "" // an application
	} else {
		y.persons[a.actor] = true
	}
	y.fact(t, p.AuditEventID, a)
}

func (y *tally) fact(t failer, id string, a fact) {
	t.Helper()
	y.reports++
	if before, ok := y.facts[id]; ok && before != a {
		t.Fatalf("action %s is told in two ways:\n%+v\n%+v", id, before, a)
	}
	y.facts[id] = a
}

func (y *tally) graph(t failer, file readFile) {
	t.Helper()
	var page struct {
		Next  string `json:"@odata.nextLink"`
		Value []json.RawMessage
	}
	if err := json.Unmarshal(file.data, &page); err != nil {
		t.Fatalf("%s: %v", file.path, err)
	}
	switch name := file.path[len("2026-03-01/"):]; {
	case strings.HasPrefix(name, "graph-audit-"):
		y.records[GraphAudit] += len(page.Value)
		for _, raw := range page.Value {
			var e graphAuditEvent
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			when, err := time.Parse(time.RFC3339, e.ActivityDateTime)
			if err != nil {
				t.Fatal(err)
			}
			if e.Actor.UserID != "" {
				y.persons[e.Actor.UserID] = true
			}
			y.fact(t, e.ID, fact{e.ActivityType, when.Format(seconds), e.CorrelationID, e.Actor.UserID,
				e.Actor.UserPrincipalName,
				fmt.Sprint([]string{e.Resources[0].ResourceID}), len(e.Resources[0].ModifiedProperties)})
		}
	case strings.HasPrefix(name, "graph-devices-"):
		y.records[GraphDevice] += len(page.Value)
	default:
		y.records[GraphDetail]++
		var d graphDevice
		if err := json.Unmarshal(file.data, &d); err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, a := range d.DetectedApps {
			names[a.DisplayName] = true
		}
		if len(names) != len(d.DetectedApps) {
			t.Fatalf("%s: an app comes twice", file.path)
		}
		y.apps[d.ID] = map[string]Apps{"company": {Company: len(names)}, "personal": {Personal: len(names)},
			"unknown": {UnknownOwner: len(names)}}[d.OwnerType]
	}
}
