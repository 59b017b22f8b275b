package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/crypto/bcrypt"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

func fetchBackup(t *testing.T, c *http.Client, url, user, password string) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, url+BackupPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

// A backup is taken over HTTP while appends go on; restored it is whole and
// holds what was acknowledged before it began. One that is cut is refused.
func TestBackupOfARunningServer(t *testing.T) {
	f := newFixture(t)
	for i := range 20 {
		f.append(fmt.Sprintf("s-%d", i), esdb.NoStream{}, events(10)...)
	}
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := f.c.AppendToStream(f.ctx, fmt.Sprintf("later-%d", i), esdb.AppendToStreamOptions{},
				events(3)...); err != nil {
				done <- err
				return
			}
		}
	}()
	code, tar, err := fetchBackup(t, http.DefaultClient, "http://"+f.s.Addr(), "", "")
	close(stop)
	if err != nil || code != http.StatusOK {
		t.Fatalf("backup: %d, %v", code, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	dir := filepath.Join(t.TempDir(), "restored")
	if err := Restore(f.ctx, dir, quiet, bytes.NewReader(tar)); err != nil {
		t.Fatal(err)
	}
	report, err := Check(f.ctx, dir, quiet, nil)
	if err != nil || !report.Whole() || report.Events < 200 {
		t.Fatalf("the restored store: %+v, %v", report, err)
	}
	restored := &fixture{t: t, ctx: f.ctx, s: startServer(t, testConfig(dir))}
	restored.c = dial(t, restored.s)
	for i := range 20 {
		if got, err := restored.readStream(fmt.Sprintf("s-%d", i), esdb.Forwards, esdb.Start{}, 100); err != nil ||
			len(got) != 10 {
			t.Fatalf("stream %d has %d events, %v", i, len(got), err)
		}
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := Restore(f.ctx, cut, quiet, bytes.NewReader(tar[:len(tar)-2048])); !errors.Is(err, eventlog.ErrBackup) {
		t.Errorf("a backup that is cut: %v", err)
	}
}

// A backup holds every event, so it asks for the right to read $all, and no
// less. A server that stops ends it.
func TestBackupNeedsTheRightToReadAll(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Open, cfg.TLS = false, testTLS(t)
	for name, groups := range map[string][]string{"root": {"$admins"}, "ops": {"$ops"},
		"reader": {"readers"}, "plain": nil} {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret-"+name), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Users = append(cfg.Users, guard.User{Name: name, PasswordHash: string(hash), Groups: groups})
	}
	cfg.AllReaders = []string{"readers"}
	s := startServer(t, cfg)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS(t, s)}}
	defer c.CloseIdleConnections()
	for user, want := range map[string]int{"": 401, "root": 200, "ops": 403, "reader": 200, "plain": 403} {
		if code, _, err := fetchBackup(t, c, "https://"+s.Addr(), user, "secret-"+user); code != want || err != nil {
			t.Errorf("%q gets %d, %v; want %d", user, code, err, want)
		}
	}
}

// A client that takes its time with a backup is in nobody else's way, and
// many together have a bound.
func TestBackupsAreBounded(t *testing.T) {
	var b backups
	var ends []func()
	for i := range backupsMost {
		user := fmt.Sprint("user ", i)
		end := b.begin(user)
		if end == nil || b.begin(user) != nil {
			t.Fatalf("%s has not exactly one backup", user)
		}
		ends = append(ends, end)
	}
	if b.begin("one more") != nil {
		t.Error("there is no bound")
	}
	ends[0]()
	if b.begin("one more") == nil {
		t.Error("a backup that has ended leaves no room")
	}

	f := newFixture(t)
	end := f.s.backups.begin("") // of whoever comes to an open server
	if code, _, err := fetchBackup(t, http.DefaultClient, "http://"+f.s.Addr(), "",
		""); code != http.StatusTooManyRequests || err != nil {
		t.Errorf("a second backup: %d, %v", code, err)
	}
	end()
	if code, _, err := fetchBackup(t, http.DefaultClient, "http://"+f.s.Addr(), "", ""); code != http.StatusOK ||
		err != nil {
		t.Errorf("after it: %d, %v", code, err)
	}
}
