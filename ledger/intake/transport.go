package intake

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/schemas"
)

// What transports do to a record, undone: the parsers know Graph's and Azure Monitor's forms alone.
// Log Analytics makes columns of a record's members, PowerShell's SDK writes names with a capital,
// and many a pipeline puts JSON into a text.

// settle brings the record into the form of its source.
func (r *sourceRecord) settle() {
	if table := r.logAnalyticsTable(); table != "" {
		r.fromLogAnalytics(table)
	} else if r.isSDK() {
		r.fromSDK()
	}
	if r.has("category") {
		r.decode(r.members, "properties", '{')
	}
	r.properties = r.object("properties")
}

// decode replaces a member that is a text by the JSON it holds, if that is an object or an array as
// the member should be. One level: what is a text in there stays one.
func (r *sourceRecord) decode(m members, name string, begins byte) {
	if inner := jsonInText(m[name]); len(inner) > 0 && inner[0] == begins {
		m[name] = inner
		r.decoded = true
	}
}

// jsonInText returns the JSON object or array that a JSON text holds, or nil.
func jsonInText(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] != '"' {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	inner := bytes.TrimSpace([]byte(s))
	if len(inner) > 0 && (inner[0] == '{' || inner[0] == '[') && json.Valid(inner) {
		return inner
	}
	return nil
}

// categoryOfTable are the tables of Log Analytics that Intune fills, and what Azure Monitor calls
// the records in them.
var categoryOfTable = map[string]string{
	"intuneauditlogs": kindAuditLog, "intunedevices": kindDevice,
	"intuneoperationallogs": "OperationalLogs", "intunedevicecomplianceorg": "DeviceComplianceOrg",
}

// logAnalyticsTable returns the table that a row of Log Analytics is of: the one it names, or where
// a query left the name out, the one whose columns it has.
func (r *sourceRecord) logAnalyticsTable() string {
	switch {
	case r.has("category") || r.has("properties"):
		return ""
	case r.has("TimeGenerated", "Type"):
		return r.text("Type")
	case r.has("TimeGenerated", "OperationName", "Properties") && strings.EqualFold(r.text("Category"), kindAuditLog):
		return "IntuneAuditLogs"
	case r.has("TimeGenerated", "DeviceId", "LastContact", "CompliantState"):
		return "IntuneDevices"
	}
	return ""
}

// logAnalyticsOwn are the columns that Log Analytics adds. Its TenantId is the workspace's id, and
// names no source tenant.
var logAnalyticsOwn = map[string]bool{"TenantId": true, "SourceSystem": true, "Type": true, "TableName": true,
	"MG": true, "ManagementGroupName": true, "Computer": true, "RawData": true, "TimeGenerated": true}

// fromLogAnalytics makes an Azure Monitor record of a row. A row has a cell for every column of its
// table: an empty one of those that devices and summaries do not share says nothing.
func (r *sourceRecord) fromLogAnalytics(table string) {
	category := categoryOfTable[strings.ToLower(table)]
	r.table = table
	if category == "" {
		return
	}
	m := members{"category": schemas.JSON(category), "time": r.members["TimeGenerated"]}
	columns := members{}
	for name, raw := range r.members {
		switch {
		case logAnalyticsOwn[name] || strings.HasPrefix(name, "_"):
		case category == kindDevice && name != "OperationName" && name != "Result":
			columns[name] = raw
		case category != kindDevice && name == "Category":
		default:
			m[lowerFirst(name)] = raw
		}
	}
	if category == kindDevice {
		for _, name := range []string{"DeviceId", "Stats", "BatchId"} {
			if isEmpty(columns[name]) {
				delete(columns, name)
			}
		}
		m["properties"] = schemas.JSON(columns)
	}
	r.members = m
}

// isSDK reports whether the record is one that PowerShell's SDK wrote: Graph's names with a capital.
func (r *sourceRecord) isSDK() bool {
	return r.has("Id") && !r.has("id") &&
		(r.has("LastSyncDateTime") || r.has("EnrolledDateTime") || r.has("ActivityDateTime", "Actor"))
}

// graphNames are the names of Graph that are not the SDK's with a small first letter, and all
// others that the parsers know, by their lower-case form.
var graphNames = func() map[string]string {
	names := map[string]string{}
	for _, maps := range [][]Mapping{graphDevice, graphHardware} {
		for _, m := range maps {
			names[strings.ToLower(m.Field)] = m.Field
		}
	}
	for _, n := range []string{"hardwareInformation", "usersLoggedOn", "lastLogOnDateTime", "detectedApps", "sizeInByte",
		"activationLockBypassCode", "auditActorType", "servicePrincipalName", "ipAddress", "applicationId"} {
		names[strings.ToLower(n)] = n
	}
	return names
}()

func graphName(s string) string {
	if n := graphNames[strings.ToLower(s)]; n != "" {
		return n
	}
	return lowerFirst(s)
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || !unicode.IsUpper(r) {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}

// fromSDK gives the record Graph's names, in all it holds.
func (r *sourceRecord) fromSDK() {
	var m members
	if json.Unmarshal(graphForm(schemas.JSON(r.members), 0), &m) == nil {
		r.members = m
	}
}

// graphForm renames the members of an object and of the objects in it. What the SDK found no member
// for (AdditionalProperties, by Graph's own names) stands beside the others again.
func graphForm(raw json.RawMessage, depth int) json.RawMessage {
	if len(raw) == 0 || depth > maxNesting {
		return raw
	}
	switch raw[0] {
	case '{':
		var in members
		if json.Unmarshal(raw, &in) != nil {
			return raw
		}
		out := members{}
		for name, v := range in {
			if name != "AdditionalProperties" {
				out[graphName(name)] = graphForm(v, depth+1)
			}
		}
		for name, v := range in.object("AdditionalProperties") {
			if _, has := out[name]; !has {
				out[name] = v
			}
		}
		return schemas.JSON(out)
	case '[':
		var in []json.RawMessage
		if json.Unmarshal(raw, &in) != nil {
			return raw
		}
		for i := range in {
			in[i] = graphForm(in[i], depth+1)
		}
		return schemas.JSON(in)
	case '"':
		if s, ok := asText(raw); ok {
			if at, ok := readJSONDate(s); ok {
				return schemas.JSON(at.Format(time.RFC3339Nano))
			}
		}
	}
	return raw
}
