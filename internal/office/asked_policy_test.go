package office

import (
	"errors"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/policy"
)

// What is asked of a policy changes that alone: all else stays as it was.
func TestWhatIsAskedOfAPolicyChangesThatAlone(t *testing.T) {
	before := policy.Default()
	before.Items = []string{"12"}
	before.Retention = map[string]policy.Retention{"support": {Keep: "6m", Ground: "g"}}
	with := func(change func(*policy.Policy)) policy.Policy {
		p := before
		change(&p)
		return p
	}
	for name, tc := range map[string]struct {
		asked AskedPolicy
		want  policy.Policy
	}{
		"diagnostics in": {AskedPolicy{Diagnostics: In},
			with(func(p *policy.Policy) { p.Diagnostics = policy.Kept })},
		"diagnostics out": {AskedPolicy{Diagnostics: Out}, before},
		"items": {AskedPolicy{Items: []string{"3"}},
			with(func(p *policy.Policy) { p.Items = []string{"3"} })},
		"no items": {AskedPolicy{Items: []string{NoItems}}, with(func(p *policy.Policy) { p.Items = nil })},
		"a period": {AskedPolicy{Retention: []string{"apps=30d"}, Ground: "agreed"}, with(func(p *policy.Policy) {
			p.Retention = map[string]policy.Retention{"support": {Keep: "6m", Ground: "g"},
				"apps": {Keep: "30d", Ground: "agreed"}}
		})},
		"no period": {AskedPolicy{Retention: []string{"support=" + DefaultPeriod}}, with(func(p *policy.Policy) {
			p.Retention = nil
		})},
	} {
		change, err := tc.asked.Change()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := change(before); !got.Same(tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	var p *Problem
	if _, err := (AskedPolicy{Ground: "of nothing"}).Change(); !errors.As(err, &p) || p.Field != FieldPolicy {
		t.Errorf("nothing is asked for: %v", err)
	}
}
