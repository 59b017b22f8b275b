//go:build unix

package eventstore

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

var flagKillRounds = flag.Int("kill-rounds", 3, "how many server processes TestKill kills")

// What a child process gets from its environment: the directory to serve, the
// size of its memtable, and at which of its writing file operations it kills
// itself, 0 for never.
const (
	envChild    = "EVENTSTORE_TEST_CHILD_DIR"
	envMemTable = "EVENTSTORE_TEST_CHILD_MEMTABLE"
	envKillAt   = "EVENTSTORE_TEST_CHILD_KILL_AT"
)

// TestMain runs a server instead of the tests where the environment names a
// directory: the process that the kill test kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(envChild)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := serveChild(dir); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func serveChild(dir string) error {
	cfg := testConfig(dir)
	memTable, err := strconv.ParseUint(os.Getenv(envMemTable), 10, 64)
	if err != nil {
		return err
	}
	killAt, err := strconv.ParseInt(os.Getenv(envKillAt), 10, 64)
	if err != nil {
		return err
	}
	cfg.memTable = memTable
	if killAt > 0 {
		cfg.fs = suicidalFS(killAt)
	}
	s, err := Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Println("addr:", s.Addr())
	parent := make(chan struct{})
	go func() {
		defer close(parent)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-parent: // has closed the pipe, or has gone
	case <-s.Done():
		return fmt.Errorf("the server ended by itself: %w", s.Wait())
	}
	return s.Stop(context.Background())
}

// suicidalFS kills the process with SIGKILL before its n-th operation that
// changes files: in the middle of whatever Pebble is doing then.
func suicidalFS(n int64) vfs.FS {
	var done atomic.Int64
	return errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpLink, errorfs.OpRemove, errorfs.OpRemoveAll, errorfs.OpRename,
			errorfs.OpReuseForWrite, errorfs.OpMkdirAll,
			errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData,
			errorfs.OpFileSyncTo, errorfs.OpFilePreallocate:
			if done.Add(1) == n {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return nil
	}))
}

// child is a server process.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string // empty where it died first
}

// startChild starts a server process on dir and waits until it serves, or has
// killed itself.
func startChild(t *testing.T, dir string, memTable, killAt int) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), envChild+"="+dir, fmt.Sprintf("%s=%d", envMemTable, memTable),
		fmt.Sprintf("%s=%d", envKillAt, killAt))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return c
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "addr: ")
	if err != nil || !ok {
		t.Fatalf("the server process said %q, %v", line, err)
	}
	c.addr = addr
	return c
}

// wantKilled waits for the process and fails the test where it ended in any
// other way than by SIGKILL.
func (c *child) wantKilled(t *testing.T) {
	t.Helper()
	_ = c.cmd.Wait() // says that it was killed
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() ||
		ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the server process ended by itself: %v", c.cmd.ProcessState)
	}
}

// killPlan is how one round's server dies: before one of its own file
// operations, or once so many appends more are acknowledged.
type killPlan struct {
	memTable int
	op       int
	acks     int
	check    bool // verify what the new server shows before the load begins
}

func drawKill(rng *rand.Rand) killPlan {
	p := killPlan{memTable: (64 + rng.IntN(256)) << 10, check: rng.IntN(3) > 0}
	switch rng.IntN(6) {
	case 0: // while it starts: it creates, replays its log, moves its mark
		p.op = 1 + rng.IntN(60)
	case 1: // early
		p.op = 1 + rng.IntN(400)
	case 2, 3: // under load, between any two writes of logs, tables and manifests
		p.op = 300 + rng.IntN(1500)
	case 4: // right after the restart
		p.acks, p.check = rng.IntN(5), false
	default: // under load
		p.acks = 50 + rng.IntN(400)
	}
	return p
}

// The real thing: a server process under load is killed at random moments,
// many times over the same directory: while it starts, right after that, while
// it flushes and compacts. Writers with exact revisions and with Any repeat
// what got no answer, with the same ids, against the next process. Nothing
// acknowledged is missing, nothing is there twice or in part, what subscribers
// and readers saw is there at the same place, and the order never changes.
//
// It speaks the protocol without the official client, whose calls may never
// return once its server is gone.
func TestKill(t *testing.T) {
	rng := rand.New(rand.NewPCG(testSeed(t), 0))
	dir := t.TempDir()
	load := newKillLoad(rng)
	starts, byOp := 0, 0
	for round := range *flagKillRounds {
		began := time.Now()
		plan := drawKill(rng)
		c := startChild(t, dir, plan.memTable, plan.op)
		if c.addr == "" {
			starts++
		} else {
			load.round(t, c, plan)
		}
		c.wantKilled(t)
		if plan.op > 0 {
			byOp++
		}
		// Sometimes nobody but the next process opens the directory.
		if opened := rng.IntN(3) == 0; opened {
			load.verifyFiles(t, dir, round%20 == 0)
		}
		t.Logf("round %d: %+v, %d events known, %d appends acknowledged, %v", round, plan, len(load.log.records),
			load.log.acks(), time.Since(began).Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	// A last process lives: everything attempted is settled, and subscribers reach the end.
	c := startChild(t, dir, 1<<20, 0)
	load.settle(t, c)
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("the server process: %v", err)
	}
	load.verifyFiles(t, dir, true)
	t.Logf("%d processes killed, %d before they served, %d at one of their file operations; %d events, %d appends "+
		"acknowledged, %d repeated after a kill, %d refused",
		*flagKillRounds, starts, byOp, len(load.log.records), load.log.acks(), load.log.repeated, load.log.refused)
	if load.log.acks() == 0 {
		t.Error("nothing was acknowledged")
	}
}

// killLoad is what works on the server, round after round.
type killLoad struct {
	log       *killLog
	writers   []*killWriter
	followers []*killFollower
}

func newKillLoad(rng *rand.Rand) *killLoad {
	l := &killLoad{log: newKillLog()}
	writer := func(stream string, any bool) {
		l.writers = append(l.writers, &killWriter{log: l.log, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)),
			stream: stream, any: any, next: eventlog.ExpectNoStream})
	}
	for i := range 8 {
		writer(fmt.Sprintf("exact-%d", i), false)
	}
	for i := range 4 {
		writer(fmt.Sprintf("any-%d", i/2), true) // two writers each
	}
	for i := range 4 {
		writer(fmt.Sprintf("contended-%d", i/2), false)
		l.writers[len(l.writers)-1].contended = true
	}
	for _, r := range []rawRead{
		{},
		{filter: &rawFilter{prefix: []string{"exact-1", "any"}, window: 16}},
		{stream: "exact-0"},
		{stream: "any-0"},
	} {
		l.followers = append(l.followers, &killFollower{log: l.log, read: r})
	}
	l.log.follower = l.followers
	return l
}

// round works on a process until it is dead.
func (l *killLoad) round(t *testing.T, c *child, plan killPlan) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	raw, conn := dialRaw(t, c.addr)
	defer conn.Close()
	if plan.check {
		if err := l.verifyServer(ctx, raw); err != nil && !gone(err) {
			t.Errorf("what the restarted server shows: %v", err)
		}
	}
	acked := l.log.acks()
	wait := l.start(t, ctx, raw)
	if plan.op == 0 {
		if err := l.log.await(ctx, func() bool { return t.Failed() || l.log.acked >= acked+plan.acks }); err != nil {
			t.Errorf("appends do not go on: %v", err)
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	wait()
	if ctx.Err() != nil {
		t.Errorf("the server process does not die: %v", ctx.Err())
		_ = c.cmd.Process.Kill()
	}
}

// start lets everybody work until the server is gone or ctx ends; wait waits for that.
func (l *killLoad) start(t *testing.T, ctx context.Context, c rawClient) (wait func()) {
	var wg sync.WaitGroup
	run := func(what string, f func(context.Context, rawClient) error) {
		wg.Go(func() {
			if err := f(ctx, c); err != nil && !gone(err) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	for _, w := range l.writers {
		run("writer of "+w.stream, w.run)
	}
	for _, f := range l.followers {
		run(fmt.Sprintf("subscriber to %v", f.read), f.run)
	}
	run("reader", l.readNewest)
	return wg.Wait
}

// gone tells whether the call failed because there is no server, or the test
// ended it; all other errors would be the server's own.
func gone(err error) bool {
	code := status.Code(err)
	return errors.Is(err, context.Canceled) || code == codes.Unavailable || code == codes.Canceled
}

// readNewest reads the end of $all again and again.
func (l *killLoad) readNewest(ctx context.Context, c rawClient) error {
	for {
		events, _, err := c.read(ctx, rawRead{back: true, start: fromEnd, count: 30})
		l.log.see(events)
		if err != nil {
			return err
		}
	}
}

// settle lets a process that lives answer all that was attempted, and checks
// that subscribers then have seen everything.
func (l *killLoad) settle(t *testing.T, c *child) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	raw, conn := dialRaw(t, c.addr)
	defer conn.Close()
	for _, w := range l.writers {
		for w.pending != nil {
			if err := w.attempt(ctx, raw); err != nil {
				t.Fatalf("writer of %s: %v", w.stream, err)
			}
		}
	}
	if err := l.verifyServer(ctx, raw); err != nil {
		t.Fatalf("what the last server shows: %v", err)
	}
	var wg sync.WaitGroup
	following, stop := context.WithCancel(ctx)
	for _, f := range l.followers {
		wg.Go(func() {
			if err := f.run(following, raw); !gone(err) {
				t.Errorf("subscriber to %v: %v", f.read, err)
			}
		})
	}
	for _, f := range l.followers {
		want := l.log.matching(f.read)
		if err := l.log.await(ctx, func() bool { return t.Failed() || len(f.seen) >= want }); err != nil {
			t.Errorf("subscriber to %v saw %d of %d events: %v", f.read, len(f.seen), want, err)
		}
	}
	stop()
	wg.Wait()
}

// verifyServer checks what a process shows to a reader, from the last event
// that was verified before.
func (l *killLoad) verifyServer(ctx context.Context, c rawClient) error {
	r := rawRead{count: math.MaxUint64}
	from := max(0, len(l.log.records)-1)
	if from < len(l.log.records) {
		r.start, r.at = fromPoint, l.log.records[from].position
	}
	events, _, err := c.read(ctx, r)
	if err != nil {
		return err
	}
	return l.log.verify(from, events)
}

// verifyFiles checks what is in the directory, which nobody has open: all of
// it, or what came since it was verified last.
func (l *killLoad) verifyFiles(t *testing.T, dir string, all bool) {
	t.Helper()
	exists, err := eventlog.Exists(dir, vfs.Default)
	if err != nil {
		t.Fatal(err)
	}
	if !exists { // killed before it was created: nothing can have been acknowledged
		if err := l.log.verify(0, nil); err != nil {
			t.Error(err)
		}
		return
	}
	from := 0
	if !all {
		from = max(0, len(l.log.records)-1)
	}
	events, err := readFiles(dir, l.log.positionOf(from))
	if err == nil {
		err = l.log.verify(from, events)
	}
	if err != nil {
		t.Errorf("what is in the files: %v", err)
	}
}

// readFiles opens a store that nobody has open, as a new process would, and
// returns its events from a position on.
func readFiles(dir string, from uint64) (events []storedEvent, err error) {
	switch report, err := eventlog.Check(context.Background(), dir, testOptions(vfs.Default), nil); {
	case errors.Is(err, eventlog.ErrMissing): // it died before there was a store
	case err != nil:
		return nil, err
	case !report.Whole():
		return nil, fmt.Errorf("the killed process's files: %q", report.Findings)
	}
	s, err := eventlog.Open(dir, testOptions(vfs.Default))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return logEvents(s, from)
}
