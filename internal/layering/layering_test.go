// Package layering asserts which package may import which, so that the rooms of docs/DESIGN.md §3
// stay rooms, that they are small and their lines narrow, that the domain packages name no flag,
// and that comments, pages and the Makefile name what is there.
package layering

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ledgerline/ledgerline"

type rules struct {
	may  map[string][]string // package → what it may import
	only map[string][]string // library prefix → packages that may import it
}

func readRules(t *testing.T) rules {
	f, err := os.Open("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := rules{may: map[string][]string{}, only: map[string][]string{}}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, list, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("allowed.txt: %q has no colon", line)
		}
		if lib, isOnly := strings.CutPrefix(name, "only "); isOnly {
			r.only[lib] = strings.Fields(list)
		} else {
			r.may[name] = strings.Fields(list)
		}
	}
	return r
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []pkg {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// faults returns what breaks the rules, in words.
func faults(r rules, pkgs []pkg) (out []string) {
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		may, known := r.may[name]
		if !known {
			out = append(out, name+" is not in allowed.txt")
			continue
		}
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok && !slices.Contains(may, "*") &&
				!slices.Contains(may, ours) {
				out = append(out, name+" imports "+ours)
			}
			for lib, who := range r.only {
				if strings.HasPrefix(imp, lib) && !slices.Contains(who, name) {
					out = append(out, name+" imports "+imp+", which belongs to "+strings.Join(who, " and "))
				}
			}
		}
	}
	return out
}

func TestPackagesImportOnlyWhatTheirRoomAllows(t *testing.T) {
	pkgs := listPackages(t)
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages", len(pkgs))
	}
	for _, f := range faults(readRules(t), pkgs) {
		t.Error(f)
	}
}

func TestABreachIsFound(t *testing.T) {
	r := readRules(t)
	got := faults(r, []pkg{
		{ImportPath: module + "/schemas", Imports: []string{module + "/ledger"}},
		{ImportPath: module + "/internal/util"},
		{ImportPath: module + "/projections", Imports: []string{"github.com/segmentio/kafka-go/compress"}},
	})
	if len(got) != 3 {
		t.Errorf("found %q, want three breaches", got)
	}
}
