package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// faultLog passes kfake's messages to slog and remembers the first that reports a
// failed write, because kfake carries on after those. The failure of a record batch
// reaches its producer as well; the failure of a topic list or an offset does not.
type faultLog struct {
	logger *slog.Logger

	mu    sync.Mutex
	fault error
}

// Logf implements kfake.Logger. It names topics, groups and loopback addresses,
// never contents.
func (l *faultLog) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	failed := level == kfake.LogLevelError ||
		level == kfake.LogLevelWarn && (strings.HasPrefix(format, "persist ") ||
			strings.HasPrefix(format, "delete topic "))
	if !failed && !l.logger.Enabled(context.Background(), to) {
		return
	}
	msg := fmt.Sprintf(format, args...)
	l.logger.Log(context.Background(), to, "embedded kafka", "message", msg)
	if !failed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		l.fault = fmt.Errorf("kafka: %s", msg)
	}
}

func (l *faultLog) firstFault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}
