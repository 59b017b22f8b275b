package configuration

import (
	"encoding/json"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
)

// scheduledActions are what happens to a device that does not comply, and when.
var scheduledActions = resource.List{Attr: "configuration.scheduled-action", Field: "scheduledActionsForRule",
	Key: []string{"id"}, Spread: spreadActions,
	Members: []resource.Member{
		{Name: "action", Field: "actionType"},
		{Name: "hours", Field: "gracePeriodHours", As: resource.Number},
		{Name: "rule", Field: "ruleName", As: resource.Name},
		{Name: "template", Field: "notificationTemplateId", As: resource.ID},
		{Name: "copies", Field: "notificationMessageCCList", As: resource.Words},
		{Name: "id", Field: "id", As: resource.ID},
	}}

var ruleNames = record.NamesOf("id", "ruleName", "scheduledActionConfigurations")

// spreadActions makes an entry of each action of each rule.
func spreadActions(raw json.RawMessage, path string, reader *record.Shapes) (out []*record.Members) {
	for _, rule := range reader.Objects(raw, path) {
		reader.Seen.Use(path+".", rule, ruleNames)
		for _, action := range reader.Objects(rule.Get("scheduledActionConfigurations"),
			path+".scheduledActionConfigurations") {
			if action != nil && rule != nil {
				action.Set("ruleName", rule.Get("ruleName"))
			}
			out = append(out, action)
		}
	}
	return out
}
