package role

import (
	"encoding/json"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/schemas"
)

var definition = []entity.Mapping{
	{Field: "id", Attr: "role.id", Unit: 1},
	{Field: "displayName", Attr: "role.name", Unit: 1},
	{Field: "description", Attr: "role.description", Unit: 1},
	{Field: "isBuiltIn", Attr: "role.built-in", Unit: 1},
	{Field: "isBuiltInRoleDefinition", Attr: "role.built-in", Unit: 1},
}

var assignment = []entity.Mapping{
	{Field: "id", Attr: "role.id", Unit: 1},
	{Field: "displayName", Attr: "role.name", Unit: 1},
	{Field: "description", Attr: "role.description", Unit: 1},
	{Field: "scopeType", Attr: "role.scope-type", Unit: 1},
	{Field: "roleDefinitionId", Attr: "role.definition", Unit: 1},
}

// assigned is the role that an assignment gives.
var assigned = []entity.Mapping{
	{Field: "id", Attr: "role.definition", Unit: 1},
	{Field: "displayName", Attr: "role.definition-name", Unit: 1},
}

var id = []string{"id"}

// directoryID is an entry that is an id in the directory, mostly a group's. The order of members
// is frozen here and below.
var directoryID = []resource.Member{{Name: "id", Field: "id", As: resource.ID}}

// tag is an entry that is a scope tag. Its name is told where the tag is.
var tag = []resource.Member{{Name: "id", Field: "id", As: resource.ID}}

var scopeTags = resource.List{Attr: "role.scope-tag", Field: "roleScopeTagIds", Members: tag, Key: id,
	Spread: resource.IDs}

// assignments are those of a role, and of a tag to groups.
var assignments = resource.List{Attr: "role.assignment", Field: "roleAssignments", Key: id,
	Members: []resource.Member{
		{Name: "name", Field: "displayName", As: resource.Name},
		{Name: "target", Field: "target.@odata.type", As: resource.Type},
		{Name: "group", Field: "target.groupId", As: resource.ID},
		{Name: "id", Field: "id", As: resource.ID},
	}}

// permissions are what a role allows, and what it does not.
var permissions = resource.List{Attr: "role.permission", Field: "rolePermissions", Spread: spreadPermissions,
	Key: []string{"action", "allowed"}, Members: []resource.Member{
		{Name: "action", Field: "action"}, {Name: "allowed", Field: "allowed", As: resource.Switch},
	}}

var (
	permissionNames = record.NamesOf("resourceActions", "actions", "allowedResourceActions")
	actionNames     = record.NamesOf("allowedResourceActions", "notAllowedResourceActions")
)

// spreadPermissions makes an entry of each action. Actions of one permission stand in lists of
// what is allowed and what is not, in Graph's older form in one list of what is.
func spreadPermissions(raw json.RawMessage, path string, reader *record.Shapes) (out []*record.Members) {
	add := func(in *record.Members, path, field string, allowed bool) {
		for _, action := range reader.Texts(in.Get(field), path+"."+field, true) {
			m := record.NewMembers(2)
			m.Set("action", schemas.JSON(action))
			m.Set("allowed", schemas.JSON(allowed))
			out = append(out, m)
		}
	}
	for _, p := range reader.Objects(raw, path) {
		reader.Seen.Use(path+".", p, permissionNames)
		add(p, path, "actions", true)
		add(p, path, "allowedResourceActions", true)
		inner := path + ".resourceActions"
		for _, a := range reader.Objects(p.Get("resourceActions"), inner) {
			reader.Seen.Use(inner+".", a, actionNames)
			add(a, inner, "allowedResourceActions", true)
			add(a, inner, "notAllowedResourceActions", false)
		}
	}
	return out
}

// onePermissions reads what Graph's older form calls permissions, where the newer is not there.
func onePermissions(m *record.Members, _ *record.Shapes) {
	if older := m.Get("permissions"); record.Absent(m.Get("rolePermissions")) && older != nil {
		m.Set("rolePermissions", older)
	}
}
