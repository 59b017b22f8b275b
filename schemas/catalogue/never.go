package catalogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// never is what is never collected, as it is told.
type never struct {
	fields    map[string]string // category, by name in plain letters
	resources map[string]string
	not       map[string]bool
	media     []begins
	content   []begins
	long      [128]uint64 // by first letter: how long the fields are that begin so, a bit each
}

// begins is a text, in small letters, that tells a category.
type begins struct{ text, category string }

// neverFile is one category, as collected.yaml has it.
type neverFile struct {
	Fields    []string `yaml:"fields"`
	Resources []string `yaml:"resources"`
	Media     []string `yaml:"media"`
	Content   []string `yaml:"content"`
	Not       []string `yaml:"not"`
}

// CategoryLocation is what coordinates are told as.
const CategoryLocation = "location"

func readNever(file map[string]neverFile) (never, error) {
	n := never{fields: map[string]string{}, resources: map[string]string{}, not: map[string]bool{}}
	put := func(to map[string]string, name, category string) error {
		had, twice := to[name]
		if twice || PlainName(name) != name || name == "" || len(name) > 63 || name[0] >= 0x80 {
			return fmt.Errorf("never-collected: %s: %q is no plain name, or stands in %q already", category, name, had)
		}
		to[name] = category
		return nil
	}
	for category, f := range file {
		for _, name := range f.Fields {
			if err := put(n.fields, name, category); err != nil {
				return n, err
			}
			n.long[name[0]] |= 1 << len(name)
		}
		for _, name := range f.Resources {
			if err := put(n.resources, name, category); err != nil {
				return n, err
			}
		}
		for _, name := range f.Not {
			n.not[name] = true
		}
		for _, m := range f.Media {
			n.media = append(n.media, begins{m, category})
		}
		for _, c := range f.Content {
			n.content = append(n.content, begins{strings.ToLower(c), category})
		}
	}
	for _, all := range [][]begins{n.media, n.content} {
		slices.SortFunc(all, func(a, b begins) int { return strings.Compare(a.text, b.text) })
	}
	return n, nil
}

// NeverCollected returns the category of what a member of that name holds, where no record may
// bring it into the ledger; "" for any other. It looks through case, dashes and underscores.
func NeverCollected(field string) (category string) {
	n := &readCollected().never
	var room [inPlace]byte
	plain, ok := plained(&room, field)
	if !ok {
		return n.fields[PlainName(field)]
	}
	if len(plain) == 0 || n.long[plain[0]]&(1<<len(plain)) == 0 {
		return "" // most are told by so little
	}
	return n.fields[string(plain)]
}

// NotNever reports whether a member of that name is known to hold something else than what it
// looks like: the picture of an app.
func NotNever(field string) bool { return readCollected().never.not[PlainName(field)] }

// NeverResource returns the category of a type or collection of Microsoft Graph whose records are
// never collected; "" for any other.
func NeverResource(name string) (category string) {
	return readCollected().never.resources[PlainName(name)]
}

// NeverMedia returns the category of content of that MIME type, where it is never collected; ""
// for any other.
func NeverMedia(mime string) (category string) {
	mime = strings.ToLower(strings.TrimSpace(mime))
	for _, m := range readCollected().never.media {
		if strings.HasPrefix(mime, m.text) {
			return m.category
		}
	}
	return ""
}

// NeverContent returns the category of a text that betrays by itself that it is never collected;
// "" for any other.
func NeverContent(text string) (category string) {
	if len(text) < shortestContent {
		return ""
	}
	if c := pictureIn(text); c != "" {
		return c
	}
	if mayScheme(text) {
		lower := strings.ToLower(text)
		for _, c := range readCollected().never.content {
			if i := strings.Index(lower, c.text); i >= 0 && (i == 0 || !isLetter(lower[i-1])) &&
				(c.text != geoScheme || coordinates.MatchString(text)) {
				return c.category
			}
		}
		if mailHeaders(lower) {
			return "email"
		}
	}
	if mayCoordinates(text) && coordinates.MatchString(text) {
		return CategoryLocation
	}
	return ""
}

// mayCoordinates reports whether a text has two numbers with four decimals.
func mayCoordinates(text string) bool {
	found := 0
	for i := 1; i+4 < len(text); i++ {
		if text[i] == '.' && looks.IsDigit(text[i-1]) && looks.Only(text[i+1:i+5], looks.IsDigit) {
			if found++; found == 2 {
				return true
			}
		}
	}
	return false
}

// mayScheme reports whether a text has a colon behind the last letter of what betrays it.
func mayScheme(text string) bool {
	for i := 0; ; i++ {
		n := strings.IndexByte(text[i:], ':')
		if n < 0 {
			return false
		}
		if i += n; i > 0 {
			switch text[i-1] | 0x20 {
			case 'n', 'a', 'o', 't': // BEGIN:, data:, geo:, Subject:
				return true
			}
		}
	}
}

const (
	geoScheme       = "geo:"
	shortestContent = 10 // characters: "geo:1.0,2.0"
	shortestPicture = 64 // characters of base64
)

// coordinates are a latitude and a longitude in degrees, to some ten metres.
var coordinates = regexp.MustCompile(`(?:^|[^0-9.])-?[0-9]{1,2}\.[0-9]{4,}°?\s*[NnSs]?\s*[,; ]\s*` +
	`-?[0-9]{1,3}\.[0-9]{4,}(?:$|[^0-9.])`)

// pictures are how pictures, films and sound begin in base64.
var pictures = []string{"/9j/", "iVBORw0KGgo", "R0lGODdh", "R0lGODlh", "UklGR", "SUkqA", "TU0AK"}

// heic is what stands near the beginning of a picture of a telephone, in base64.
const heic = "ZnR5cGhlaW"

func pictureIn(text string) string {
	text = strings.TrimSpace(text)
	if len(text) < shortestPicture {
		return ""
	}
	for _, p := range pictures {
		if strings.HasPrefix(text, p) {
			return "photos"
		}
	}
	if strings.Contains(text[:shortestPicture/2], heic) {
		return "photos"
	}
	return ""
}

// mailHeaders reports whether a text in small letters holds the head of a message (RFC 5322).
func mailHeaders(lower string) bool {
	if !strings.Contains(lower, "subject:") {
		return false
	}
	found := 0
	for line := range strings.Lines(lower) {
		for _, h := range []string{"from:", "to:", "subject:", "date:", "message-id:", "received:"} {
			if strings.HasPrefix(line, h) {
				found++
			}
		}
	}
	return found >= 3
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }

// PlainName returns a name in small letters, without what only separates.
func PlainName(name string) string {
	if name = strings.ToLower(name); strings.ContainsAny(name, "_- ") {
		return squash.Replace(name)
	}
	return name
}

// plained puts a short ASCII name into plain letters; false for any other.
func plained(room *[inPlace]byte, s string) ([]byte, bool) {
	if len(s) > inPlace {
		return nil, false
	}
	n := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 0x80:
			return nil, false
		case c == '_' || c == '-' || c == ' ':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		room[n] = c
		n++
	}
	return room[:n], true
}
