// Package ask puts questions to ClickHouse: each with its parameters, its answer read row by row,
// watched while it is out, whole or in pages.
//
// It keeps nothing. It trusts nobody that a question ends: one to a server that stands still fails
// with ErrStands.
package ask

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// ErrStands is wrapped when ClickHouse takes connections, or holds one, and answers nothing for as
// long as Asker.Patience: it stands still, which a statement that only takes long does not.
var ErrStands = errors.New("ClickHouse does not answer")

// Asker is where questions go.
type Asker struct {
	Conn     driver.Conn
	Addrs    []string      // as errors name it
	Patience time.Duration // for how long it may answer nothing
}

// Stands makes the client's error one that names what stands, where it is that and not the
// caller's own end.
func (a Asker) Stands(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrStands) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ch.ErrAcquireConnTimeout) {
		return fmt.Errorf("%w at %s within %s: it stands still, or all its connections are taken",
			ErrStands, strings.Join(a.Addrs, ", "), a.Patience)
	}
	return err
}

// watched returns a context for one question. While the answer is out, ClickHouse is asked
// every now and then whether it is there at all; the context ends where it is not. done is
// called when the answer is in.
func (a Asker) watched(ctx context.Context) (_ context.Context, done func()) {
	asking, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	timer := time.AfterFunc(a.Patience, func() {
		for {
			ping, end := context.WithTimeout(context.WithoutCancel(asking), a.Patience)
			err := a.Conn.Ping(ping)
			end()
			if err != nil {
				cancel(fmt.Errorf("%w at %s for %s, neither to a question that is out nor to whether it is there",
					ErrStands, strings.Join(a.Addrs, ", "), 2*a.Patience))
				return
			}
			select {
			case <-ended:
				return
			case <-asking.Done():
				return
			case <-time.After(a.Patience):
			}
		}
	})
	return asking, func() {
		timer.Stop()
		close(ended)
		cancel(nil)
	}
}

// Until returns what take says to keep of an answer; the rest of it is left where take has enough.
func Until[T any](
	ctx context.Context, a Asker, p param.Set, question string, read func(scan func(...any) error) (T, error),
	take func(T) (keep, enough bool),
) (out []T, err error) {
	asking, done := a.watched(ctx)
	defer func() {
		if err != nil {
			if cause := context.Cause(asking); errors.Is(cause, ErrStands) {
				err = cause
			}
			err = a.Stands(ctx, err)
		}
		done()
	}()
	asking, leave := context.WithCancel(asking)
	defer leave()
	rows, err := a.Conn.Query(p.In(asking), question)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		keep, enough := take(v)
		if keep {
			out = append(out, v)
		}
		if enough {
			leave() // or Close would take in the rest
			return out, nil
		}
	}
	return out, rows.Err()
}

// All returns all of an answer, for questions whose text bounds it.
func All[T any](
	ctx context.Context, a Asker, p param.Set, question string, read func(scan func(...any) error) (T, error),
) ([]T, error) {
	return Until(ctx, a, p, question, read, func(T) (keep, enough bool) { return true, false })
}

// Pages yields all answers of a question that is asked page by page: ask returns those behind
// after (ok is false on the first page), at most size of them, in the order of their key. Neither
// side holds more than a page, and no statement stays open while the caller works.
func Pages[T, K any](size int, ask func(after K, ok bool) ([]T, error), key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var after K
		for ok := false; ; ok = true {
			page, err := ask(after, ok)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, v := range page {
				if !yield(v, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
			after = key(page[len(page)-1])
		}
	}
}

// How questions are asked. Paged makes a page cost what is on it, for one that ends in ORDER BY a
// key and LIMIT: by itself the server begins at several places at once, with 65,409 rows each.
// ByKey has conditions choose rows before other columns are read, where they are on a view's key.
var (
	Paged      = asked(ch.Settings{"max_threads": 1, "max_block_size": 2048})
	ByKey      = asked(ch.Settings{"optimize_move_to_prewhere_if_final": 1})
	PagedByKey = asked(ch.Settings{"max_threads": 1, "max_block_size": 2048,
		"optimize_move_to_prewhere_if_final": 1})
)

func asked(s ch.Settings) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return ch.Context(ctx, ch.WithSettings(s)) }
}
