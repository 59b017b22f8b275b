package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kindNames are the kinds that records are of, and how each is named: its streams, and the
// beginnings of its types and attributes.
var kindNames = map[string][]string{
	"device": {"device", "device."}, "adminaction": {"adminaction", "adminaction.", "action."},
	"account": {"account", "account."}, "app": {"app", "app."}, "alert": {"alert", "alert."},
	"role":         {"role."}, // the word alone is that of accounts, reports and events
	"connector":    {"connector", "connector."},
	"remoteaction": {"remoteaction", "remoteaction."},
	// the words alone are those of many things
	"configuration": {"configuration."}, "counts": {"counts."}, "registration": {"registration."},
	"status": {"status."}, "terms": {"terms."}, "support": {"support."}, "billing": {"billing."},
	"correspondence": {"correspondence."}, "licence": {"licence."}, "platformid": {"platformid."},
	"adminusage": {"adminusage."}, "diagnostic": {"diagnostic."},
}

// mayName are the packages that may name a kind, beside the folder of the kind itself, and why.
// All others serve every kind alike: a new one touches none of them.
var mayName = map[string]map[string]string{
	"cmd/ledgerline": {"account": "of an embedded server, no kind"},
	"consumers": {"device": "a topic for each kind", "adminaction": "a topic for each kind",
		"account": "a topic for each kind", "app": "a topic for each kind",
		"alert": "a topic for each kind", "connector": "a topic for each kind",
		"remoteaction": "a topic for each kind"},
	"consumers/first":           {"adminaction": "the example that a consumer begins with"},
	"deploy/embedded/kafka":     {"account": "of the broker, no kind"},
	"internal/office":           {"device": "a report's filter"},
	"ledger/intake/adminaction": {"device": "what a target's type may be called"},
	"ledger/intake/remoteaction": {"adminaction": "the devices of one request share its stream's uuid; results",
		"device": "an attribute's name"},
	"ledger/intake/registration":         {"app": "an attribute of its own"},
	"ledger/intake/platformid":           {"device": "an attribute of its own"},
	"ledger/intake/diagnostic":           {"app": "a member of its own"},
	"ledger/intake/correspondence":       {"support": "with whom it was: a type of event"},
	"ledger/intake/status":               {"device": "an attribute of its own"},
	"ledger/vault/keyring":               {"device": "a device has keys of its own"},
	"ledger/vault":                       {"device": "a device has keys of its own"},
	"ledger/vault/store/storetest":       {"alert": "of a test, no kind"},
	"ledger/vault/vaulttest/subjecttest": {"device": "of a test, no kind"},
	"ledger/vault/vaulttest": {"alert": "of a test, no kind",
		"device": "test", "adminaction": "test", "account": "test",
		"remoteaction": "test"},
	"projections/clickhouse/read": {"device": "a view of apps", "adminaction": "a view of its own",
		"account": "the states of all accounts"},
	"projections/clickhouse/chtest": {"remoteaction": "test", "alert": "test",
		"device": "test", "adminaction": "test", "account": "test"},
	"projections/report/estate": {"role": "a report on them", "configuration": "a report on them",
		"app": "a report on them", "device": "their apps", "account": "names of administrators",
		"adminaction": "who gave a right or changed a policy"},
	"projections/dsar": {"device": "sections of their own", "adminaction": "sections of their own",
		"remoteaction": "beside the act that asked it", "alert": "a section of a device's",
		"app": "a column of a device's apps, no kind"},
	"projections/report": {"device": "reports of their own", "adminaction": "reports of their own",
		"remoteaction": "a report of its own",
		"account":      "leavers",
		"alert":        "a report of its own"},
	"projections/report/acts": {"device": "a target's name", "adminaction": "what it is about",
		"remoteaction": "how far it has come"},
	"projections/report/content": {"device": "words of its values", "adminaction": "words of its values",
		"account": "what became of one"},
	"schemas/catalogue":   {"device": "a device has keys of its own"},
	"schemas/schemastest": {"device": "test", "adminaction": "test"},
}

// TestWhoMayNameAKind: an engine knows no kind, a kind knows no other, and what is here without
// need is taken out.
func TestWhoMayNameAKind(t *testing.T) {
	found := map[string]map[string]string{} // package → kind → the first place
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../../"))
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			for kind, names := range kindNames {
				named := slices.ContainsFunc(names, func(n string) bool {
					return text == n || strings.HasSuffix(n, ".") && strings.HasPrefix(text, n)
				})
				if !named {
					continue
				}
				if found[dir] == nil {
					found[dir] = map[string]string{}
				}
				if found[dir][kind] == "" {
					found[dir][kind] = fset.Position(lit.Pos()).String() + " " + lit.Value
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, kinds := range found {
		for kind, at := range kinds {
			if mayName[dir][kind] == "" && dir != "ledger/intake/"+kind {
				t.Errorf("%s names the kind %s (%s): let the kind say it, or give a reason in mayName", dir, kind, at)
			}
		}
	}
	for dir, kinds := range mayName {
		for kind := range kinds {
			if found[dir][kind] == "" {
				t.Errorf("%s does not name the kind %s any more: take it out of mayName", dir, kind)
			}
		}
	}
}
