package clickhouse

// What is not allowed is refused with one of these, before the engine runs anything of the statement.

// unlisted are the codes and names of errors about names that no list has. They are those which a server
// has for names that do not exist: mostly they do not.
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

func accessDenied(format string, args ...any) *exception {
	return newException(codeAccessDenied, "ACCESS_DENIED", format, args...)
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
	case e.who == everybody || e.who == full && writes:
		return nil
	case e.who == full:
		return accessDenied("The %s is not allowed to an account that reads, nor to GET: %s", called, e.reason)
	case e.who == nobody:
		return accessDenied("The %s is not allowed, to any account: it %s", called, e.reason)
	}
	if u, ok := unlisted[kind]; ok {
		return newException(u.code, u.name, "The %s is unknown, and what is unknown is not allowed", called)
	}
	return accessDenied("The %s is unknown, and what is unknown is not allowed", called)
}
