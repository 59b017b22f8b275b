// Package clickhouse keeps the views in ClickHouse: the tables and materialized views, the
// batches that fill them and the questions they answer. It is the only importer of
// clickhouse-go, speaks ClickHouse's HTTP interface, and works alike against a server, a
// cluster's node or the embedded engine.
//
// It owns one database. It may lose all of it: events come again from the topics or the ledger.
// What Insert acknowledged is synced, so a saved position never outlives its rows. It trusts the
// server; values reach a statement as typed parameters only, and every question names its tenant.
//
// See DESIGN.md beside this file.
package clickhouse
