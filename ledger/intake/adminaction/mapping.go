package adminaction

import (
	"encoding/json"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
)

// What is in no table is made of several fields, or judged first: the verb, the operation, the
// result, who acted and what they may do, whom the action was done to.

// graphAction is an auditEvent of Graph, as a whole.
var graphAction = []entity.Mapping{
	{Field: "activity", Attr: "action.activity-type"},
	{Field: "componentName", Attr: "action.component"},
	{Field: "category", Attr: "action.category"},
}

// graphActor is its actor.
var graphActor = []entity.Mapping{
	{Field: "userId", Attr: "action.actor-id"},
	{Field: "servicePrincipalName", Attr: "action.actor-name"},
	{Field: "ipAddress", Attr: "action.actor-ip"},
	{Field: "remoteTenantId", Attr: "action.partner-tenant"},
	{Field: "applicationId", Attr: "action.application-id"},
	{Field: "applicationDisplayName", Attr: "action.application-name"},
}

// azureAction is a record of Azure Monitor's category AuditLogs: its properties.
var azureAction = []entity.Mapping{
	{Field: "Category", Attr: "action.category"},
}

// azureActor is the Actor there.
var azureActor = []entity.Mapping{
	{Field: "IsDelegatedAdmin", Attr: "action.delegated"},
	{Field: "ObjectId", Attr: "action.actor-id"},
	{Field: "Name", Attr: "action.actor-name"},
	{Field: "PartnerTenantId", Attr: "action.partner-tenant"},
	{Field: "Application", Attr: "action.application-id"},
	{Field: "ApplicationName", Attr: "action.application-name"},
}

// mapped returns the source's values of a table's attributes, nil where a field is absent.
func mapped(m *record.Members, table []entity.Mapping) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(table))
	for _, f := range table {
		out[f.Attr] = m.Get(f.Field)
	}
	return out
}

// actionOf and actorOf are the tables of each form.
var (
	actionOf = map[string][]entity.Mapping{audit.FormEvent: graphAction, audit.FormLog: azureAction}
	actorOf  = map[string][]entity.Mapping{audit.FormEvent: graphActor, audit.FormLog: azureActor}
)
