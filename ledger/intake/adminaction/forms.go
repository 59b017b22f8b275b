package adminaction

import "github.com/ledgerline/ledgerline/ledger/intake/source"

// The forms of an admin action, as they are counted and named.
const (
	kindAuditEvent = "auditEvents" // Graph
	kindAuditLog   = "AuditLogs"   // Azure Monitor, the same fact
)

// forms are how sources write an admin action.
var forms = []source.Form{
	{
		Name: kindAuditEvent, Origin: source.Graph,
		ODataTypes: []string{"auditEvent"}, Collection: "auditEvents",
		Members: [][]string{{"id", "activityDateTime", "actor", "resources"}},
		SDK:     [][]string{{"activityDateTime", "actor"}},
		Fields:  []string{"auditActorType", "servicePrincipalName", "ipAddress", "applicationId"},
	},
	{
		Name: kindAuditLog, Origin: source.AzureMonitor, Category: "AuditLogs", Own: []string{"AuditEventId"},
		Table: "IntuneAuditLogs", Columns: []string{"TimeGenerated", "OperationName", "Properties"},
	},
}
