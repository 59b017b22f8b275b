package source

import (
	"strings"
	"testing"
	"unicode/utf16"
)

func toUTF16(s, mark string, big bool) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// A text in UTF-16 is read, and what is no text in it costs the record it stands in.
func TestUTF16(t *testing.T) {
	const good = `{"id":"Ÿ 𝄞","category":"Devices","properties":{}}` + "\n"
	for _, big := range []bool{false, true} {
		for _, mark := range []string{"", "\ufeff"} {
			c := collect(t, testRecogniser, oneFile(toUTF16(mark+good, "", big)))
			if len(c.items) != 1 || len(c.out) != 1 || c.items[0].Rec.Text("id") != "Ÿ 𝄞" {
				t.Errorf("big %v, mark %q: %q", big, mark, c.out)
			}
		}
		clef := toUTF16("𝄞", "", big)
		half := strings.Replace(toUTF16(good, "", big), clef, clef[:2], 1)
		c := collect(t, testRecogniser, oneFile(half+toUTF16(good, "", big)))
		if len(c.items) != 1 || len(c.flaws) != 1 || c.flaws["x"].Reason != "not valid UTF-8" {
			t.Errorf("half a pair: %q", c.out)
		}
	}
}
