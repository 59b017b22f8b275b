package clickhouse_test

import (
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }
