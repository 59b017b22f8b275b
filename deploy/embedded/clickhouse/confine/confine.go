// Package confine takes from the engine's process what it needs not: other files, addresses,
// programs and processes, by Landlock and seccomp. What the process cannot do, no statement can.
//
// It keeps nothing and so can lose nothing. It trusts the kernel only where it has tried it: each
// part that it claims was tried out by the process itself. See DESIGN.md.
package confine

import (
	"encoding/json"
	"fmt"
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

// String says what holds and what is missing, in words.
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

// Plan is what the child must know before it may read its configuration: it holds no secret and
// comes in the environment.
type Plan struct {
	Confine bool     `json:"confine"`
	Write   []string `json:"write"`  // folders that the engine may change
	Read    []string `json:"read"`   // files it may read beside the system's
	Beside  string   `json:"beside"` // a folder that it must not be able to open afterwards

	// Set by the child's first stage for its second.
	Landlock int      `json:"landlock,omitempty"` // ABI in use; the process was executed again under it
	Opened   []string `json:"opened,omitempty"`   // folders outside that could be opened before
	Missing  []string `json:"missing,omitempty"`
}

// PlanEnv carries the plan. Its presence says that Start made this process.
const PlanEnv = "EMBEDDED_CLICKHOUSE_CHILD"

// Descriptors that the child inherits beside the standard ones.
const (
	ControlFD  = 3 // a socket: the configuration and new certificates come in, the ready line goes out
	ListenerFD = 4 // the listening socket
)

// passedOn move clocks, texts and Go's own runtime.
var passedOn = []string{
	"PATH", "TZ", "TZDIR", "LANG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK",
}

// ChildEnviron is what the child gets of its parent's environment. The rest may hold secrets that
// are none of the engine's business.
func ChildEnviron(p Plan, home string) ([]string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	// The engine looks for a configuration below HOME.
	env := []string{PlanEnv + "=" + string(b), "HOME=" + home}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(passedOn, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	return env, nil
}
