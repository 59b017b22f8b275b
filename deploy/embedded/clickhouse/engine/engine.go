// Package engine calls ClickHouse's own engine, the library libchdb, without cgo: connections,
// statements, streams of results and of data.
//
// It owns the library's handles in this process, and the signal handlers that the library takes
// away. A fault in the library ends the process, so that only a child loads it. It trusts the
// library whose path it is given.
package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// Library is libchdb's C interface, as far as it is used here. Handles are unsafe.Pointer to
// memory that the library owns; the Go garbage collector neither moves nor frees it.
type Library struct {
	version    func() string
	setSignals func(enabled int32)
	connect    func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn  func(conn unsafe.Pointer)
	query      func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamQuery func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamFetch   func(conn unsafe.Pointer, result unsafe.Pointer) unsafe.Pointer
	streamCancel  func(conn unsafe.Pointer, result unsafe.Pointer)
	destroyResult func(result unsafe.Pointer)
	streamInsert  func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamAppend    func(stream unsafe.Pointer, data unsafe.Pointer, n uintptr) int32
	streamDone      func(stream unsafe.Pointer) unsafe.Pointer
	streamCancelIns func(stream unsafe.Pointer)
	streamInsertErr func(stream unsafe.Pointer) string
	destroyStream   func(stream unsafe.Pointer)
	classify        func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, db unsafe.Pointer, dbn uintptr,
		out unsafe.Pointer) int32
	resultBuffer     func(result unsafe.Pointer) unsafe.Pointer
	resultLength     func(result unsafe.Pointer) uintptr
	resultError      func(result unsafe.Pointer) string
	resultRows       func(result unsafe.Pointer) uint64
	resultBytes      func(result unsafe.Pointer) uint64
	resultReadRows   func(result unsafe.Pointer) uint64
	resultReadBytes  func(result unsafe.Pointer) uint64
	resultWrittenRow func(result unsafe.Pointer) uint64
	resultWrittenByt func(result unsafe.Pointer) uint64
	endEngine        func() int32
}

// Load loads the shared library and binds the C functions. Go's signal handlers survive it.
func Load(path string) (*Library, error) {
	saved, err := SaveHandlers()
	if err != nil {
		return nil, err
	}
	handle, err := dlopen(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := new(Library)
	for name, fn := range map[string]any{
		"chdb_version": &l.version, "chdb_set_signal_handlers_enabled": &l.setSignals,
		"chdb_connect": &l.connect, "chdb_close_conn": &l.closeConn,
		"chdb_query_with_params_n": &l.query, "chdb_stream_query_with_params_n": &l.streamQuery,
		"chdb_stream_fetch_result": &l.streamFetch, "chdb_stream_cancel_query": &l.streamCancel,
		"chdb_destroy_query_result": &l.destroyResult, "chdb_stream_insert_with_params_n": &l.streamInsert,
		"chdb_stream_append": &l.streamAppend, "chdb_stream_done": &l.streamDone,
		"chdb_stream_cancel_insert": &l.streamCancelIns, "chdb_stream_insert_error": &l.streamInsertErr,
		"chdb_destroy_insert_stream": &l.destroyStream, "chdb_classify_query_n": &l.classify,
		"chdb_result_buffer": &l.resultBuffer, "chdb_result_length": &l.resultLength,
		"chdb_result_error":     &l.resultError,
		"chdb_result_rows_read": &l.resultRows, "chdb_result_bytes_read": &l.resultBytes,
		"chdb_result_storage_rows_read": &l.resultReadRows, "chdb_result_storage_bytes_read": &l.resultReadBytes,
		"chdb_result_rows_written": &l.resultWrittenRow, "chdb_result_bytes_written": &l.resultWrittenByt,
		"chdb_shutdown": &l.endEngine,
	} {
		sym, err := dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not a libchdb this front knows: %w", path, err)
		}
		purego.RegisterFunc(fn, sym)
	}
	l.setSignals(0)
	if err := saved.Restore(); err != nil {
		return nil, err
	}
	return l, nil
}

// Shutdown ends the engine, whose connections must be closed, and says whether
// all its threads have ended.
func (l *Library) Shutdown() bool { return l.endEngine() == 0 }

// Conn is one connection: one session with its own settings and current database. It takes one
// statement at a time; the caller serialises.
type Conn struct {
	lib    *Library
	handle unsafe.Pointer // chdb_connection *, as chdb_connect returned it
}

// Dial opens a connection. The args are those of the clickhouse program, as --path=….
func (l *Library) Dial(args []string) (*Conn, error) {
	argv := make([]*byte, 0, len(args)+2)
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, a := range append([]string{"clickhouse"}, args...) {
		b := append([]byte(a), 0)
		pin.Pin(&b[0])
		argv = append(argv, &b[0])
	}
	argc := len(argv)
	argv = append(argv, nil)
	pin.Pin(&argv[0])
	h := l.connect(int32(argc), unsafe.Pointer(&argv[0]))
	if h == nil || *(*unsafe.Pointer)(h) == nil {
		return nil, errors.New("the engine refused to open a connection")
	}
	return &Conn{lib: l, handle: h}, nil
}

func (c *Conn) raw() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

// Close ends the session, and what is temporary in it.
func (c *Conn) Close() { c.lib.closeConn(c.handle); c.handle = nil }

// Param is a query parameter.
type Param struct{ Name, Value string }

type cparams struct {
	pin                       runtime.Pinner
	names, values             []*byte
	nameLens, valueLens       []uintptr
	pn, pnl, pv, pvl          unsafe.Pointer
	query, format             unsafe.Pointer
	queryLen, formatLen, size uintptr
}

// pinned lays a call's strings out in memory that stays where it is until release.
func pinned(query, format string, params []Param) *cparams {
	p := new(cparams)
	p.query, p.queryLen = p.bytes(query), uintptr(len(query))
	p.format, p.formatLen = p.bytes(format), uintptr(len(format))
	p.size = uintptr(len(params))
	if len(params) == 0 {
		return p
	}
	for _, kv := range params {
		p.names = append(p.names, (*byte)(p.bytes(kv.Name)))
		p.nameLens = append(p.nameLens, uintptr(len(kv.Name)))
		p.values = append(p.values, (*byte)(p.bytes(kv.Value)))
		p.valueLens = append(p.valueLens, uintptr(len(kv.Value)))
	}
	p.pin.Pin(&p.names[0])
	p.pin.Pin(&p.values[0])
	p.pin.Pin(&p.nameLens[0])
	p.pin.Pin(&p.valueLens[0])
	p.pn, p.pv = unsafe.Pointer(&p.names[0]), unsafe.Pointer(&p.values[0])
	p.pnl, p.pvl = unsafe.Pointer(&p.nameLens[0]), unsafe.Pointer(&p.valueLens[0])
	return p
}

func (p *cparams) bytes(s string) unsafe.Pointer {
	b := append([]byte(s), 0)
	p.pin.Pin(&b[0])
	return unsafe.Pointer(&b[0])
}

func (p *cparams) release() { p.pin.Unpin() }

// Stats are what the engine counted for one statement.
type Stats struct {
	ReadRows, ReadBytes, WrittenRows, WrittenBytes, ResultRows, ResultBytes uint64
}

// Add adds what another statement counted.
func (s *Stats) Add(o Stats) {
	s.ReadRows += o.ReadRows
	s.ReadBytes += o.ReadBytes
	s.WrittenRows += o.WrittenRows
	s.WrittenBytes += o.WrittenBytes
	s.ResultRows += o.ResultRows
	s.ResultBytes += o.ResultBytes
}

// Result is one piece of output, in memory of the engine until release.
type Result struct {
	lib *Library
	h   unsafe.Pointer
	Stats
}

func (l *Library) result(h unsafe.Pointer) (*Result, error) {
	if h == nil {
		return nil, errors.New("the engine returned no result")
	}
	if msg := l.resultError(h); msg != "" {
		l.destroyResult(h)
		return nil, exception.Parse(msg)
	}
	return &Result{lib: l, h: h, Stats: Stats{
		ReadRows: l.resultReadRows(h), ReadBytes: l.resultReadBytes(h),
		WrittenRows: l.resultWrittenRow(h), WrittenBytes: l.resultWrittenByt(h),
		ResultRows: l.resultRows(h), ResultBytes: l.resultBytes(h),
	}}, nil
}

// Bytes are valid until release.
func (r *Result) Bytes() []byte {
	n := r.lib.resultLength(r.h)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.h)), n)
}

// Release gives the memory back to the engine.
func (r *Result) Release() { r.lib.destroyResult(r.h); r.h = nil }

// Whole runs one statement to its end.
func (c *Conn) Whole(query, format string, params []Param) (*Result, error) {
	p := pinned(query, format, params)
	defer p.release()
	return c.lib.result(c.lib.query(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl,
		p.pv, p.pvl, p.size))
}

// Exec is whole with a copied, small output.
func (c *Conn) Exec(query, format string, params []Param) ([]byte, Stats, error) {
	r, err := c.Whole(query, format, params)
	if err != nil {
		return nil, Stats{}, err
	}
	defer r.Release()
	return bytes.Clone(r.Bytes()), r.Stats, nil
}

// Rows is a running streamed statement; close it in any case.
type Rows struct {
	c *Conn
	h unsafe.Pointer
}

// Stream starts a statement whose result comes in chunks.
func (c *Conn) Stream(query, format string, params []Param) (*Rows, error) {
	p := pinned(query, format, params)
	defer p.release()
	h := c.lib.streamQuery(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl, p.pv, p.pvl, p.size)
	if h == nil {
		return nil, errors.New("the engine returned no stream")
	}
	if msg := c.lib.resultError(h); msg != "" {
		c.lib.destroyResult(h)
		return nil, exception.Parse(msg)
	}
	return &Rows{c: c, h: h}, nil
}

// Next returns the next chunk of output; an empty one is the end.
func (r *Rows) Next() (*Result, error) { return r.c.lib.result(r.c.lib.streamFetch(r.c.raw(), r.h)) }

// Cancel stops the statement.
func (r *Rows) Cancel() { r.c.lib.streamCancel(r.c.raw(), r.h) }

// Close gives the stream back.
func (r *Rows) Close() { r.c.lib.destroyResult(r.h); r.h = nil }

// Insert is a running INSERT that takes its data in chunks; close it in any case. Closing one that
// was not committed cancels it.
type Insert struct {
	c *Conn
	h unsafe.Pointer
}

// Insert starts an INSERT, whose text ends where its data would begin.
func (c *Conn) Insert(query, format string, params []Param) (*Insert, error) {
	p := pinned(query, format, params)
	defer p.release()
	h := c.lib.streamInsert(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl, p.pv, p.pvl, p.size)
	if h == nil {
		return nil, errors.New("the engine returned no insert stream")
	}
	if msg := c.lib.streamInsertErr(h); msg != "" {
		c.lib.destroyStream(h)
		return nil, exception.Parse(msg)
	}
	return &Insert{c: c, h: h}, nil
}

// Write takes the next bytes of the data.
func (i *Insert) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if i.c.lib.streamAppend(i.h, unsafe.Pointer(&b[0]), uintptr(len(b))) != 0 {
		if msg := i.c.lib.streamInsertErr(i.h); msg != "" {
			return 0, exception.Parse(msg)
		}
		return 0, errors.New("the engine refused insert data")
	}
	return len(b), nil
}

// Commit ends the data and waits until the engine has written them.
func (i *Insert) Commit() (Stats, error) {
	r, err := i.c.lib.result(i.c.lib.streamDone(i.h))
	if err != nil {
		return Stats{}, err
	}
	defer r.Release()
	return r.Stats, nil
}

// Close gives the stream back; what was not committed is dropped.
func (i *Insert) Close() { i.c.lib.destroyStream(i.h); i.h = nil }
