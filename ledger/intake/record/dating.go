package record

import "time"

// Dating is how records are dated that tell no time of their own.
type Dating struct {
	At time.Time
	// Proven says that the records are of that time. A modification time proves no age: copying
	// changes it.
	Proven bool
}
