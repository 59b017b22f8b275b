//go:build bench

package intake

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/schemas"
)

// Intake alone beside a program that only parses, seals and appends, in the same run: aim at half
// of its speed. One line a figure: name, value, unit.
func TestBenchIntake(t *testing.T) {
	dir := fleetDir(t, 4_000, 5)
	w := newWorld(t, false)
	run := func() float64 {
		began := time.Now()
		s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return float64(s.Read) / time.Since(began).Seconds()
	}
	fresh := run()
	known := slices.Max([]float64{run(), run(), run()})
	records := rawRecords(t, w, dir)
	limit := slices.Max([]float64{w.limit(t, records), w.limit(t, records), w.limit(t, records)})
	parse := slices.Max([]float64{parsing(t, records), parsing(t, records)})
	for _, f := range []struct {
		name  string
		value float64
		unit  string
	}{
		{"intake.new", fresh, "records/s"},
		{"intake.known", known, "records/s"},
		{"limit.parse-seal-append", limit, "records/s"},
		{"limit.parse", parse, "records/s"},
		{"intake.new-to-limit", fresh / limit, "ratio"},
		{"intake.known-to-limit", known / parse, "ratio"},
	} {
		fmt.Printf("%s %.4g %s\n", f.name, f.value, f.unit)
	}
}

// rawRecords are the records of a folder, as texts.
func rawRecords(tb testing.TB, w *world, dir string) [][]byte {
	tb.Helper()
	found, err := folders.Source{Paths: []string{dir}}.List(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	var c collected
	if err := w.intake().forms.Read(context.Background(), found, &c); err != nil {
		tb.Fatal(err)
	}
	return c.raw
}

type collected struct{ raw [][]byte }

func (c *collected) Record(_ source.Position, it source.Item) error {
	c.raw = append(c.raw, slices.Clone(it.Raw))
	return nil
}

func (c *collected) Broken(source.Position, source.Flaw) error   { return nil }
func (c *collected) Notice(source.Position, int, string) error   { return nil }
func (c *collected) Unknown(source.Position, source.Looks) error { return nil }

// both runs do for 0 to n-1 on as many cores as there are, and returns how many a second.
func both(n int, do func(i int) error) (float64, error) {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// parsing only parses, by the standard library.
func parsing(tb testing.TB, records [][]byte) float64 {
	rate, err := both(len(records), func(i int) error {
		var v map[string]any
		return json.Unmarshal(records[i], &v)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return rate
}

var tokenText = regexp.MustCompile(`"sealed:v1:[^"]*:([^":]*)"`)

// limit parses as many records, seals as many values of the same sizes under keys derived for each
// event and person, writes as much JSON and hands it to a server without logic: no identities,
// no comparison, no catalogue, nothing kept.
func (w *world) limit(tb testing.TB, records [][]byte) float64 {
	tb.Helper()
	var sealed [][][]byte // plaintexts of each event
	var open []map[string]json.RawMessage
	for _, e := range w.own() {
		var plain [][]byte
		for _, m := range tokenText.FindAllSubmatch(e.Data, -1) {
			plain = append(plain, make([]byte, max(0, base64.RawURLEncoding.DecodedLen(len(m[1]))-28)))
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(tokenText.ReplaceAll(e.Data, []byte(`""`)), &members); err != nil {
			tb.Fatal(err)
		}
		sealed, open = append(sealed, plain), append(open, members)
	}
	key := make([]byte, 32)
	var mu sync.Mutex
	var server [][]byte
	rate, err := both(len(records), func(i int) error {
		var v map[string]any
		if err := json.Unmarshal(records[i], &v); err != nil {
			return err
		}
		for n := i; n < len(sealed); n += len(records) { // about one event a record
			data, err := limitEvent(key, sealed[n], open[n])
			if err != nil {
				return err
			}
			mu.Lock()
			server = append(server, data)
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return rate
}

func limitEvent(key []byte, plain [][]byte, members map[string]json.RawMessage) ([]byte, error) {
	own, err := hkdf.Key(sha256.New, key, nil, schemas.NewID().String(), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	members = maps.Clone(members)
	var tokens []string
	for _, p := range plain {
		tokens = append(tokens, base64.RawURLEncoding.EncodeToString(aead.Seal(nil, make([]byte, 12), p, nil)))
	}
	if members["sealed"], err = json.Marshal(tokens); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}
