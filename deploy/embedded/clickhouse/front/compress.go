package front

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// decodeBody undoes what the client did to the body: HTTP's Content-Encoding first, then, with
// decompress=1, ClickHouse's own blocks.
func decodeBody(r *http.Request, q url.Values) (io.Reader, error) {
	body, err := contentDecoder(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	if flag(q, "decompress") {
		return NewBlockReader(bufio.NewReader(body)), nil
	}
	return body, nil
}

// blockReader reads ClickHouse's compressed blocks. The library returns a wrapped io.EOF wherever
// the body ends before a part of a block; only one before the first byte of a block is the end.
type blockReader struct {
	in     *counted
	blocks *chcompress.Reader
}

// NewBlockReader returns what the blocks of r hold. A block cut short is io.ErrUnexpectedEOF.
func NewBlockReader(r io.Reader) io.Reader {
	in := &counted{r: r}
	return &blockReader{in: in, blocks: chcompress.NewReader(in)}
}

func (r *blockReader) Read(p []byte) (int, error) {
	before := r.in.n
	n, err := r.blocks.Read(p) // reads at most one block
	if errors.Is(err, io.EOF) {
		if r.in.n != before {
			return n, io.ErrUnexpectedEOF
		}
		return n, io.EOF
	}
	return n, err
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func contentDecoder(body io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			return nil, exception.BadArguments("the body is not gzip: %s", err)
		}
		return r, nil
	case "deflate":
		r, err := zlib.NewReader(body)
		if err != nil {
			return nil, exception.BadArguments("the body is not deflate: %s", err)
		}
		return r, nil
	case "br":
		return brotli.NewReader(body), nil
	case "lz4":
		return lz4.NewReader(body), nil
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, exception.BadArguments("the body is not zstd: %s", err)
		}
		return r.IOReadCloser(), nil
	}
	return nil, exception.NotImplemented("Content-Encoding %q is not supported, use gzip, deflate, br, lz4 or zstd",
		encoding)
}

// encoder wraps the response. Close ends the encoding, not the response.
type encoder interface {
	io.WriteCloser
	Flush() error
}

type plain struct{ io.Writer }

func (plain) Flush() error { return nil }
func (plain) Close() error { return nil }

// contentEncoding picks what the client accepts, in the server's order of preference.
func contentEncoding(r *http.Request, q url.Values) string {
	if v := q.Get("enable_http_compression"); v != "" && !truthy(v) {
		return ""
	}
	accepted := make(map[string]bool)
	for _, header := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(header, ",") {
			name, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
			if w, ok := strings.CutPrefix(strings.TrimSpace(rest), "q="); ok {
				if f, err := strconv.ParseFloat(w, 64); err == nil && f == 0 {
					continue
				}
			}
			accepted[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	for _, name := range []string{"gzip", "deflate", "br", "lz4", "zstd"} {
		if accepted[name] {
			return name
		}
	}
	return ""
}

func contentEncoder(w io.Writer, encoding string) (encoder, error) {
	switch encoding {
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(w, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(w, brotli.BestSpeed), nil
	case "lz4":
		return lz4.NewWriter(w), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	}
	return plain{w}, nil
}

// blocks writes ClickHouse's compressed blocks, which compress=1 asks for.
type blocks struct {
	w   io.Writer
	c   *chcompress.Writer
	buf []byte
}

// The server compresses blocks of at most this size.
const compressBlock = 1 << 20

func blockEncoder(w io.Writer, q url.Values) (encoder, error) {
	level := chcompress.LevelZero
	if v := q.Get("network_zstd_compression_level"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 22 {
			return nil, exception.BadArguments("network_zstd_compression_level %q is not between 1 and 22", v)
		}
		level = chcompress.Level(n)
	}
	var method chcompress.Method
	switch m := strings.ToUpper(q.Get("network_compression_method")); m {
	case "", "LZ4":
		method, level = chcompress.LZ4, chcompress.LevelZero
	case "LZ4HC":
		method = chcompress.LZ4HC
	case "ZSTD":
		method = chcompress.ZSTD
	case "NONE":
		method = chcompress.None
	default:
		return nil, exception.BadArguments("network_compression_method %q is not supported, use LZ4, "+
			"LZ4HC, ZSTD or NONE", m)
	}
	return &blocks{w: w, c: chcompress.NewWriter(level, method)}, nil
}

func (b *blocks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), compressBlock-len(b.buf))
		b.buf = append(b.buf, p[:take]...)
		p = p[take:]
		if len(b.buf) == compressBlock {
			if err := b.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (b *blocks) Flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	if err := b.c.Compress(b.buf); err != nil {
		return err
	}
	b.buf = b.buf[:0]
	_, err := b.w.Write(b.c.Data)
	return err
}

// legible writes a block of its own that is not compressed: every client can unpack it, and
// clickhouse-go, which looks for an exception in the bytes as they came, can read it.
func (b *blocks) legible(p []byte) error {
	if err := b.Flush(); err != nil {
		return err
	}
	b.c = chcompress.NewWriter(chcompress.LevelZero, chcompress.None)
	_, err := b.Write(p)
	return err
}

func (b *blocks) Close() error { return b.Flush() }
