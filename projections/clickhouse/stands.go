package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// ErrStands is wrapped when ClickHouse takes connections, or holds one, and answers nothing for as
// long as Config.Patience: it stands still, which a statement that only takes long does not.
var ErrStands = errors.New("ClickHouse does not answer")

// stands makes the client's error one that names what stands, where it is that
// and not the caller's own end.
func (db *DB) stands(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrStands) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ch.ErrAcquireConnTimeout) {
		return fmt.Errorf("%w at %s within %s: it stands still, or all its connections are taken",
			ErrStands, strings.Join(db.cfg.Addrs, ", "), db.patience)
	}
	return err
}

// watched returns a context for one question. While the answer is out, ClickHouse is asked
// every now and then whether it is there at all; the context ends where it is not. done is
// called when the answer is in.
func (db *DB) watched(ctx context.Context) (_ context.Context, done func()) {
	asking, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	timer := time.AfterFunc(db.patience, func() {
		for {
			ping, end := context.WithTimeout(context.WithoutCancel(asking), db.patience)
			err := db.conn.Ping(ping)
			end()
			if err != nil {
				cancel(fmt.Errorf("%w at %s for %s, neither to a question that is out nor to whether it is there",
					ErrStands, strings.Join(db.cfg.Addrs, ", "), 2*db.patience))
				return
			}
			select {
			case <-ended:
				return
			case <-asking.Done():
				return
			case <-time.After(db.patience):
			}
		}
	})
	return asking, func() {
		timer.Stop()
		close(ended)
		cancel(nil)
	}
}
