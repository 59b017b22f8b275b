package fleet

import (
	"iter"
	"slices"
	"time"
)

// A Fleet is the present state of an invented fleet. It is not safe for
// concurrent use.
type Fleet struct {
	cfg     Config
	account string // Intune's id of the tenant
	robot   string // the application that acts where no administrator does
	people  *people
	devices []device
	day     int // -1 before the first

	// What the present day reports.
	full      bool  // every device has a row
	reporting []int // devices with a row, by index
	fresh     []int // of those, enrolled or not compliant since yesterday
	actions   []action
	detailed  []int
	member    []int // devices on Graph's pages

	doomed  []doom // wiped or retired today; shows tomorrow
	leaving []int  // showed today; gone tomorrow

	expected Expected
	seen     []bool // people reported so far
	acted    []int  // how many actions each of them has done
	apps     map[int]Apps
}

type doom struct {
	device int
	how    string
}

// New makes the fleet of a configuration, before its first day.
func New(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Start = cfg.Start.UTC().Truncate(24 * time.Hour)
	r := cfg.rng(forTenant)
	tenant, account, robot := r.guid(), r.guid(), r.guid()
	if cfg.Tenant == "" {
		cfg.Tenant = tenant
	}
	f := &Fleet{cfg: cfg, account: account, robot: robot, people: newPeople(cfg), day: -1, apps: map[int]Apps{}}
	f.expected.Changes = map[string]int{}
	f.seen, f.acted = make([]bool, len(f.people.all)), make([]int, len(f.people.all))
	f.devices = make([]device, 0, cfg.Devices+cfg.Devices/20)
	for n := range cfg.Devices {
		r := cfg.rng(forDevice, n, 0)
		before := func(t time.Time, least, most int) time.Time {
			return t.Add(-time.Duration(r.between(least, most)) * time.Second).Add(time.Duration(r.n(1e7)) * 100)
		}
		created := before(cfg.Start, 24*3600, 700*24*3600)
		contact := before(f.snapshotAt(0), 60, 20*3600)
		f.devices = append(f.devices, newDevice(cfg, f.people, n, created, contact))
	}
	return f, nil
}

// Tenant is the source tenant that the records name.
func (f *Fleet) Tenant() string { return f.cfg.Tenant }

func (f *Fleet) date(day int) time.Time { return f.cfg.Start.AddDate(0, 0, day) }

// snapshotAt is when a day's Devices export is made.
func (f *Fleet) snapshotAt(day int) time.Time {
	return f.date(day).Add(6*time.Hour + 10*time.Minute + 11*time.Second + 410300*time.Microsecond)
}

// Days moves the fleet from day to day. A Day describes the fleet at that moment:
// use it before asking for the next. Iterating again goes on where the last
// iteration stopped.
func (f *Fleet) Days() iter.Seq[Day] {
	return func(yield func(Day) bool) {
		for f.day+1 < f.cfg.Days {
			f.step()
			if !yield(Day{Index: f.day, Date: f.date(f.day), f: f}) {
				return
			}
		}
	}
}

// Truth is the state of every device that was ever reported, in the order of their
// enrolment, as of the last row about it. To have it of files that Write has written,
// make the fleet of the same Config and let its days pass.
func (f *Fleet) Truth() iter.Seq[Truth] {
	return func(yield func(Truth) bool) {
		for i := range f.devices {
			d := &f.devices[i]
			t := Truth{ID: d.id, SerialNumber: d.serial, OSVersion: d.platform.version(d.osStep),
				Compliance: complianceText[d.state],
				Ownership:  ownershipText[d.owner], LastContact: d.contact, StorageFreeMB: d.freeMB, Gone: d.gone}
			if d.user >= 0 {
				t.UserID, t.UPN = f.people.all[d.user].id, f.people.all[d.user].upn(f.cfg.Domain)
			}
			if !yield(t) {
				return
			}
		}
	}
}

// Accounts are the people of the source directory who were reported so far, in an
// order that never changes.
func (f *Fleet) Accounts() iter.Seq[Account] {
	has := map[int][]string{}
	for i := range f.devices {
		if d := &f.devices[i]; d.user >= 0 {
			has[d.user] = append(has[d.user], d.id)
		}
	}
	return func(yield func(Account) bool) {
		for i := range f.people.all {
			who := &f.people.all[i]
			if f.seen[i] && !yield(Account{ID: who.id, UPN: who.upn(f.cfg.Domain), Name: who.display(),
				Devices: has[i], Actions: f.acted[i]}) {
				return
			}
		}
	}
}

// step makes it the next day.
func (f *Fleet) step() {
	f.day++
	f.reporting, f.fresh, f.detailed, f.member, f.actions = f.reporting[:0], f.fresh[:0], f.detailed[:0],
		f.member[:0], f.actions[:0]
	r := f.cfg.rng(forDay, f.day)
	if f.day > 0 {
		f.change(&r)
	}
	f.full = f.day == 0 || f.cfg.FullEvery > 0 && f.day%f.cfg.FullEvery == 0
	if f.full {
		f.reporting = f.reporting[:0]
		for i := range f.devices {
			if !f.devices[i].gone {
				f.reporting = append(f.reporting, i)
			}
		}
	}
	for _, i := range f.reporting {
		if u := f.devices[i].user; u >= 0 {
			f.seen[u] = true
		}
	}
	f.act(&r)
	f.readSingly(&r)
	if f.cfg.GraphEvery > 0 && f.day%f.cfg.GraphEvery == 0 {
		for i := range f.devices {
			m := f.cfg.rng(forMember, i)
			if !f.devices[i].gone && m.chance(f.cfg.GraphShare) {
				f.member = append(f.member, i)
			}
		}
	}
	f.expect()
}

func (f *Fleet) count(what string) { f.expected.Changes[what]++ }

// change is what happens between yesterday's export and today's, and decides who is
// in today's: whatever changed is.
func (f *Fleet) change(r *rng) {
	last, now := f.snapshotAt(f.day-1), f.snapshotAt(f.day)
	for _, i := range f.leaving {
		f.devices[i].gone = true
		f.count("gone")
	}
	f.leaving = f.leaving[:0]
	renamed := map[int]bool{}
	for range r.about(float64(f.people.users) * 0.0003) {
		u := r.n(f.people.users)
		f.people.rename(u, r)
		renamed[u] = true
	}
	pending := map[int]string{}
	for _, d := range f.doomed {
		pending[d.device] = d.how
	}
	f.doomed = f.doomed[:0]
	for i := range f.devices {
		d := &f.devices[i]
		if d.gone {
			continue
		}
		s := f.cfg.rng(forStep, f.day, i)
		report := false
		if s.chance(f.cfg.ContactShare) {
			since := now.Sub(last)
			d.report(&s, last.Add(time.Duration(s.n(int(since/time.Second)))*time.Second+time.Duration(s.n(1e7))*100),
				f.count)
			report = true
		}
		if s.chance(0.0005) && d.state != noncompliant {
			d.state = noncompliant // for want of contact, or a stricter policy
			f.fresh = append(f.fresh, i)
			f.count("compliance")
			report = true
		}
		if s.chance(0.0005) && d.user >= 0 {
			if u := s.n(f.people.users); u != d.user {
				d.user = u
				f.count("user")
				report = true
			}
		}
		if s.chance(0.0003) && d.owner != unknownOwner {
			d.owner = 1 - d.owner
			f.count("ownership")
			report = true
		}
		if renamed[d.user] {
			f.count("user-renamed")
			report = true
		}
		if how := pending[i]; how != "" {
			d.pending = how
			f.leaving = append(f.leaving, i)
			f.count(how)
			report = true
		}
		if report {
			f.reporting = append(f.reporting, i)
		}
	}
	for range r.about(float64(f.cfg.Devices) * 0.001) {
		n := len(f.devices)
		created := last.Add(time.Duration(r.between(60, 20*3600))*time.Second + time.Duration(r.n(1e7))*100)
		f.devices = append(f.devices, newDevice(f.cfg, f.people, n, created,
			created.Add(time.Duration(r.between(30, 3600))*time.Second)))
		f.reporting, f.fresh = append(f.reporting, n), append(f.fresh, n)
		f.count("enrolled")
	}
}

// act makes the day's admin actions, in working hours after the day's export.
func (f *Fleet) act(r *rng) {
	times := make([]time.Duration, f.cfg.AuditPerDay)
	for i := range times {
		times[i] = 7*time.Hour + time.Duration(r.n(11*3600*10_000))*100*time.Microsecond
	}
	slices.Sort(times)
	lost := min(r.about(float64(f.cfg.Devices)*0.0004), f.cfg.AuditPerDay)
	taken := map[int]bool{}
	for n, after := range times {
		var target *device
		task := ""
		if n < lost || r.chance(0.3) {
			i := r.n(len(f.devices))
			if d := &f.devices[i]; !d.gone && d.pending == "" && !taken[i] {
				target, task = d, r.pick(remoteTasks)
				if n < lost {
					how := [...]string{"wipe", "retire"}[r.n(2)]
					task = how + " ManagedDevice"
					taken[i] = true
					f.doomed = append(f.doomed, doom{i, how})
				}
			}
		}
		var before *action
		if n > 0 {
			before = &f.actions[n-1]
		}
		f.actions = append(f.actions, f.actionAt(f.day, n, f.date(f.day).Add(after), target, task, before))
	}
}

// readSingly chooses the devices that are read one by one, from so small a part of
// the fleet that most are read more than once.
func (f *Fleet) readSingly(r *rng) {
	pool := min(f.cfg.Devices, f.cfg.DetailPerDay*10)
	for range f.cfg.DetailPerDay {
		i := r.n(pool) * (f.cfg.Devices / pool)
		if !f.devices[i].gone && !slices.Contains(f.detailed, i) {
			f.detailed = append(f.detailed, i)
		}
	}
	slices.Sort(f.detailed)
}
