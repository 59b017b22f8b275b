//go:build bench && linux

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
)

var (
	peerEvents = flag.Int("peer-events", 1_000_000, "events in the peer's table")
	postgres   = flag.String("postgres", "", "folder of PostgreSQL's programs")
)

const peerSeconds = 8 // of each load of appends

// The same audit job in a table of PostgreSQL: with indexes on stream, time, event id and
// subjects, each append durable when it is answered.
func TestPeers(t *testing.T) {
	p := startPostgres(t)
	p.sql(peerTable)
	began := time.Now()
	p.sql(strings.ReplaceAll(peerFill, "EVENTS", strconv.Itoa(*peerEvents)))
	fmt.Printf("postgresql.fill %.0f events/s\n", float64(*peerEvents)/time.Since(began).Seconds())
	p.sql("ANALYZE audit; CHECKPOINT")
	for _, callers := range []int{1, 64} {
		theirs := p.bench(tps, peerAppend, "-c", strconv.Itoa(callers), "-j", strconv.Itoa(min(callers, 2)),
			"-T", strconv.Itoa(peerSeconds))
		fmt.Printf("postgresql.append-%d %.0f events/s\n", callers, theirs)
	}
	fmt.Printf("postgresql.subject-of-1000 %.2f ms\n", p.bench(latency, peerSubject, "-c", "1", "-t", "100"))
	fmt.Printf("postgresql.device-as-of %.2f ms\n", p.bench(latency, peerDevice, "-c", "1", "-t", "100"))
	p.stop()
	ownAppends(t)
	ownReads(t)
}

const peerTable = `
CREATE TABLE audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  stream uuid NOT NULL,
  revision int NOT NULL,
  type text NOT NULL,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  subjects uuid[] NOT NULL,
  data jsonb NOT NULL,
  UNIQUE (stream, revision));
CREATE INDEX audit_time ON audit (occurred_at);
CREATE INDEX audit_subjects ON audit USING gin (subjects);`

// Streams of seven events, beside one of 200, and one subject of 1,000 events.
const peerFill = `
INSERT INTO audit (event_id, stream, revision, type, occurred_at, subjects, data)
SELECT gen_random_uuid(),
  CASE WHEN n <= 200 THEN md5('device')::uuid ELSE md5('d' || n / 7)::uuid END,
  n, 'device.changed.v1', timestamptz '2026-01-01' + n * interval '20 seconds',
  ARRAY[CASE WHEN n % (EVENTS / 1000) = 0 THEN md5('subject')::uuid ELSE md5('p' || n / 7)::uuid END],
  jsonb_build_object('attributes',
      jsonb_build_object('a' || n % 12, md5(n::text), 'b' || n % 7, md5(n::text || 'b')),
    'sealed', (SELECT string_agg(md5(n::text || k), '') FROM generate_series(1, 24) k))
FROM generate_series(1, EVENTS) n;`

const peerAppend = `
INSERT INTO audit (event_id, stream, revision, type, occurred_at, subjects, data)
VALUES (gen_random_uuid(), gen_random_uuid(), 0, 'device.changed.v1', now(), ARRAY[gen_random_uuid()],
  jsonb_build_object('attributes', jsonb_build_object('a', md5(random()::text)),
    'sealed', repeat(md5(random()::text), 24)));`

const peerSubject = `SELECT data FROM audit WHERE subjects @> ARRAY[md5('subject')::uuid] ORDER BY seq;`

const peerDevice = `
SELECT DISTINCT ON (kv.key) kv.key, kv.value FROM audit, jsonb_each(data->'attributes') kv
WHERE stream = md5('device')::uuid AND occurred_at <= timestamptz '2026-01-01 00:45:00'
ORDER BY kv.key, revision DESC;`

// postgresServer is a server of its own folder, reached by a socket in it.
type postgresServer struct {
	t   *testing.T
	dir string
	as  *syscall.SysProcAttr
	run *exec.Cmd
}

func startPostgres(t *testing.T) *postgresServer {
	t.Helper()
	if *postgres == "" {
		t.Fatal("-postgres names no folder: PostgreSQL's programs are to be there, pgbench among them")
	}
	dir, err := os.MkdirTemp("", "peer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postgresServer{t: t, dir: dir}
	if os.Geteuid() == 0 { // as which it refuses to run
		p.as = p.account("postgres")
	}
	p.program("initdb", "-D", dir+"/data", "-A", "trust", "-U", "audit", "--no-locale", "-E", "UTF8")
	p.run = p.command("postgres", "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=on",
		"-c", "synchronous_commit=on", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB")
	if err := p.run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if p.command("pg_isready", "-h", dir, "-d", "postgres").Run() == nil {
			return p
		}
		if time.Now().After(until) {
			t.Fatal("PostgreSQL does not answer")
		}
	}
}

// account is the machine's user of that name, who gets the folder.
func (p *postgresServer) account(name string) *syscall.SysProcAttr {
	p.t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		p.t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		p.t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chown(p.dir, uid, gid); err != nil {
		p.t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func (p *postgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(*postgres, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	return cmd
}

func (p *postgresServer) program(name string, args ...string) string {
	p.t.Helper()
	out, err := p.command(name, args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func (p *postgresServer) sql(statement string) {
	p.t.Helper()
	p.program("psql", "-h", p.dir, "-U", "audit", "-d", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement)
}

var (
	tps     = regexp.MustCompile(`tps = ([0-9.]+)`)
	latency = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
)

// bench runs a statement again and again and returns the figure that is asked for.
func (p *postgresServer) bench(figure *regexp.Regexp, statement string, how ...string) float64 {
	p.t.Helper()
	script := filepath.Join(p.dir, "script.sql")
	if err := os.WriteFile(script, []byte(strings.ReplaceAll(statement, "\n", " ")), 0o644); err != nil {
		p.t.Fatal(err)
	}
	out := p.program("pgbench", append([]string{"-h", p.dir, "-U", "audit", "-n", "-M", "prepared", "-f", script},
		append(how, "postgres")...)...)
	m := figure.FindStringSubmatch(out)
	if m == nil {
		p.t.Fatalf("pgbench says nothing of the kind:\n%s", out)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// stop ends the server and waits for it.
func (p *postgresServer) stop() {
	if p.run == nil {
		return
	}
	p.run.Process.Signal(syscall.SIGINT) // ends sessions, and in order
	p.run.Wait()
	p.run = nil
}

// ownAppends appends events of the same size to the embedded event store, each to a stream of its
// own.
func ownAppends(t *testing.T) {
	n := newNode(t, "LEDGERLINE_LOG_LEVEL=warn")
	password := rand.Text()
	n.must(password+"\n", "eventstore", "user", "add", "writer", "--groups", "writers")
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	d := n.door("eventstore", "reader")
	d.User, d.Password = "writer", password
	settings, err := esdb.ParseConnectionString(d.esdb(t))
	if err != nil {
		t.Fatal(err)
	}
	settings.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(settings)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	data := []byte(`{"sealed":"` + strings.Repeat("0123456789abcdef", 60) + `"}`)
	for _, callers := range []int{1, 64} {
		var done atomic.Int64
		var failed atomic.Value
		ctx, cancel := context.WithTimeout(t.Context(), peerSeconds*time.Second)
		var wait sync.WaitGroup
		began := time.Now()
		for range callers {
			wait.Go(func() {
				for ctx.Err() == nil {
					_, err := client.AppendToStream(context.Background(), "peer-"+uuid.NewString(),
						esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.EventData{
							EventID: uuid.New(), EventType: "device.changed.v1", ContentType: esdb.ContentTypeJson,
							Data: data})
					if err != nil {
						failed.Store(err)
						return
					}
					done.Add(1)
				}
			})
		}
		wait.Wait()
		cancel()
		if err := failed.Load(); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ledgerline.append-%d %.0f events/s\n", callers, float64(done.Load())/time.Since(began).Seconds())
	}
	n.stop()
}

// ownReads asks the views what PostgreSQL was asked, in this process: of the ledger that
// bench-scale keeps, or else of one of ten thousand events. What is read is sealed, as
// PostgreSQL's is; it is opened besides.
func ownReads(t *testing.T) {
	if *scaleDir == "" {
		*scaleDir = t.TempDir()
	}
	s := openScaled(t)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.subject()
	s.build(max(10_000, s.state.Events))
	fmt.Printf("ledgerline.events %d events\n", s.state.Events)
	ctx := t.Context()
	p := s.connect(ctx)
	tenants, err := p.vault.Tenants(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(tenants, func(t vault.Tenant) bool { return t.Name == scaleTenant })
	if at < 0 {
		t.Fatal("the ledger is not of bench-scale")
	}
	tenant := tenants[at].ID
	var aliases []uuid.UUID
	var device vault.Device
	err = p.vault.View(ctx, tenant, func(tx *vault.Tx) (err error) {
		device, _, err = tx.FindDevice(vault.DeviceHint{IntuneID: s.state.Device})
		persons, found := tx.FindPersons(subjectName)
		if err = errors.Join(err, found); err != nil || len(persons) != 1 {
			return errors.Join(err, fmt.Errorf("%d persons are called so", len(persons)))
		}
		all, err := tx.Aliases(persons[0].ID)
		for _, a := range all {
			aliases = append(aliases, a.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	through, _, err := p.views.Through(ctx)
	if err != nil {
		t.Fatal(err)
	}
	asOf := projections.AsOf{Seq: through}
	moment := projections.AsOf{Seq: through, Time: subjectFrom.AddDate(0, 0, deviceEvents/8)}
	var sealed []vault.Sealed
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"subject-of-1000", func() error {
			n := 0
			sealed = sealed[:0]
			for e, err := range p.views.EventsByAliases(ctx, tenant, aliases, asOf) {
				if err != nil {
					return err
				}
				n++
				for _, v := range e.Values {
					if token, ok := projections.Text(v.Text).Token(); ok {
						sealed = append(sealed, vault.Sealed{Token: token, Attr: v.Attribute, Event: e.EventID})
					}
				}
			}
			if n < subjectEvents {
				return fmt.Errorf("%d events were read", n)
			}
			return nil
		}},
		{"subject-of-1000-opening", func() error {
			for part := range slices.Chunk(sealed, 4000) {
				err := p.vault.View(ctx, tenant, func(tx *vault.Tx) error {
					opened, err := tx.Open(part)
					for _, o := range opened {
						err = errors.Join(err, o.Err)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"device-as-of", func() error {
			d, found, err := p.views.Device(ctx, tenant, device.Stream, moment)
			if err == nil && (!found || len(d.Values) == 0) {
				err = errors.New("there is no such device")
			}
			return err
		}},
	} {
		const times = 100
		began := time.Now()
		for range times {
			if err := m.do(); err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
		}
		fmt.Printf("ledgerline.%s %.2f ms\n", m.name, float64(time.Since(began).Microseconds())/1e3/times)
	}
	s.stop()
}
