package embedded

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// A broker's folder that cannot be read is a copy: it is moved aside and kept, unless it
// is the copy that is needed.
func TestAnUnreadableBrokerIsKeptWhereItIsNeeded(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), KeepBroker: true,
		Kafka: &kafka.Config{Addr: "127.0.0.1:0", Open: true}}
	layout := filepath.Join(cfg.Dir, KafkaDir, "layout")
	if err := os.MkdirAll(filepath.Dir(layout), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(layout, []byte("of another program\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	aside := func() int {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(cfg.Dir, KafkaDir+".unreadable-*", "layout"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if _, err := Start(t.Context(), cfg); !errors.Is(err, kafka.ErrUnreadable) || aside() != 0 {
		t.Fatalf("it was needed: %v, %d moved aside", err, aside())
	}
	cfg.KeepBroker = false
	s, err := Start(t.Context(), cfg)
	if err != nil || aside() != 1 {
		t.Fatalf("it was not: %v, %d moved aside", err, aside())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
