package settings

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func writeConfig(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledgerline.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A value keeps its text, whatever YAML would make of it.
func TestAScalarKeepsItsText(t *testing.T) {
	for _, text := range []string{"00123", "0x1F", "1e3", "1_000", "true", "yes", "on", "2026-03-01", "12:30:45",
		"'quoted # text'", `"a b"`, ".5", "0o17"} {
		c, err := Load(writeConfig(t, "kafka:\n  password: "+text+"\n"), nil)
		if want := strings.Trim(text, `'"`); err != nil || c.Kafka.Password != want {
			t.Errorf("%s was read as another text (%v)", text, err)
		}
	}
	c, err := Load(writeConfig(t, "kafka:\n  tls: on\n  partitions: 12\nembedded:\n  uncompressed: true\n"), nil)
	if err != nil || c.Kafka.TLS != "on" || c.Kafka.Partitions != 12 || !c.Embedded.Uncompressed {
		t.Errorf("%+v, %v", c.Kafka.TLSFiles, err)
	}
}

// What is wrong is refused by file, line and key, with what to do, and without a secret.
func TestAWrongConfigurationIsRefusedByLineAndKey(t *testing.T) {
	for _, tc := range []struct{ name, yaml, says string }{
		{"no value", "data: /x\noperator:\n", ":2: operator has no value"},
		{"null", "operator: null\n", ":1: operator has no value"},
		{"tilde", "operator: ~\n", ":1: operator has no value"},
		{"twice", "operator: a\noperator: b\n", "operator"},
		{"twice, in a part", "kafka:\n  user: a\n  user: b\n", "user"},
		{"a mistyped key", "kafka:\n  broker: a:1\n", `:2: unknown key "kafka.broker": did you mean kafka.brokers?`},
		{"a mistyped part", "kafak:\n  brokers: a:1\n", `unknown key "kafak"`},
		{"the name of an older key", "kafka.brokers: a:1\nlog-level: warn\n", `did you mean log.level?`},
		{"a list", "kafka:\n  brokers: [a:1, b:2]\n", ":2: kafka.brokers holds a list"},
		{"keys of its own", "operator: {name: x}\n", ":1: operator holds a list or keys"},
		{"no keys", "- operator\n", "not a list of keys"},
		{"a part that is a value", "kafka: a:1\n", ":1: kafka is not a list of keys"},
		{"two documents", "data: a\n---\ndata: b\n", "more than one document"},
		{"an alias", "data: &d /x\noperator: *d\n", "aliases"},
		{"a merge", "kafka:\n  <<: {user: x}\n", "merges"},
		{"no number", "kafka:\n  partitions: many\n", `:2: kafka.partitions: "many" is not a number`},
		{"zero", "kafka:\n  partitions: 0\n", "kafka.partitions"},
		{"half", "kafka:\n  partitions: 1.5\n", "kafka.partitions"},
		{"a number as text", "kafka:\n  partitions: '4'\n", "without quotes"},
		{"hexadecimal", "kafka:\n  partitions: 0x10\n", "kafka.partitions"},
		{"no truth", "embedded:\n  uncompressed: yes\n", "true or false"},
		{"a level", "log:\n  level: loud\n", `log.level: "loud" is not debug, info, warn or error`},
		{"an address", "embedded:\n  kafka-addr: localhost\n", "host:port"},
		{"two lines", "operator: |\n  a\n  b\n", "operator: it holds a control character"},
		{"a control character", `operator: "a\u0007"`, "control character"},
		{"binary", "operator: !!binary YWJj\n", "binary"},
		{"a tab", "kafka:\n\tuser: a\n", "ledgerline.yaml"},
		{"a blank operator", "operator: '  '\n", "operator"},
		{"a database", "clickhouse:\n  database: 'x; DROP'\n", "clickhouse.database"},
	} {
		_, err := Load(writeConfig(t, tc.yaml), nil)
		if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "ledgerline.yaml") {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
	_, err := Load(writeConfig(t, "kafka:\n  broker: typo:9092\ncolour: red\n"), nil)
	if err == nil || !strings.Contains(err.Error(), `"kafka.broker"`) || !strings.Contains(err.Error(), `"colour"`) {
		t.Errorf("two unknown keys: %v, want both named", err)
	}
	for _, wrong := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir(), os.DevNull} {
		if _, err := Load(wrong, nil); err == nil {
			t.Errorf("%s was accepted as a configuration", wrong)
		}
	}
	for _, empty := range []string{"", "\n", "# only words\n", "---\n", "null\n", "kafka:\n"} {
		if _, err := Load(writeConfig(t, empty), nil); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestAVariableThatNothingReadsIsRefusedWithTheNearest(t *testing.T) {
	for env, says := range map[string]string{
		"LEDGERLINE_KAFKA_BROKER=a:1": "did you mean LEDGERLINE_KAFKA_BROKERS?",
		"LEDGERLINE_DATE=/x":          "LEDGERLINE_DATA?",
		"LEDGERLINE_SIEGETARGET=x":    "LEDGERLINE_SIEGE_TARGET?", "LEDGERLINE_=x": "nothing reads LEDGERLINE_",
		"LEDGERLINE_KAFKA_PARTITIONS=many":   "LEDGERLINE_KAFKA_PARTITIONS (kafka.partitions): ",
		"LEDGERLINE_EMBEDDED_UNCOMPRESSED=1": "true or false",
		"LEDGERLINE_LOG_LEVEL=loud":          "LEDGERLINE_LOG_LEVEL", "LEDGERLINE_OPERATOR=a\nb": "control character",
	} {
		if _, err := Load("", []string{env}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", env, err, says)
		}
	}
	for _, name := range append([]string{"PATH", "LEDGER"}, otherVariables...) {
		if _, err := Load("", []string{name + "=x"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every variable of this program that its sources or tests name is a setting or stands in the
// list.
func TestEveryVariableThatIsNamedIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, name := range otherVariables {
		known[name] = true
	}
	for _, s := range new(Settings).All() {
		known[EnvName(s.Key)] = true
	}
	known[EnvPrefix+"CRASH_AT"], known[EnvPrefix+"DISTURB"] = true, true // with their build tags
	form := regexp.MustCompile(`LEDGERLINE_[A-Z][A-Z_]*[A-Z]`)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" && filepath.Base(path) != "Makefile" ||
			filepath.Base(path) == "settings_test.go" || filepath.Base(path) == "gate_test.go" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range form.FindAllString(string(raw), -1) {
			if !known[name] {
				t.Errorf("%s names %s, which the program refuses: add a setting, or name it in otherVariables",
					path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a file holds, it is refused or read; what was read can be written and reads the same.
func FuzzConfigurationFiles(f *testing.F) {
	for _, seed := range []string{"data: x\n", "kafka: {brokers: 'a:1', partitions: 3}\n", "operator: ~\n",
		"a: [*x]\n",
		"<<: 1\n", "? [a]\n: b\n",
		"operator: !!int 7\n", "kafka: {password: 00123}\n", "--- !!map {data: &a b}\n",
		"operator: \"\\x85\"\n", "{}\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		c, err := Load(writeConfig(t, content), nil)
		if err != nil {
			return
		}
		raw, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(writeConfig(t, string(raw)), nil)
		if err != nil || again != c {
			t.Errorf("%q was read, and written as %q it is %v", content, raw, err)
		}
	})
}

// A configuration file with a password in it is its owner's alone.
func TestAPasswordInAFileThatOthersReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledgerline.yaml")
	if err := os.WriteFile(path, []byte("kafka:\n  user: u\n  password: hunter22\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") ||
		strings.Contains(err.Error(), "hunter22") {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path, nil); err != nil || c.Kafka.Password != "hunter22" {
		t.Errorf("%v", err)
	}
}
