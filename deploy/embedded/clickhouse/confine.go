package clickhouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Confinement says what keeps the engine's process from the rest of the machine. Each part that is
// claimed was tried out by the process itself, after it was confined and before it loaded the
// engine.
type Confinement struct {
	Landlock int  `json:"landlock"` // version of the kernel's interface in use, 0 for none
	Files    bool `json:"files"`    // no file beyond its own directories can be opened
	TCP      bool `json:"tcp"`      // Landlock, too, refuses to connect and to bind
	Signals  bool `json:"signals"`  // no other process can be signalled
	Syscalls bool `json:"syscalls"` // no new socket of any kind, no new program, no other process's memory
	// What does not hold, and why.
	Missing []string `json:"missing,omitempty"`
}

// Complete says that everything holds that this package knows to ask for.
func (c Confinement) Complete() bool {
	return c.Files && c.TCP && c.Signals && c.Syscalls && len(c.Missing) == 0
}

func (c Confinement) String() string {
	var holds []string
	for _, p := range []struct {
		holds bool
		name  string
	}{{c.Files, "files"}, {c.TCP, "TCP"}, {c.Signals, "signals"}} {
		if p.holds {
			holds = append(holds, p.name)
		}
	}
	var parts []string
	if len(holds) > 0 {
		parts = append(parts, fmt.Sprintf("Landlock ABI %d: %s", c.Landlock, strings.Join(holds, ", ")))
	}
	if c.Syscalls {
		parts = append(parts, "seccomp: no sockets, no programs, no other processes")
	}
	if len(parts) == 0 {
		parts = append(parts, "not confined")
	}
	if len(c.Missing) > 0 {
		parts = append(parts, "missing: "+strings.Join(c.Missing, "; "))
	}
	return strings.Join(parts, "; ")
}

// plan is what the child must know before it may read its configuration: it holds no secret and
// comes in the environment.
type plan struct {
	Confine bool     `json:"confine"`
	Write   []string `json:"write"`  // folders that the engine may change
	Read    []string `json:"read"`   // files it may read beside the system's
	Beside  string   `json:"beside"` // a folder that it must not be able to open afterwards

	// Set by the child's first stage for its second.
	Landlock int      `json:"landlock,omitempty"` // ABI in use; the process was executed again under it
	Opened   []string `json:"opened,omitempty"`   // folders outside that could be opened before
	Missing  []string `json:"missing,omitempty"`
}

// planEnv carries the plan. Its presence says that Start made this process.
const planEnv = "EMBEDDED_CLICKHOUSE_CHILD"

// Descriptors that the child inherits beside the standard ones.
const (
	controlFD  = 3 // a socket: the configuration and new certificates come in, the ready line goes out
	listenerFD = 4 // the listening socket
)

// passedOn move clocks, texts and Go's own runtime.
var passedOn = []string{
	"PATH", "TZ", "TZDIR", "LANG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK",
}

// childEnviron is what the child gets of its parent's environment. The rest may hold secrets that are
// none of the engine's business.
func childEnviron(p plan, home string) ([]string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	// The engine looks for a configuration below HOME.
	env := []string{planEnv + "=" + string(b), "HOME=" + home}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(passedOn, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	return env, nil
}

// ChildConfigFromEnv returns what Start tells this process. It confines the process first, and for
// that executes the program again with the same arguments: call it at the very start, before
// anything is done that must not happen twice.
func ChildConfigFromEnv() (ChildConfig, error) {
	v := os.Getenv(planEnv)
	if v == "" {
		return ChildConfig{}, errors.New("this command is started by the embedded ClickHouse's parent, not by hand")
	}
	if err := supported(); err != nil {
		return ChildConfig{}, err
	}
	var p plan
	if err := json.Unmarshal([]byte(v), &p); err != nil {
		return ChildConfig{}, fmt.Errorf("read the child's environment: %w", err)
	}
	control := os.NewFile(controlFD, "control")
	held := Confinement{Missing: []string{"it was not asked for"}}
	if p.Confine {
		var err error
		if held, err = confine(p); err != nil {
			err = fmt.Errorf("confine the engine's process: %w", err)
			// The parent may be gone: then stderr and the exit code speak.
			_ = json.NewEncoder(control).Encode(ready{Error: err.Error()})
			return ChildConfig{}, err
		}
	}
	cfg := ChildConfig{confinement: held, control: control, messages: json.NewDecoder(control)}
	if err := cfg.messages.Decode(&cfg); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the parent is gone")
		}
		return ChildConfig{}, fmt.Errorf("read the child's configuration: %w", err)
	}
	return cfg, nil
}
