//go:build crash

package node

import (
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/ledgerline/ledgerline/internal/settings"
)

// crashVariable is how crash tests name the point.
const crashVariable = settings.EnvPrefix + "CRASH_AT"

var crashVariables = []string{crashVariable}

// CrashHook returns the hook that crash tests use to kill this process at a named point:
// LEDGERLINE_CRASH_AT is "point" or "point#n", for the n-th time it is passed. Without it, there
// is none.
func CrashHook(log *slog.Logger) func(string) error {
	at, ok := os.LookupEnv(crashVariable)
	if !ok {
		return nil
	}
	point, number, _ := strings.Cut(at, "#")
	left, err := strconv.Atoi(number)
	if err != nil {
		left = 1
	}
	var mu sync.Mutex
	return func(p string) error {
		mu.Lock()
		defer mu.Unlock()
		if p != point {
			return nil
		}
		if left--; left > 0 {
			return nil
		}
		log.Warn("killed by "+crashVariable, "point", p)
		return dieAtOnce()
	}
}

// dieAtOnce ends this process without a chance to put anything in order.
func dieAtOnce() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return p.Kill()
}
