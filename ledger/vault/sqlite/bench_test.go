//go:build unix

package sqlite

import (
	"testing"

	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
)

func BenchmarkUpdateKnown(b *testing.B) { vaulttest.BenchUpdate(b, factory, false, cputime.Used) }

func BenchmarkUpdateFresh(b *testing.B) { vaulttest.BenchUpdate(b, factory, true, cputime.Used) }
