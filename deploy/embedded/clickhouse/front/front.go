// Package front answers ClickHouse's HTTP interface from the engine: accounts, sessions, settings,
// external tables, compression, results as they come.
//
// It owns the requests that are under way and the sessions' temporary tables, and may lose both:
// what a statement acknowledged is the engine's. It trusts an account as far as package guard
// says; whoever else reaches it is a stranger. See DESIGN.md.
package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// Front answers ClickHouse's HTTP interface from the engine. Each request gets a connection of its
// own, so neither settings, nor a current database, nor a temporary table outlives the request
// that made it, unless it names a session.
type Front struct {
	dial  func() (*engine.Conn, error)
	info  engineInfo
	slots slots         // one per statement that runs
	limit time.Duration // upper bound of max_execution_time, 0 for none
	// Bytes that one statement of a reader may take.
	readerMemory int64
	tmp          string            // results that wait for their end
	certifies    func(string) bool // nil: plain HTTP, on a loopback address
	// Ends when running statements must.
	stopping context.Context
	logger   *slog.Logger

	passports *passports
	door      *door
	guard     *guard.Guard
	sessions  *sessions
	ongoing   *running
	// Every statement that still runs holds one; the engine may be closed only at zero.
	running sync.WaitGroup
}

// Config is what a front is made of.
type Config struct {
	Dial     func() (*engine.Conn, error) // opens a connection to the engine
	Version  string                       // the engine's
	Timezone string                       // the engine's
	Accounts []Account                    // who may use the server
	Open     bool                         // nobody is asked

	MaxConcurrent    int           // statements that run at a time
	ReaderConcurrent int           // of them, those of accounts that read
	MaxExecutionTime time.Duration // upper bound of max_execution_time, 0 for none
	ReaderMemory     int64         // bytes that one statement of a reader may take; see ReaderShare
	Backups          bool          // BACKUP and RESTORE have a directory
	Tmp              string        // a directory for results that wait for their end

	Certifies func(host string) bool // whether the server's certificate names a host; nil for plain HTTP
	Stopping  context.Context        // ends when running statements must
	Logger    *slog.Logger
}

// New returns a front that has served nothing yet.
func New(cfg Config) *Front {
	return &Front{
		dial: cfg.Dial, info: engineInfo{cfg.Version, cfg.Timezone},
		slots: newSlots(cfg.MaxConcurrent, cfg.ReaderConcurrent), limit: cfg.MaxExecutionTime,
		readerMemory: cfg.ReaderMemory, tmp: cfg.Tmp, certifies: cfg.Certifies, stopping: cfg.Stopping,
		logger: cfg.Logger,
		passports: &passports{accounts: cfg.Accounts, open: cfg.Open, failed: rareLog{logger: cfg.Logger,
			text: "requests without an account's name and password were turned away"}},
		door: newDoor(), guard: guard.New(cfg.Dial, cfg.Backups), sessions: newSessions(), ongoing: newRunning(),
	}
}

// Listen makes ln's connections come in through the front's door, which bounds them.
func (f *Front) Listen(ln net.Listener) net.Listener { return f.door.listen(ln) }

// Close waits for the statements that still run and gives back every connection to the engine. No
// request may come any more.
func (f *Front) Close() {
	f.running.Wait()
	f.guard.Close()
	f.sessions.close()
}

// ServeHTTP answers one request.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.running.Add(1)
	defer f.running.Done()
	if fromElsewhere(r) || !f.trustedHost(r) {
		turnAway(w, r, errForeign)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		turnAway(w, r, &exception.Exception{Code: exception.CodeNotImplemented, Status: http.StatusMethodNotAllowed,
			Text: exception.NotImplemented("Only GET, HEAD and POST are supported").Text})
		return
	}
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		ok(w)
		return
	case "/", "":
		if r.Method != http.MethodPost && !r.URL.Query().Has("query") {
			ok(w)
			return
		}
	default:
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\n\nSend queries from "+
			"your program with POST method or GET /?query=...\n", http.StatusNotFound)
		return
	}
	q, err := parseQuery(r.URL.RawQuery)
	var account *Account
	if err == nil {
		account, err = f.passports.of(r, q)
	}
	if err == nil {
		err = f.door.admit(r.Context(), account)
	}
	if err != nil {
		turnAway(w, r, err)
		return
	}
	w.Header().Set("X-ClickHouse-Server-Display-Name", displayName)
	a := &answer{w: w, http: http.NewResponseController(w), started: time.Now()}
	req, err := f.read(r, q, account, a)
	if err == nil {
		w.Header().Set("X-ClickHouse-Query-Id", req.id)
		w.Header().Set("X-ClickHouse-Timezone", f.info.timezone)
		a.req, a.tmp = req, f.tmp
		err = f.serve(r.Context(), req, a)
	}
	if err != nil {
		a.fail(r, err)
	}
}

// read takes a request's statement, for which its client has as long as for anything that is
// waited for. The data of an insert come later.
func (f *Front) read(r *http.Request, q url.Values, account *Account, a *answer) (*request, error) {
	if err := a.http.SetReadDeadline(time.Now().Add(clientPatience)); err != nil {
		return nil, bodyError(err)
	}
	req, err := parseRequest(r, q, account, f.limit)
	if err != nil {
		return nil, err
	}
	req.mostMemory = f.readerMemory
	// From here the connection is read to learn that its client has gone,
	// however long the statement runs.
	return req, a.http.SetReadDeadline(time.Time{})
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "Ok.\n") // the client is gone if this fails
}

// errForeign says nothing of who would be let in.
var errForeign = &exception.Exception{Code: exception.CodeAuthenticationFailed, Status: http.StatusForbidden,
	Text: exception.New(exception.CodeAuthenticationFailed, "AUTHENTICATION_FAILED",
		"The request comes from a web page of elsewhere, or names another host than this server's").Text}

// mayRun asks the guard about everything in the request that the engine would parse.
func (f *Front) mayRun(ctx context.Context, req *request) error {
	if err := req.allowedSettings(); err != nil {
		return err
	}
	if req.format != "" {
		if err := guard.Format(req.format, req.writes()); err != nil {
			return err
		}
	}
	for _, t := range req.external {
		if err := guard.Format(t.format, req.writes()); err != nil {
			return err
		}
		// The structure is the client's, and may have DEFAULT expressions.
		if err := f.guard.Check(ctx, guard.Question{Statement: statement.Statement{Text: t.create()},
			Writes: req.writes()}); err != nil {
			return fmt.Errorf("external table %s: %w", t.name, err)
		}
	}
	return f.guard.Check(ctx, guard.Question{Statement: req.Statement, Params: req.params, Database: req.database,
		Writes: req.writes()})
}

// serve runs one statement and writes its result.
func (f *Front) serve(ctx context.Context, req *request, a *answer) error {
	if req.hello {
		b, err := f.info.hello()
		if err != nil {
			return err
		}
		if _, err := a.Write(b); err != nil {
			return err
		}
		return a.finish(engine.Stats{})
	}
	session, err := f.sessions.enter(ctx, req.account.Name, req.query)
	if err != nil {
		return err
	}
	if session != nil {
		defer f.sessions.leave(session, flag(req.query, "close_session"))
		if err := req.adopt(session); err != nil {
			return err
		}
	}
	// What the session adds is looked at like what the request brings.
	if err := f.mayRun(ctx, req); err != nil {
		return err
	}
	// KILL takes no slot: it is what frees one.
	if statement.Kills(req.Text) { // every other statement is not scanned for it
		if k, ok := statement.ParseKill(statement.Scan(req.Text)); ok {
			return f.kill(ctx, k, req, a)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inserting, cancelInsert := context.WithCancelCause(f.stopping)
	defer cancelInsert(nil)
	defer f.ongoing.add(req.account.Name, req.id, req.Text, func(err error) { cancel(err); cancelInsert(err) })()
	release, err := f.slots.take(ctx, req.account)
	if err != nil {
		return err
	}
	defer release()
	c, done, err := f.connect(session, req)
	if err != nil {
		return err
	}
	switch {
	case session != nil && req.changes != statement.Nothing:
		return f.change(ctx, c, done, req, a)
	case req.Insert:
		err = f.runInsert(inserting, c, req, a)
	default:
		err = f.run(ctx, cancel, c, req, a)
	}
	if lost := done(err == nil); lost != nil { // its client is told when it next needs what is gone
		f.logger.Warn("temporary tables of a session are gone", "error", lost)
	}
	return err
}

// runInsert commits data that has arrived, whatever becomes of its client, as a server does; a
// body cut short ends it anyway.
func (f *Front) runInsert(ctx context.Context, c *engine.Conn, req *request, a *answer) error {
	stop := f.killWhenDone(ctx, req)
	defer stop()
	return f.insert(ctx, c, req, a)
}

func (f *Front) run(ctx context.Context, cancel context.CancelCauseFunc, c *engine.Conn, req *request,
	a *answer) error {
	stop := f.killWhenDone(ctx, req)
	defer stop()
	switch {
	case req.Reads && chunked[req.format]:
		return f.stream(ctx, c, req, a)
	case req.Reads:
		return f.pipe(cancel, c, req, a)
	}
	return f.whole(c, req, a)
}

// session opens a connection with the request's database and settings. readonly comes last:
// nothing after it can be changed.
func (f *Front) session(req *request) (*engine.Conn, error) {
	c, err := f.dial()
	if err != nil {
		return nil, fmt.Errorf("open a connection: %w", err)
	}
	if err := f.prepare(c, req); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (f *Front) prepare(c *engine.Conn, req *request) error {
	for _, q := range req.preamble() {
		if _, _, err := c.Exec(q, "Null", nil); err != nil {
			return err
		}
	}
	for _, t := range req.external {
		if err := t.load(c); err != nil {
			return fmt.Errorf("load external table %s: %w", t.name, err)
		}
	}
	return nil
}

func (req *request) preamble() []string {
	var out []string
	if req.database != "" && req.database != "default" {
		out = append(out, "USE "+statement.Identifier(req.database))
	}
	var set []string
	for _, s := range append(slices.Clone(req.settings), req.profile()...) {
		set = append(set, s.Name+" = "+statement.Literal(s.Value))
	}
	if req.readonly {
		set = append(set, "readonly = 1")
	}
	return append(out, "SET "+strings.Join(set, ", "))
}

// killWhenDone stops the statement when its client is gone or the server must end. The returned
// function ends the watch and waits for it.
func (f *Front) killWhenDone(ctx context.Context, req *request) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		// The statement may not have started yet, so one KILL is not enough.
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := f.stop(req.mark); err != nil {
				f.logger.Warn("kill a statement without a client", "query_id", req.id, "error", err)
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func (f *Front) stop(mark string) error {
	c, err := f.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	_, _, err = c.Exec("KILL QUERY WHERE Settings['log_comment'] = "+statement.Literal(mark)+" ASYNC", "Null", nil)
	return err
}

// stream passes a result on chunk by chunk: memory stays constant whatever its size.
func (f *Front) stream(ctx context.Context, c *engine.Conn, req *request, a *answer) error {
	rows, err := c.Stream(req.Text, req.format, req.params)
	if err != nil {
		return err
	}
	defer rows.Close()
	var total engine.Stats
	for {
		chunk, err := rows.Next()
		if err != nil {
			return err
		}
		total.Add(chunk.Stats)
		b := chunk.Bytes()
		end := len(b) == 0
		if ctx.Err() != nil {
			err = exception.Cancelled(ctx)
		} else {
			_, err = a.Write(b)
		}
		chunk.Release()
		if err != nil {
			rows.Cancel()
			return err
		}
		if end {
			return a.finish(total)
		}
	}
}

// pipe streams a result in any format: the engine takes a pipe of this process for the file of an
// INTO OUTFILE and writes one document into it, in constant memory.
func (f *Front) pipe(cancel context.CancelCauseFunc, c *engine.Conn, req *request, a *answer) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("stream a result: %w", err)
	}
	text := req.Text[:req.Output] + "\nINTO OUTFILE '/dev/fd/" + strconv.Itoa(int(w.Fd())) + "' TRUNCATE "
	if req.Output == len(req.Text) {
		text += "FORMAT " + req.format
	} else {
		text += req.Text[req.Output:]
	}
	var st engine.Stats
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		var res *engine.Result
		if res, failed = c.Whole(text, req.format, req.params); failed == nil {
			st = res.Stats
			res.Release()
		}
		if err := w.Close(); failed == nil { // not before the engine is through: it opens the pipe by this number
			failed = err
		}
	})
	_, sent := io.Copy(a, r)
	if sent != nil {
		// The engine must not write into a pipe without a reader: stop it, and
		// read what it still writes.
		cancel(sent)
		_, _ = io.Copy(io.Discard, r)
	}
	wg.Wait()
	_ = r.Close() // read to its end
	switch {
	case sent != nil:
		return sent
	case failed == nil:
		return a.finish(st)
	case exception.As(failed).Code == exception.CodeSyntaxError && a.empty():
		// The text was changed: have the engine speak of the client's own. It cannot run.
		return f.whole(c, req, a)
	}
	return failed
}

// whole lets the engine build the result as one piece: for statements that
// are no SELECT it is small.
func (f *Front) whole(c *engine.Conn, req *request, a *answer) error {
	res, err := c.Whole(req.Text, req.format, req.params)
	if err != nil {
		return err
	}
	defer res.Release()
	if _, err := a.Write(res.Bytes()); err != nil {
		return err
	}
	return a.finish(res.Stats)
}

// insert pushes the body through the engine's insert stream, which takes any byte, unlike
// data inline behind an INSERT.
func (f *Front) insert(ctx context.Context, c *engine.Conn, req *request, a *answer) error {
	ins, err := c.Insert(req.Text, req.format, req.params)
	if err != nil {
		return err
	}
	defer ins.Close()
	wake := context.AfterFunc(ctx, func() { _ = a.http.SetReadDeadline(time.Now()) }) // of one that waits for data
	defer wake()
	buf := make([]byte, 1<<20)
	for end := false; !end; {
		if err := a.http.SetReadDeadline(time.Now().Add(clientPatience)); err != nil {
			return fmt.Errorf("read insert data: %w", err)
		}
		if ctx.Err() != nil {
			return exception.Cancelled(ctx)
		}
		n, err := fill(req.input, buf)
		if ctx.Err() != nil {
			return exception.Cancelled(ctx)
		}
		if end = errors.Is(err, io.EOF); err != nil && !end {
			return bodyError(err) // closing without a commit cancels
		}
		if _, err := ins.Write(buf[:n]); err != nil {
			return valuesHint(err)
		}
	}
	if err := a.http.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("read insert data: %w", err)
	}
	st, err := ins.Commit()
	if err != nil {
		return valuesHint(err)
	}
	return a.finish(st)
}

// fill reads until buf is full or r ends. A body cut short is io.ErrUnexpectedEOF, never io.EOF.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func newTag() string { return strings.ReplaceAll(uuid.NewString(), "-", "")[:16] }
