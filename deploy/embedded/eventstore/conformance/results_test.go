//go:build conformance

package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// testTimeout ends the process of a test that hangs; then the tests after it run
// in another. The slowest that pass take 2 s. One on the list hangs: updateProjection
// asks again for 100 s.
const testTimeout = 20 * time.Second

// outcome is how a test ended.
type outcome string

const (
	passed     outcome = "pass"
	failed     outcome = "fail"
	skipped    outcome = "skip"
	unfinished outcome = "unfinished" // its process ended first: it hung, panicked or exited
)

type result struct {
	outcome outcome
	output  strings.Builder
}

// results holds every test that ran, by its full name.
type results map[string]*result

// leaf says whether the test has no tests of its own. Only such tests are
// compared: the others fail because of those.
func (r results) leaf(name string) bool {
	for other := range r {
		if strings.HasPrefix(other, name+"/") {
			return false
		}
	}
	return true
}

// run runs one top-level test in a process of its own, and adds what came of it.
// Where a panic or a hanging test ends that process, the tests that it had not
// begun run in another. The error is one of the run, not of a test.
func (s *suite) run(ctx context.Context, m mode, servers *servers, top string, into results) error {
	had := results{} // of the processes so far
	for {
		output, runErr := s.process(ctx, m, servers, top, had.skip())
		code := 0
		var exit *exec.ExitError
		if errors.As(runErr, &exit) {
			code = exit.ExitCode()
		} else if runErr != nil {
			return fmt.Errorf("run: %w", runErr)
		}
		convert := exec.CommandContext(ctx, "go", "tool", "test2json")
		convert.Stdin = bytes.NewReader(output)
		events, err := convert.Output()
		if err != nil {
			return fmt.Errorf("read the output: %w", err)
		}
		now := results{}
		if err := now.add(events); err != nil {
			return err
		}
		failures, ended, progress := false, false, false
		for name, t := range now {
			failures = failures || t.outcome == failed
			ended = ended || t.outcome == unfinished
			progress = progress || had[name] == nil && now.leaf(name)
			if had[name] == nil || had[name].outcome == unfinished || t.outcome == failed {
				had[name], into[name] = t, t
			}
		}
		// 0 says that all passed, 1 that one failed or that something called os.Exit;
		// a panic is 2 and a kill -1, after the last test too.
		explained := code == 0 && !failures && !ended || code == 1 && (failures || ended) || ended && code != 0
		if now[top] == nil || !explained {
			return fmt.Errorf("the process ended with %v, which its tests do not explain:\n%s", runErr, output)
		}
		if now[top].outcome != unfinished || had.leaf(top) {
			return nil
		}
		if !progress {
			return fmt.Errorf("the process ended before any test that had not run:\n%s", output)
		}
	}
}

// skip is the pattern of all tests that ran already.
func (r results) skip() string {
	var patterns []string
	for name := range r {
		if r.leaf(name) {
			parts := strings.Split(name, "/")
			for i, p := range parts {
				parts[i] = "^" + regexp.QuoteMeta(p) + "$"
			}
			patterns = append(patterns, strings.Join(parts, "/"))
		}
	}
	return strings.Join(patterns, "|")
}

// process runs the tests of one top-level test and returns what they print.
func (s *suite) process(ctx context.Context, m mode, servers *servers, top, skip string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One test at a time runs: that it begins or ends is on a line of its own.
	hangs := time.AfterFunc(testTimeout, cancel)
	defer hangs.Stop()
	cmd := exec.CommandContext(ctx, s.binary, "-test.run=^"+top+"$", "-test.skip="+skip, "-test.v=test2json",
		"-test.timeout=0")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(),
		"EVENTSTORE_INSECURE="+strconv.FormatBool(m.insecure), "CLUSTER=false",
		"CONFORMANCE_CONTROL="+servers.http.URL)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var output bytes.Buffer
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		output.Write(line)
		if bytes.Contains(line, []byte("=== RUN")) || bytes.Contains(line, []byte("--- ")) {
			hangs.Reset(testTimeout)
		}
		if err != nil { // its end, whatever ended it
			return output.Bytes(), cmd.Wait()
		}
	}
}

// add takes in the events of one process.
func (r results) add(events []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(events))
	lines.Buffer(nil, len(events)+1)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read the output: %w", err)
		}
		if e.Test == "" {
			continue
		}
		if e.Action == "run" {
			if r[e.Test] != nil {
				return fmt.Errorf("read the output: %s ran twice", e.Test)
			}
			r[e.Test] = &result{outcome: unfinished}
		}
		t := r[e.Test]
		if t == nil {
			return fmt.Errorf("read the output: %s of %s, which did not run", e.Action, e.Test)
		}
		switch e.Action {
		case "output":
			t.output.WriteString(e.Output)
		case "pass", "fail", "skip":
			t.outcome = outcome(e.Action)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the output: %w", err)
	}
	return nil
}
