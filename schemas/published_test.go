package schemas

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// frozen returns, for every type and attribute, a line that changes when what an immutable ledger
// relies on changes: of a type its form, roles and pointers; of an attribute its class, key, type
// and shape's kind. Labels, values of a vocabulary and placeholders may still be mended.
func frozen(c *Catalogue) map[string]string {
	out := map[string]string{}
	put := func(name string, parts ...any) {
		sum := sha256.Sum256([]byte(fmt.Sprintln(parts...)))
		out[name] = fmt.Sprintf("%x", sum[:16])
	}
	for _, t := range c.Types() {
		var fields []string
		for p, a := range t.Fields {
			fields = append(fields, p+" "+a)
		}
		slices.Sort(fields)
		put("type "+t.Name, t.Form, t.Roles, fields)
	}
	for _, a := range c.Attributes() {
		shape := "none"
		if a.Shape != nil {
			shape = a.Shape.Kind
		}
		put("attribute "+a.ID, a.Class, a.Key, a.Role, a.Type, shape)
	}
	return out
}

// What is published never changes: a type gets a new version, an attribute a new id.
// published.sum says what is; -rewrite adds what is new and changes nothing.
func TestWhatIsPublishedNeverChanges(t *testing.T) {
	const path = "published.sum"
	raw, err := os.ReadFile(path)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	now, published := frozen(Default()), map[string]string{}
	for line := range strings.Lines(string(raw)) {
		i := strings.LastIndex(strings.TrimSpace(line), " ")
		if i < 0 {
			continue
		}
		name, sum := line[:i], strings.TrimSpace(line[i+1:])
		published[name] = sum
		switch {
		case now[name] == "":
			t.Errorf("%s is published and no longer in the catalogue", name)
		case now[name] != sum:
			t.Errorf("%s is published and was changed: make a new version or a new attribute", name)
		}
	}
	for name, sum := range now {
		if published[name] != "" {
			continue
		}
		if !*rewrite {
			t.Errorf("%s is not in %s: add it with go test ./schemas -rewrite", name, path)
		}
		published[name] = sum
	}
	if *rewrite {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(published)) {
			fmt.Fprintf(&b, "%s %s\n", name, published[name])
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
