package front

import (
	"context"
	"errors"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// mayStop is whose statements the request may stop, "" for everybody's.
func (req *request) mayStop() string {
	if req.account.ReadOnly {
		return req.account.Name
	}
	return ""
}

// kill stops the statements and answers with a server's columns. Stopping one is what happens when
// its client goes: it is killed in the engine until it has ended, and also if it had not begun.
func (f *Front) kill(ctx context.Context, k statement.Kill, req *request, a *answer) error {
	status := "waiting"
	switch {
	case k.Test:
		status = "unknown_status"
	case k.Sync:
		status = "finished"
	}
	var rows []string
	for _, s := range f.ongoing.find(req.mayStop(), k.IDs) {
		if !k.Test {
			s.cancel(errKilled)
		}
		if k.Sync {
			select {
			case <-s.gone:
			case <-ctx.Done():
				return exception.Cancelled(ctx)
			}
		}
		row := []string{statement.Literal(status), statement.Literal(s.id), statement.Literal(s.account),
			statement.Literal(s.text)}
		rows = append(rows, "("+strings.Join(row, ",")+")")
	}
	c, err := f.session(req)
	if err != nil {
		return err
	}
	defer c.Close()
	// The engine formats the answer. A parameter may be larger than a statement.
	const text = "SELECT t.1 AS kill_status, t.2 AS query_id, t.3 AS user, t.4 AS query " +
		"FROM (SELECT arrayJoin({rows:Array(Tuple(String, String, String, String))}) AS t)"
	all := []engine.Param{{Name: "rows", Value: "[" + strings.Join(rows, ",") + "]"}}
	res, err := c.Whole(text, req.format, all)
	if err != nil {
		return err
	}
	defer res.Release()
	if _, err := a.Write(res.Bytes()); err != nil {
		return err
	}
	return a.finish(res.Stats)
}

var errKilled = errors.New("by KILL QUERY")
