package intake

import "time"

// moment is when a snapshot tells of a device: L, the device's last contact, and S, the time of the
// snapshot (FORMATS §2). What an administrator or the service changes on a silent device comes with
// an unchanged L.
type moment struct {
	contact  time.Time // L; zero where the snapshot names none
	observed time.Time // S; whole seconds
}

// newer reports whether what m tells is newer than what o told: by L first, by S alone where either
// names no L.
func (m moment) newer(o moment) bool {
	if !m.contact.IsZero() && !o.contact.IsZero() && !m.contact.Equal(o.contact) {
		return m.contact.After(o.contact)
	}
	return m.observed.After(o.observed)
}

// same reports whether neither is newer.
func (m moment) same(o moment) bool { return !m.newer(o) && !o.newer(m) }

// day is the UTC day of observation.
func (m moment) day() time.Time { return m.observed.UTC().Truncate(24 * time.Hour) }

// dating is how the records of a file that tell no time of their own are dated.
type dating struct {
	at time.Time
	// proven says that the records are of that time. A modification time proves no age: copying
	// changes it.
	proven bool
}

// maxAhead is how far a source's clock may be ahead of ours: one wrong clock must not freeze a device.
const maxAhead = 5 * time.Minute

// future is the reason why a record fails whose time has not come.
const future = "from-the-future: more than five minutes ahead of this machine's clock"

// settle dates the snapshot: never before its own L, in whole seconds. told is S as the record tells
// it, zero where it tells none.
func (s *snapshot) settle(told named, at time.Time, file dating, contact named, now time.Time) error {
	s.observed, s.proven = at, true
	if at.IsZero() {
		told.field, s.observed, s.proven = contact.field, file.at, file.proven
	}
	for _, t := range []struct {
		field string
		at    time.Time
	}{{contact.field, s.contact}, {told.field, s.observed}} {
		if t.at.After(now.Add(maxAhead)) {
			return &fieldError{t.field, future}
		}
	}
	if s.observed.Before(s.contact) {
		s.observed = s.contact
	}
	s.observed = s.observed.UTC().Truncate(time.Second)
	return nil
}

// age is the time which the record is known to be no older than; zero where nothing proves one.
func (s *snapshot) age() time.Time {
	if s.proven {
		return s.observed
	}
	return s.contact
}
