package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// A result is held back until it is this large, as the server does: an error up to then gets an
// HTTP status of its own. wait_end_of_query holds all of it back, beyond this size in a file.
const holdBack = 1 << 20

// A client that takes or sends nothing for so long is given up: it holds one of a
// bounded number of statements.
const clientPatience = 5 * time.Minute

// How long a response that broke off stays open, at most.
const exceptionLinger = 250 * time.Millisecond

// answer is a response in the making. It belongs to its request's goroutine.
type answer struct {
	w    http.ResponseWriter
	http *http.ResponseController
	req  *request
	tmp  string

	held    bytes.Buffer
	spill   *os.File
	out     encoder // set once the headers are out
	tag     string
	started time.Time
}

func (a *answer) Write(p []byte) (int, error) {
	switch {
	case a.out != nil:
		if err := a.http.SetWriteDeadline(time.Now().Add(clientPatience)); err != nil {
			return 0, err
		}
		n, err := a.out.Write(p)
		if err == nil {
			err = a.out.Flush()
		}
		return n, err
	case a.spill != nil:
		return a.spill.Write(p)
	}
	if a.held.Len()+len(p) <= holdBack {
		return a.held.Write(p)
	}
	if !a.req.waitEnd {
		if err := a.begin(engine.Stats{}); err != nil {
			return 0, err
		}
		return a.Write(p)
	}
	f, err := os.CreateTemp(a.tmp, "result-*")
	if err != nil {
		return 0, fmt.Errorf("hold back a result: %w", err)
	}
	// Without a name it is gone when this process is, however it ends.
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return 0, fmt.Errorf("hold back a result: %w", err)
	}
	a.spill = f
	if _, err := f.Write(a.held.Bytes()); err != nil {
		return 0, fmt.Errorf("hold back a result: %w", err)
	}
	a.held = bytes.Buffer{}
	return f.Write(p)
}

// empty says that nothing was written yet.
func (a *answer) empty() bool { return a.out == nil && a.spill == nil && a.held.Len() == 0 }

// begin sends the headers and what was held back in memory.
func (a *answer) begin(st engine.Stats) error {
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.req.format))
	h.Set("X-ClickHouse-Format", a.req.format)
	h.Set("X-ClickHouse-Summary", summary(st, a.started))
	a.tag = newTag()
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	var err error
	if a.req.compress {
		a.out, err = blockEncoder(a.w, a.req.query)
	} else {
		if a.req.encoding != "" {
			h.Set("Content-Encoding", a.req.encoding)
			h.Add("Vary", "Accept-Encoding")
		}
		a.out, err = contentEncoder(a.w, a.req.encoding)
	}
	if err != nil {
		return err
	}
	held := a.held.Bytes()
	a.held = bytes.Buffer{}
	if len(held) == 0 {
		return nil
	}
	_, err = a.out.Write(held)
	return err
}

// finish completes the response.
func (a *answer) finish(st engine.Stats) error {
	if a.out == nil {
		if n := a.held.Len(); a.spill == nil && !a.req.compress && a.req.encoding == "" || n == 0 && a.spill == nil {
			a.w.Header().Set("Content-Length", strconv.Itoa(n))
			a.req.encoding, a.req.compress = "", false // an empty body is not encoded
		}
		if err := a.begin(st); err != nil {
			return err
		}
	}
	if a.spill != nil {
		defer a.dropSpill()
		if _, err := a.spill.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("send a held result: %w", err)
		}
		if _, err := io.Copy(a.out, a.spill); err != nil {
			return fmt.Errorf("send a held result: %w", err)
		}
	}
	return a.out.Close()
}

func (a *answer) dropSpill() { _ = a.spill.Close() } // it has no name and is not read again

// fail reports an error: with a status of its own where the headers are still here, otherwise
// framed in the body, as the server does, and with a response that breaks off.
func (a *answer) fail(r *http.Request, err error) {
	e := exception.As(err)
	if a.out == nil {
		a.drain(r)
		if a.spill != nil {
			a.dropSpill()
		}
		h := a.w.Header()
		h.Del("Content-Length")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		a.w.WriteHeader(e.HTTPStatus())
		_, _ = io.WriteString(a.w, e.Text+"\n") // a client that is gone needs no error
		return
	}
	if r.Context().Err() == nil {
		text := "\r\n__exception__\r\n" + a.tag + "\r\n" + e.Text + "\n" + strconv.Itoa(len(e.Text)+1) + " " + a.tag +
			"\r\n__exception__\r\n"
		// Inside whatever the client unpacks: an HTTP encoding, or ClickHouse's own blocks.
		if b, ok := a.out.(*blocks); ok {
			_ = b.legible([]byte(text))
		} else {
			_, _ = io.WriteString(a.out, text)
		}
		_ = a.out.Close()
		_ = a.http.Flush()
		// A client that unpacks while it reads may throw away what it has not unpacked when the
		// connection ends. Most leave as soon as they have read the exception.
		select {
		case <-r.Context().Done():
		case <-time.After(exceptionLinger):
		}
	}
	// The chunked body stays without its end: no client can take this for a complete result.
	panic(http.ErrAbortHandler)
}

// drain reads the rest of a body that is not wanted any more: a client that is still sending would
// meet a closed connection before it reads the answer.
func (a *answer) drain(r *http.Request) {
	const most, patience = 256 << 20, 5 * time.Second
	if a.http.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, most) // a client that is gone needs no answer
	_ = a.http.SetReadDeadline(time.Time{})   // if this fails the connection is of no more use, which is noticed
}

// summary is what the header X-ClickHouse-Summary holds.
func summary(s engine.Stats, started time.Time) string {
	var elapsed int64
	if !started.IsZero() {
		elapsed = time.Since(started).Nanoseconds()
	}
	n := func(v uint64) string { return strconv.FormatUint(v, 10) }
	b, _ := json.Marshal(struct { // strings cannot fail
		ReadRows     string `json:"read_rows"`
		ReadBytes    string `json:"read_bytes"`
		WrittenRows  string `json:"written_rows"`
		WrittenBytes string `json:"written_bytes"`
		TotalRows    string `json:"total_rows_to_read"`
		ResultRows   string `json:"result_rows"`
		ResultBytes  string `json:"result_bytes"`
		ElapsedNS    string `json:"elapsed_ns"`
	}{n(s.ReadRows), n(s.ReadBytes), n(s.WrittenRows), n(s.WrittenBytes), "0", n(s.ResultRows), n(s.ResultBytes),
		strconv.FormatInt(elapsed, 10)})
	return string(b)
}
