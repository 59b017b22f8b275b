package answer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Tenants are tenants as a list.
type Tenants []Tenant

// Tenant is a tenant in a list.
type Tenant struct {
	ID       uuid.UUID `json:"id"`
	Name     string    `json:"name"`
	Sources  []string  `json:"sources"` // "any", or source tenant ids
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
		docs = append(docs, Tenant{t.ID, t.Name, sources, t.TimeZone, t.Language, t.Created})
	}
	return docs
}

// WriteText writes a tenant a line.
func (all Tenants) WriteText(w io.Writer) {
	for _, t := range all {
		fmt.Fprintf(w, "%-24s %s  %s  %s  sources: %s\n", t.Name, t.ID, t.Language, t.TimeZone,
			strings.Join(t.Sources, ", "))
	}
}

// Sources says of which source tenants a tenant takes records.
func Sources(t vault.Tenant) string {
	if t.AnySource {
		return "any source tenant"
	}
	return strings.Join(t.Sources, ", ")
}
