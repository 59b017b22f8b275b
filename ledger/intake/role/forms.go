package role

import (
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// sources are how sources write what a role is, that it is given, and a tag by which it is
// bounded. Collections are named with what they are in: the directory has roles too.
var sources = []resource.Source{
	{
		Form: source.Form{
			Name: "roleDefinitions", Origin: source.Graph, Collection: "deviceManagement/roleDefinitions",
			ODataTypes: []string{"roleDefinition", "deviceAndAppManagementRoleDefinition"},
			Members:    [][]string{{"id", "displayName", "rolePermissions", "isBuiltIn"}},
			SDK:        [][]string{{"rolePermissions", "isBuiltIn"}},
		},
		Thing: "roleDefinition", Table: definition, Adapt: onePermissions, Left: []string{"permissions"},
		Says:  []resource.Constant{{Attr: "role.kind", Value: "roleDefinition"}},
		Lists: []resource.List{permissions, scopeTags, assignments},
	},
	{
		Form: source.Form{
			Name: "roleAssignments", Origin: source.Graph, Collection: "deviceManagement/roleAssignments",
			Collections: []string{"roleDefinitions/roleAssignments"},
			ODataTypes:  []string{"roleAssignment", "deviceAndAppManagementRoleAssignment"},
			Members:     [][]string{{"id", "scopeMembers", "resourceScopes"}},
			SDK:         [][]string{{"resourceScopes"}},
		},
		Thing: "roleAssignment", Parent: "role.definition", Table: assignment,
		Says:    []resource.Constant{{Attr: "role.kind", Value: "roleAssignment"}},
		Objects: []resource.Object{{Field: "roleDefinition", Table: assigned}},
		Lists: []resource.List{{Attr: "role.member", Field: "members", Members: directoryID, Key: id, Person: "id",
			Spread: resource.IDs},
			{Attr: "role.scope-member", Field: "scopeMembers", Members: directoryID, Key: id, Person: "id",
				Spread: resource.IDs},
			{Attr: "role.resource-scope", Field: "resourceScopes", Members: directoryID, Key: id, Person: "id",
				Spread: resource.IDs},
			{Attr: "role.scope-tag", Field: "roleScopeTags", Members: tag, Key: id}},
	},
	{
		Form: source.Form{
			Name: "roleScopeTags", Origin: source.Graph, Collection: "deviceManagement/roleScopeTags",
			Collections: []string{"roleAssignments/roleScopeTags"},
			ODataTypes:  []string{"roleScopeTag"},
		},
		Thing: "roleScopeTag", Table: definition,
		Says:  []resource.Constant{{Attr: "role.kind", Value: "roleScopeTag"}},
		Lists: []resource.List{{Attr: "role.assignment", Field: "assignments", Members: assignments.Members, Key: id}},
	},
}
