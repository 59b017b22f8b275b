package answer

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

var serverNames = map[datadir.Server]string{
	datadir.EventStore: "Event store (EventStoreDB's gRPC protocol)", datadir.Kafka: "Kafka",
	datadir.ClickHouse: "ClickHouse (HTTP interface)", datadir.Status: "Status of up",
}

// WriteDoor prints the address, the account, and a line for each program.
func WriteDoor(w io.Writer, d *node.Door, database string) {
	fmt.Fprintf(w, "%s, account %s\n", serverNames[d.Server], d.User)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  "+terminal.Left(name, 10)+" "+format+"\n", args...)
	}
	line("address", "%s", cmp.Or(d.URL, d.Brokers))
	line("password", "%s", d.Password)
	switch d.Server {
	case datadir.EventStore:
		address, err := node.WithAccount(d.URL, d.User, d.Password)
		if err == nil {
			line("esdb", "%s", address)
		}
		if d.Elsewhere != "" {
			line("elsewhere", "%s", d.Elsewhere)
			if d.CA != "" {
				line("", "with a copy of the authority below in place of tlsCAFile")
			}
		}
		line("curl", "curl --config %s %s/metrics", terminal.Word(d.Files["curl"]), httpsOf(d.URL))
	case datadir.Kafka:
		line("kcat", "kcat -F %s -L", terminal.Word(d.Files["kcat"]))
		line("kcat", "kcat -F %s -C -t ledger.device -o beginning -e", terminal.Word(d.Files["kcat"]))
		line("java", "kafka-topics.sh --bootstrap-server %s --command-config %s --describe", d.Brokers,
			terminal.Word(d.Files["java"]))
		line("", "ledger.position and ledger.checkpoint hold marks, ledger.dead-letter what a consumer parked;")
		line("", "every other ledger.* topic holds CloudEvents")
	case datadir.ClickHouse:
		line("curl", "curl --config %s --data-binary 'SELECT count() FROM %s.events' %s/",
			terminal.Word(d.Files["curl"]), database, d.URL)
		if host, port, err := net.SplitHostPort(d.URL[strings.Index(d.URL, "://")+3:]); err == nil {
			tls := ""
			if d.CAFile != "" {
				tls = fmt.Sprintf(", secure=True, ca_cert=%q", d.CAFile)
			}
			line("Python", "clickhouse_connect.get_client(host=%q, port=%s, username=%q, password=%q%s)",
				host, port, d.User, d.Password, tls)
		}
	case datadir.Status:
		line("curl", "curl --config %s %s/status", terminal.Word(d.Files["curl"]), d.URL)
		line("curl", "curl --config %s %s/metrics", terminal.Word(d.Files["curl"]), d.URL)
		line("Prometheus", "prometheus --config.file %s", terminal.Word(d.Files["prometheus"]))
		line("", "or name that file under scrape_config_files. The port is another at each start of up,")
		line("", "unless embedded.status-addr (%s) names one", settings.EnvName("embedded.status-addr"))
	}
	if d.CA != "" {
		line("authority", "%s", d.CAFile)
		fmt.Fprint(w, d.CA)
	}
}

// httpsOf is where the event store of a connection string answers plain HTTP requests.
func httpsOf(connection string) string {
	u, err := url.Parse(connection)
	if err != nil {
		return ""
	}
	return "https://" + u.Host
}
