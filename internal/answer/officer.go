package answer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Officers are accounts as a list.
type Officers []Officer

// Officer is an account in a list.
type Officer struct {
	Name    string        `json:"name"`
	Roles   []access.Role `json:"roles"`
	Tenants []uuid.UUID   `json:"tenants"` // of theirs; none where all
	All     bool          `json:"allTenants"`
	Created time.Time     `json:"created"`

	of string // the tenants, as far as the reader may know of them
}

// OfficersOf is the list of accounts, for one who may know of those tenants.
func OfficersOf(list []accounts.Account, tenants []vault.Tenant) Officers {
	names := map[uuid.UUID]string{}
	for _, t := range tenants {
		names[t.ID] = t.Name
	}
	docs := Officers{}
	for _, a := range list {
		of := "all tenants"
		if !a.All {
			of = tenantsText(a.Tenants, names)
		}
		docs = append(docs, Officer{a.Name, a.Roles, append([]uuid.UUID{}, a.Tenants...), a.All, a.Created, of})
	}
	return docs
}

// WriteText writes an account a line; who reads it is told where there is none.
func (all Officers) WriteText(w io.Writer, reader access.Principal) {
	if len(all) == 0 {
		fmt.Fprintln(w, Nobody(reader))
	}
	for _, a := range all {
		fmt.Fprintf(w, "%s %s of %s\n", terminal.Left(a.Name, 32), rolesText(a.Roles), a.of)
	}
}

// Nobody says who acts where nobody has an account.
func Nobody(p access.Principal) string {
	return "nobody has an account: whoever is this machine's user acts as " + rolesText(p.Roles) +
		" of all tenants"
}

// tenantsText names those tenants that the reader may know of, and counts the others.
func tenantsText(ids []uuid.UUID, names map[uuid.UUID]string) string {
	var out []string
	others := 0
	for _, id := range ids {
		if name := names[id]; name != "" {
			out = append(out, name)
		} else {
			others++
		}
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("%d others", others))
	}
	return strings.Join(out, ", ")
}

// rolesText names roles in the command line's language: whose account it is has no tenant.
func rolesText(roles []access.Role) string { return refusal.Roles(words.Default().Base(), roles) }
