//go:build conformance

// Package conformance runs the official Go client's own tests against servers of
// ours. It owns a temporary copy of the client's module, in which one file is
// replaced, and the list of tests that do not pass yet; nothing of the client's
// code is kept here. It may lose everything when it ends. It trusts the module
// cache to hold the client as it was published.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const clientModule = "github.com/EventStore/EventStore-Client-Go/v4"

// The official client's tests pass in both modes, except those of not-run.txt,
// and those do not pass: the list can only shrink.
func TestOfficialClient(t *testing.T) {
	text, err := os.ReadFile("not-run.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := parseList(string(text))
	if err != nil {
		t.Fatal(err)
	}
	s, err := buildSuite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []mode{{name: "insecure", insecure: true}, {name: "tls"}} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // the tests mostly wait
			began := time.Now()
			// What the servers log is shown when the test fails.
			servers := newServers(m, t.TempDir(), s.certs, slog.New(slog.NewTextHandler(t.Output(),
				&slog.HandlerOptions{Level: slog.LevelWarn})))
			defer servers.http.Close()
			found := results{}
			for _, top := range s.tests {
				err := s.run(t.Context(), m, servers, top, found)
				if err := errors.Join(err, servers.stopAll()); err != nil {
					t.Errorf("%s: %v", top, err)
				}
			}
			problems, summary := listed.compare(m.name, found)
			for _, p := range problems {
				t.Error(p)
			}
			t.Logf("%s: %s, in %.1f s", m.name, summary, time.Since(began).Seconds())
		})
	}
}

// suite is the client's tests, compiled.
type suite struct {
	dir    string   // where they run
	binary string   // what runs them
	certs  string   // the certificates that they read
	tests  []string // the names of the top ones
}

// buildSuite copies the client's module to a folder in root, puts our file in
// place of the one that starts containers, and compiles the tests.
func buildSuite(ctx context.Context, root string) (*suite, error) {
	source, err := moduleDir(ctx)
	if err != nil {
		return nil, err
	}
	module := filepath.Join(root, "client")
	if err := os.CopyFS(module, os.DirFS(source)); err != nil {
		return nil, fmt.Errorf("copy the client: %w", err)
	}
	ours, err := os.ReadFile(filepath.Join("testdata", "containers_test.go.txt"))
	if err != nil {
		return nil, fmt.Errorf("copy the client: %w", err)
	}
	s := &suite{dir: filepath.Join(module, "esdb"), binary: filepath.Join(root, "esdb.test"),
		certs: filepath.Join(module, "certs")}
	if err := os.WriteFile(filepath.Join(s.dir, "containers_test.go"), ours, 0o600); err != nil {
		return nil, fmt.Errorf("copy the client: %w", err)
	}
	if err := writeCertificates(s.certs); err != nil {
		return nil, err
	}
	// The module's own go.mod and go.sum say what it is built with; packages that
	// only the replaced file needs are not fetched.
	if _, err := command(ctx, s.dir, "go", "test", "-c", "-vet=off", "-o", s.binary, "."); err != nil {
		return nil, err
	}
	names, err := command(ctx, s.dir, s.binary, "-test.list", "^Test")
	if err != nil {
		return nil, err
	}
	s.tests = strings.Fields(string(names))
	if len(s.tests) == 0 {
		return nil, errors.New("the client has no tests")
	}
	return s, nil
}

// moduleDir is where the module cache keeps the client; it is fetched where it is missing.
func moduleDir(ctx context.Context) (string, error) {
	out, err := command(ctx, ".", "go", "mod", "download", "-json", clientModule)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("find the client: %w", err)
	}
	if module.Dir == "" {
		return "", fmt.Errorf("find the client: no folder in %s", out)
	}
	return module.Dir, nil
}

// command runs a program in dir and returns what it prints.
func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err,
			out, stderr.Bytes())
	}
	return out, nil
}
