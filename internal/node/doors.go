package node

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// Door is one server of a running `up`, and an account at it.
type Door struct {
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

// Doors returns the servers asked for, by the account of that name, or else the first of each.
func Doors(c Config, wanted []datadir.Server, account string) (map[datadir.Server]*Door, error) {
	r, err := c.Running()
	if err != nil {
		return nil, err
	}
	secrets, err := c.Dir().Secrets()
	if err != nil {
		return nil, err
	}
	out := map[datadir.Server]*Door{}
	for _, s := range wanted {
		d := &Door{Server: s, User: cmp.Or(account, datadir.Accounts(s)[0])}
		if d.Password, err = secrets.Password(s, d.User); err != nil {
			return nil, err
		}
		if err := c.fill(d, r); err != nil {
			return nil, err
		}
		out[s] = d
	}
	return out, nil
}

// fill adds the address, and writes the files of programs that take no password otherwise without
// showing it.
func (c Config) fill(d *Door, r datadir.Running) (err error) {
	switch d.Server {
	case datadir.EventStore:
		d.URL, d.Elsewhere = r.EventStore, r.Advertised
		if d.URL == "" {
			break
		}
		if u, err := url.Parse(d.URL); err == nil {
			d.CAFile = u.Query().Get("tlsCAFile")
		}
		return c.fillHTTP(d)
	case datadir.Kafka:
		d.Brokers, d.SASL = r.Kafka, "SCRAM-SHA-256"
		if d.Brokers == "" {
			break
		}
		return c.fillKafka(d)
	case datadir.ClickHouse:
		if d.URL = r.ClickHouse; d.URL == "" {
			break
		}
		if strings.HasPrefix(d.URL, "https://") {
			d.CAFile = r.CAFile
		}
		return c.fillHTTP(d)
	case datadir.Status:
		d.URL = r.Status
		if err := c.fillHTTP(d); err != nil {
			return err
		}
		return c.fillPrometheus(d)
	}
	return settings.Errorf("%s is not embedded here: %s.address names it, and its accounts are its own", d.Server,
		d.Server)
}

// fillHTTP reads the authority, where there is one, and writes curl's configuration.
func (c Config) fillHTTP(d *Door) error {
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
	return c.clientFile(d, "curl", ".curl", lines)
}

// fillPrometheus writes a configuration with which Prometheus scrapes the status port.
func (c Config) fillPrometheus(d *Door) error {
	u, err := url.Parse(d.URL)
	if err != nil {
		return fmt.Errorf("address of the status port: %w", err)
	}
	return c.clientFile(d, "prometheus", ".prometheus.yml", fmt.Sprintf(`scrape_configs:
  - job_name: ledgerline
    basic_auth:
      username: %q
      password: %q
    static_configs:
      - targets: [%q]
`, d.User, d.Password, u.Host))

}

func (c Config) fillKafka(d *Door) error {
	err := c.clientFile(d, "kcat", ".conf", fmt.Sprintf(`bootstrap.servers=%s
security.protocol=SASL_PLAINTEXT
sasl.mechanism=%s
sasl.username=%s
sasl.password=%s
`, d.Brokers, d.SASL, d.User, d.Password))

	if err != nil {
		return err
	}
	return c.clientFile(d, "java", ".properties", fmt.Sprintf(`bootstrap.servers=%s
security.protocol=SASL_PLAINTEXT
sasl.mechanism=%s
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
`, d.Brokers, d.SASL, d.User, d.Password))
}

// clientFile writes a program's configuration, for its owner alone.
func (c Config) clientFile(d *Door, program, suffix, content string) error {
	if err := os.MkdirAll(c.Dir().Path("connect"), 0o700); err != nil {
		return err
	}
	// Programs that run elsewhere are given the name.
	path, err := filepath.Abs(c.Dir().Path("connect", string(d.Server)+"-"+d.User+suffix))
	if err != nil {
		return err
	}
	if d.Files == nil {
		d.Files = map[string]string{}
	}
	d.Files[program] = path
	return datadir.WritePrivate(path, []byte(content))
}
