package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/datadir"
)

// A door is one server of a running `up`, and an account at it.
type door struct {
	Server    datadir.Server    `json:"-"`
	URL       string            `json:"url,omitempty"`           // without credentials and trailing slash
	Elsewhere string            `json:"advertisedUrl,omitempty"` // URL for clients elsewhere, where theirs is another
	Brokers   string            `json:"brokers,omitempty"`       // host:port
	User      string            `json:"user"`
	Password  string            `json:"password"`
	SASL      string            `json:"saslMechanism,omitempty"`
	CAFile    string            `json:"caFile,omitempty"`
	CA        string            `json:"ca,omitempty"`    // PEM
	Files     map[string]string `json:"files,omitempty"` // for which program → its configuration, with the password
}

func newConnect(a *app) *cobra.Command {
	var account, output string
	servers := []string{string(datadir.EventStore), string(datadir.Kafka), string(datadir.ClickHouse), string(datadir.Status)}
	cmd := &cobra.Command{
		Use:   "connect [" + strings.Join(servers, "|") + "]",
		Short: "Say how other programs attach to the running servers, and by which account",
		Long: `connect prints the address of each embedded server, an account at it, and lines with which programs attach. It
shows passwords: what it prints is for its reader alone. For programs that would show a password to every user of
the machine, in the list of processes, it also writes their own configuration into DATA/connect, readable by its
owner alone, and prints lines that name it.

Accounts, the first of each by default:
  eventstore   reader    reads every stream and $all, writes nothing
               ledger    what the ledger itself does: it appends to the ledger's streams
  kafka        reader    reads the topics
               consumer  reads them in groups, and writes ledger.dead-letter
               relay     what the ledger itself does: it makes the topics and writes them
  clickhouse   reader    reads every table; statements, functions and time are bounded
               ledger    what the ledger itself does: it makes the tables and fills them
  status       operator  GET /status, /metrics and /debug/pprof of ` + "`ledgerline up`" + `, on this machine alone

The metrics are those of up's own process, for Prometheus: event store, relay, projector, its use of the vault, and
the intake of up --fleet. What another process does, as import does, is not counted there, save by the event store.

The passwords are random and made at the first start. To replace all of them, stop ` + "`ledgerline up`" + `, remove
DATA/keys/accounts.json, and start it again.`,
		Example: `  ledgerline connect
  ledgerline connect kafka --account consumer
  ledgerline connect clickhouse --output json`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: servers,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted := []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse}
			if len(args) == 1 {
				wanted = []datadir.Server{datadir.Server(args[0])}
			}
			if account != "" && (len(args) == 0 || !slices.Contains(datadir.Accounts(wanted[0]), account)) {
				return usage("--account %q: name a server, and one of its accounts:%s", account, accountList())
			}
			doors, err := a.doors(wanted, account)
			if err != nil {
				return err
			}
			var doc any = doors[wanted[0]]
			if len(args) == 0 {
				doc = doors
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				for i, s := range wanted {
					if i > 0 {
						fmt.Fprintln(w)
					}
					doors[s].text(w, a.cfg.ClickHouse.Database)
				}
			})
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "another account than the one that may only read")
	outputFlag(cmd, &output)
	return cmd
}

// doors returns the servers asked for, by the account of that name, or else the first of each.
func (a *app) doors(wanted []datadir.Server, account string) (map[datadir.Server]*door, error) {
	r, err := a.running()
	if err != nil {
		return nil, err
	}
	secrets, err := a.dir().Secrets()
	if err != nil {
		return nil, err
	}
	out := map[datadir.Server]*door{}
	for _, s := range wanted {
		d := &door{Server: s, User: first(account, datadir.Accounts(s)[0])}
		if d.Password, err = secrets.Password(s, d.User); err != nil {
			return nil, err
		}
		if err := a.fill(d, r); err != nil {
			return nil, err
		}
		out[s] = d
	}
	return out, nil
}

// fill adds the address, and writes the files of programs that take no password otherwise without showing it.
func (a *app) fill(d *door, r datadir.Running) (err error) {
	switch d.Server {
	case datadir.EventStore:
		d.URL, d.Elsewhere = r.EventStore, r.Advertised
		if d.URL == "" {
			break
		}
		if u, err := url.Parse(d.URL); err == nil {
			d.CAFile = u.Query().Get("tlsCAFile")
		}
		return a.fillHTTP(d)
	case datadir.Kafka:
		d.Brokers, d.SASL = r.Kafka, "SCRAM-SHA-256"
		if d.Brokers == "" {
			break
		}
		return a.fillKafka(d)
	case datadir.ClickHouse:
		if d.URL = r.ClickHouse; d.URL == "" {
			break
		}
		if strings.HasPrefix(d.URL, "https://") {
			d.CAFile = r.CAFile
		}
		return a.fillHTTP(d)
	case datadir.Status:
		d.URL = r.Status
		if err := a.fillHTTP(d); err != nil {
			return err
		}
		return a.fillPrometheus(d)
	}
	return usage("%s is not embedded here: %s.address names it, and its accounts are its own", d.Server, d.Server)
}

// fillHTTP reads the authority, where there is one, and writes curl's configuration.
func (a *app) fillHTTP(d *door) error {
	quoted := func(v string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"` }
	lines := "silent\nshow-error\nuser = " + quoted(d.User+":"+d.Password) + "\n"
	if d.CAFile != "" {
		pem, err := os.ReadFile(d.CAFile)
		if err != nil {
			return err
		}
		d.CA = string(pem)
		lines += "cacert = " + quoted(d.CAFile) + "\n"
	}
	return a.clientFile(d, "curl", ".curl", lines)
}

// fillPrometheus writes a configuration with which Prometheus scrapes the status port.
func (a *app) fillPrometheus(d *door) error {
	u, err := url.Parse(d.URL)
	if err != nil {
		return fmt.Errorf("address of the status port: %w", err)
	}
	return a.clientFile(d, "prometheus", ".prometheus.yml", fmt.Sprintf(`scrape_configs:
  - job_name: ledgerline
    basic_auth:
      username: %q
      password: %q
    static_configs:
      - targets: [%q]
`, d.User, d.Password, u.Host))
}

func (a *app) fillKafka(d *door) error {
	err := a.clientFile(d, "kcat", ".conf", fmt.Sprintf(`bootstrap.servers=%s
security.protocol=SASL_PLAINTEXT
sasl.mechanism=%s
sasl.username=%s
sasl.password=%s
`, d.Brokers, d.SASL, d.User, d.Password))
	if err != nil {
		return err
	}
	return a.clientFile(d, "java", ".properties", fmt.Sprintf(`bootstrap.servers=%s
security.protocol=SASL_PLAINTEXT
sasl.mechanism=%s
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
`, d.Brokers, d.SASL, d.User, d.Password))
}

// clientFile writes a program's configuration, for its owner alone.
func (a *app) clientFile(d *door, program, suffix, content string) error {
	if err := os.MkdirAll(a.dir().Path("connect"), 0o700); err != nil {
		return err
	}
	// Programs that run elsewhere are given the name.
	path, err := filepath.Abs(a.dir().Path("connect", string(d.Server)+"-"+d.User+suffix))
	if err != nil {
		return err
	}
	if d.Files == nil {
		d.Files = map[string]string{}
	}
	d.Files[program] = path
	return datadir.WritePrivate(path, []byte(content))
}

var serverNames = map[datadir.Server]string{
	datadir.EventStore: "Event store (EventStoreDB's gRPC protocol)", datadir.Kafka: "Kafka",
	datadir.ClickHouse: "ClickHouse (HTTP interface)", datadir.Status: "Status of up",
}

// accountList names the accounts of each server.
func accountList() (text string) {
	for _, s := range []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse, datadir.Status} {
		text += fmt.Sprintf(" %s %v", s, datadir.Accounts(s))
	}
	return text
}

// text prints the address, the account, and a line for each program.
func (d *door) text(w io.Writer, database string) {
	fmt.Fprintf(w, "%s, account %s\n", serverNames[d.Server], d.User)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-10s "+format+"\n", append([]any{name}, args...)...)
	}
	line("address", "%s", first(d.URL, d.Brokers))
	line("password", "%s", d.Password)
	switch d.Server {
	case datadir.EventStore:
		address, err := withAccount(d.URL, d.User, d.Password, "")
		if err == nil {
			line("esdb", "%s", address)
		}
		if d.Elsewhere != "" {
			line("elsewhere", "%s", d.Elsewhere)
			if d.CA != "" {
				line("", "with a copy of the authority below in place of tlsCAFile")
			}
		}
		line("curl", "curl --config %s %s/metrics", shellWord(d.Files["curl"]), httpsOf(d.URL))
	case datadir.Kafka:
		line("kcat", "kcat -F %s -L", shellWord(d.Files["kcat"]))
		line("kcat", "kcat -F %s -C -t ledger.device -o beginning -e", shellWord(d.Files["kcat"]))
		line("java", "kafka-topics.sh --bootstrap-server %s --command-config %s --describe", d.Brokers,
			shellWord(d.Files["java"]))
		line("", "ledger.position and ledger.checkpoint hold marks, ledger.dead-letter what a consumer parked;")
		line("", "every other ledger.* topic holds CloudEvents")
	case datadir.ClickHouse:
		line("curl", "curl --config %s --data-binary 'SELECT count() FROM %s.events' %s/",
			shellWord(d.Files["curl"]), database, d.URL)
		if host, port, err := net.SplitHostPort(d.URL[strings.Index(d.URL, "://")+3:]); err == nil {
			tls := ""
			if d.CAFile != "" {
				tls = fmt.Sprintf(", secure=True, ca_cert=%q", d.CAFile)
			}
			line("Python", "clickhouse_connect.get_client(host=%q, port=%s, username=%q, password=%q%s)",
				host, port, d.User, d.Password, tls)
		}
	case datadir.Status:
		line("curl", "curl --config %s %s/status", shellWord(d.Files["curl"]), d.URL)
		line("curl", "curl --config %s %s/metrics", shellWord(d.Files["curl"]), d.URL)
		line("Prometheus", "prometheus --config.file %s", shellWord(d.Files["prometheus"]))
		line("", "or name that file under scrape_config_files. The port is another at each start of up,")
		line("", "unless embedded.status-addr (%s) names one", envName("embedded.status-addr"))
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

// shellWord is a word of a command line, in quotes where it needs some.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("/._-+:@%,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
