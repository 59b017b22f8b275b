package answer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Tenants are tenants as a list.
type Tenants []Tenant

// Tenant is a tenant in a list.
type Tenant struct {
	ID       uuid.UUID `json:"id"`
	Name     string    `json:"name"`
	Sources  []string  `json:"sources"`  // "any", or source tenant ids
	Purposes []string  `json:"purposes"` // "all", or codes
	TimeZone string    `json:"timeZone"`
	Language string    `json:"language"`
	Created  time.Time `json:"created"`
}

// TenantsOf is the list of tenants.
func TenantsOf(all []vault.Tenant) Tenants {
	docs := Tenants{}
	for _, t := range all {
		sources := t.Sources
		if t.AnySource {
			sources = []string{"any"}
		}
		purposes := t.Purposes
		if len(purposes) == 0 {
			purposes = []string{"all"}
		}
		docs = append(docs, Tenant{t.ID, t.Name, sources, purposes, t.TimeZone, t.Language, t.Created})
	}
	return docs
}

// WriteText writes a tenant a line.
func (all Tenants) WriteText(w io.Writer) {
	for _, t := range all {
		fmt.Fprintf(w, "%s %s  %s  %s  sources: %s  purposes: %s\n", terminal.Left(t.Name, 24), t.ID, t.Language,
			t.TimeZone, strings.Join(t.Sources, ", "), strings.Join(t.Purposes, ", "))
	}
}

// Declared says that a tenant is declared.
func Declared(in *words.Language, t vault.Tenant) string {
	return in.Text("answer.tenant.declared", words.Args{"name": t.Name, "id": t.ID})
}

// Takes says of which source tenants a tenant takes records.
func Takes(in *words.Language, t vault.Tenant) string {
	sources := strings.Join(t.Sources, ", ")
	if t.AnySource {
		sources = in.Text("answer.tenant.any-source")
	}
	return in.Text("answer.tenant.takes", words.Args{"name": t.Name, "sources": sources})
}

// SeenFor says for which purposes a tenant's protected values may be seen.
func SeenFor(in *words.Language, t vault.Tenant) string {
	purposes := strings.Join(t.Purposes, ", ")
	if len(t.Purposes) == 0 {
		purposes = in.Text("answer.tenant.any-purpose")
	}
	return in.Text("answer.tenant.seen-for", words.Args{"name": t.Name, "purposes": purposes})
}
