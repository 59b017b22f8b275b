package eventstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

const envChild = "EVENTSTORE_TEST_CHILD_DIR"

// TestMain runs a server instead of the tests where the environment names a
// directory: the process that the kill test kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(envChild)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), testConfig(dir))
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("addr:", s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent goes
	if err := s.Stop(context.Background()); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// child starts a server process on dir and returns its address.
func child(t *testing.T, dir string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), envChild+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "addr: ")
	if err != nil || !ok {
		t.Fatalf("the server process said %q, %v", line, err)
	}
	return cmd, addr
}

// The real thing: a server process under load is killed at a random moment,
// several times over the same directory. Nothing acknowledged is missing,
// nothing seen is missing, nothing is there twice, and the log is whole.
//
// It speaks the protocol without the official client, whose calls may never
// return once its server is gone.
func TestKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	w := newWitness()
	for round := range 4 {
		cmd, addr := child(t, dir)
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		client := streams.NewStreamsClient(conn)
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		var wg sync.WaitGroup
		for worker := range 16 {
			wg.Go(func() { appendUntilError(ctx, client, w, fmt.Sprintf("s-%d", worker)) })
		}
		wg.Go(func() { followUntilError(ctx, client, w) })
		w.mu.Lock()
		target := len(w.acked) + 200 + rng.IntN(800)
		w.mu.Unlock()
		for n := 0; n < target; {
			select {
			case <-w.grown:
			case <-ctx.Done():
				t.Fatal("appends do not go on")
			}
			w.mu.Lock()
			n = len(w.acked)
			w.mu.Unlock()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		cancel()
		_ = cmd.Wait() // it was killed
		_ = conn.Close()

		o := testOptions(vfs.Default)
		s, err := eventlog.Open(dir, o)
		if err != nil {
			t.Fatalf("round %d: open after the kill: %v", round, err)
		}
		got := contents(t, s) // also finds an id that is there twice: it counts
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		acked, seen := w.snapshot()
		wantAll(t, "acknowledged", got, acked)
		wantAll(t, "seen", got, seen)
		t.Logf("round %d: %d events, %d acknowledged, %d seen", round, len(got), len(acked), len(seen))
	}
}

func appendUntilError(ctx context.Context, client streams.StreamsClient, w *witness, stream string) {
	for {
		var ids []uuid.UUID
		call, err := client.Append(ctx)
		if err != nil {
			return
		}
		msgs := []*streams.AppendReq{appendOptions(stream)}
		for range 1 + len(stream)%3 {
			id := uuid.New()
			ids = append(ids, id)
			msgs = append(msgs, proposed(structuredUUID(id), map[string]string{"type": "t", "content-type": "application/json"}, 400))
		}
		for _, m := range msgs {
			if err := call.Send(m); err != nil {
				return
			}
		}
		resp, err := call.CloseAndRecv()
		if err != nil || resp.GetSuccess() == nil {
			return
		}
		w.ackAll(ids, resp.GetSuccess().GetPosition().GetCommitPosition())
	}
}

func followUntilError(ctx context.Context, client streams.StreamsClient, w *witness) {
	call, err := client.Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}})
	if err != nil {
		return
	}
	for {
		resp, err := call.Recv()
		if err != nil {
			return
		}
		if e := resp.GetEvent().GetEvent(); e != nil {
			var id uuid.UUID
			binary.BigEndian.PutUint64(id[:8], uint64(e.GetId().GetStructured().GetMostSignificantBits()))
			binary.BigEndian.PutUint64(id[8:], uint64(e.GetId().GetStructured().GetLeastSignificantBits()))
			w.see(id, e.GetCommitPosition())
		}
	}
}
