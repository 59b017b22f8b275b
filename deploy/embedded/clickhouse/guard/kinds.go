package guard

// statements are the kinds of statement that run: the tree's root, and who may run it. There is no
// other way to run one: what is not here is refused.
var statements = map[string]entry{
	"SelectWithUnionQuery":    {Everybody, "reads"},
	"Explain":                 {Everybody, "explains what may be run"},
	"DescribeQuery":           {Everybody, "names columns"},
	"ShowTables":              {Everybody, "lists databases, tables, settings"},
	"ShowColumns":             {Everybody, "lists columns"},
	"ShowIndexes":             {Everybody, "lists indexes"},
	"ShowFunctions":           {Everybody, "lists functions"},
	"ShowEngineQuery":         {Everybody, "lists engines"},
	"ShowSetting":             {Everybody, "reads a setting"},
	"ShowProcesslistQuery":    {Everybody, "lists statements that run"},
	"ShowCreateTableQuery":    {Everybody, "shows a table's definition"},
	"ShowCreateViewQuery":     {Everybody, "shows a view's definition"},
	"ShowCreateDatabaseQuery": {Everybody, "shows a database's definition"},
	"ExistsTableQuery":        {Everybody, "looks whether a table is there"},
	"ExistsViewQuery":         {Everybody, "looks whether a view is there"},
	"ExistsDatabaseQuery":     {Everybody, "looks whether a database is there"},
	"ExistsDictionaryQuery":   {Everybody, "looks whether a dictionary is there; none is"},
	"UseQuery":                {Everybody, "ends with its request"},
	"KillQueryQuery":          {Everybody, "stops statements; a reader's own only, see below"},

	"InsertQuery":      {Full, "writes rows"},
	"CreateQuery":      {Full, "makes a table, a view or a database"},
	"DropQuery":        {Full, "takes a table, a view or a database away"},
	"TruncateQuery":    {Full, "empties a table"},
	"Rename":           {Full, "renames or exchanges tables: a rebuild ends so"},
	"AlterQuery":       {Full, "changes a table; see alterations"},
	"CreateIndexQuery": {Full, "adds an index to a table"},
	"DropIndexQuery":   {Full, "takes an index away"},
	"OptimizeQuery":    {Full, "merges parts"},
	"DeleteQuery":      {Full, "deletes rows"},
	"UpdateQuery":      {Full, "updates rows"},
	"CheckQuery":       {Full, "reads a table's files against their checksums"},
	"Set":              {Full, "ends with its request; readers send settings in the URL"},
	"SYSTEM query":     {Full, "see systemStatements"},
	"BackupQuery":      {Full, "copies tables to the directory BackupDir, where there is one"},
	"RestoreQuery":     {Full, "takes tables from the directory BackupDir, where there is one"},
}

// systemStatements are the SYSTEM statements that a full account may run: they
// concern merges and caches.
var systemStatements = []string{
	"STOP MERGES", "START MERGES", "FLUSH LOGS", "DROP MARK CACHE", "DROP UNCOMPRESSED CACHE", "DROP QUERY CACHE",
}

// creations are the words that may follow CREATE, OR REPLACE and TEMPORARY aside. Dictionaries
// have sources, functions hide what they call, named collections hide addresses, users are ours.
var creations = []string{"TABLE", "VIEW", "MATERIALIZED", "DATABASE", "INDEX"}

// alterations are the changes of a table that stay inside it: none takes parts from elsewhere.
var alterations = []string{
	"ADD_COLUMN", "DROP_COLUMN", "MODIFY_COLUMN", "RENAME_COLUMN", "COMMENT_COLUMN", "MATERIALIZE_COLUMN",
	"MODIFY_COMMENT",
	"UPDATE", "DELETE", "MODIFY_TTL", "REMOVE_TTL", "MATERIALIZE_TTL", "MODIFY_ORDER_BY", "MODIFY_QUERY",
	"ADD_INDEX", "DROP_INDEX", "MATERIALIZE_INDEX", "ADD_PROJECTION", "DROP_PROJECTION", "MATERIALIZE_PROJECTION",
	"ADD_CONSTRAINT", "DROP_CONSTRAINT", "MODIFY_SETTING", "RESET_SETTING", "DROP_PARTITION",
}

// explanations are the kinds of EXPLAIN. TABLE OVERRIDE takes a table function of another server.
var explanations = []string{
	"EXPLAIN", "EXPLAIN AST", "EXPLAIN SYNTAX", "EXPLAIN QUERY TREE", "EXPLAIN PIPELINE", "EXPLAIN ESTIMATE",
}

// nodes are the kinds of node below a root. One that is not here is refused: nobody has
// looked what it hides. true: the node has parts that the tree does not show, and the tokens
// are held to a stricter rule.
var nodes = map[string]bool{
	"SelectWithUnionQuery": false, "SelectIntersectExceptQuery": false, "SelectQuery": false,
	"ProjectionSelectQuery": false,
	"ExpressionList":        false, "TablesInSelectQuery": false, "TablesInSelectQueryElement": false,
	"TableExpression": false,
	"TableJoin":       false, "ArrayJoin": false, "TableIdentifier": false, "Subquery": false, "SampleRatio": false,
	"Identifier": false, "Literal": false, "Function": false, "Asterisk": false, "QualifiedAsterisk": false,
	"ColumnsRegexpMatcher": false, "ColumnsListMatcher": false,
	"QualifiedColumnsRegexpMatcher": false, "QualifiedColumnsListMatcher": false,
	"ColumnsTransformerList": false, "ColumnsExceptTransformer": false, "ColumnsReplaceTransformer": false,
	"ColumnsReplaceTransformer::Replacement": false, "ColumnsApplyTransformer": true,
	"OrderByElement": false, "StorageOrderByElement": false, "InterpolateElement": false,
	"WithElement": false, "WindowDefinition": false, "WindowListElement": false,
	"Columns definition": false, "ColumnDeclaration": false, "DataType": false, "TupleDataType": false,
	"EnumDataType": false, "NameTypePair": false,
	"ASTObjectTypeArgument": false, "ObjectTypedPath": false, "Index": false, "Constraint": false, "Projection": false,
	"Storage definition": false, "ViewTargets": false, "TTLElement": true, "Partition": false,
	"Assignment": false, "AlterCommand": false,
	"Collation": false, "Set": false,
}

// opaque are roots whose parts the tree does not show.
var opaque = []string{
	"ShowTables", "ShowColumns", "ShowIndexes", "ShowFunctions", "ShowEngineQuery", "ShowSetting",
	"ShowProcesslistQuery", "SYSTEM query", "UseQuery",
}

// The right side of these may be a table's name.
var inFunctions = []string{
	"in", "notIn", "globalIn", "globalNotIn", "nullIn", "notNullIn", "globalNullIn", "globalNotNullIn",
}

// byName are functions whose first argument names an aggregate function in a string.
var byName = []string{"arrayReduce", "arrayReduceInRanges", "initializeAggregation"}
