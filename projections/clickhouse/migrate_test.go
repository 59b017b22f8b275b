package clickhouse_test

import (
	"errors"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestMigratingAgainChangesNothingAndOpenRefusesWhatWasNotMigrated(t *testing.T) {
	cfg := chtest.Config(t)
	if _, err := clickhouse.Open(t.Context(), cfg); err == nil {
		t.Fatal("opened a database that is not there")
	}
	for range 2 {
		if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	db := chtest.Open(t, cfg)
	if err := db.Exec(t.Context(), "INSERT INTO migration SELECT 2, 'x', 'another sum', now64(3)"); err != nil {
		t.Fatal(err)
	}
	if _, err := clickhouse.Open(t.Context(), cfg); !errors.Is(err, clickhouse.ErrMigrations) {
		t.Errorf("a changed migration: got %v, want ErrMigrations", err)
	}
	if err := clickhouse.Migrate(t.Context(), cfg); !errors.Is(err, clickhouse.ErrMigrations) {
		t.Errorf("migrating over a changed migration: got %v, want ErrMigrations", err)
	}
}
