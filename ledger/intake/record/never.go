package record

import "strings"

// Categories of what no record may bring into the ledger, whoever adds it to one: where somebody
// is, and the content of their life.
const (
	CategoryLocation = "location"
	CategoryContent  = "content"
)

// neverCollected names such fields, lower-cased. What-info pages of the source promise the same.
var neverCollected = map[string]string{
	"location":          CategoryLocation,
	"devicelocation":    CategoryLocation,
	"lastknownlocation": CategoryLocation,
	"geolocation":       CategoryLocation,
	"coordinates":       CategoryLocation,
	"latitude":          CategoryLocation,
	"longitude":         CategoryLocation,
	"callhistory":       CategoryContent,
	"browsinghistory":   CategoryContent,
	"webhistory":        CategoryContent,
	"textmessages":      CategoryContent,
	"smsmessages":       CategoryContent,
	"photos":            CategoryContent,
	"contacts":          CategoryContent,
	"calendar":          CategoryContent,
	"files":             CategoryContent,
	"clipboard":         CategoryContent,
}

// DropNever takes out of the record what is never collected, and counts it by category.
func (m Members) DropNever() map[string]int {
	counts := map[string]int{}
	for name, raw := range m {
		if c := neverCollected[strings.ToLower(name)]; c != "" && !IsEmpty(raw) {
			counts[c]++
			delete(m, name)
		}
	}
	return counts
}
