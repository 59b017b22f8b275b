package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/internal/settings"
)

func writeConfig(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledgerline.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	path := writeConfig(t, "data: /srv/ledger\nlog: {level: debug, format: json}\nkafka:\n  brokers: "+
		"from-file:9092\n  partitions: 7\neventstore:\n  address: esdb://es:2113?tls=true\n")
	c, err := settings.Load(path, []string{"LEDGERLINE_KAFKA_BROKERS=from-env:9092", "LEDGERLINE_OPERATOR=", "HOME=/x",
		"LEDGERLINE_CONFIG=y"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "/srv/ledger" || c.EventStore.Address != "esdb://es:2113?tls=true" || c.Kafka.Partitions != 7 {
		t.Error("the file was not read")
	}
	if c.Kafka.Brokers != "from-env:9092" {
		t.Errorf("kafka.brokers is %q, the environment wins over the file", c.Kafka.Brokers)
	}
	if c.ClickHouse.Database != "ledgerline" || c.Operator != "" || c.Kafka.TLS != "auto" {
		t.Error("what nobody gave has not its default")
	}
	t.Setenv("LEDGERLINE_LOG_LEVEL", "error")
	t.Setenv("LEDGERLINE_DATA", "/from/env")
	a := &app{}
	root := newRoot(a)
	status, _, err := root.Find([]string{"status"})
	if err != nil {
		t.Fatal(err)
	}
	if err := status.ParseFlags([]string{"--config", path, "--data", "/from/flag"}); err != nil {
		t.Fatal(err)
	}
	if err := a.load(status); err != nil {
		t.Fatal(err)
	}
	if a.cfg.Data != "/from/flag" || a.cfg.Log.Level != "error" || a.cfg.Log.Format != "json" {
		t.Errorf("data %s, log %+v", a.cfg.Data, a.cfg.Log)
	}
}
