//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second // a call that is still open then is cut
)

// mode is one way to run a server.
type mode struct {
	name     string
	insecure bool
}

// servers starts and stops event stores for tests in other processes, by HTTP:
//
//	POST /start[?populated=true]  a fresh server; the answer is its host:port
//	DELETE /HOST:PORT             stops it
type servers struct {
	mode   mode
	root   string // each server's directory is made in it
	certs  string // what writeCertificates wrote
	logger *slog.Logger
	http   *httptest.Server

	mu      sync.Mutex
	running map[string]*eventstore.Server // by the endpoint that was answered
}

func newServers(m mode, root, certs string, logger *slog.Logger) *servers {
	s := &servers{mode: m, root: root, certs: certs, logger: logger, running: map[string]*eventstore.Server{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", s.serveStart)
	mux.HandleFunc("DELETE /{endpoint}", s.serveStop)
	s.http = httptest.NewServer(mux)
	return s
}

func (s *servers) serveStart(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), startTimeout)
	defer cancel()
	endpoint, err := s.start(ctx, r.FormValue("populated") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, endpoint)
}

func (s *servers) serveStop(w http.ResponseWriter, r *http.Request) {
	if err := s.stop(r.PathValue("endpoint")); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *servers) start(ctx context.Context, populated bool) (endpoint string, err error) {
	dir, err := os.MkdirTemp(s.root, "server")
	if err != nil {
		return "", fmt.Errorf("start server: %w", err)
	}
	cfg := eventstore.Config{Dir: filepath.Join(dir, "store"), Addr: "127.0.0.1:0", Open: s.mode.insecure,
		Logger: s.logger}
	if !s.mode.insecure {
		if err := secure(&cfg, s.certs); err != nil {
			return "", err
		}
	}
	server, err := eventstore.Start(ctx, cfg)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(server.Addr())
	if err == nil {
		// The certificates are made out to this name.
		endpoint = net.JoinHostPort("localhost", port)
		err = s.seed(ctx, endpoint, populated)
	}
	if err != nil {
		stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return "", errors.Join(err, server.Stop(stopping))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[endpoint] = server
	return endpoint, nil
}

func (s *servers) stop(endpoint string) error {
	s.mu.Lock()
	server := s.running[endpoint]
	delete(s.running, endpoint)
	s.mu.Unlock()
	if server == nil {
		return fmt.Errorf("stop server: no server at %s", endpoint)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		return fmt.Errorf("stop server: %w", err)
	}
	return nil
}

// stopAll stops the servers that a process left running because it failed.
func (s *servers) stopAll() error {
	s.mu.Lock()
	var left []string
	for endpoint := range s.running {
		left = append(left, endpoint)
	}
	s.mu.Unlock()
	var errs []error
	for _, endpoint := range left {
		errs = append(errs, s.stop(endpoint))
	}
	return errors.Join(errs...)
}

// seed writes what the client's tests expect of a server that has just started:
// the user in $users that a real server makes of itself, and for a populated one
// what the tests use of the publisher's database without looking at its events:
// the 6,000 of dataset20M-0, and that one begins at position 3386.
func (s *servers) seed(ctx context.Context, endpoint string, populated bool) (err error) {
	conn := "esdb://" + endpoint + "?tls=false"
	if !s.mode.insecure {
		conn = "esdb://admin:changeit@" + endpoint + "?tls=true&tlsCAFile=" +
			url.QueryEscape(filepath.Join(s.certs, "ca", "ca.crt"))
	}
	config, err := esdb.ParseConnectionString(conn)
	if err != nil {
		return fmt.Errorf("seed server: %w", err)
	}
	config.Logger = func(esdb.LogLevel, string, ...any) {} // errors are returned
	client, err := esdb.NewClient(config)
	if err != nil {
		return fmt.Errorf("seed server: %w", err)
	}
	user := esdb.EventData{EventID: uuid.New(), EventType: "$User", ContentType: esdb.ContentTypeJson,
		Data: []byte(`"admin"`)}
	if _, err := client.AppendToStream(ctx, "$users", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
		user); err != nil {
		return fmt.Errorf("seed $users: %w", err)
	}
	if populated {
		if err := populate(ctx, client); err != nil {
			return err
		}
	}
	if err := client.Close(); err != nil {
		return fmt.Errorf("seed server: %w", err)
	}
	return nil
}

func populate(ctx context.Context, client *esdb.Client) error {
	if err := beginAt(ctx, client, 3386); err != nil {
		return err
	}
	const batch, total = 1000, 6000
	for n := 0; n < total; n += batch {
		expect := esdb.ExpectedRevision(esdb.NoStream{})
		if n > 0 {
			expect = esdb.Revision(uint64(n - 1))
		}
		events := make([]esdb.EventData, batch)
		for i := range events {
			events[i] = event(fmt.Appendf(nil, `{"n":%d}`, n+i))
		}
		if _, err := client.AppendToStream(ctx, "dataset20M-0", esdb.AppendToStreamOptions{ExpectedRevision: expect},
			events...); err != nil {
			return fmt.Errorf("seed dataset20M-0: %w", err)
		}
	}
	return nil
}

// beginAt appends four events so that the last of them begins at the position.
// The first two tell how long one is, and the third is longer by what is missing:
// an event grows by a byte for each of its data as long as the number of those
// takes two.
func beginAt(ctx context.Context, client *esdb.Client, position uint64) error {
	const usual = 200
	var at [4]uint64
	for i := range at {
		size := usual
		if i == 2 {
			length := at[1] - at[0]
			size += int(position - at[1] - 2*length)
		}
		data := fmt.Appendf(nil, "%-*s", size, "{}")
		res, err := client.AppendToStream(ctx, "padding", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
			event(data))
		if err != nil {
			return fmt.Errorf("seed padding: %w", err)
		}
		at[i] = res.CommitPosition
	}
	if at[3] != position {
		return fmt.Errorf("seed padding: an event begins at %d, not at %d", at[3], position)
	}
	return nil
}

func event(data []byte) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "seeded", ContentType: esdb.ContentTypeJson, Data: data}
}
