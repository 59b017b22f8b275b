package guard

import (
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// inspection looks at one statement: at its tree, and at its tokens for the places that the tree
// does not show. Each returns the first thing that is not allowed.
type inspection struct {
	toks     []statement.Token
	calls    []statement.Token // those of them that the parser takes for functions
	params   []string          // values that stand for identifiers
	writes   bool              // the account may write, and the request is a POST
	system   bool              // names without a database are of the database system
	backups  bool
	lambdas  map[string]bool // names that the statement gives to `x -> …`
	database bool            // CREATE DATABASE
}

// nodeKind is the longest kind in nodes that the node's text begins with.
func nodeKind(n *node) (string, bool) {
	words := strings.SplitN(n.text, " ", 3)
	if len(words) > 1 {
		if k := words[0] + " " + words[1]; n.is(k) {
			if _, ok := nodes[k]; ok {
				return k, true
			}
		}
	}
	_, ok := nodes[words[0]]
	return words[0], ok
}

func rootKind(n *node) string {
	words := strings.SplitN(n.text, " ", 3)
	if len(words) > 1 {
		if k := words[0] + " " + words[1]; statements[k].who != Unknown {
			return k
		}
	}
	return words[0]
}

func (in *inspection) statement(root *node) error {
	kind := rootKind(root)
	if e := statements[kind]; e.who == Unknown {
		return exception.AccessDenied("This kind of statement is not allowed (%s)", kind)
	} else if e.who == Full && !in.writes {
		return exception.New(exception.CodeReadonly, "READONLY",
			"This statement writes (%s): an account that reads cannot run it, nor GET", kind)
	}
	if err := in.form(kind, root); err != nil {
		return err
	}
	in.lambdas = make(map[string]bool)
	hidden := slices.Contains(opaque, kind)
	apply := false
	sets := slices.ContainsFunc(in.toks, func(t statement.Token) bool { return t.Is("SET") })
	root.any(func(n *node) bool {
		if n.is("Function lambda") && n.alias() != "" {
			in.lambdas[n.alias()] = true
		}
		k, _ := nodeKind(n)
		hidden = hidden || nodes[k] && (k != "TTLElement" || sets) // TTL … GROUP BY … SET is what it hides
		apply = apply || k == "ColumnsApplyTransformer"
		return false
	})
	for i, c := range root.children {
		if err := in.node(c, root, i); err != nil {
			return err
		}
	}
	return in.tokens(tokenRules{hidden: hidden, apply: apply, reads: kind == "SelectWithUnionQuery",
		place: kind == "BackupQuery" || kind == "RestoreQuery"})
}

// word says that the i-th token is one of the words.
func (in *inspection) word(i int, words ...string) bool {
	return i >= 0 && i < len(in.toks) && slices.ContainsFunc(words, in.toks[i].Is)
}

// form holds kinds that mean several things to those which are meant.
func (in *inspection) form(kind string, root *node) error {
	for i := range in.toks {
		if in.word(i, "ON") && in.word(i+1, "CLUSTER") && kind != "SelectWithUnionQuery" {
			return exception.AccessDenied("ON CLUSTER is not allowed: it is for other machines, which no " +
				"statement may reach")
		}
	}
	switch kind {
	case "Explain":
		if k := strings.TrimSpace(strings.TrimPrefix(root.text, "Explain")); !slices.Contains(explanations, k) {
			return exception.AccessDenied("%s is not allowed", k)
		}
		for _, c := range root.children {
			if !c.is("Set") {
				if k := rootKind(c); statements[k].who != Everybody && !in.writes || statements[k].who == Unknown {
					return exception.AccessDenied("EXPLAIN of a statement that may not be run is not allowed")
				} else if err := in.form(k, c); err != nil {
					return err
				}
			}
		}
	case "CreateQuery", "CreateIndexQuery":
		i := slices.IndexFunc(in.toks, func(t statement.Token) bool { return t.Is("CREATE") })
		if i < 0 { // EXPLAIN of it is the same
			return exception.AccessDenied("ATTACH is not allowed: it takes files that lie somewhere for a table")
		}
		for i++; in.word(i, "OR", "REPLACE", "TEMPORARY"); i++ {
		}
		if !in.word(i, creations...) {
			return exception.AccessDenied("Only tables, views, databases and indexes can be created")
		}
		in.database = in.word(i, "DATABASE")
	case "KillQueryQuery":
		if in.writes {
			return nil
		}
		if _, ok := statement.ParseKill(in.toks); !ok {
			return exception.AccessDenied("An account that reads may KILL QUERY WHERE query_id = '…' (or IN) only, " +
				"and finds its own statements only")
		}
	case "SYSTEM query":
		i := slices.IndexFunc(in.toks, func(t statement.Token) bool { return t.Is("SYSTEM") })
		for _, s := range systemStatements {
			if words := strings.Fields(s); i >= 0 && in.words(i+1, words) {
				return nil
			}
		}
		return exception.AccessDenied("Of the SYSTEM statements these are allowed: %s",
			strings.Join(systemStatements, ", "))
	case "BackupQuery", "RestoreQuery":
		if !in.backups {
			return exception.AccessDenied("BACKUP and RESTORE are not allowed: no directory for them " +
				"(BackupDir) is configured")
		}
		// The engine itself holds File to the directory; anything else is another place.
		places := 0
		for _, c := range root.children {
			if !c.is("Function") {
				continue
			}
			if c.name("Function") != "File" {
				return exception.AccessDenied("Backups lie in the configured directory only: use File('name')")
			}
			places++
		}
		if places != 1 {
			return exception.AccessDenied("A backup has one place, File('name')")
		}
	}
	return nil
}

func (in *inspection) words(i int, words []string) bool {
	for k, w := range words {
		if !in.word(i+k, w) {
			return false
		}
	}
	return true
}

func (in *inspection) node(n, parent *node, index int) error {
	kind, known := nodeKind(n)
	if !known && parent.is("Explain") && statements[rootKind(n)].who != Unknown {
		known = true // form has looked at it
	}
	if !known {
		return exception.AccessDenied("This part of a statement is not allowed (%s)", kind)
	}
	var err error
	switch kind {
	case "Function":
		if n.name("Function") == "CODEC" && (parent.is("ColumnDeclaration") || parent.is("TTLElement")) {
			return in.codecs(n)
		}
		err = in.call(n, parent, index)
	case "TableIdentifier":
		err = in.table(n.name("TableIdentifier"))
	case "AlterCommand":
		if c := n.name("AlterCommand"); !slices.Contains(alterations, c) {
			err = exception.AccessDenied("ALTER TABLE … %s is not allowed", strings.ReplaceAll(c, "_", " "))
		}
	case "Set":
		// Settings were cut out and looked at before; what is left the scanner has not seen.
		if !parent.is("Explain") && !parent.is("AlterCommand MODIFY_SETTING") {
			err = errNotUnderstood
		}
	case "Identifier":
		if isRoot(parent) {
			err = in.place(n.name("Identifier"))
		}
	}
	if err != nil {
		return err
	}
	for i, c := range n.children {
		if err := in.node(c, n, i); err != nil {
			return err
		}
	}
	return nil
}

// codecs looks at the arguments of CODEC, which the tree calls functions.
func (in *inspection) codecs(n *node) error {
	for _, c := range n.children {
		if c.is("Function") {
			name := c.name("Function")
			if err := notAllowed(allowed.codecs.kind, name, allowed.codecs.find(name), in.writes); err != nil {
				return err
			}
		} else if !c.is("ExpressionList") && !c.is("Literal") && !c.is("Identifier") {
			return errNotUnderstood
		}
		if err := in.codecs(c); err != nil {
			return err
		}
	}
	return nil
}

func isRoot(n *node) bool {
	return statements[rootKind(n)].who != Unknown && !n.is("SelectWithUnionQuery")
}

// call looks up the name of what the tree calls a function. What it is depends on where it stands.
func (in *inspection) call(n, parent *node, index int) error {
	name := n.name("Function")
	pick := func(l *nameList) error { return notAllowed(l.kind, name, l.find(name), in.writes) }
	switch {
	case parent.is("TableExpression"), parent.is("InsertQuery"), parent.is("CreateQuery"):
		return pick(allowed.tableFunctions)
	case parent.is("Explain"):
		return pick(allowed.tableFunctions)
	case parent.is("BackupQuery"), parent.is("RestoreQuery"):
		return nil // looked at by form
	case parent.is("Storage definition") && index == 0:
		if in.database {
			return pick(allowed.databaseEngines)
		}
		return pick(allowed.tableEngines)
	case parent.is("Index") && index == len(parent.children)-1, parent.is("CreateIndexQuery"):
		if allowed.indexTypes.find(name).who != Unknown {
			return pick(allowed.indexTypes)
		}
	}
	e := allowed.function(name)
	if e.who == Unknown && in.lambdas[name] {
		return nil
	}
	if err := notAllowed("function", name, e, in.writes); err != nil {
		return err
	}
	return in.arguments(n, name)
}

// arguments looks at what a function may call by its name: `arrayMap(file,
// …)`, `arrayReduce('sum', …)`.
func (in *inspection) arguments(n *node, name string) error {
	if len(n.children) == 0 || !n.children[0].is("ExpressionList") {
		return nil
	}
	args := n.children[0].children
	if len(args) == 0 {
		return nil
	}
	for _, f := range byName {
		if !strings.EqualFold(f, name) {
			continue
		}
		of, ok := strings.CutPrefix(args[0].text, `Literal '`)
		if !ok {
			return exception.AccessDenied("The function %s takes the name of an aggregate function as a "+
				"plain string here", name)
		}
		of, _, _ = strings.Cut(of, "'")
		of, _, _ = strings.Cut(of, "(")
		if err := notAllowed("function", of, allowed.aggregate(of), in.writes); err != nil {
			return err
		}
	}
	isIn := func(f string) bool { return strings.EqualFold(f, name) }
	if slices.ContainsFunc(inFunctions, isIn) && len(args) == 2 && args[1].is("Identifier") {
		return in.table(args[1].name("Identifier"))
	}
	// A function that takes `x -> …` takes a function's name as well.
	// Behind a lambda come columns.
	if args[0].is("Function lambda") {
		return nil
	}
	for _, a := range args {
		if !a.is("Identifier") {
			continue
		}
		called := a.name("Identifier")
		e, ok := allowed.suspicious[strings.ToLower(called)]
		if ok && allowed.takesFunctions.find(name).who != Unknown {
			return notAllowed("function", called, e, in.writes)
		}
	}
	return nil
}

// table looks at the name of a table that is read.
func (in *inspection) table(name string) error {
	if err := in.place(name); err != nil {
		return err
	}
	of, is := strings.CutPrefix(name, "system.")
	if !is && in.system && !strings.Contains(name, ".") {
		of, is = name, true
	}
	if is {
		return notAllowed(allowed.systemTables.kind, of, allowed.systemTables.find(of), in.writes)
	}
	return nil
}

// place refuses a table's name that is a path: the local engine opens files by such names. Names
// without a slash it looks for in the working directory, which is an empty one.
func (in *inspection) place(name string) error {
	if strings.Contains(name, "/") {
		return exception.AccessDenied("A table's name with a slash is not allowed: the engine would " +
			"take it for a file")
	}
	return nil
}

// tokenRules say how strictly the tokens are looked at.
type tokenRules struct {
	hidden bool // the tree is known not to show everything
	apply  bool // a function is applied to columns: `* APPLY(f)`
	reads  bool // the statement is a SELECT
	place  bool // the statement names a place for a backup
}

// tokens looks at the places that the tree does not show. A name that the account may not call is
// not called anywhere; where the tree is known to hide something, it stands nowhere at all.
func (in *inspection) tokens(rules tokenRules) error {
	check := func(name string) error {
		if e, ok := allowed.suspicious[strings.ToLower(name)]; ok {
			return notAllowed("function", name, e, in.writes)
		}
		return nil
	}
	for _, v := range in.params {
		if rules.hidden {
			if err := check(v); err != nil {
				return err
			}
		}
		if rules.hidden || !rules.reads {
			if err := in.place(v); err != nil {
				return err
			}
		}
	}
	for _, t := range in.calls {
		if rules.place && t.Text == "File" {
			continue // form has looked at it
		}
		if err := in.somewhere(t.Text); err != nil {
			return err
		}
	}
	for i, t := range in.toks {
		if t.Kind != statement.Word && t.Kind != statement.Quoted {
			continue
		}
		if (rules.hidden || !rules.reads) && t.Kind == statement.Quoted && t.Escapes {
			return exception.AccessDenied("A name with a backslash is not allowed here")
		}
		// `INSERT INTO file (a)`, `CREATE TABLE file (a …)`, `db.file (a …)` name tables.
		isTable := in.word(i-1, "INTO", "TABLE", "EXISTS") || i > 0 && in.toks[i-1].Punct('.')
		if !isTable && rules.hidden {
			if err := check(t.Text); err != nil {
				return err
			}
		}
		if t.Kind == statement.Quoted && (rules.hidden || !rules.reads) {
			if err := in.place(t.Text); err != nil {
				return err
			}
		}
		if rules.hidden && !rules.reads && t.Is("SELECT") {
			return exception.AccessDenied("A subquery is not allowed here")
		}
		if rules.apply && t.Is("APPLY") {
			if err := in.applied(i + 1); err != nil {
				return err
			}
		}
		if t.Names("system") && i+2 < len(in.toks) && in.toks[i+1].Punct('.') {
			of := in.toks[i+2].Text
			if e := allowed.systemTables.find(of); e.who != Unknown {
				if err := notAllowed(allowed.systemTables.kind, of, e, in.writes); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// somewhere looks up a name that is called: as something it must be allowed. As what it is called,
// the tree says, where it shows it.
func (in *inspection) somewhere(name string) error {
	if in.lambdas[name] || slices.Contains(parsersOwn, strings.ToUpper(name)) {
		return nil
	}
	best := allowed.function(name)
	for _, l := range []*nameList{
		allowed.tableFunctions, allowed.tableEngines, allowed.databaseEngines, allowed.codecs, allowed.indexTypes,
	} {
		if e := l.find(name); e.who > best.who {
			best = e
		}
	}
	return notAllowed("function", name, best, in.writes)
}

// parsersOwn are syntax that looks like functions. What it becomes and what
// stands in it, the tree shows.
var parsersOwn = []string{
	"CODEC", "EXTRACT", "UNTUPLE", "COLUMNS", "DATE_ADD", "DATEADD", "DATE_SUB", "DATESUB",
	"TIMESTAMP_ADD", "TIMESTAMPADD", "TIMESTAMP_SUB", "TIMESTAMPSUB",
}

// applied looks at `* APPLY(f)`, `* APPLY f`, `* APPLY(f(0.5))` and `* APPLY(x ->
// …)`: the tree shows none.
func (in *inspection) applied(i int) error {
	depth := 0
	for ; i < len(in.toks) && in.toks[i].Punct('('); i++ {
		depth++
	}
	if i >= len(in.toks) || in.toks[i].Kind != statement.Word && in.toks[i].Kind != statement.Quoted {
		return errNotUnderstood
	}
	lambda := false
	for k := i; k < len(in.toks) && depth > 0; k++ {
		switch t := in.toks[k]; {
		case t.Punct('('):
			depth++
		case t.Punct(')'):
			depth--
		case t.Punct('>') && in.toks[k-1].Punct('-'):
			lambda = true
		case t.Is("SELECT"):
			return exception.AccessDenied("A subquery is not allowed in APPLY")
		}
	}
	if lambda {
		return nil // what it calls, the rule for hidden places has looked at
	}
	return notAllowed("function", in.toks[i].Text, allowed.function(in.toks[i].Text), in.writes)
}
