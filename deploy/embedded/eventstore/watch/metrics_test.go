package watch

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// A slow fsync is warned of with its duration, not with each one of a storm.
func TestSlowSyncsAreWarnedOfOnceInAWhile(t *testing.T) {
	var out bytes.Buffer
	m := New(slog.New(slog.NewTextHandler(&out, nil)))
	m.Synced(eventlog.Sync{Requests: 1, Events: 2, Took: slowSync - time.Nanosecond})
	if out.Len() > 0 {
		t.Errorf("warned of an fsync that is not slow: %s", &out)
	}
	for range 100 {
		m.Syncing()
		m.Synced(eventlog.Sync{Requests: 1, Events: 2, Took: 1500 * time.Millisecond})
	}
	if n := strings.Count(out.String(), "slow fsync"); n != 1 || !strings.Contains(out.String(), "took=1.5s") {
		t.Errorf("%d warnings: %s", n, &out)
	}
}

// While an fsync hangs, its age shows.
func TestPendingFsyncShows(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler))
	if m.syncPending() != 0 {
		t.Error("an fsync is pending before any began")
	}
	m.Syncing()
	if m.syncPending() < 0 || m.syncBegan.Load() == 0 {
		t.Error("no fsync is pending")
	}
	m.Synced(eventlog.Sync{})
	if m.syncPending() != 0 {
		t.Error("an fsync that has ended is pending")
	}
}

func TestHealth(t *testing.T) {
	for want, failure := range map[int]error{http.StatusNoContent: nil,
		http.StatusServiceUnavailable: errors.New("gone")} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health/live", nil)
		Health(func() error { return failure }).ServeHTTP(rec, req)
		if rec.Code != want || rec.Body.Len() > 0 {
			t.Errorf("failure %v: got %d, %q", failure, rec.Code, rec.Body)
		}
	}
}
