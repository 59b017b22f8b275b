package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
)

// Exec and Query let tests put faults in, and look behind the views.
func (db *DB) Exec(ctx context.Context, statement string) error { return db.conn.Exec(ctx, statement) }

func (db *DB) Query(ctx context.Context, question string) (driver.Rows, error) {
	return db.conn.Query(ctx, question)
}

// InsertBlock inserts a block of events into a table that is like events.
func (db *DB) InsertBlock(ctx context.Context, table string, block []byte) error {
	statement := strings.Replace(insertEvents, "INTO events", "INTO "+table, 1)
	return db.conn.InsertFormat(ch.Context(ctx, batchOption), "Native", statement, bytes.NewReader(block))
}

// Echo sends values as parameters and returns what the server understood.
func (db *DB) Echo(ctx context.Context, text string, list []string) (string, []string, error) {
	type echo struct {
		text string
		list []string
	}
	out, err := ask.All(ctx, db.Asker, params{"text": text, "list": list},
		"SELECT {text:String}, {list:Array(String)}",
		func(scan func(...any) error) (e echo, err error) { return e, scan(&e.text, &e.list) })
	if err != nil || len(out) != 1 {
		return "", nil, err
	}
	return out[0].text, out[0].list, nil
}

// Heavily returns a setting under which the statements of a comparison run.
func (db *DB) Heavily(ctx context.Context, setting string) (string, error) {
	out, err := askHeavily(ctx, db, params{"name": setting}, "SELECT toString(getSetting({name:String}))",
		func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
	return strings.Join(out, ", "), err
}

// StateValues has pages of devices' states begin with that many values and grow to most.
func (db *DB) StateValues(first, most int) { db.First, db.Most = first, most }

// BeforeExec calls do before each statement that changes something, until
// the returned function is called.
func (db *DB) BeforeExec(do func(statement string)) (restore func()) {
	was := db.conn
	db.conn = hooked{was, do}
	return func() { db.conn = was }
}

type hooked struct {
	driver.Conn
	do func(string)
}

func (h hooked) Exec(ctx context.Context, statement string, args ...any) error {
	h.do(statement)
	return h.Conn.Exec(ctx, statement, args...)
}

// MigrateTo makes a database as a program made it that had only the first n migrations.
func MigrateTo(ctx context.Context, cfg Config, n int) (err error) {
	all, err := migrations.Read()
	if err != nil {
		return err
	}
	conn, err := cfg.dial("default")
	if err != nil {
		return err
	}
	if err := errors.Join(conn.Exec(ctx, "CREATE DATABASE "+cfg.database()+" ENGINE = Atomic"),
		conn.Close()); err != nil {
		return err
	}
	if conn, err = cfg.dial(cfg.database()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.Exec(ctx, createMigrations); err != nil {
		return err
	}
	for _, m := range all[:n] {
		for _, s := range m.Statements {
			if err := conn.Exec(ctx, s); err != nil {
				return err
			}
		}
		if err := conn.Exec(params{"number": m.Number, "name": m.Name, "sum": m.Sum}.In(ctx),
			`INSERT INTO migration SELECT {number:UInt32}, {name:String}, {sum:String}, now64(3)`); err != nil {
			return err
		}
	}
	return nil
}

// OpenAnyhow opens a database whatever its migrations are.
func OpenAnyhow(cfg Config) (*DB, error) {
	conn, err := cfg.dial(cfg.database())
	return newDB(cfg, conn), err
}
