package configuration

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// sources are how sources write a policy.
var sources = []resource.Source{
	{
		Form: source.Form{
			Name: "deviceConfigurations", Origin: source.Graph, Collection: "deviceManagement/deviceConfigurations",
			Subtypes: true, ODataTypes: profiles,
			SDK: [][]string{{"displayName", "version", "createdDateTime", "lastModifiedDateTime"}},
		},
		Thing: policy, Table: slices.Concat(named, versioned), Left: overviews,
		Lists: []resource.List{settings(dated, states), assignments(), scopeTags},
	},
	{
		Form: source.Form{
			Name: "deviceCompliancePolicies", Origin: source.Graph,
			Collection: "deviceManagement/deviceCompliancePolicies", Subtypes: true, ODataTypes: compliancePolicies,
		},
		Thing: policy, Table: slices.Concat(named, versioned), Left: overviews,
		Lists: []resource.List{settings(dated, states), assignments(), scopeTags, scheduledActions},
	},
	{
		Form: source.Form{
			Name: "configurationPolicies", Origin: source.Graph, Collection: "deviceManagement/configurationPolicies",
			ODataTypes: []string{"deviceManagementConfigurationPolicy"},
			Members:    [][]string{{"id", "name", "technologies", "settingCount"}},
			SDK:        [][]string{{"technologies", "settingCount"}},
		},
		Thing: policy, Table: slices.Concat(common, catalog), Left: []string{"creationSource", "priorityMetaData"},
		Says:    []resource.Constant{{Attr: "configuration.kind", Value: "deviceManagementConfigurationPolicy"}},
		Objects: []resource.Object{{Field: "templateReference", Table: template}},
		Lists:   []resource.List{settings([]string{"settings"}, nil), assignments(), scopeTags},
	},
	{
		Form: source.Form{
			Name: "groupPolicyConfigurations", Origin: source.Graph,
			Collection: "deviceManagement/groupPolicyConfigurations",
			ODataTypes: []string{"groupPolicyConfiguration"},
			Members:    [][]string{{"id", "displayName", "policyConfigurationIngestionType"}},
			SDK:        [][]string{{"policyConfigurationIngestionType"}},
		},
		Thing: policy, Table: named,
		Says:  []resource.Constant{{Attr: "configuration.kind", Value: "groupPolicyConfiguration"}},
		Lists: []resource.List{settings([]string{"definitionValues"}, nil), assignments(), scopeTags},
	},
	scripts("deviceManagementScript", "enforceSignatureCheck", "runAs32Bit"),
	scripts("deviceHealthScript", "isGlobalScript", "runAs32Bit"),
	scripts("deviceShellScript", "executionFrequency", "retryCount"),
	part("deviceConfigurations/assignments", "deviceConfigurationAssignment", assignment),
	part("deviceCompliancePolicies/assignments", "deviceCompliancePolicyAssignment", assignment),
	part("configurationPolicies/assignments", "deviceManagementConfigurationPolicyAssignment", assignment),
	part("groupPolicyConfigurations/assignments", "groupPolicyConfigurationAssignment", assignment),
	part("deviceManagementScripts/assignments", "deviceManagementScriptAssignment", assignment,
		"deviceShellScripts/assignments"),
	part("deviceHealthScripts/assignments", "deviceHealthScriptAssignment", assignment),
	part("configurationPolicies/settings", "deviceManagementConfigurationSetting", setting("settings")),
	part("groupPolicyConfigurations/definitionValues", "groupPolicyDefinitionValue", setting("definitionValues")),
}

// part is how Graph writes entries of a policy's list on pages of their own: of which policy, the
// page's context alone tells.
func part(collection, typ string, list resource.List, more ...string) resource.Source {
	return resource.Source{
		Form: source.Form{Name: collection, Origin: source.Graph, Collection: collection, Collections: more,
			ODataTypes: []string{typ}},
		Thing: policy, Parent: "configuration.id", Lists: []resource.List{list},
	}
}

const policy = "policy" // what each of them is: their ids are told apart by themselves

// scripts is how Graph writes scripts of one type, which is known by members of its own.
func scripts(typ string, own ...string) resource.Source {
	return resource.Source{
		Form: source.Form{
			Name: typ + "s", Origin: source.Graph, Collection: "deviceManagement/" + typ + "s",
			ODataTypes: []string{typ}, Members: [][]string{append([]string{"id", "runAsAccount"}, own...)},
			SDK: [][]string{append([]string{"runAsAccount"}, own...)},
		},
		Thing: policy, Table: slices.Concat(named, script),
		Says: []resource.Constant{{Attr: "configuration.kind", Value: typ}},
		Withheld: []resource.Secret{{Field: "scriptContent", Attr: "configuration.withheld"},
			{Field: "detectionScriptContent", Attr: "configuration.withheld"},
			{Field: "remediationScriptContent", Attr: "configuration.withheld"}},
		Left: []string{"runSummary", "highestAvailableVersion"},
		Lists: []resource.List{settings(dated, []string{"deviceRunStates", "userRunStates", "groupAssignments"}),
			assignments(), scopeTags},
	}
}

// dated are members of every whole answer. A record that has them tells all its settings.
var dated = []string{"createdDateTime", "lastModifiedDateTime"}

// states are told by records of their own.
var states = []string{"deviceStatuses", "userStatuses", "groupAssignments"}

// overviews are counts of states, which each state tells, and members of every policy that no one
// decides.
var overviews = []string{"deviceStatusOverview", "userStatusOverview", "deviceSettingStateSummaries",
	"supportsScopeTags"}

var common = []entity.Mapping{
	{Field: "id", Attr: "configuration.id", Unit: 1},
	{Field: "@odata.type", Attr: "configuration.kind", Unit: 1},
	{Field: "description", Attr: "configuration.description", Unit: 1},
	{Field: "createdDateTime", Attr: "configuration.created-at", Unit: 1},
	{Field: "lastModifiedDateTime", Attr: "configuration.modified-at", Unit: 1},
}

// named are those of policies that have a name to display.
var named = append([]entity.Mapping{{Field: "displayName", Attr: "configuration.name", Unit: 1}}, common...)

var versioned = []entity.Mapping{{Field: "version", Attr: "configuration.version", Unit: 1}}

// catalog is what a policy of the settings catalog has beside.
var catalog = []entity.Mapping{
	{Field: "name", Attr: "configuration.name", Unit: 1},
	{Field: "platforms", Attr: "configuration.platforms", Unit: 1},
	{Field: "technologies", Attr: "configuration.technologies", Unit: 1},
	{Field: "settingCount", Attr: "configuration.setting-count", Unit: 1},
	{Field: "isAssigned", Attr: "configuration.assigned", Unit: 1},
}

var template = []entity.Mapping{
	{Field: "templateId", Attr: "configuration.template", Unit: 1},
	{Field: "templateDisplayName", Attr: "configuration.template-name", Unit: 1},
}

var script = []entity.Mapping{
	{Field: "fileName", Attr: "configuration.file-name", Unit: 1},
	{Field: "publisher", Attr: "configuration.publisher", Unit: 1},
	{Field: "runAsAccount", Attr: "configuration.run-as", Unit: 1},
}

// settings are what a policy sets.
func settings(whole, except []string) resource.List {
	return resource.List{Attr: "configuration.setting", Key: []string{"name"}, Members: resource.SettingMembers,
		Rest: &resource.Rest{Whole: whole, Except: except}}
}

// setting is one setting of a policy, in the list that the member holds.
func setting(member string) resource.List {
	return resource.List{Attr: "configuration.setting", Key: []string{"name"}, Members: resource.SettingMembers,
		Rest: &resource.Rest{Entry: member}}
}

// assignment tells to whom a policy goes. The order of members is frozen, here and below.
var assignment = resource.List{Attr: "configuration.assignment", Key: []string{"id"},
	Members: []resource.Member{
		{Name: "target", Field: "target.@odata.type", As: resource.Type},
		{Name: "group", Field: "target.groupId", As: resource.ID},
		{Name: "intent", Field: "intent"},
		{Name: "filter", Field: "target.deviceAndAppManagementAssignmentFilterId", As: resource.ID},
		{Name: "filterType", Field: "target.deviceAndAppManagementAssignmentFilterType"},
		{Name: "source", Field: "source"},
		{Name: "remediates", Field: "runRemediationScript", As: resource.Switch},
		{Name: "schedule", Field: "runSchedule.@odata.type", As: resource.Type},
		{Name: "interval", Field: "runSchedule.interval", As: resource.Number},
		{Name: "id", Field: "id", As: resource.ID},
	}}

// assignments are all of a policy's.
func assignments() resource.List {
	all := assignment
	all.Field = "assignments"
	return all
}

var scopeTags = resource.List{Attr: "configuration.scope-tag", Field: "roleScopeTagIds"}
