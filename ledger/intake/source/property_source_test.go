package source

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// collected is a visitor that notes which records it was given, by their own number.
type collected struct {
	intact  map[int]int
	damaged int
	other   int
	next    int
	t       *rapid.T
}

func (c *collected) count(number, line int) {
	if c.next++; number != c.next || line < 1 {
		c.t.Fatalf("record %d at line %d came where %d is due", number, line, c.next)
	}
}

func (c *collected) record(it Item) error {
	c.count(it.Number, it.Line)
	rec, err := testRecogniser.decode(it.Raw)
	if err != nil {
		c.damaged++
		return nil
	}
	var n int
	switch k := testRecogniser.kind(rec, it.Context); {
	case k.Form == nil:
		c.other++
		return nil
	case k.Form.Origin == Graph:
		_, err = fmt.Sscanf(rec.Text("deviceName"), "N%d", &n)
	default:
		_, err = fmt.Sscanf(rec.Properties.Text("DeviceName")+rec.Text("identity"), "N%d", &n)
	}
	if err != nil {
		c.t.Fatalf("a record without its number: %s", it.Raw)
	}
	c.intact[n]++
	return nil
}

func (c *collected) broken(f Flaw) error {
	c.count(f.Number, f.Line)
	c.damaged++
	return nil
}

func (c *collected) foreign(l Looks) error    { c.t.Fatalf("taken for %s", l.Kind); return nil }
func (c *collected) notice(int, string) error { return nil }
func (c *collected) page(page) error          { return nil }

// composer makes a file of known records in whatever holds records, and knows what is in it.
type composer struct {
	t       *rapid.T
	intact  int // records that must be found, numbered from 1
	broken  int // rows that are none
	unknown int // records of no known name
	pretty  bool
	inText  bool
}

func (c *composer) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(c.t, what) }

// oddMembers are such as containers have, in a record.
var oddMembers = []string{"", "", "", `"value":[1,{"a":[]}],`, `"records":[{"id":"x"}],`, `"body":{"id":"y"},`,
	`"body":"text {",`, `"error":{"code":"x"},`, `"status":429,"headers":{},`, `"message":"[not json",`,
	`"rows":[],"columns":[],`}

// record is an intact one of a known name.
func (c *composer) record() string {
	c.intact++
	odd := oddMembers[c.pick("odd", len(oddMembers))]
	switch c.pick("kind", 4) {
	case 0:
		return fmt.Sprintf(`{%s"@odata.type":"#microsoft.graph.managedDevice","deviceName":"N%d","id":"%s"}`, odd,
			c.intact, someID(20, c.intact))
	case 1:
		return fmt.Sprintf(`{"id":"%s",%s"enrolledDateTime":"2026-01-01T00:00:00Z","managementAgent":"mdm",`+
			`"deviceName":"N%d","detectedApps":[{"id":"1","displayName":"]}"},{"id":"2"},`+
			`{"id":"3","displayName":"\"{["}]}`, someID(20, c.intact), odd, c.intact)
	case 2:
		return fmt.Sprintf(`{"time":"2026-03-01T08:00:00Z",%s"category":"AuditLogs","identity":"N%d",`+
			`"properties":{"AuditEventId":"%s","Targets":[{"Name":"a"},{"Name":"b"}]}}`, odd, c.intact,
			someID(30, c.intact))
	}
	return fmt.Sprintf(`{"time":"2026-03-01T08:00:00Z","category":"Devices",%s"properties":{"DeviceId":"%s",`+
		`"DeviceName":"N%d"}}`, odd, someID(20, c.intact), c.intact)
}

// brokenRow is what should have been one record and is none.
func (c *composer) brokenRow() string {
	c.broken++
	return []string{
		`{"time":"2026-03-01T08:00:00Z","category":"AuditLogs","properties":[ 227 B blob data ],"x":{"a":[1,2]}}`,
		`{"id":"x","deviceName":}`,
		`{"time":"2026-03-01T08:00:00Z","category":"Devices","properties":{"DeviceName":"raw ` + "\x01" + `"}}`,
		`{"id":"x","detectedApps":[{"id":"1"},{"id":"2"},{"id":"3"}],"n":NaN}`,
		`{'id':'x'}`,
		`undefined`,
	}[c.pick("broken", 6)]
}

func (c *composer) unknownRow() string {
	c.unknown++
	rows := []string{`{"surprise":1}`, `{"id":"a","value":[{"id":"no"}]}`, `{"category":"x"}`, `7`, `null`}
	return rows[c.pick("unknown", len(rows))]
}

func (c *composer) row(damage bool) string {
	switch n := c.pick("row", 8); {
	case n == 0 && damage:
		return c.brokenRow()
	case n == 1:
		return c.unknownRow()
	}
	return c.record()
}

// list is rows in brackets, with commas that should not be there.
func (c *composer) list(damage bool) string {
	var b strings.Builder
	b.WriteByte('[')
	space := []string{"", " ", "\r\n", "\n\t"}
	if !c.pretty {
		space = []string{"", " "}
	}
	n := c.pick("rows", 5)
	if damage && c.pick("leading comma", 6) == 0 {
		b.WriteByte(',')
	}
	for i := range n {
		b.WriteString(space[c.pick("space", len(space))])
		b.WriteString(c.row(damage))
		b.WriteString(space[c.pick("space", len(space))])
		if i < n-1 {
			b.WriteByte(',')
		}
		if damage && c.pick("further comma", 8) == 0 {
			b.WriteByte(',')
		}
	}
	b.WriteByte(']')
	return b.String()
}

// holder is one value of a file: what holds records, however deep. In a text, and in what is taken
// apart as a whole, everything is JSON.
func (c *composer) holder(depth int, damage bool) string {
	switch n := c.pick("holder", 12); {
	case n == 0 || depth == 0:
		return c.record()
	case n == 1:
		return `{"records":` + c.list(damage) + `}`
	case n == 2:
		return `{"value":` + c.list(damage) + `,"@odata.count":3}`
	case n == 3:
		return `{"Value":` + c.list(damage) + `,"Count":3}`
	case n == 4:
		return `{"responses":[{"id":"1","status":200,"body":` + c.holder(depth-1, damage) + `},` + c.throttled() + `]}`
	case n == 5:
		return `[{"url":"u","body":` + c.holder(depth-1, damage) + `},` + c.holder(depth-1, damage) + `]`
	case n == 6 && !c.inText:
		c.inText = true
		text := `[` + c.record() + `,` + c.holder(depth-1, false) + `]` // a wrapper is told by a record in it
		c.inText = false
		return `{"SequenceNumber":1,"Body":` + quoted(text) + `}`
	case n == 7:
		return `{"integration":"ms-graph","ms-graph":` + c.record() + `}`
	case n == 8 && !c.inText:
		return `{"@timestamp":"x","message":` + quoted(c.record()) + `}`
	case n == 9:
		return `{"took":1,"hits":{"hits":[{"_source":` + c.record() + `},{"_source":` + c.record() + `}]}}`
	case n == 11 && !c.inText:
		return quoted(c.record())
	case n == 10:
		return `[` + c.holder(depth-1, damage) + `]`
	}
	return c.record()
}

func (c *composer) throttled() string {
	c.broken++
	return `{"id":"2","status":429,"headers":{},"body":{"error":{"code":"TooManyRequests"}}}`
}

// Whatever holds the records of a file: each is counted once, and each intact one is found.
func TestEveryRecordIsFoundHoweverItIsHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &composer{t: t, pretty: rapid.Bool().Draw(t, "over several lines")}
		var values []string
		n := 1 + c.pick("values", 4)
		lines := !c.pretty && rapid.Bool().Draw(t, "lines, some broken")
		if lines { // the first shows that they are lines
			values = append(values, c.record())
		}
		for range n {
			// Among others a value over several lines can only be told where it is JSON.
			values = append(values, c.holder(3, !c.pretty || n == 1))
			if lines && c.pick("a broken line", 4) == 0 {
				c.broken++
				broken := []string{`{"id":`, `rubbish`, `{"records":`, `{"category":"Devices"} trailing`}
				values = append(values, broken[c.pick("which", len(broken))])
			}
		}
		file := strings.Join(values, "\n") + []string{"", "\n", "\r\n\n"}[c.pick("end", 3)]
		for _, encoded := range []string{file, "\xef\xbb\xbf" + file, toUTF16("\ufeff"+file, "", false),
			toUTF16(file, "", true), "packed"} {
			got := &collected{intact: map[int]int{}, t: t}
			if encoded == "packed" {
				walkPacked(t, pack(t, file), got)
			} else if err := testRecogniser.scan(strings.NewReader(encoded), got); err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= c.intact; n++ {
				if got.intact[n] != 1 {
					t.Fatalf("record %d was found %d times in\n%s", n, got.intact[n], file)
				}
			}
			if got.damaged != c.broken || got.other != c.unknown || got.next != c.intact+c.broken+c.unknown {
				t.Fatalf("%d broken and %d unknown, want %d and %d, in\n%s", got.damaged, got.other, c.broken,
					c.unknown, file)
			}
		}
	})
}

// pack packs a text in a way that is drawn, in up to three layers.
func pack(t *rapid.T, text string) string {
	if rapid.IntRange(0, 3).Draw(t, "encoding") == 0 {
		text = toUTF16("\ufeff"+text, "", rapid.Bool().Draw(t, "big end first"))
	}
	for range rapid.IntRange(1, 3).Draw(t, "layers") {
		switch rapid.IntRange(0, 2).Draw(t, "packing") {
		case 0:
			at := rapid.IntRange(0, len(text)).Draw(t, "a member ends")
			text = packedtest.Gzip(t, text[:at], text[at:])
		case 1:
			text = packedtest.Zip(t, packedtest.Entry{Name: "a/b.json", Text: text})
		case 2:
			text = packedtest.Zip(t, packedtest.Entry{Name: "b", Text: text, Stored: true},
				packedtest.Entry{Name: "a/"})
		}
	}
	return text
}

// walkPacked walks over one file and gives what its texts hold to a visitor.
func walkPacked(t *rapid.T, content string, to visitor) {
	f := &packedTexts{unpacking: &unpacking{walk: &walk{forms: testRecogniser, ctx: context.Background()}}, to: to}
	in := packed.File{Reader: strings.NewReader(content), Size: int64(len(content)), At: strings.NewReader(content)}
	if err := packed.Unpack(in, f); err != nil {
		t.Fatal(err)
	}
}

type packedTexts struct {
	*unpacking
	to visitor
}

func (f *packedTexts) Text(_ packed.Place, r io.Reader) error { return f.forms.scan(r, f.to) }

// A row whose quotes or brackets are broken costs itself, and not its neighbours.
func TestARowCutAnywhereCostsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &composer{t: t}
		var rows []string
		n := rapid.IntRange(2, 6).Draw(t, "rows")
		bad := rapid.IntRange(0, n-2).Draw(t, "the cut one")
		name := func(i int) string {
			return fmt.Sprintf(`{"time":"2026-03-01T08:00:00Z","tenantId":"t","category":"Devices",`+
				`"properties":{"DeviceId":"%s","Apps":[{"a":1},{"a":2}],"DeviceName":"N%d"}}`, someID(20, i), i)
		}
		for i := range n {
			row := name(i + 1)
			if i == bad {
				row = row[:rapid.IntRange(12, len(row)-1).Draw(t, "cut")]
			}
			rows = append(rows, row)
		}
		for _, file := range []string{`{"records":[` + strings.Join(rows, ",") + `]}`,
			"{\n\"value\": [\n" + strings.Join(rows, ",\n") + "\n]\n}\n",
			name(n+1) + "\n" + `{"records":[` + strings.Join(rows, ",") + `]}` + "\n" + name(n+2) + "\n"} {
			got := &collected{intact: map[int]int{}, t: t}
			if err := testRecogniser.scan(strings.NewReader(file), got); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if want := map[bool]int{true: 0, false: 1}[i == bad]; got.intact[i+1] != want {
					t.Fatalf("row %d of %d was found %d times where %d is cut, in\n%s", i+1, n, got.intact[i+1],
						bad+1, file)
				}
			}
			if got.damaged != 1 {
				t.Fatalf("%d broken, in\n%s", got.damaged, file)
			}
		}
		_ = c
	})
}
