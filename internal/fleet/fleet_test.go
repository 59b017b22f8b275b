package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// small is a fleet in which everything occurs and that takes no time.
func small() Config {
	c := Sized(400)
	c.Days, c.FullEvery, c.Malformed, c.Foreign, c.AuditPerDay = 10, 4, 4, 1, 45
	c.GraphPage, c.DetailPerDay, c.GraphShare, c.GraphEvery = 20, 4, 0.5, 1
	return c
}

func write(t *testing.T, c Config) (string, Summary) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fleet")
	s, err := Write(t.Context(), c, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir, s
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// goldenDigest changes whenever the generator's output does. Where that is meant, put
// the new value here; it must be the same on every machine and with every Go.
const goldenDigest = "61326c46fa35e29fb4399190de96e662e7d7dae2869de9feab7c7483d497c5b8"

func TestSameConfigSameBytes(t *testing.T) {
	a, sa := write(t, small())
	b, sb := write(t, small())
	got := digest(t, a)
	if got != digest(t, b) || fmt.Sprint(sa) != fmt.Sprint(sb) {
		t.Fatal("two runs differ")
	}
	if got != goldenDigest {
		t.Errorf("the generator's output is now %s", got)
	}
	other := small()
	other.Seed++
	c, _ := write(t, other)
	if digest(t, c) == got {
		t.Fatal("another seed, the same bytes")
	}
}

// Where a fleet starts on the clock of this machine, or in which time zone, is nothing to it.
func TestOnlyTheDateOfStartCounts(t *testing.T) {
	c := small()
	a, _ := write(t, c)
	c.Start = c.Start.Add(7 * time.Hour).In(time.FixedZone("", -5*3600))
	b, _ := write(t, c)
	if digest(t, a) != digest(t, b) {
		t.Fatal("the hour of Start changes the bytes")
	}
}

func TestFilesAreWhatTheSummarySays(t *testing.T) {
	dir, s := write(t, small())
	checkFiles(t, small(), dir, s)
}

func TestAnyFleetIsWhatItSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := Sized(rapid.IntRange(1, 60).Draw(rt, "devices"))
		c.Seed = rapid.Uint64().Draw(rt, "seed")
		c.Users = rapid.IntRange(1, 50).Draw(rt, "users")
		c.Admins = rapid.IntRange(1, 9).Draw(rt, "admins")
		c.Days = rapid.IntRange(1, 8).Draw(rt, "days")
		c.AuditPerDay = rapid.IntRange(1, 50).Draw(rt, "audit")
		c.AppsPerDevice = rapid.IntRange(0, 5).Draw(rt, "apps")
		c.ContactShare = rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(rt, "contact")
		c.PersonalShare = rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "personal")
		c.GraphAuditShare = rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "graph audit")
		c.GraphShare = rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "graph")
		c.GraphEvery = rapid.IntRange(0, 3).Draw(rt, "graph every")
		c.FullEvery = rapid.IntRange(0, 3).Draw(rt, "full every")
		c.GraphPage = rapid.IntRange(1, 20).Draw(rt, "page")
		c.DetailPerDay = rapid.IntRange(0, 4).Draw(rt, "detail")
		c.Malformed = rapid.IntRange(0, 5).Draw(rt, "malformed")
		c.Foreign = rapid.IntRange(0, 2).Draw(rt, "foreign")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := Write(context.Background(), c, dir, nil)
		if err != nil {
			rt.Fatal(err)
		}
		checkFiles(rt, c, dir, s)
	})
}

// What the real sources get wrong must be there to be got right.
func TestTrapsAreSet(t *testing.T) {
	dir, s := write(t, small())
	var all bytes.Buffer
	for _, file := range readDir(t, dir) {
		all.Write(file.data)
	}
	for _, trap := range []string{
		// numbers, words, and an unknown number
		`"ActivityType":0`, `"ActivityType":"Create"`, `"ActivityResultStatus":"Success"`, `"Category":27`,
		`"time":"2026-03-01T`, `"ActivityDate":"3/1/2026 `,
		`"InGracePeriodUntil":"9999-12-31 23:59:59.9999999"`, `"InGracePeriodUntil":"0001-01-01 00:00:00.0000000"`,
		`"<null>"`, `"SerialNumber":"0"`, `"SerialNumber":"System Serial Number"`, `"ReferenceId":"` + zeroGUID,
		`"PrimaryUser":"` + zeroGUID,
		`"UPN":""`, `"Ownership":"Unknown"`, `"CategoryName":"Unknown"`, `"StorageTotal":0`,
		`"DeviceState":"RetirePending"`, `"DeviceState":"WipePending"`,
		`Pending","enrolledDateTime"`, `"deviceName":"[REDACTED]"`, `"emailAddress":"redacted@email.com"`,
		`"serialNumber":"","phoneNumber"`, `"userId":""`,
		`"@odata.nextLink":"https://graph.microsoft.com/`, `"ipAddress":null`, `"ownerType":"company"`,
		`"OwnerType":1`, `"ComplianceState":"1"`,
		`"operationName":"wipe ManagedDevice"`, `"operationName":"syncDevice ManagedDevice"`, `"ActorType":5`,
		`"UPN":null`, `"version":null`,
		`"Name":"ClientSecret"`, `"Name":"WifiPreSharedKey"`, `\r\n`, `"Stats":{"RecordCount":`,
	} {
		if !bytes.Contains(all.Bytes(), []byte(trap)) {
			t.Errorf("nowhere: %s", trap)
		}
	}
	if m := regexp.MustCompile(`"time":"2026-03-\d\d:\d\d:\d\d\.\d{7}Z"`); !m.Match(all.Bytes()) {
		t.Error("no unreadable time")
	}
	script := regexp.MustCompile(`ScriptContent(?:\[0\])?","Old":null,"New":"([^"]+)"`)
	scripts := script.FindAllSubmatch(all.Bytes(), -1)
	if len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	for _, m := range scripts {
		if text, err := base64.StdEncoding.DecodeString(string(m[1])); err != nil ||
			!bytes.Contains(text, []byte("Write-Output")) {
			t.Fatalf("script %.40q: %v", text, err)
		}
	}
	for _, change := range []string{"enrolled", "os-update", "compliance", "wipe", "retire", "gone"} {
		if s.Expected.Changes[change] == 0 {
			t.Errorf("no change %q in %v", change, s.Expected.Changes)
		}
	}
}

// The rarer changes need a larger fleet; the files need not be written for them.
func TestEveryChangeOccurs(t *testing.T) {
	f, err := New(Sized(5000))
	if err != nil {
		t.Fatal(err)
	}
	for range f.Days() {
		continue
	}
	for _, change := range []string{"enrolled", "os-update", "compliance", "encryption", "ownership", "user",
		"user-renamed", "wipe", "retire", "gone"} {
		if f.Expected().Changes[change] == 0 {
			t.Errorf("no %s in %v", change, f.Expected().Changes)
		}
	}
}

func TestAppsChangeOnlyWithAReport(t *testing.T) {
	f, err := New(Sized(50))
	if err != nil {
		t.Fatal(err)
	}
	list := func(d *device) []string {
		var b doc
		f.deviceWithApps(&b, d)
		_, apps, _ := strings.Cut(string(b.b), `"detectedApps":`)
		return strings.Split(apps, "},{")
	}
	changed, kept := 0, 0
	for i := range f.devices {
		d := f.devices[i]
		before := list(&d)
		d.osStep++
		d.state = noncompliant
		if fmt.Sprint(list(&d)) != fmt.Sprint(before) {
			t.Fatal("apps changed without a report")
		}
		d.contacts++
		for k, app := range list(&d) {
			if app == before[k] {
				kept++
			} else {
				changed++
			}
		}
	}
	if changed == 0 || kept < 5*changed {
		t.Fatalf("a report changed %d apps and kept %d", changed, kept)
	}
}

func TestPeople(t *testing.T) {
	c := Sized(20000)
	p := newPeople(c)
	r := c.rng(forDay)
	seen := map[string]bool{}
	ids := map[string]bool{}
	mailbox := regexp.MustCompile(`^[a-z]+\.[a-z]+[0-9]*$`)
	note := func(i int) {
		who := p.all[i]
		if !mailbox.MatchString(who.local) || seen[who.local] {
			t.Fatalf("mailbox %q of %s: odd, or not the only one", who.local, who.display())
		}
		seen[who.local] = true
	}
	for i := range p.all {
		note(i)
		ids[p.all[i].id] = true
	}
	if len(ids) != len(p.all) {
		t.Fatal("two people with one id")
	}
	for i := range 200 {
		id := p.all[i].id
		p.rename(i, &r)
		note(i)
		if p.all[i].id != id {
			t.Fatal("renaming changed the id")
		}
	}
	both := 0
	for _, a := range p.admins {
		both += bit(a < p.users)
	}
	if len(p.admins) != c.Admins || both == 0 || both == c.Admins {
		t.Fatalf("%d administrators, %d of them users", len(p.admins), both)
	}
}

func TestFileNamesTellNothing(t *testing.T) {
	dir, _ := write(t, small())
	shape := regexp.MustCompile(`^2026-03-\d\d/(audit|compliance|devices|event-hubs|operational)\.ndjson$` +
		`|^2026-03-\d\d/graph-(audit|device|devices)-\d{4}\.json$`)
	for _, file := range readDir(t, dir) {
		if !shape.MatchString(file.path) {
			t.Errorf("file name %q", file.path)
		}
	}
}

func TestWriteRefusesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), small(), dir, nil); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
}

func TestWriteStopsAndReports(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var last Progress
	s, err := Write(ctx, small(), filepath.Join(t.TempDir(), "f"), func(p Progress) {
		if p.Day != last.Day+1 || p.Days != 10 || p.Records <= last.Records || p.Bytes <= last.Bytes {
			t.Errorf("progress %+v after %+v", p, last)
		}
		last = p
		if p.Day == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || s.Days != 3 || last.Day != 3 {
		t.Fatalf("%d days written, %v", s.Days, err)
	}
}

func TestValidate(t *testing.T) {
	if err := Sized(1000).Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{Domain: "contoso.com", Tenant: "x", PersonalShare: 2, Malformed: -1}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"Domain", "Tenant", "Devices", "Users", "Admins", "Start", "Days", "AuditPerDay",
		"GraphPage", "PersonalShare", "Malformed"} {
		if !strings.Contains(err.Error(), "fleet: "+name) {
			t.Errorf("no word of %s in %v", name, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Fatal("New accepted nothing")
	}
}

// BenchmarkFleet makes all records of 10,000 devices and a week, without a disk.
func BenchmarkFleet(b *testing.B) {
	c := Sized(10_000)
	c.Days = 7
	records := 0
	for b.Loop() {
		f, err := New(c)
		if err != nil {
			b.Fatal(err)
		}
		size := int64(0)
		for day := range f.Days() {
			for _, file := range day.Files() {
				for rec := range file.Records {
					size += int64(len(rec.Data))
					records += rec.N
				}
			}
		}
		b.SetBytes(size)
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
