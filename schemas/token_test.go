package schemas

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// The forms of a token's parts are those of FORMATS §5, whatever looks for them.
func TestTokenPartsHaveTheirForms(t *testing.T) {
	forms := map[string]struct {
		form  string
		valid func(string) bool
	}{
		"class": {`^[a-z-]{1,16}$`, looks.IsClass}, "month": {`^[0-9]{4}(0[1-9]|1[0-2])$`, validMonth},
		"attribute": {`^[a-z0-9.-]{1,64}$`, looks.IsAttributeID}, "index": {`^(0|[1-9][0-9]{0,9})$`, validIndex},
	}
	for name, f := range forms {
		form := regexp.MustCompile(f.form)
		rapid.Check(t, func(t *rapid.T) {
			s := rapid.OneOf(rapid.StringMatching(`[a-z0-9.-]{0,66}`), rapid.StringMatching(`[0-9]{0,11}`),
				rapid.StringMatching(`[a-z-]{0,18}`), rapid.StringMatching(`[0-9]{4}[01][0-9]\n?`), rapid.String()).
				Draw(t, "text")
			if f.valid(s) != form.MatchString(s) {
				t.Fatalf("%s %q: %v", name, s, f.valid(s))
			}
		})
	}
}
