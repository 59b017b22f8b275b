//go:build unix && acceptance

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// question is one of an officer's, as testdata/morning.txt has it.
type question struct {
	asks    string
	command []string
	says    []string
}

// questions reads the scenario, with what stands for its names.
func questions(t *testing.T, names map[string]string) (out []question) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "morning.txt"))
	if err != nil {
		t.Fatal(err)
	}
	fill := func(s string) string {
		for name, of := range names {
			s = strings.ReplaceAll(s, "{"+name+"}", of)
		}
		return s
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || mark == "#":
		case mark == "?":
			out = append(out, question{asks: rest})
		case mark == "=":
			q := &out[len(out)-1]
			q.says = append(q.says, fill(rest))
		default:
			q := &out[len(out)-1]
			for i, part := range strings.Split(line, `"`) { // what stands in quotation marks is one word
				if i%2 == 1 {
					q.command = append(q.command, part)
					continue
				}
				for _, word := range strings.Fields(part) {
					q.command = append(q.command, fill(word))
				}
			}
		}
	}
	return out
}

// An officer's questions are one command and one page each, on a ledger of 10,000 devices. How
// long each took is told, and not judged: that is the machine's.
func TestAcceptanceOfAnOfficersMorning(t *testing.T) {
	dir, gen := smallFleet(t, 10_000, 30)
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	for _, q := range questions(t, wiped(t, n)) {
		page := filepath.Join(t.TempDir(), "page.html")
		begun := time.Now()
		n.must("", append(q.command, "--output", "html", "--file", page)...)
		took := time.Since(begun)
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		rows := strings.Count(text, "<tr>") - 1 // the head
		t.Logf("%5.2f s  %6d rows  %7d bytes  %s", took.Seconds(), rows, len(raw), q.asks)
		if rows == 0 || !strings.HasSuffix(strings.TrimSpace(text), "</html>") {
			t.Errorf("%s: a page of %d rows", q.asks, rows)
		}
		for _, says := range q.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: the page does not say what it has to", q.asks)
			}
		}
	}
}

// wiped is a device that was wiped, what it is called and whose it was.
func wiped(t *testing.T, n *node) map[string]string {
	t.Helper()
	var actions struct {
		Rows []struct{ Device, UserThen any }
	}
	if err := json.Unmarshal([]byte(n.must("", "report", "remote-actions", "--operation", "wipe", "--purpose", "audit",
		"--output", "json")), &actions); err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for _, r := range actions.Rows {
		device, _ := r.Device.(string)
		if user, _ := r.UserThen.(string); strings.Contains(user, "@") {
			users[device] = user
		}
	}
	var inventory struct {
		Rows []struct{ Device, Serial any }
	}
	if err := json.Unmarshal([]byte(n.must("", "report", "device-inventory", "--purpose", "audit", "--output",
		"json")), &inventory); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{} // what names one device alone
	for _, r := range inventory.Rows {
		device, _ := r.Device.(string)
		serial, _ := r.Serial.(string)
		count[serial]++
		count[device]++
	}
	for _, r := range inventory.Rows {
		device, _ := r.Device.(string)
		serial, _ := r.Serial.(string)
		if users[device] != "" && count[device] == 1 && count[serial] == 1 && len(serial) == 10 {
			return map[string]string{"device": device, "serial": serial, "person": users[device]}
		}
	}
	t.Fatalf("none of %d devices that were wiped has a user and a serial number", len(users))
	return nil
}
