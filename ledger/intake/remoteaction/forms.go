package remoteaction

import (
	"github.com/ledgerline/ledgerline/ledger/intake/audit"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// The forms that tell of a remote action, as they are counted and named.
const (
	formAudit  = "remoteActionAudits"  // Graph
	formResult = "deviceActionResults" // Graph, in a device
	formDevice = "managedDevices"      // whose results those are
)

// forms are how sources write a remote action in a record of its own.
var forms = []source.Form{
	{
		Name: formAudit, Origin: source.Graph, ODataTypes: []string{"remoteActionAudit"}, Collection: formAudit,
		Members: [][]string{{"id", "action", "requestDateTime", "actionState"}},
		SDK:     [][]string{{"requestDateTime", "actionState"}},
		Fields:  auditFields,
	},
}

// rank says whose word goes before another's, where two tell the same otherwise: the service's
// own record of who asked what, its list of remote actions, then what the device's record says.
func rank(form string) int {
	switch form {
	case audit.FormEvent, audit.FormLog:
		return 3
	case formAudit:
		return 2
	case formResult:
		return 1
	}
	return 0
}
