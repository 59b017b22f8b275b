package front

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// A client that sends a session_id expects a database and settings that it chose, and temporary
// tables that it made, to be there in its next request. A session keeps just these. Each request
// still runs on a connection of its own, which is given the session's database and settings first;
// so what a request sets by its URL goes with it. Only once a temporary table is made, its
// connection stays, and the session's further requests run there.
//
// A request that may only read (GET, readonly, an account that reads) never runs on that
// connection: readonly could not be taken back. So it does not see temporary tables, which is the
// one difference to a server.
type sessions struct {
	mu     sync.Mutex
	all    map[sessionKey]*session
	closed bool
}

// sessionKey is an account's name and the id its client chose: a session is of one account.
type sessionKey struct{ account, id string }

type session struct {
	key  sessionKey
	turn chan struct{} // holds one while a statement runs

	// Of whoever holds the turn.
	database string
	settings map[string]string
	tables   *engine.Conn // has temporary tables, if any were made

	// Under sessions.mu.
	timeout time.Duration
	expiry  *time.Timer
	used    time.Time
}

const (
	MaxSessions        = 64 // of all accounts
	MaxAccountSessions = 32 // so that no account holds all of them
	maxSessionID       = 256
	maxSessionSettings = 64 << 10 // bytes of names and values

	defaultSessionTimeout = 60 * time.Second // as on a server
	maxSessionTimeout     = time.Hour

	// A server refuses a second statement at once. The first one's answer may have reached its
	// client just before its session is given back, so the second waits for a moment.
	sessionPatience = 100 * time.Millisecond
)

func newSessions() *sessions { return &sessions{all: make(map[sessionKey]*session)} }

// enter gives the request its session, which no other request has until leave. It returns nil for
// a request without.
func (ss *sessions) enter(ctx context.Context, account string, q url.Values) (*session, error) {
	id := q.Get("session_id")
	if id == "" {
		return nil, nil
	}
	if len(id) > maxSessionID {
		return nil, exception.BadArguments("session_id is longer than %d bytes", maxSessionID)
	}
	timeout := defaultSessionTimeout
	if v := q.Get("session_timeout"); v != "" {
		seconds, err := strconv.ParseUint(v, 10, 32)
		if timeout = time.Duration(seconds) * time.Second; err != nil || timeout > maxSessionTimeout {
			return nil, exception.New(exception.CodeInvalidSessionTimeout, "INVALID_SESSION_TIMEOUT",
				"session_timeout %q is not a number of seconds up to %d", v, int(maxSessionTimeout.Seconds()))
		}
	}
	patience, cancel := context.WithTimeout(ctx, sessionPatience)
	defer cancel()
	for {
		s, err := ss.find(sessionKey{account, id}, flag(q, "session_check"))
		if err != nil {
			return nil, err
		}
		select {
		case s.turn <- struct{}{}:
		case <-patience.Done():
			return nil, exception.New(exception.CodeSessionIsLocked, "SESSION_IS_LOCKED",
				"Session %s is locked by a concurrent client", id)
		}
		if ss.begin(s, timeout) {
			return s, nil
		}
		<-s.turn // it ended while this request waited: there may be a new one by its name
	}
}

func (ss *sessions) find(key sessionKey, check bool) (*session, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.all[key]; s != nil {
		return s, nil
	}
	if check {
		return nil, exception.New(exception.CodeSessionNotFound, "SESSION_NOT_FOUND", "Session %s not found", key.id)
	}
	own := 0
	for k := range ss.all {
		if k.account == key.account {
			own++
		}
	}
	if own >= MaxAccountSessions && !ss.giveWay(key.account) || len(ss.all) >= MaxSessions && !ss.giveWay("") {
		return nil, exception.New(exception.CodeSessionLimit, "USER_SESSION_LIMIT_EXCEEDED",
			"There are %d sessions of this account and %d in all, of at most %d and %d: use fewer session ids, "+
				"or a shorter session_timeout", own, len(ss.all), MaxAccountSessions, MaxSessions)
	}
	s := &session{key: key, turn: make(chan struct{}, 1), settings: make(map[string]string)}
	ss.all[key] = s
	return s, nil
}

// giveWay ends the session that has been idle for the longest and holds nothing that its client
// could miss. Clients make a session id for each of their objects, and hardly ever use it.
func (ss *sessions) giveWay(account string) bool {
	var oldest *session
	for _, s := range ss.all {
		if account != "" && s.key.account != account {
			continue
		}
		select {
		case s.turn <- struct{}{}:
			if s.expiry != nil && s.empty() && (oldest == nil || s.used.Before(oldest.used)) {
				oldest = s
			}
			<-s.turn
		default: // a statement runs
		}
	}
	if oldest == nil {
		return false
	}
	ss.drop(oldest)
	return true
}

func (s *session) empty() bool { return s.database == "" && len(s.settings) == 0 && s.tables == nil }

// begin marks a session as used, unless it has ended.
func (ss *sessions) begin(s *session, timeout time.Duration) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed || ss.all[s.key] != s {
		return false
	}
	s.timeout = timeout
	if s.expiry != nil {
		s.expiry.Stop()
	}
	return true
}

// leave gives the session back: it ends now, or when nobody has used it for its timeout.
func (ss *sessions) leave(s *session, end bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.used = time.Now()
	if end || ss.closed {
		ss.drop(s)
	} else if s.expiry == nil {
		s.expiry = time.AfterFunc(s.timeout, func() { ss.expire(s) })
	} else {
		s.expiry.Reset(s.timeout)
	}
	<-s.turn
}

func (ss *sessions) expire(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		if ss.all[s.key] == s {
			ss.drop(s)
		}
		<-s.turn
	default: // it is used again: leave sets the timer
	}
}

// drop needs the lock and the session's turn.
func (ss *sessions) drop(s *session) {
	delete(ss.all, s.key)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.tables != nil {
		s.tables.Close()
		s.tables = nil
	}
}

// close ends all sessions; no statement runs any more.
func (ss *sessions) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.closed = true
	for _, s := range ss.all {
		ss.drop(s)
	}
}

// adopt gives the request what its session holds and it does not say itself.
func (req *request) adopt(s *session) error {
	if req.changes == statement.Settings {
		for _, t := range statement.Scan(req.Text) {
			if t.Kind != statement.String && strings.HasPrefix(t.Text, "param_") {
				return exception.NotImplemented("Query parameters are not kept in a session: send %s "+
					"with each request", t.Text)
			}
		}
		// What the URL sets is for this request, and a SET is for those after it: they must not be
		// mixed up.
		req.settings = slices.DeleteFunc(req.settings, func(p engine.Param) bool {
			return p.Name != "log_comment" && p.Name != "max_execution_time"
		})
	}
	if req.database == "" {
		req.database = s.database
	}
	for _, name := range slices.Sorted(maps.Keys(s.settings)) {
		value := s.settings[name]
		i := slices.IndexFunc(req.settings, func(p engine.Param) bool { return p.Name == name })
		switch {
		case name == "max_execution_time" && !req.query.Has(name) && i >= 0:
			asked, err := time.ParseDuration(value + "s")
			if err != nil {
				return exception.BadArguments("max_execution_time %q is not a number of seconds", value)
			}
			if asked > 0 && asked < req.timeLimit {
				req.timeLimit, req.settings[i].Value = asked, value
			}
		case i < 0:
			req.settings = append(req.settings, engine.Param{Name: name, Value: value})
		}
	}
	return nil
}

// connect opens the connection on which the request runs: the session's where temporary tables
// are, otherwise one of its own. done gives it back, and takes into the session what the statement
// has changed there.
func (f *Front) connect(s *session, req *request) (c *engine.Conn, done func(succeeded bool) error, err error) {
	own := req.readonly || req.changes == statement.Database || req.changes == statement.Settings
	if s != nil && s.tables != nil && !own {
		if err := f.prepareAgain(s.tables, req); err != nil {
			return nil, nil, errors.Join(err, undo(s.tables, req))
		}
		return s.tables, func(bool) error { return f.keep(s, s.tables, req) }, nil
	}
	if c, err = f.session(req); err != nil {
		return nil, nil, err
	}
	if s == nil || req.changes == statement.Nothing {
		return c, func(bool) error { c.Close(); return nil }, nil
	}
	before := make(map[string]string)
	if req.changes == statement.Settings {
		if before, err = changedSettings(c); err != nil {
			c.Close()
			return nil, nil, err
		}
	}
	return c, func(succeeded bool) error {
		if succeeded && req.changes == statement.Tables {
			return f.keep(s, c, req)
		}
		defer c.Close()
		if !succeeded {
			return nil
		}
		return s.learn(c, req, before)
	}, nil
}

// change runs a statement that changes its session, and answers when the session has it.
func (f *Front) change(ctx context.Context, c *engine.Conn, done func(bool) error, req *request, a *answer) error {
	stop := f.killWhenDone(ctx, req)
	_, st, err := c.Exec(req.Text, req.format, req.params)
	stop()
	if kept := done(err == nil); err == nil {
		err = kept
	}
	if err != nil {
		return err
	}
	return a.finish(st) // these statements have no output
}

// prepareAgain is prepare for a connection that was used before: nothing of another request may be
// left.
func (f *Front) prepareAgain(c *engine.Conn, req *request) error {
	if _, _, err := c.Exec("USE "+statement.Identifier(first(req.database, "default")), "Null", nil); err != nil {
		return err
	}
	return f.prepare(c, req)
}

// keep makes c the session's connection, without what this request set. A connection that cannot
// be cleaned is closed, and the temporary tables with it: the client is told by its next
// statement.
func (f *Front) keep(s *session, c *engine.Conn, req *request) error {
	s.tables = c
	if err := undo(c, req); err != nil {
		c.Close()
		s.tables = nil
		return fmt.Errorf("keep the session: %w", err)
	}
	return nil
}

// undo takes back the request's settings and external tables. A statement that runs here sets
// nothing further.
func undo(c *engine.Conn, req *request) error {
	for _, t := range req.external {
		if _, _, err := c.Exec("DROP TEMPORARY TABLE IF EXISTS "+statement.Identifier(t.name), "Null",
			nil); err != nil {
			return err
		}
	}
	reset := make([]string, 0, len(req.settings)) // never empty: log_comment is set for each request
	for _, s := range req.settings {
		reset = append(reset, s.Name+" = DEFAULT")
	}
	_, _, err := c.Exec("SET "+strings.Join(reset, ", "), "Null", nil)
	return err
}

// changedSettings are the settings of a connection that are not the engine's defaults.
func changedSettings(c *engine.Conn) (map[string]string, error) {
	b, _, err := c.Exec("SELECT name, value FROM system.settings WHERE changed", "JSONCompactEachRow", nil)
	if err != nil {
		return nil, fmt.Errorf("read the session's settings: %w", err)
	}
	out := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		var pair [2]string
		if err := json.Unmarshal([]byte(line), &pair); err != nil {
			return nil, fmt.Errorf("read the session's settings: %w", err)
		}
		out[pair[0]] = pair[1]
	}
	return out, nil
}

// learn takes into the session what a USE or SET has changed on its connection.
func (s *session) learn(c *engine.Conn, req *request, before map[string]string) error {
	if req.changes == statement.Database {
		b, _, err := c.Exec("SELECT currentDatabase()", "RawBLOB", nil)
		if err != nil {
			return fmt.Errorf("read the session's database: %w", err)
		}
		s.database = string(b)
		return nil
	}
	after, err := changedSettings(c)
	if err != nil {
		return err
	}
	settings, size := make(map[string]string), 0
	for name, value := range after {
		_, ours := s.settings[name]
		was, set := before[name]
		if name == "log_comment" || set && value == was && !ours {
			continue // the front's own
		}
		settings[name] = value
		size += len(name) + len(value)
	}
	if size > maxSessionSettings {
		return exception.BadArguments("the session's settings would have %d bytes, of at most %d", size,
			maxSessionSettings)
	}
	s.settings = settings
	return nil
}
