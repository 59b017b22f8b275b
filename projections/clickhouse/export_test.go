package clickhouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Exec and Query let tests put faults in, and look behind the views.
func (db *DB) Exec(ctx context.Context, statement string) error { return db.conn.Exec(ctx, statement) }

func (db *DB) Query(ctx context.Context, question string) (driver.Rows, error) {
	return db.conn.Query(ctx, question)
}

// Echo sends values as parameters and returns what the server understood.
func (db *DB) Echo(ctx context.Context, text string, list []string) (string, []string, error) {
	type echo struct {
		text string
		list []string
	}
	out, err := collect(ctx, db, params{"text": text, "list": list}, "SELECT {text:String}, {list:Array(String)}",
		func(scan func(...any) error) (e echo, err error) { return e, scan(&e.text, &e.list) })
	if err != nil || len(out) != 1 {
		return "", nil, err
	}
	return out[0].text, out[0].list, nil
}

// BeforeExec calls do before each statement that changes something, until the returned function is called.
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
