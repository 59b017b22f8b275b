package eventstore

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// Plain HTTP on the gRPC port: health, and nothing else.
func TestHealthOnTheSamePort(t *testing.T) {
	f := newFixture(t)
	f.append("s", nil, event(`{}`)) // gRPC works beside it
	defer http.DefaultClient.CloseIdleConnections()
	for path, want := range map[string]int{"/health/live": http.StatusNoContent, "/": http.StatusNotFound,
		"/streams/s": http.StatusNotFound} {
		resp, err := http.Get("http://" + f.s.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// Connections that say nothing do not hold up a stop.
func TestStopWithSilentConnections(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.sniff = 24 * time.Hour
	s, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("s", nil, event(`{}`))
	stopServer(t, s) // fails where it has to wait for them
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("the port is still open")
	}
}
