package plan

import (
	"fmt"
	"slices"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// Reading is how a kind reads the records of another's form: those tell of it beside what they are
// of, as a whole or in one of their members. Their own form goes first, and whatever becomes of a
// reading changes nothing about it.
type Reading struct {
	// Name is how what is read is counted and named. It is the source's own.
	Name string
	// Of are the forms whose records it reads.
	Of []string
	// Member, unless "", is the member of theirs that is a list of what it reads: each entry is
	// read by itself, with the record around it. That form's parser need not know the member.
	Member string
	// Tells reports, looking at little, whether there is anything to be read. nil: where the
	// member says something, or always.
	Tells func(record.Record) bool
	// Parse puts what is told into the kind's terms: any number of records, which may be none. A
	// *record.FieldError fails what was read alone.
	Parse func(Parsing) ([]Record, error)
	// Behind is that of the kind's own form.
	Behind bool
	// Wave is set by NewKinds.
	Wave Wave
}

// Reader is a Kind that is told of by records of other kinds.
type Reader interface {
	Kind
	Readings() []Reading
}

// MaxParts is how many records of other kinds one record may hold.
const MaxParts = 4096

// Readings returns how records of the form are read beside.
func (k *Kinds) Readings(form string) []Reading { return k.readings[form] }

func (k *Kinds) addReadings(r Reader) {
	for _, of := range r.Readings() {
		of.Wave = k.planned(r, of.Behind)
		for _, form := range of.Of {
			k.readings[form] = append(k.readings[form], of)
		}
	}
}

// checkReadings panics where a reading is of a form that nobody has, which is a fault of the
// program.
func (k *Kinds) checkReadings() {
	for form, all := range k.readings {
		if _, has := k.byForm[form]; !has || slices.ContainsFunc(all, func(r Reading) bool { return r.Parse == nil }) {
			panic(fmt.Sprintf("plan: a reading of the form %q cannot be", form))
		}
	}
}

// Reads reports whether there is anything to be read of a record.
func (r Reading) Reads(m record.Record) bool {
	if r.Tells != nil {
		return r.Tells(m)
	}
	return r.Member == "" || !record.IsEmpty(Parsing{Record: m}.Outer().Get(r.Member))
}

// Part is what one reading found in one place of a record: records, or why there are none.
type Part struct {
	Records []Record
	Tally   Tally
	Err     error
}

// Parts returns what the reading finds in a record: a part for each entry of the member, one for
// the record where it has no member to look into.
func (r Reading) Parts(in Parsing) (out []Part) {
	read := func(in Parsing) {
		var p Part
		in.Tally = &p.Tally
		if p.Records, p.Err = r.Parse(in); p.Err != nil || len(p.Records) > 0 {
			out = append(out, p)
		}
	}
	if r.Member == "" {
		read(in)
		return out
	}
	reader := record.Shapes{Seen: in.Seen}
	delete(in.Seen.Unknown, r.Member)
	all := reader.Objects(in.Outer().Get(r.Member), r.Member)
	if reader.Err != nil {
		return []Part{{Err: reader.Err}}
	}
	if len(all) > MaxParts {
		return []Part{{Err: &record.FieldError{Field: r.Member,
			Reason: fmt.Sprintf("has more than %d entries", MaxParts)}}}
	}
	around := in.Record
	for _, o := range all {
		if o == nil {
			continue
		}
		in.Around = &around
		in.Record = record.Record{Members: o}
		read(in)
	}
	return out
}

// Outer returns the members of the record that tells of the thing: its properties, where it is one
// of Azure Monitor.
func (in Parsing) Outer() *record.Members {
	if in.Properties != nil {
		return in.Properties
	}
	return in.Members
}
