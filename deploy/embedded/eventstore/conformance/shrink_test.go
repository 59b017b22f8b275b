//go:build conformance

package conformance

import (
	"slices"
	"strings"
	"testing"
)

// What is listed must exist and not pass, and everything else must pass: each
// way in which the list and a run can differ is a problem that names the test.
func TestListCanOnlyShrink(t *testing.T) {
	listed, err := parseList("# comment\n\nboth  TestA/b  projections\ntls  TestA/c  persistent subscriptions\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		found map[string]outcome
		want  []string // the problems, by their beginnings
	}{
		{"as listed", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/c": skipped, "TestA/d": passed},
			nil},
		{"a panic where it is listed", map[string]outcome{"TestA": unfinished, "TestA/b": unfinished,
			"TestA/c": failed}, nil},
		{"a listed test passes", map[string]outcome{"TestA": failed, "TestA/b": passed, "TestA/c": failed},
			[]string{"TestA/b passes"}},
		{"a listed test is gone", map[string]outcome{"TestA": failed, "TestA/b": failed},
			[]string{"TestA/c is on the list and did not run"}},
		{"another fails", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/c": failed, "TestE": failed},
			[]string{"TestE: fail"}},
		{"another skips", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/c": failed, "TestE": skipped},
			[]string{"TestE: skip"}},
		{"another does not end", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/c": failed,
			"TestE": unfinished}, []string{"TestE: unfinished"}},
		{"fails by itself", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/c": failed, "TestE": failed,
			"TestE/f": passed}, []string{"TestE: fail"}},
		{"listed above what runs", map[string]outcome{"TestA": failed, "TestA/b": failed, "TestA/b/x": failed,
			"TestA/c": failed},
			[]string{"TestA/b: tests below it ran", "TestA/b/x: fail"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := results{}
			for name, o := range c.found {
				found[name] = &result{outcome: o}
			}
			got, _ := listed.compare("tls", found)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A line that means nothing is an error, and so is a reason that is none.
func TestListRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{
		"secure  TestA  projections",
		"tls  TestA",
		"tls  TestA  it is slow",
		"tls  TestA  needs TLS",
		"both  TestA  projections\ntls  TestA  projections",
	} {
		if _, err := parseList(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// A test that its process did not end is unfinished, and the next process skips
// it and what ran before it, nothing else.
func TestUnfinishedTestsAreFoundAndSkipped(t *testing.T) {
	r := results{}
	err := r.add([]byte(`{"Action":"start"}
{"Action":"run","Test":"TestA"}
{"Action":"run","Test":"TestA/b("}
{"Action":"output","Test":"TestA/b(","Output":"why\n"}
{"Action":"fail","Test":"TestA/b("}
{"Action":"run","Test":"TestA/c"}
{"Action":"fail"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r["TestA"].outcome != unfinished || r["TestA/b("].outcome != failed ||
		r["TestA/c"].outcome != unfinished || len(r) != 3 {
		t.Errorf("got %+v", r)
	}
	if got := r["TestA/b("].output.String(); got != "why\n" {
		t.Errorf("output is %q", got)
	}
	patterns := strings.Split(r.skip(), "|")
	slices.Sort(patterns)
	if want := []string{`^TestA$/^b\($`, `^TestA$/^c$`}; !slices.Equal(patterns, want) {
		t.Errorf("skips %q, want %q", patterns, want)
	}
}
