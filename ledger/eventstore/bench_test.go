//go:build unix

package eventstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	server "github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// serverDir names, in a child of a benchmark, the directory of the server that it is to be.
const serverDir = "BENCH_SERVER_DIR"

func init() {
	if dir := os.Getenv(serverDir); dir != "" {
		runTests = func(*testing.M) int {
			if err := serve(dir, os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			return 0
		}
	}
}

// serve is a server with TLS, an account and fsync, in a process of its own: it says where it is,
// answers each line with the CPU time that it has used, and ends with its input.
func serve(dir string, in io.Reader, out io.Writer) error {
	cfg := server.Config{Dir: dir, Addr: "127.0.0.1:0", ProtectStreams: schemas.StreamPattern(),
		Logger: slog.New(slog.DiscardHandler)}
	secured(&cfg)
	srv, err := server.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, address(srv))
	for lines := bufio.NewScanner(in); lines.Scan(); {
		fmt.Fprintln(out, int64(cputime.Used()))
	}
	return srv.Stop(context.Background())
}

// startBeside starts such a server, and returns its address and how to ask for its CPU time.
func startBeside(b *testing.B) (addr string, used func() time.Duration) {
	b.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), serverDir+"="+b.TempDir())
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	piped, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			b.Error(err)
		}
	})
	out := bufio.NewReader(piped)
	line := func() string {
		s, err := out.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		return strings.TrimSpace(s)
	}
	return line(), func() time.Duration {
		fmt.Fprintln(in)
		d, err := time.ParseDuration(line() + "ns")
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
}

// BenchmarkAppend appends single events of a device's usual size, each to a stream of its own,
// from so many callers, to the embedded node with TLS, an account and fsync.
func BenchmarkAppend(b *testing.B) {
	addr, used := startBeside(b)
	for _, callers := range []int{1, 16, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			store := open(b, addr)
			event := ledgertest.Event(b, ledgertest.NewStream(), 1)
			event.Data = []byte(`{"set":{"serialNumber":"` + strings.Repeat("sealed:v1:", 50) + `"}}`)
			one := func() error {
				e := event
				e.ID, e.Stream = uuid.New(), ledgertest.NewStream()
				_, err := store.Append(context.Background(), e.Stream, ledger.NoStream, []schemas.Event{e})
				return err
			}
			if err := one(); err != nil { // dials
				b.Fatal(err)
			}
			b.ReportAllocs()
			mine, its := cputime.Used(), used()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if err := one(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			mine, its = cputime.Used()-mine, used()-its
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(mine.Nanoseconds())/1e3/float64(b.N), "client-µs/op")
			b.ReportMetric(float64(its.Nanoseconds())/1e3/float64(b.N), "server-µs/op")
		})
	}
}
