//go:build pages

package render_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Pages are looked at in the Chromium of the system, driven over its pipe of DevTools messages:
// some sixty lines here. A library for it would bring seven modules into go.mod; a script that
// --dump-dom runs is refused by the policy of the pages themselves, and never narrow enough.
var (
	chromium = flag.String("chromium", "chromium", "the browser")
	axe      = flag.String("axe", "", "axe.min.js of axe-core")
	further  = flag.String("further", "", "pattern of further pages to check")
	shots    = flag.String("shots", "", "folder for pictures of each page, at both widths and as PDF")
)

// goldens are the pages that are checked: of each report, and of the access package.
var goldens = []string{"../testdata/golden/*.html", "../../dsar/testdata/golden/*.html"}

// Widths in CSS pixels: a laptop's and a phone's.
const (
	wide   = 1280
	narrow = 390
)

// Pages pass axe-core's rules of WCAG 2.2 AA at both widths, and on a phone nothing but the inside
// of a table's own region is wider than the screen.
func TestPagesInABrowser(t *testing.T) {
	b := start(t)
	seen := 0
	for _, pattern := range append(goldens, *further) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			seen++
			for _, fault := range b.faults(file, wide, narrow) {
				t.Errorf("%s: %s", file, fault)
			}
			b.picture(file)
		}
	}
	if seen < 10 {
		t.Errorf("only %d pages were found", seen)
	}
}

const (
	thePackage = "../../dsar/testdata/golden/02-uw-gegevens.html"
	aReport    = "../testdata/golden/admin-actions.nl.html"
)

// broken are ways to break a page, with what must then be found.
var broken = []struct{ name, page, text, with, found string }{
	{"regions of one name", thePackage, `labelledby="t2"`, `labelledby="t1"`, "landmark-unique"},
	{"no language", thePackage, ` lang="nl"`, ``, "html-has-lang"},
	{"a language that is none", thePackage, ` lang="nl"`, ` lang="xx-dutch"`, "html-lang-valid"},
	{"no title", thePackage, `<title>Wat dit grootboek over u bewaart</title>`, ``, "document-title"},
	{"soft text that is too light", thePackage, `--soft: #`, `--soft: #b5b5b5; --was: #`, "color-contrast"},
	{"a table that only a mouse scrolls", aReport, ` tabindex="0"><table`, `><table`, "scrollable-region-focusable"},
	{"a page that cannot be enlarged", aReport, `initial-scale=1`, `initial-scale=1, user-scalable=no`,
		"meta-viewport"},
	{"wider than a phone", aReport, `<main `, `<p style="white-space: nowrap">` + strings.Repeat("wide ", 60) +
		`</p><main `, "wider than the screen"},
	{"a caption that is scrolled away", thePackage, `<caption id="t1">`,
		`<caption id="t1" style="white-space: nowrap">` + strings.Repeat("wide ", 60), "a caption is cut"},
}

// The check finds what is broken: a page that passes, passes because it was looked at.
func TestABrokenPageIsFound(t *testing.T) {
	b := start(t)
	for _, c := range broken {
		whole, err := os.ReadFile(c.page)
		if err != nil {
			t.Fatal(err)
		}
		page := bytes.ReplaceAll(whole, []byte(c.text), []byte(c.with))
		if bytes.Equal(page, whole) {
			t.Errorf("%s: the page has no %s to break", c.name, c.text)
		}
		file := filepath.Join(t.TempDir(), "broken.html")
		if err := os.WriteFile(file, page, 0o600); err != nil {
			t.Fatal(err)
		}
		faults := b.faults(file, narrow)
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.found) }) {
			t.Errorf("%s: %s is not found, but %q", c.name, c.found, faults)
		}
	}
}

// browser is a Chromium with one page.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	calls   int
	script  string // axe-core
}

func start(t *testing.T) *browser {
	t.Helper()
	script, err := os.ReadFile(*axe)
	if err != nil {
		t.Fatalf("%v: run make pages", err)
	}
	ours, reads := pipe(t)
	writes, theirs := pipe(t)
	cmd := exec.CommandContext(t.Context(), *chromium, "--headless", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	if os.Geteuid() == 0 {
		cmd.Args = append(cmd.Args, "--no-sandbox") // it has none for root; the pages are our own
	}
	cmd.ExtraFiles = []*os.File{ours, theirs} // it reads 3 and writes 4
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: on Debian, apt-get install chromium", err)
	}
	_, _ = ours.Close(), theirs.Close()
	b := &browser{t: t, to: reads, from: bufio.NewReader(writes), script: string(script)}
	t.Cleanup(func() {
		_ = reads.Close() // it ends when nobody speaks to it
		_ = cmd.Wait()
	})
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", object{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

type object = map[string]any

// call is one call of the DevTools protocol; what happens meanwhile is not listened to.
func (b *browser) call(method string, params object, result any) {
	b.t.Helper()
	b.calls++
	call := object{"id": b.calls, "method": method, "params": params}
	if b.session != "" {
		call["sessionId"] = b.session
	}
	text, err := json.Marshal(call)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser ended: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID != b.calls {
			continue
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// run runs a script in the page, waits for what it promises, and returns that.
func (b *browser) run(script string, result any) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", object{"expression": script, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		b.t.Fatalf("%.80s…: %s", script, out.ExceptionDetails)
	}
	if result != nil {
		if err := json.Unmarshal(out.Result.Value, result); err != nil {
			b.t.Fatal(err)
		}
	}
}

// open shows a page on a screen so wide.
func (b *browser) open(file string, width int) {
	b.t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		b.t.Fatal(err)
	}
	b.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": 900, "deviceScaleFactor": 1,
		"mobile": false}, nil)
	var at struct{ ErrorText string }
	b.call("Page.navigate", object{"url": (&url.URL{Scheme: "file", Path: path}).String()}, &at)
	if at.ErrorText != "" {
		b.t.Fatalf("%s: %s", file, at.ErrorText)
	}
	b.run(`new Promise(r => document.readyState == "complete" ? r() : addEventListener("load", r)).then(() => 0)`, nil)
}

// obeyed asks axe-core for what breaks its rules: those of WCAG 2.2 AA, and that headings follow
// one another and landmarks have names of their own.
const obeyed = `axe.run(document, {resultTypes: ["violations"],
  rules: Object.fromEntries(["landmark-unique", "landmark-one-main", "region", "heading-order",
    "page-has-heading-one"].map(r => [r, {enabled: true}])),
  runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}).then(r =>
  r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + v.help + ": " + n.target.join(" ") + ": " +
    n.failureSummary.replace(/\s+/g, " "))))`

// fits asks what is wider than the screen. A table may scroll in a region of its own, but its
// caption is read without that.
const fits = `(() => {
  const page = document.scrollingElement, wrong = [];
  if (page.scrollWidth > page.clientWidth)
    wrong.push("the page is wider than the screen: " + page.scrollWidth + " > " + page.clientWidth + ": " +
      [...document.querySelectorAll("body *")]
        .filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > page.clientWidth)
        .map(e => e.outerHTML.slice(0, 80)).slice(0, 3).join(" | "));
  for (const c of document.querySelectorAll("caption")) {
    if (getComputedStyle(c).clipPath != "none") continue;
    const text = document.createRange();
    text.selectNodeContents(c);
    if ([...text.getClientRects()].some(r => r.right > page.clientWidth))
      wrong.push("a caption is cut: " + c.textContent.slice(0, 40));
  }
  return wrong;
})()`

// faults are what is wrong with a page on screens so wide.
func (b *browser) faults(file string, widths ...int) (out []string) {
	b.t.Helper()
	for _, width := range widths {
		var broken, wide []string
		b.open(file, width)
		b.run(b.script+"; 0", nil)
		b.run(obeyed, &broken)
		b.run(fits, &wide)
		for _, f := range append(broken, wide...) {
			out = append(out, fmt.Sprintf("at %d px: %s", width, f))
		}
	}
	return out
}

// picture writes what a page looks like, where pictures are asked for.
func (b *browser) picture(file string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	save := func(suffix, method string, params object) {
		var out struct{ Data string }
		b.call(method, params, &out)
		data, err := base64.StdEncoding.DecodeString(out.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(file)) + "-" + strings.TrimSuffix(filepath.Base(file), ".html") + suffix
		if err := os.WriteFile(filepath.Join(*shots, name), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, width := range []int{wide, narrow} {
		b.open(file, width)
		save(fmt.Sprintf("-%d.png", width), "Page.captureScreenshot", object{"captureBeyondViewport": true})
	}
	save("-a4.pdf", "Page.printToPDF", object{"preferCSSPageSize": true, "printBackground": false})
}
