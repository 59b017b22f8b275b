package render_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/projections/report/render"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		cell    string
		guarded bool
	}{
		{"", false}, {"iPhone", false}, {"31612345678", false}, {"a=b", false}, {"●●●", false}, {"  plain", false},
		{"'already", false},
		{"=1+1", true}, {"+31612345678", true}, {"-5", true}, {"@SUM(A1)", true}, {"\tx", true}, {"\rx", true},
		{"\nx", true},
		{"＝1", true}, {"＋31", true}, {"－1", true}, {"＠x", true}, {"﹢1", true}, {"﹣1", true}, {"−1", true},
		{" =1", true}, {"\u00a0=1", true}, {"\u200b=1", true}, {"\ufeff@x", true}, {"\u3000＝x", true},
	} {
		got := render.Guard(c.cell)
		if want := c.cell; got != want && !c.guarded || c.guarded && got != "'"+want {
			t.Errorf("Guard(%q) = %q, guarded should be %v", c.cell, got, c.guarded)
		}
	}
}

var formula = regexp.MustCompile("^[\\s\\p{Z}\\x{200b}-\\x{200f}\\x{2060}\\x{feff}\\x00]*[=+\\-@\t\r＝＋－＠]")

func FuzzGuard(f *testing.F) {
	for _, s := range []string{"=x", " +1", "\u200b@a", "plain", "\tx", "＝", "\x00=1", "\f+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := render.Guard(s)
		if formula.MatchString(g) {
			t.Errorf("%q is taken for a formula", g)
		}
		if g != s && g != "'"+s {
			t.Errorf("%q became %q", s, g)
		}
	})
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[2Jb")
	f.Add("\u202egnp.exe")
	f.Fuzz(func(t *testing.T, s string) {
		v := render.Visible(s)
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\x1b\n\r\x00\u202e\u2066\x7f\u009b") {
			t.Errorf("%q still steers a terminal: %q", s, v)
		}
	})
}
