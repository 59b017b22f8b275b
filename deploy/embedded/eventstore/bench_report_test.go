//go:build unix && bench

package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/ledgerline/ledgerline/internal/cputime"
)

// benchNumber is a setting of the report from the environment.
func benchNumber(t testing.TB, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%q is no number above 0", name, v)
	}
	return n
}

// measurement is what one run of a load says.
type measurement struct {
	rate           float64 // per second
	server, client float64 // processor time of each, microseconds for one
}

// benchClient is the official client of a server, and where that is.
type benchClient struct {
	*esdb.Client
	conn string
}

// load runs once against a server and returns how much was done.
type load func(c benchClient) (done int, err error)

func (p *benchProcess) measure(c benchClient, run load) measurement {
	p.t.Helper()
	runtime.GC() // the client's garbage of the run before is not this server's
	server, client, began := p.cpu(), cputime.Used(), time.Now()
	n, err := run(c)
	if err != nil {
		p.t.Fatal(err)
	}
	took := time.Since(began)
	return measurement{
		rate:   float64(n) / took.Seconds(),
		server: float64((p.cpu() - server).Microseconds()) / float64(n),
		client: float64((cputime.Used() - client).Microseconds()) / float64(n),
	}
}

// median is of each figure by itself.
func median(ms []measurement) measurement {
	of := func(figure func(measurement) float64) float64 {
		var all []float64
		for _, m := range ms {
			all = append(all, figure(m))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return measurement{
		rate:   of(func(m measurement) float64 { return m.rate }),
		server: of(func(m measurement) float64 { return m.server }),
		client: of(func(m measurement) float64 { return m.client }),
	}
}

// row is one measure of the report.
type row struct {
	name       string
	ours, base measurement
	ratio      float64 // median of the rounds' ratios
	aim        string
}

// interleave measures ours and the base in turns, so that what else the
// machine does meets both.
func interleave(t *testing.T, name, aim string, rounds int, ours, base *benchProcess, run load) row {
	t.Helper()
	co, cb := benchClient{dialString(t, ours.Conn), ours.Conn}, benchClient{dialString(t, base.Conn), base.Conn}
	for _, c := range []benchClient{co, cb} { // warm up
		if _, err := run(c); err != nil {
			t.Fatal(err)
		}
	}
	var o, b []measurement
	var ratios []float64
	for i := range rounds {
		order := []func(){
			func() { o = append(o, ours.measure(co, run)) },
			func() { b = append(b, base.measure(cb, run)) },
		}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, measure := range order {
			measure()
		}
		ratios = append(ratios, o[i].rate/b[i].rate)
	}
	slices.Sort(ratios)
	r := row{name: name, ours: median(o), base: median(b), ratio: ratios[len(ratios)/2], aim: aim}
	t.Logf("%s: ours %.0f/s, beside it %.0f/s, ratio %.0f %% (%.0f to %.0f)", name, r.ours.rate, r.base.rate,
		100*r.ratio, 100*ratios[0], 100*ratios[len(ratios)-1])
	return r
}

// appends is a load of callers that append size events at a time, to new and
// to growing streams by turns, for d.
func appends(callers, size int, d time.Duration) load {
	return func(c benchClient) (int, error) {
		run := uuid.NewString()
		var done atomic.Int64
		until := time.Now().Add(d)
		errs := make(chan error, callers)
		for w := range callers {
			go func() {
				errs <- func() error {
					for i := 0; time.Now().Before(until); i++ {
						stream := fmt.Sprintf("grow-%s-%d", run, w)
						if i%2 == 1 && size == 1 {
							stream = fmt.Sprintf("new-%s-%d-%d", run, w, i)
						}
						batch := make([]esdb.EventData, size)
						for j := range batch {
							batch[j] = benchEvent()
						}
						if _, err := c.AppendToStream(context.Background(), stream,
							esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batch...); err != nil {
							return err
						}
						done.Add(int64(size))
					}
					return nil
				}()
			}()
		}
		var all error
		for range callers {
			all = errors.Join(all, <-errs)
		}
		return int(done.Load()), all
	}
}

// readAllOf is a load that reads total events of $all.
func readAllOf(total int) load {
	return func(c benchClient) (int, error) {
		r, err := c.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, uint64(total))
		if err != nil {
			return 0, err
		}
		defer r.Close()
		for n := 0; ; n++ {
			_, err := r.Recv()
			if errors.Is(err, io.EOF) && n == total {
				return n, nil
			}
			if err != nil {
				return n, fmt.Errorf("after %d of %d events: %w", n, total, err)
			}
		}
	}
}

// undecoded is a codec that leaves what it receives as it is.
type undecoded struct{ encoding.CodecV2 }

func (undecoded) Unmarshal(mem.BufferSlice, any) error { return nil }

// readAllUndecoded is readAllOf without what the official client does to each
// event: the server's share of the time.
func readAllUndecoded(total int) load {
	return func(c benchClient) (n int, err error) {
		addr := strings.TrimSuffix(strings.TrimPrefix(c.conn, "esdb://"), "?tls=false")
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		stream, err := conn.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true},
			streams.Streams_Read_FullMethodName,
			grpc.ForceCodecV2(undecoded{encoding.GetCodecV2("proto")}))
		if err != nil {
			return 0, err
		}
		req := &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
				AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption:  &streams.ReadReq_Options_Count{Count: uint64(total)},
			FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{
				Structured: &shared.Empty{},
			}},
		}}
		if err := errors.Join(stream.SendMsg(req), stream.CloseSend()); err != nil {
			return 0, err
		}
		for {
			err := stream.RecvMsg(nil)
			if errors.Is(err, io.EOF) && n == total {
				return n, nil
			}
			if err != nil {
				return n, fmt.Errorf("after %d of %d messages: %w", n, total, err)
			}
			n++
		}
	}
}

// fanOut is a load of subscribers that each read $all from its start until they are live.
func fanOut(subscribers int) load {
	return func(c benchClient) (int, error) {
		var wg sync.WaitGroup
		var done atomic.Int64
		errs := make([]error, subscribers)
		for i := range subscribers {
			wg.Go(func() { errs[i] = catchUp(c, &done) })
		}
		wg.Wait()
		return int(done.Load()), errors.Join(errs...)
	}
}

func catchUp(c benchClient, done *atomic.Int64) error {
	sub, err := c.SubscribeToAll(context.Background(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		return err
	}
	defer sub.Close()
	n := 0
	for {
		switch e := sub.Recv(); {
		case e.EventAppeared != nil:
			n++
		case e.SubscriptionDropped != nil:
			return e.SubscriptionDropped.Error
		case e.CaughtUp != nil:
			done.Add(int64(n))
			return nil
		}
	}
}

// fill appends total events in batches of 500, spread over 100 streams.
func fill(t testing.TB, conn string, total int) {
	t.Helper()
	c := dialString(t, conn)
	for i := 0; i < total; i += 500 {
		batch := make([]esdb.EventData, min(500, total-i))
		for j := range batch {
			batch[j] = benchEvent()
		}
		if _, err := c.AppendToStream(context.Background(), fmt.Sprintf("s-%d", i%100),
			esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batch...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBenchReport measures ours beside the no-op servers, in turns, and prints
// ratios. It asserts no figure: those belong to the machine. BENCH_ROUNDS and
// BENCH_MILLISECONDS say how long, BENCH_ONLY names one measure by a part of its name.
func TestBenchReport(t *testing.T) {
	rounds := benchNumber(t, "BENCH_ROUNDS", 5)
	span := time.Duration(benchNumber(t, "BENCH_MILLISECONDS", 2000)) * time.Millisecond
	facts := fmt.Sprintf("%d cores, fsync %s (median of 200 after 4 KiB each), %s, client and server in two processes",
		runtime.NumCPU(), fsyncTime(t).Round(10*time.Microsecond), runtime.Version())

	var rows []row
	only := os.Getenv("BENCH_ONLY")
	against := func(name, aim, kind string, run load) {
		if !strings.Contains(name, only) {
			return
		}
		ours := startProcess(t, kindOurs, t.TempDir(), 0)
		base := startProcess(t, kind, t.TempDir(), 0)
		rows = append(rows, interleave(t, name, aim, rounds, ours, base, run))
		ours.stop()
		base.stop()
	}
	for _, callers := range []int{1, 64, 512} {
		against(fmt.Sprintf("appends/s, %d callers", callers), "80 % of the no-op", kindDurable,
			appends(callers, 1, span))
	}
	against("events/s, appends of 50, 16 callers", "80 % of the no-op", kindDurable, appends(16, 50, span))

	reading := func(name, aim string, gc, events int, run load) {
		if !strings.Contains(name, only) {
			return
		}
		if gc != 0 {
			t.Setenv("GOGC", strconv.Itoa(gc)) // of the servers
			defer debug.SetGCPercent(debug.SetGCPercent(gc))
		}
		ours := startProcess(t, kindOurs, t.TempDir(), 0)
		fill(t, ours.Conn, events)
		base := startProcess(t, kindFrames, "", events)
		rows = append(rows, interleave(t, name, aim, rounds, ours, base, run))
		ours.stop()
		base.stop()
	}
	reading("ReadAll events/s", "150,000/s", 0, 200_000, readAllOf(200_000))
	reading("ReadAll events/s, client that decodes nothing", "", 0, 200_000, readAllUndecoded(200_000))
	reading("events/s, 10 subscribers together", "", 0, 50_000, fanOut(10))
	// A client with a small heap spends half its time collecting garbage. This comes last: it
	// stays in the environment.
	reading("ReadAll events/s, GOGC=400", "150,000/s", 400, 200_000, readAllOf(200_000))

	t.Logf("\n%s; medians of %d rounds by turns\n\n%s\n%s", facts, rounds, table(rows, "ours", "no-op"),
		"The no-op server writes each append to Pebble with an fsync and decides nothing; for reads it sends events "+
			"encoded beforehand.")
}

// table is the rows in Markdown; ours and base are what their columns are called.
func table(rows []row, ours, base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| measure | %[1]s | %[2]s | ratio | aim | CPU of one, µs: %[1]s server / its client | %[2]s "+
		"server / its client |\n|---|---|---|---|---|---|---|\n", ours, base)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f %% | %s | %.1f / %.1f | %.1f / %.1f |\n",
			r.name, r.ours.rate, r.base.rate, 100*r.ratio, cmp.Or(r.aim, "–"), r.ours.server, r.ours.client,
			r.base.server, r.base.client)
	}
	return b.String()
}

// TestBenchSecure measures what TLS and an account cost, beside the same server open and in
// plaintext. BENCH_ROUNDS, BENCH_MILLISECONDS and BENCH_ONLY are as for the report.
func TestBenchSecure(t *testing.T) {
	rounds := benchNumber(t, "BENCH_ROUNDS", 5)
	span := time.Duration(benchNumber(t, "BENCH_MILLISECONDS", 2000)) * time.Millisecond
	var rows []row
	measure := func(name, aim string, events int, run load) {
		if !strings.Contains(name, os.Getenv("BENCH_ONLY")) {
			return
		}
		secure, open := startProcess(t, kindSecure, t.TempDir(), 0), startProcess(t, kindOurs, t.TempDir(), 0)
		for _, p := range []*benchProcess{secure, open} {
			fill(t, p.Conn, events)
		}
		rows = append(rows, interleave(t, name, aim, rounds, secure, open, run))
		secure.stop()
		open.stop()
	}
	for _, callers := range []int{1, 64, 512} {
		measure(fmt.Sprintf("appends/s, %d callers", callers), "85 % of open", 0, appends(callers, 1, span))
	}
	measure("events/s, appends of 50, 16 callers", "85 % of open", 0, appends(16, 50, span))
	measure("ReadAll events/s", "", 100_000, readAllOf(100_000))
	measure("events/s, 10 subscribers together", "", 50_000, fanOut(10))
	t.Logf("\nTLS and an account beside open plaintext; medians of %d rounds by turns\n\n%s", rounds,
		table(rows, "secure", "open"))
}

// fsyncTime is how long this machine takes to make a small write durable.
func fsyncTime(t testing.TB) time.Duration {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	block := make([]byte, 4096)
	for range 200 {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
