package clickhouse

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// lib is libchdb's C interface, as far as the front uses it. Handles are unsafe.Pointer to memory that
// the library owns; the Go garbage collector neither moves nor frees it.
type lib struct {
	version          func() string
	setSignals       func(enabled int32)
	connect          func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn        func(conn unsafe.Pointer)
	query            func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamQuery      func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamFetch      func(conn unsafe.Pointer, result unsafe.Pointer) unsafe.Pointer
	streamCancel     func(conn unsafe.Pointer, result unsafe.Pointer)
	destroyResult    func(result unsafe.Pointer)
	streamInsert     func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamAppend     func(stream unsafe.Pointer, data unsafe.Pointer, n uintptr) int32
	streamDone       func(stream unsafe.Pointer) unsafe.Pointer
	streamCancelIns  func(stream unsafe.Pointer)
	streamInsertErr  func(stream unsafe.Pointer) string
	destroyStream    func(stream unsafe.Pointer)
	classify         func(conn unsafe.Pointer, q unsafe.Pointer, qn uintptr, db unsafe.Pointer, dbn uintptr, out unsafe.Pointer) int32
	resultBuffer     func(result unsafe.Pointer) unsafe.Pointer
	resultLength     func(result unsafe.Pointer) uintptr
	resultError      func(result unsafe.Pointer) string
	resultRows       func(result unsafe.Pointer) uint64
	resultBytes      func(result unsafe.Pointer) uint64
	resultReadRows   func(result unsafe.Pointer) uint64
	resultReadBytes  func(result unsafe.Pointer) uint64
	resultWrittenRow func(result unsafe.Pointer) uint64
	resultWrittenByt func(result unsafe.Pointer) uint64
	shutdown         func() int32
}

// openLib loads the shared library and binds the C functions. Go's signal handlers survive it.
func openLib(path string) (*lib, error) {
	saved, err := saveSignalHandlers()
	if err != nil {
		return nil, err
	}
	handle, err := dlopen(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := new(lib)
	for name, fn := range map[string]any{
		"chdb_version": &l.version, "chdb_set_signal_handlers_enabled": &l.setSignals,
		"chdb_connect": &l.connect, "chdb_close_conn": &l.closeConn,
		"chdb_query_with_params_n": &l.query, "chdb_stream_query_with_params_n": &l.streamQuery,
		"chdb_stream_fetch_result": &l.streamFetch, "chdb_stream_cancel_query": &l.streamCancel,
		"chdb_destroy_query_result": &l.destroyResult, "chdb_stream_insert_with_params_n": &l.streamInsert,
		"chdb_stream_append": &l.streamAppend, "chdb_stream_done": &l.streamDone,
		"chdb_stream_cancel_insert": &l.streamCancelIns, "chdb_stream_insert_error": &l.streamInsertErr,
		"chdb_destroy_insert_stream": &l.destroyStream, "chdb_classify_query_n": &l.classify,
		"chdb_result_buffer": &l.resultBuffer, "chdb_result_length": &l.resultLength, "chdb_result_error": &l.resultError,
		"chdb_result_rows_read": &l.resultRows, "chdb_result_bytes_read": &l.resultBytes,
		"chdb_result_storage_rows_read": &l.resultReadRows, "chdb_result_storage_bytes_read": &l.resultReadBytes,
		"chdb_result_rows_written": &l.resultWrittenRow, "chdb_result_bytes_written": &l.resultWrittenByt,
		"chdb_shutdown": &l.shutdown,
	} {
		sym, err := dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not a libchdb this front knows: %w", path, err)
		}
		purego.RegisterFunc(fn, sym)
	}
	l.setSignals(0)
	if err := saved.restore(); err != nil {
		return nil, err
	}
	return l, nil
}

// conn is one connection: one session with its own settings and current database. It takes one
// statement at a time; the caller serialises.
type conn struct {
	lib    *lib
	handle unsafe.Pointer // chdb_connection *, as chdb_connect returned it
}

func (l *lib) dial(args []string) (*conn, error) {
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
	return &conn{lib: l, handle: h}, nil
}

func (c *conn) raw() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

func (c *conn) close() { c.lib.closeConn(c.handle); c.handle = nil }

// params are query parameters, name and value alternating in order of appearance.
type param struct{ name, value string }

type cparams struct {
	pin                       runtime.Pinner
	names, values             []*byte
	nameLens, valueLens       []uintptr
	pn, pnl, pv, pvl          unsafe.Pointer
	query, format             unsafe.Pointer
	queryLen, formatLen, size uintptr
}

// pinned lays a call's strings out in memory that stays where it is until release.
func pinned(query, format string, params []param) *cparams {
	p := new(cparams)
	p.query, p.queryLen = p.bytes(query), uintptr(len(query))
	p.format, p.formatLen = p.bytes(format), uintptr(len(format))
	p.size = uintptr(len(params))
	if len(params) == 0 {
		return p
	}
	for _, kv := range params {
		p.names = append(p.names, (*byte)(p.bytes(kv.name)))
		p.nameLens = append(p.nameLens, uintptr(len(kv.name)))
		p.values = append(p.values, (*byte)(p.bytes(kv.value)))
		p.valueLens = append(p.valueLens, uintptr(len(kv.value)))
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

// stats are what the engine counted for one statement.
type stats struct {
	ReadRows, ReadBytes, WrittenRows, WrittenBytes, ResultRows, ResultBytes uint64
}

func (s *stats) add(o stats) {
	s.ReadRows += o.ReadRows
	s.ReadBytes += o.ReadBytes
	s.WrittenRows += o.WrittenRows
	s.WrittenBytes += o.WrittenBytes
	s.ResultRows += o.ResultRows
	s.ResultBytes += o.ResultBytes
}

// result is one piece of output, in memory of the engine until release.
type result struct {
	lib *lib
	h   unsafe.Pointer
	stats
}

func (l *lib) result(h unsafe.Pointer) (*result, error) {
	if h == nil {
		return nil, errors.New("the engine returned no result")
	}
	if msg := l.resultError(h); msg != "" {
		l.destroyResult(h)
		return nil, parseException(msg)
	}
	return &result{lib: l, h: h, stats: stats{
		ReadRows: l.resultReadRows(h), ReadBytes: l.resultReadBytes(h),
		WrittenRows: l.resultWrittenRow(h), WrittenBytes: l.resultWrittenByt(h),
		ResultRows: l.resultRows(h), ResultBytes: l.resultBytes(h),
	}}, nil
}

// bytes are valid until release.
func (r *result) bytes() []byte {
	n := r.lib.resultLength(r.h)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.h)), n)
}

func (r *result) release() { r.lib.destroyResult(r.h); r.h = nil }

// whole runs one statement to its end.
func (c *conn) whole(query, format string, params []param) (*result, error) {
	p := pinned(query, format, params)
	defer p.release()
	return c.lib.result(c.lib.query(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl, p.pv, p.pvl, p.size))
}

// exec is whole with a copied, small output.
func (c *conn) exec(query, format string, params []param) ([]byte, stats, error) {
	r, err := c.whole(query, format, params)
	if err != nil {
		return nil, stats{}, err
	}
	defer r.release()
	return bytes.Clone(r.bytes()), r.stats, nil
}

// rows is a running streamed statement; close it in any case.
type rows struct {
	c *conn
	h unsafe.Pointer
}

func (c *conn) stream(query, format string, params []param) (*rows, error) {
	p := pinned(query, format, params)
	defer p.release()
	h := c.lib.streamQuery(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl, p.pv, p.pvl, p.size)
	if h == nil {
		return nil, errors.New("the engine returned no stream")
	}
	if msg := c.lib.resultError(h); msg != "" {
		c.lib.destroyResult(h)
		return nil, parseException(msg)
	}
	return &rows{c: c, h: h}, nil
}

// next returns the next chunk of output; an empty one is the end.
func (r *rows) next() (*result, error) { return r.c.lib.result(r.c.lib.streamFetch(r.c.raw(), r.h)) }

func (r *rows) cancel() { r.c.lib.streamCancel(r.c.raw(), r.h) }

func (r *rows) close() { r.c.lib.destroyResult(r.h); r.h = nil }

// insert is a running INSERT that takes its data in chunks; close it in any case. Closing one that was
// not committed cancels it.
type insert struct {
	c *conn
	h unsafe.Pointer
}

func (c *conn) insert(query, format string, params []param) (*insert, error) {
	p := pinned(query, format, params)
	defer p.release()
	h := c.lib.streamInsert(c.raw(), p.query, p.queryLen, p.format, p.formatLen, p.pn, p.pnl, p.pv, p.pvl, p.size)
	if h == nil {
		return nil, errors.New("the engine returned no insert stream")
	}
	if msg := c.lib.streamInsertErr(h); msg != "" {
		c.lib.destroyStream(h)
		return nil, parseException(msg)
	}
	return &insert{c: c, h: h}, nil
}

func (i *insert) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if i.c.lib.streamAppend(i.h, unsafe.Pointer(&b[0]), uintptr(len(b))) != 0 {
		if msg := i.c.lib.streamInsertErr(i.h); msg != "" {
			return 0, parseException(msg)
		}
		return 0, errors.New("the engine refused insert data")
	}
	return len(b), nil
}

func (i *insert) commit() (stats, error) {
	r, err := i.c.lib.result(i.c.lib.streamDone(i.h))
	if err != nil {
		return stats{}, err
	}
	defer r.release()
	return r.stats, nil
}

func (i *insert) close() { i.c.lib.destroyStream(i.h); i.h = nil }
