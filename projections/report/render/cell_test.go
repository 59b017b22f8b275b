package render

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What is written without the template is what the template writes, whatever the text.
func TestACellIsWrittenAsTheTemplateWritesIt(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\x00"&'+<>=a;-]*`))
	rapid.Check(t, func(t *rapid.T) {
		l := Line{Text: text.Draw(t, "text"), State: rapid.Bool().Draw(t, "state")}
		if l.State {
			l.Says = text.Draw(t, "says")
		}
		var want bytes.Buffer
		if err := page.ExecuteTemplate(&want, "cell", struct{ Lines []Line }{[]Line{l}}); err != nil {
			t.Fatal(err)
		}
		if got := htmlLine(nil, l); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%+v is written as %q, the template writes %q", l, got, want.Bytes())
		}
	})
}
