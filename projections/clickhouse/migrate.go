package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
)

// ErrMigrations is wrapped when a database's migrations are not this program's: it is not there,
// is older (Migrate brings it up), newer, or was changed by hand.
var ErrMigrations = errors.New("views and program do not match")

// createMigrations makes the list of what was applied. ORDER BY number: one row a migration.
const createMigrations = `CREATE TABLE IF NOT EXISTS migration (
	number UInt32, name String, sum String, applied_at DateTime64(3, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY number SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`

// Migrate creates the database where it is missing and applies the migrations that it lacks. It
// may be called at every start, and again after it failed.
func Migrate(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	boot, err := cfg.dial("default")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// Atomic: views are replaced and tables dropped without stopping readers. The name was
	// checked: it cannot be a parameter.
	err = boot.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+cfg.database()+" ENGINE = Atomic")
	if err = errors.Join(err, boot.Close()); err != nil {
		return fmt.Errorf("migrate: create database: %w", err)
	}
	conn, err := cfg.dial(cfg.database())
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.Exec(ctx, createMigrations); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	missing, err := missingMigrations(ctx, conn)
	if err != nil {
		return err
	}
	if len(missing) > 0 && missing[0].Number == 1 {
		if err := createNew(ctx, conn, cfg); err != nil {
			return fmt.Errorf("migrate: a new database: %w", err)
		}
		for i := range missing {
			missing[i].Statements = nil // they are only noted
		}
	}
	for _, m := range missing {
		for i, s := range m.Statements {
			if err := apply(ctx, conn, cfg, s); err != nil {
				return fmt.Errorf("migrate: %s, statement %d: %w", m.Name, i+1, err)
			}
		}
		if err := conn.Exec(params{"number": m.Number, "name": m.Name, "sum": m.Sum}.In(ctx),
			`INSERT INTO migration SELECT {number:UInt32}, {name:String}, {sum:String}, now64(3)`); err != nil {
			return fmt.Errorf("migrate: note %s: %w", m.Name, err)
		}
	}
	return nil
}

// apply runs a statement of a migration. One that gives a table another SELECT to be filled by
// holds for each version of it that is there. The server exchanges the SELECT at once: an insert
// that runs meanwhile goes by the old one or by the new one.
func apply(ctx context.Context, conn driver.Conn, cfg Config, statement string) error {
	table, selects, ok := migrations.Refill(statement)
	if cfg.Uncompressed {
		statement = migrations.Uncompressed(statement)
	}
	if !ok {
		return conn.Exec(ctx, statement)
	}
	objects, err := newDB(cfg, conn).objects(ctx)
	if err != nil {
		return err
	}
	view, v, _, _ := migrations.ParseVersion(table)
	for _, o := range objects {
		of, version, mv, ok := migrations.ParseVersion(o.name)
		if !ok || !mv || of != view || version.Base() != v {
			continue
		}
		if err := conn.Exec(ctx, "ALTER TABLE "+o.name+" MODIFY QUERY "+selects); err != nil {
			return err
		}
	}
	return nil
}

// createNew makes what all migrations together come to, without the versions that a later one
// replaces. A crash in it leaves a database without a note, in which it is repeated.
func createNew(ctx context.Context, conn driver.Conn, cfg Config) error {
	d, err := migrations.Define()
	if err != nil {
		return err
	}
	for _, s := range d.Statements() {
		if err := apply(ctx, conn, cfg, s); err != nil {
			return err
		}
	}
	return nil
}

// missingMigrations returns what the database lacks, or ErrMigrations where it
// has what the program does not.
func missingMigrations(ctx context.Context, conn driver.Conn) ([]migrations.Migration, error) {
	all, err := migrations.Read()
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	rows, err := conn.Query(ctx, "SELECT number, sum FROM migration FINAL ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for i := 0; rows.Next(); i++ {
		var number uint32
		var sum string
		if err := rows.Scan(&number, &sum); err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		if i == 0 && number != 1 || len(all) == 0 {
			return nil, fmt.Errorf("%w: the database has migration %d and not the ones this program has before it",
				ErrMigrations, number)
		}
		if all[0].Number != number || all[0].Sum != sum {
			return nil, fmt.Errorf("%w: migration %d is another one in the database", ErrMigrations, number)
		}
		all = all[1:]
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return all, nil
}

func (db *DB) checkMigrations(ctx context.Context) error {
	missing, err := missingMigrations(ctx, db.conn)
	if err != nil {
		return fmt.Errorf("open views in database %s: %w", db.database, err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("open views in database %s: %w: it lacks %s", db.database, ErrMigrations, missing[0].Name)
	}
	return nil
}
