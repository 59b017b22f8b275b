package layering

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

// Columns that a line of Go may have at most, with tabs as four: code, and
// a line that is a comment.
const (
	maxCode    = 119
	maxComment = 99
)

// wideGo returns the numbers of the lines of a Go file that are too wide.
func wideGo(text string) (out []int) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, "\t", "    ")
		most := maxCode
		if strings.HasPrefix(strings.TrimSpace(line), "//") {
			most = maxComment
		}
		if utf8.RuneCountInString(line) > most {
			out = append(out, i+1)
		}
	}
	return out
}

func TestGoIsNarrow(t *testing.T) {
	looked := 0
	everyFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		looked++
		if lines := wideGo(string(text)); len(lines) > 0 {
			t.Errorf("%s: lines %v are wider than %d columns, or %d for a comment", name, lines, maxCode, maxComment)
		}
	})
	if looked < 300 {
		t.Errorf("only %d files were looked at", looked)
	}
}

func TestAWideLineOfGoIsFound(t *testing.T) {
	for text, want := range map[string]int{
		strings.Repeat("x", maxCode):                  0,
		strings.Repeat("x", maxCode+1):                1,
		"\t" + strings.Repeat("é", maxCode-4):         0,
		"\t" + strings.Repeat("é", maxCode-3):         1,
		"\t// " + strings.Repeat("x", maxComment-7):   0,
		"\t// " + strings.Repeat("x", maxComment-6):   1,
		"x // " + strings.Repeat("x", maxComment):     0,
		"\n" + strings.Repeat("x", 2*maxCode) + "\nx": 1,
	} {
		if got := wideGo(text); len(got) != want {
			t.Errorf("%.40q…: lines %v, want %d", text, got, want)
		}
	}
}
