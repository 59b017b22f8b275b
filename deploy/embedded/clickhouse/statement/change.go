package statement

// Change is what a statement does to its session.
type Change int

const (
	Nothing  Change = iota // the session stays as it is
	Database               // USE
	Settings               // SET
	Tables                 // a temporary table is made
)

// ChangeOf looks at a statement's first words.
func ChangeOf(text string) Change {
	sc := &scanner{s: text}
	switch t := sc.next(); {
	case t.Is("USE"):
		return Database
	case t.Is("SET"):
		return Settings
	case t.Is("CREATE"), t.Is("REPLACE"):
		for range 3 { // CREATE OR REPLACE TEMPORARY
			if t = sc.next(); t.Is("TEMPORARY") || t.Is("TEMP") {
				return Tables
			}
		}
	}
	return Nothing
}
