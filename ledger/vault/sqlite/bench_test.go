//go:build unix

package sqlite

import (
	"syscall"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkUpdateKnown(b *testing.B) { vaulttest.BenchUpdate(b, factory, false, cpu) }

func BenchmarkUpdateFresh(b *testing.B) { vaulttest.BenchUpdate(b, factory, true, cpu) }
