package entity

import (
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// Moment is when a snapshot tells of an entity: L, the entity's last contact, and S, the time of
// the snapshot (FORMATS §2). What an administrator or the service changes on a silent device comes
// with an unchanged L.
type Moment struct {
	Contact  time.Time // L; zero where the snapshot names none
	Observed time.Time // S; whole seconds
}

// Newer reports whether what m tells is newer than what o told: by L first, by S alone where
// either names no L.
func (m Moment) Newer(o Moment) bool {
	if !m.Contact.IsZero() && !o.Contact.IsZero() && !m.Contact.Equal(o.Contact) {
		return m.Contact.After(o.Contact)
	}
	return m.Observed.After(o.Observed)
}

// Same reports whether neither is newer.
func (m Moment) Same(o Moment) bool { return !m.Newer(o) && !o.Newer(m) }

// Day is the UTC day of observation.
func (m Moment) Day() time.Time { return m.Observed.UTC().Truncate(24 * time.Hour) }

// maxAhead is how far a source's clock may be ahead of ours: one wrong clock must not freeze a
// device.
const maxAhead = 5 * time.Minute

// NotAhead errs with a *record.FieldError where a time that a source tells has not come yet.
func NotAhead(field string, at, now time.Time) error {
	if at.After(now.Add(maxAhead)) {
		return &record.FieldError{Field: field, Reason: future}
	}
	return nil
}

// future is the reason why a record fails whose time has not come.
const future = "from-the-future: more than five minutes ahead of this machine's clock"
