package answer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Lists stand in columns, however wide the characters of a name are.
func TestListsStandInColumnsWhateverTheNames(t *testing.T) {
	var tenants []vault.Tenant
	var list []accounts.Account
	for _, name := range []string{"Contoso", "株式会社コントソ", "한국 지사", "Zoe\u0308 👩\u200d👩\u200d👧"} {
		tenants = append(tenants, vault.Tenant{Name: name, Language: "nl"})
		list = append(list, accounts.Account{Name: name, Roles: []access.Role{access.Viewer}, All: true})
	}
	var b bytes.Buffer
	TenantsOf(tenants).WriteText(&b)
	for line := range strings.Lines(b.String()) {
		before, _, _ := strings.Cut(line, " 00000000-")
		if n := terminal.Columns(before); n != 24 {
			t.Errorf("the id stands behind %d columns: %s", n, line)
		}
	}
	if want := fmt.Sprintf("%-24s 00000000-", "Contoso"); !strings.HasPrefix(b.String(), want) {
		t.Errorf("a plain name is not as it was: %s", b.String())
	}
	b.Reset()
	OfficersOf(list, nil).WriteText(&b, access.Principal{})
	for line := range strings.Lines(b.String()) {
		before, _, _ := strings.Cut(line, " viewer of")
		if n := terminal.Columns(before); n != 32 {
			t.Errorf("the roles stand behind %d columns: %s", n, line)
		}
	}
}
