package guard

import (
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// unlisted are the codes and names of errors about names that no list has. They are those which a
// server has for names that do not exist: mostly they do not.
var unlisted = map[string]struct {
	code int
	name string
}{
	"function":        {46, "UNKNOWN_FUNCTION"},
	"table function":  {46, "UNKNOWN_FUNCTION"},
	"table engine":    {56, "UNKNOWN_STORAGE"},
	"database engine": {336, "UNKNOWN_DATABASE_ENGINE"},
	"format":          {73, "UNKNOWN_FORMAT"},
	"setting":         {115, "UNKNOWN_SETTING"},
	"table setting":   {115, "UNKNOWN_SETTING"},
	"table system.":   {60, "UNKNOWN_TABLE"},
	"codec":           {432, "UNKNOWN_CODEC"},
}

// notAllowed is the refusal of a name, nil where the account may use it.
func notAllowed(kind, name string, e entry, writes bool) error {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	called := kind + " " + name
	if kind == "table system." {
		called = kind + name
	}
	switch {
	case e.who == Everybody || e.who == Full && writes:
		return nil
	case e.who == Full:
		return exception.AccessDenied("The %s is not allowed to an account that reads, nor to GET: %s",
			called, e.reason)
	case e.who == Nobody:
		return exception.AccessDenied("The %s is not allowed, to any account: it %s", called, e.reason)
	}
	if u, ok := unlisted[kind]; ok {
		return exception.New(u.code, u.name, "The %s is unknown, and what is unknown is not allowed", called)
	}
	return exception.AccessDenied("The %s is unknown, and what is unknown is not allowed", called)
}

// allowedSetting looks up a setting that stands in a statement. Only a statement that makes or
// changes a table may have a table's.
func allowedSetting(name string, writes, table bool) error {
	if table {
		if e := allowed.mergeTreeSettings.find(name); e.who != Unknown {
			return notAllowed(allowed.mergeTreeSettings.kind, name, e, writes)
		}
	}
	if name == "additional_table_filters" {
		return exception.AccessDenied("The setting additional_table_filters is allowed in the URL only")
	}
	return notAllowed(allowed.settings.kind, name, allowed.settings.find(name), writes)
}

// Setting says why a request may not have this setting, or nil.
func Setting(name string, writes bool) error {
	return notAllowed(allowed.settings.kind, name, allowed.settings.find(name), writes)
}

// Format says why a request may not have this format, or nil.
func Format(name string, writes bool) error {
	return notAllowed(allowed.formats.kind, name, allowed.formats.find(name), writes)
}
