package access

import "slices"

// Role is what somebody is to the ledger. What each stands for is docs/FIELD.md §3.
type Role string

// Roles. Reviewer, Consumer and BreakGlass exist and have no act yet: four eyes, the doors of
// programs and the identity provider's outage are planned.
const (
	Viewer      Role = "viewer"
	Officer     Role = "officer"
	Reviewer    Role = "reviewer"
	Auditor     Role = "auditor"
	DPO         Role = "dpo"
	TenantAdmin Role = "tenant-admin"
	Operator    Role = "operator"
	Producer    Role = "producer"
	Consumer    Role = "consumer"
	BreakGlass  Role = "break-glass"
)

// Roles returns every role there is.
func Roles() []Role {
	return []Role{Viewer, Officer, Reviewer, Auditor, DPO, TenantAdmin, Operator, Producer, Consumer, BreakGlass}
}

// Action is something that can be done.
type Action string

// Actions.
const (
	ListTenants   Action = "list tenants"
	ReadMasked    Action = "read masked reports"
	FollowEvents  Action = "follow events"
	Reveal        Action = "reveal protected values"
	OpenRequest   Action = "open a request"
	ReadRequest   Action = "read a request"
	MakePackage   Action = "make an access package"
	Erase         Action = "erase a person"
	ReadSubjects  Action = "read who are one subject"
	MergeSubjects Action = "merge subjects"
	Import        Action = "import records"
	AddTenant     Action = "add a tenant"
	ChangeTenant  Action = "change a tenant"
	ListOfficers  Action = "list officers"
	ManageOfficer Action = "manage officers"
	OwnPassword   Action = "change one's own password"
	CheckLedger   Action = "check the ledger"
	Disown        Action = "disown events"
	AcceptLoss    Action = "accept a loss of keys"
)

// Line is one action and who may do it.
type Line struct {
	Action Action
	Roles  []Role
}

// table is the whole of authorisation. A tenant's admin reads none of its data; an operator knows
// no tenant's data and gives no roles; who only checks changes nothing.
var table = []Line{
	{ListTenants, []Role{Viewer, Officer, Reviewer, Auditor, DPO, TenantAdmin, Operator, Producer}},
	{ReadMasked, []Role{Viewer, Officer, Auditor}},
	{FollowEvents, []Role{Viewer, Officer, Auditor}},
	{Reveal, []Role{Officer}},
	{OpenRequest, []Role{Officer}},
	{ReadRequest, []Role{Officer, Auditor, DPO}},
	{MakePackage, []Role{Officer}},
	{Erase, []Role{Officer}},
	{ReadSubjects, []Role{Officer, Auditor, DPO}},
	{MergeSubjects, []Role{Officer}},
	{Import, []Role{TenantAdmin, Producer}},
	{AddTenant, []Role{TenantAdmin}},
	{ChangeTenant, []Role{TenantAdmin}},
	{ListOfficers, []Role{TenantAdmin, Auditor, DPO}},
	{ManageOfficer, []Role{TenantAdmin}},
	{OwnPassword, Roles()},
	{CheckLedger, []Role{Operator, Auditor}},
	{Disown, []Role{Operator}},
	{AcceptLoss, []Role{Operator}},
}

// Table returns a copy of the table, a line for each action.
func Table() []Line { return slices.Clone(table) }

// RolesFor returns the roles that may do that, none for an action that is not in the table.
func RolesFor(do Action) []Role {
	for _, l := range table {
		if l.Action == do {
			return slices.Clone(l.Roles)
		}
	}
	return nil
}
