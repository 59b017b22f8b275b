package adminaction

import (
	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// kindAuditList is the portal's list, exported: it is known, so that it can be said why it is not
// taken.
const kindAuditList = "AuditLogsExport"

// forms are how sources write an admin action.
var forms = []source.Form{
	{
		Name: audit.FormEvent, Origin: source.Graph,
		ODataTypes: []string{"auditEvent"}, Collection: audit.FormEvent,
		Members: [][]string{{"id", "activityDateTime", "actor", "resources"}},
		SDK:     [][]string{{"activityDateTime", "actor"}},
		Fields:  []string{"auditActorType", "servicePrincipalName", "ipAddress", "applicationId"},
	},
	{
		Name: audit.FormLog, Origin: source.AzureMonitor, Category: audit.FormLog, Own: []string{"AuditEventId"},
		Table: "IntuneAuditLogs", Columns: []string{"TimeGenerated", "OperationName", "Properties"},
	},
	{Name: kindAuditList, Origin: source.Graph, Tables: []source.Table{{
		Sets:   [][]string{{"Date", "Actor", "Activity"}, {"Date", "Activity", "Targets"}},
		Unlike: []string{"Id", "AuditEventId", "AuditId", "Properties"},
		Columns: []source.Column{
			{Member: "Date", Headers: []string{"Date and time", "ActivityDateTime", "Activity date"},
				Dutch: []string{"Datum", "Datum en tijd", "Activiteitsdatum"}},
			{Member: "Actor", Headers: []string{"Initiated by (actor)", "Initiated by"},
				Dutch: []string{"Gestart door (actor)", "Gestart door", "Geïnitieerd door (actor)",
					"Geïnitieerd door"}},
			{Member: "ApplicationName", Dutch: []string{"Naam van toepassing", "Toepassingsnaam"}},
			{Member: "Activity", Headers: []string{"ActivityDisplayName"}, Dutch: []string{"Activiteit"}},
			{Member: "Targets", Headers: []string{"Target(s)", "Target"},
				Dutch: []string{"Doel(en)", "Doel", "Doelen"}},
			{Member: "Category", Dutch: []string{"Categorie"}},
			{Member: "Status", Headers: []string{"ActivityResult"}, Dutch: []string{"Resultaat"}},
		},
	}}},
}
