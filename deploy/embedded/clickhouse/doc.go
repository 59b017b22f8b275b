// Package clickhouse runs ClickHouse's own engine (libchdb) in a child process and puts
// ClickHouse's HTTP interface in front of it, so that clickhouse-go, curl and other HTTP tools
// work against it as against a real server.
//
// It owns one data directory (one process per directory, held by a lock), the cached copy of the
// library, and its address for as long as the parent lives. It may lose nothing that a statement
// with fsync_after_insert=1 acknowledged; a crash of the engine ends the child, never its parent.
// It trusts the library whose checksum it pinned, and an account as far as the lists of package
// guard say; whoever else reaches its address is a stranger. It does not trust what a statement
// may make the engine do: the child is confined. It knows nothing of the data it holds.
//
// The interface it speaks: https://clickhouse.com/docs/interfaces/http. See DESIGN.md.
package clickhouse
