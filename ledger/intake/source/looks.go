package source

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Looks is what a file seems to be that holds no record of a known name, and what helps.
type Looks struct {
	Kind string // short, our own words
	Help string
}

// magic are the beginnings by which formats are told that hold no text of ours. Of a file, gzip
// and zip are unpacked; of a message they are not.
var magic = []struct {
	begin string
	Looks
}{
	{"\x1f\x8b", Looks{"gzip", "unpack it first: what it holds may be understood"}},
	{"PK\x03\x04", Looks{"zip archive", "unpack it first: what it holds may be understood"}},
	{"PAR1", Looks{"Parquet", "export the same records as JSON"}},
	{"BZh", Looks{"bzip2", "unpack it first: what it holds may be understood"}},
	{"\x28\xb5\x2f\xfd", Looks{"zstd", "unpack it first: what it holds may be understood"}},
	{"\xfd7zXZ\x00", Looks{"xz", "unpack it first: what it holds may be understood"}},
	{"7z\xbc\xaf\x27\x1c", Looks{"7z archive", "unpack it first: what it holds may be understood"}},
	{"SQLite format 3\x00", Looks{"SQLite database", "export the records as JSON"}},
	{"%PDF", Looks{"PDF", "export the records as JSON"}},
	{"ElfFile\x00", Looks{"Windows event log", "it holds no records of Intune"}},
	{"\xd0\xcf\x11\xe0", Looks{"Office document", "export the records as JSON"}},
	{"\xff\xfe\x00\x00", Looks{"text in UTF-32", "save it as UTF-8 or UTF-16"}},
	{"\x00\x00\xfe\xff", Looks{"text in UTF-32", "save it as UTF-8 or UTF-16"}},
}

// lookedAt is how much of a file's beginning tells what it is.
const lookedAt = 4 << 10

// looksOf tells what a file is that does not begin as JSON.
func looksOf(begin []byte) Looks {
	for _, m := range magic {
		if bytes.HasPrefix(begin, []byte(m.begin)) {
			return m.Looks
		}
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(begin), "\xef\xbb\xbf"))
	for i := 0; i < utf8.UTFMax && len(text) > 0 && !utf8.ValidString(text); i++ {
		text = text[:len(text)-1] // the beginning may end inside a character
	}
	lower := strings.ToLower(text)
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, isControl):
		return Looks{"binary data", "export the records as JSON"}
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"):
		return Looks{"HTML page", "it may be a page that asks to sign in; export the records as JSON"}
	case strings.HasPrefix(lower, "<?xml"), strings.HasPrefix(lower, "<"):
		return Looks{"XML", "export the same records as JSON"}
	case isTable(text):
		return Looks{"CSV", noHeaders}
	}
	return Looks{"text without JSON", "export the records as JSON"}
}

func isControl(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' || r == 0x7f
}

// isTable reports whether the text is one of separated values: its first line names columns, and
// the second has as many separators or more, since a quoted value may hold some.
func isTable(text string) bool {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(first, "sep=") || strings.HasPrefix(first, "#TYPE ") {
		return true
	}
	second, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	for _, sep := range []string{",", ";", "\t"} {
		n := strings.Count(first, sep)
		if n > 1 && second == "" || n > 0 && second != "" && strings.Count(second, sep) >= n {
			return true
		}
	}
	return false
}

// nameless is a file of JSON none of whose records says what it is; names are how they begin.
func (r *Recogniser) nameless(names []string) Looks {
	help := "a record is known by @odata.context or @odata.type (Graph), by category and properties " +
		"(Azure Monitor), by Type (Log Analytics), or as a whole " + strings.Join(r.examples(), " or ")
	if len(names) > 0 {
		help += "; these begin with " + strings.Join(names, ", ")
	}
	return Looks{"JSON whose records have no known name", help}
}
