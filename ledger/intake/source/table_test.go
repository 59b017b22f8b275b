package source

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// reports are forms that stand in tables.
var reports = append(slices.Clone(testForms),
	Form{Name: "boxes", Origin: Graph, Tables: []Table{{Sets: [][]string{{"BoxId", "Colour"}, {"BoxId", "Seen"}},
		Unlike: []string{"Lid Id"}, Columns: []Column{{Member: "BoxId", Headers: []string{"Box ID"},
			Dutch: []string{"Doos-id"}}, {Member: "Colour", Dutch: []string{"Kleur"}},
			{Member: "Seen", Headers: []string{"Last seen"}, Dutch: []string{"Laatst gezien"}, Time: true}}}}},
	Form{Name: "boxContents", Origin: Graph, Tables: []Table{{Sets: [][]string{{"BoxId", "Thing"}}, Together: "BoxId",
		Columns: []Column{{Member: "BoxId", Headers: []string{"Box ID"}}, {Member: "Thing"}}}}})

var tableRecogniser = NewRecogniser(reports)

// rows notes what a scan finds in a table.
type rows struct {
	out   []string
	looks []Looks
	next  int
}

func (r *rows) count(number, line int) error {
	if r.next++; number != r.next || line < 1 {
		return fmt.Errorf("record %d at line %d came where %d is due", number, line, r.next)
	}
	return nil
}

func (r *rows) record(it Item) error {
	if err := r.count(it.Number, it.Line); err != nil {
		return err
	}
	it, err := tableRecogniser.Recognise(it)
	if err != nil {
		return err
	}
	m := it.Rec.Members
	if it.Rec.Properties != nil {
		m = it.Rec.Properties
	}
	// What is read of a row is what its text says: that alone is remembered of it.
	if it.Kind.Form == nil || it.Kind.Form.Tables != nil {
		for name, raw := range record.ReadMembers(it.Raw).All {
			if string(m.Get(name)) != string(raw) {
				return fmt.Errorf("%s is %s, and in the text %s", name, m.Get(name), raw)
			}
		}
	}
	r.out = append(r.out, fmt.Sprintf("%d %s %s", it.Line, it.Kind.Name, schemas.JSON(m)))
	return nil
}

func (r *rows) broken(f Flaw) error {
	r.out = append(r.out, fmt.Sprintf("%d broken: %s", f.Line, strings.TrimSpace(f.Field+" "+f.Reason)))
	return r.count(f.Number, f.Line)
}

func (r *rows) foreign(l Looks) error {
	r.looks = append(r.looks, l)
	return nil
}

func (r *rows) notice(line int, what string) error {
	r.out = append(r.out, fmt.Sprintf("%d notice: %s", line, what))
	return nil
}

func (r *rows) page(page) error { return nil }

func rowsOf(t testing.TB, content string) *rows {
	t.Helper()
	r := &rows{}
	if err := tableRecogniser.scan(iotest.HalfReader(strings.NewReader(content)), r); err != nil {
		t.Fatalf("%q: %v", content, err)
	}
	return r
}

func TestATableIsReadHoweverItIsWritten(t *testing.T) {
	const (
		red  = `2 boxes {"BoxId":"1","Colour":"red"}`
		blue = `3 boxes {"BoxId":"2","Colour":"blue, dark"}`
		red2 = `3 boxes {"BoxId":"2","Colour":"red"}`
		red3 = `3 boxes {"BoxId":"1","Colour":"red"}`
	)
	both := []string{red, blue}
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"commas":            {"BoxId,Colour\n1,red\n2,\"blue, dark\"\n", both},
		"CRLF, no end":      {"BoxId,Colour\r\n1,red\r\n2,\"blue, dark\"", both},
		"a byte order mark": {"\xef\xbb\xbfBoxId,Colour\n1,red\n2,\"blue, dark\"\n", both},
		"UTF-16":            {toUTF16("BoxId,Colour\n1,red\n2,\"blue, dark\"\n", "\xff\xfe", false), both},
		"UTF-16, big":       {toUTF16("BoxId,Colour\n1,red\n2,\"blue, dark\"\n", "\xfe\xff", true), both},
		"semicolons":        {"BoxId;Colour\n1;red\n2;blue, dark\n", both},
		"tabs":              {"BoxId\tColour\n1\tred\n2\tblue, dark\n", both},
		"all quoted":        {"\"Box ID\",\"Colour\"\n\"1\",\"red\"\n\"2\",\"blue, dark\"\n", both},
		"headers otherwise": {"box_id , COLOUR\n 1 , red \n2,\"blue, dark\"\n", both},
		"in Dutch":          {"Doos-id;Kleur\n1;red\n2;blue, dark\n", both},
		"other order":       {"Colour,BoxId\nred,1\n\"blue, dark\",2\n", []string{red, blue}},
		"separator at ends": {"BoxId,Colour,\n1,red,\n2,\"blue, dark\",\n", both},
		"empty rows":        {"BoxId,Colour\n1,red\n2,\"blue, dark\"\n,\n\n \r\n", both},
		"bare quotes": {"BoxId,Colour\n1,5\" red\n2,blue \"sky\"\n", []string{
			`2 boxes {"BoxId":"1","Colour":"5\" red"}`, `3 boxes {"BoxId":"2","Colour":"blue \"sky\""}`}},
		"quotes begin": {"BoxId,Colour\n1,\"5\" red\n2,red\n", []string{
			`2 boxes {"BoxId":"1","Colour":"5\" red"}`, red2}},
		"sep":        {"sep=|\r\nBoxId|Colour\r\n1|red\r\n", []string{red3}},
		"an odd sep": {"sep=~\nBoxId~Colour\n1~red\n", []string{red3}},
		"PowerShell's #TYPE": {"#TYPE System.Object\n\"BoxId\",\"Colour\"\n\"1\",\"red\"\n",
			[]string{red3}},
		"empty is untold": {"BoxId,Colour\n1,\n", []string{`2 boxes {"BoxId":"1"}`}},
		"other columns": {"BoxId,Colour,Sold to,x@y\n1,red,a,b\n", []string{
			`2 boxes {"BoxId":"1","Colour":"red","Sold to":"a","x@y":"b"}`}},
		"_loc twins": {"BoxId,Colour,Colour_loc\n1,7,red\n", []string{
			`2 boxes {"BoxId":"1","Colour":"7","Colour_loc":"red"}`}},
		"a column twice": {"BoxId,Colour,colour\n1,red,red\n2,,blue\n3,red,\n4,red,blue\n", []string{red,
			`3 boxes {"BoxId":"2","Colour":"blue"}`, `4 boxes {"BoxId":"3","Colour":"red"}`,
			"5 broken: colour the table has this column twice, and the row tells two things there"}},
		"rows of several lines": {"BoxId,Colour\n1,\"re\nd\"\n2,\"a\r\nb\"\n3,red\n", []string{
			`2 boxes {"BoxId":"1","Colour":"re\nd"}`,
			`4 boxes {"BoxId":"2","Colour":"a\nb"}`, `6 boxes {"BoxId":"3","Colour":"red"}`}},
		"ragged rows": {"BoxId,Colour,Seen\n1,red\n2,red,2026,x\n3,red,2026\n4,red,2026,,\n", []string{
			"2 broken: Seen the row ends before this column",
			"3 broken: Seen the row goes on behind this column, which is the last",
			`4 boxes {"BoxId":"3","Colour":"red","Seen":"2026"}`,
			`5 boxes {"BoxId":"4","Colour":"red","Seen":"2026"}`}},
		"a ragged row of several lines": {"BoxId,Colour\n1,red,\"x\ny\"\n2,red\n", []string{
			"2 broken: Colour the row goes on behind this column, which is the last",
			`4 boxes {"BoxId":"2","Colour":"red"}`}},
		"an open quote": {"BoxId,Colour\n\"1,red\n2,red\n3,red\n", []string{
			"2 broken: a quote that opens in the row is not closed",
			red2, `4 boxes {"BoxId":"3","Colour":"red"}`}},
		"two open quotes": {"BoxId,Colour\n\"1,red\n2,red\n3\",red\n4,red\n", []string{
			`2 boxes {"BoxId":"1,red\n2,red\n3","Colour":"red"}`,
			`5 boxes {"BoxId":"4","Colour":"red"}`}},
		"an open quote and a closed one": {"BoxId,Colour\n\"1,red\n2,red\n3,\"red\"\n4,red\n", []string{
			"2 broken: a quote that opens in the row is not closed", red2,
			`4 boxes {"BoxId":"3","Colour":"red"}`, `5 boxes {"BoxId":"4","Colour":"red"}`}},
		"no UTF-8": {"BoxId,Colour\n1,r\xe9d\n2,red\n", []string{"2 broken: not valid UTF-8", red2}},
		"days first in Dutch": {"Doos-id;Laatst gezien\n1;4-9-2026 8:00:05\n" +
			"2;2026-09-04 08:00:00.0000000\n3;13-09-2026\n", []string{
			`2 boxes {"BoxId":"1","Seen":"2026-09-04 08:00:05"}`,
			`3 boxes {"BoxId":"2","Seen":"2026-09-04 08:00:00.0000000"}`,
			`4 boxes {"BoxId":"3","Seen":"2026-09-13 00:00:00"}`}},
		"days first in English": {"BoxId,Last seen\n1,4-9-2026 8:00\n", []string{
			`2 boxes {"BoxId":"1","Seen":"4-9-2026 8:00"}`}},
		"no rows": {"BoxId,Colour\n\n", []string{"2 notice: the table has headers and no rows"}},
		"rows that are one record": {"BoxId,Thing\n1,ball\n1,bat\n2\n2,cup\n1,box\n", []string{
			"4 broken: Thing the row ends before this column",
			`2 boxContents {"BoxId":"1","Rows":[{"BoxId":"1","Thing":"ball"},{"BoxId":"1","Thing":"bat"}]}`,
			`5 boxContents {"BoxId":"2","Rows":[{"BoxId":"2","Thing":"cup"}]}`,
			`6 boxContents {"BoxId":"1","Rows":[{"BoxId":"1","Thing":"box"}]}`}},
		"Log Analytics": {"TimeGenerated [UTC],DeviceId,OSVersion,Type\n" +
			"\"9/1/2026, 9:00:00.000 AM\",1,10,IntuneDevices\n" +
			"\"9/1/2026, 9:00:00.000 AM\",2,,IntuneDevices\n", []string{
			`2 Devices {"DeviceId":"1","OSVersion":"10"}`,
			`3 Devices {"DeviceId":"2","OSVersion":null}`}},
		"PowerShell's SDK": {"\"Id\",\"LastSyncDateTime\",\"EnrolledDateTime\",\"ManagementAgent\"\n" +
			"\"1\",\"9/1/2026 9:00:00 AM\",\"x\",\"mdm\"\n", []string{`2 managedDevices {"enrolledDateTime":"x",` +
			`"id":"1","lastSyncDateTime":"9/1/2026 9:00:00 AM","managementAgent":"mdm"}`}},
	} {
		got := rowsOf(t, c.in)
		if !slices.Equal(got.out, c.want) || len(got.looks) != 0 {
			t.Errorf("%s: %+v\n%s\nwant\n%s", name, got.looks, strings.Join(got.out, "\n"),
				strings.Join(c.want, "\n"))
		}
	}
}

func TestATableThatIsNotKnownIsNamedByItsHeaders(t *testing.T) {
	for in, want := range map[string]string{
		"Device ID,Name\n1,a\n":                         "this one has Device ID, Name",
		"Box ID;Colour;Lid Id\n1;red;2\n":               "this one has Box ID, Colour, Lid Id",
		"BoxId,Name,Sold to\n1,a,b\n":                   "this one has BoxId, Name, Sold to",
		"Seen,Colour\n1,a\n":                            "it has columns of boxes and lacks BoxId: export it",
		"anna@contoso.example,LT-1\nb@x.example,LT-2\n": "first line holds none",
		"Name,06-12345678\nb,c\n":                       "first line holds none",
		"a58739dc-9e4e-5087-981f-c0edf6e76f38,a\nb,c\n": "first line holds none",
		strings.Repeat("a,", maxColumns+1) + "b\n1,2\n": "first line holds none",
		"\"Box ID\",\"Colo\nur\",\"\n":                  "",
		strings.Repeat("Column,", 20) + "Last\n" +
			strings.Repeat("1,", 30) + "\n": "and 9 more",
	} {
		got := rowsOf(t, in)
		if len(got.out) != 0 || len(got.looks) != 1 || !strings.Contains(got.looks[0].Help, want) ||
			strings.Contains(got.looks[0].Help, "anna") || strings.Contains(got.looks[0].Help, "1234") {
			t.Errorf("%.60q: %q %+v, want %q", in, got.out, got.looks, want)
		}
	}
}

// endlessRows gives a table's header, and rows without end; or one row that never ends.
type endlessRows struct {
	rest string
	row  string
	left int
}

func (e *endlessRows) Read(p []byte) (int, error) {
	if e.rest == "" {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.rest, e.left = e.row, e.left-1
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// A row that is too large, and one whose quote stays open, cost themselves; what is held of a
// table is no more than a row.
func TestATableIsStreamed(t *testing.T) {
	long := strings.Repeat("x", 1<<10)
	large := &endlessRows{rest: "BoxId,Colour\n1,red\n2,", row: long, left: maxRecordBytes >> 10}
	open := &endlessRows{rest: "BoxId,Colour\n1,\"red\n", row: "2," + long + "\n", left: 10_000}
	for name, c := range map[string]struct {
		src          io.Reader
		found, wrong int
	}{
		"too large": {io.MultiReader(large, strings.NewReader("\n3,red\n")), 2, 1},
		"open":      {io.MultiReader(open, strings.NewReader("3,red\n")), 10_002, 0},
	} {
		r := &rows{}
		if err := tableRecogniser.scan(c.src, r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wrong := 0
		for _, s := range r.out {
			if strings.Contains(s, "broken") {
				wrong++
			}
		}
		if wrong != c.wrong || len(r.out)-wrong != c.found {
			t.Errorf("%s: %d found, %d broken", name, len(r.out)-wrong, wrong)
		}
	}
	w := newWindow(&endlessRows{rest: "BoxId,Colour\n", row: "1,red\n", left: 50_000})
	s := &scanner{window: w, forms: tableRecogniser, to: &rows{}, number: new(int), seen: &record.Scanner{}}
	table, looks := s.table()
	if table == nil {
		t.Fatal(looks)
	}
	if err := table.read(); err != nil || len(w.buf) > 4*windowStep {
		t.Errorf("%d bytes are held of a table of small rows: %v", len(w.buf), err)
	}
}

// Whatever records a table holds, and however it is written, it reads back the same ones.
func TestAnyTableReadsBackItsRecords(t *testing.T) {
	headers := map[string][]string{"BoxId": {"BoxId", "Box ID", "Doos-id"}, "Colour": {"Colour", "Kleur"},
		"Seen": {"Seen", "Last seen"}, "Sold to": {"Sold to"}}
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom([]rune{',', ';', '\t', '|', '~'}).Draw(t, "separator")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		quoting := rapid.SampledFrom([]string{"needed", "all", "some"}).Draw(t, "quoting")
		columns := rapid.Permutation(slices.Sorted(maps.Keys(headers))).Draw(t, "columns")
		cell := rapid.OneOf(rapid.StringMatching(`[a-z0-9 .@/-]{0,12}`),
			rapid.StringMatching(`[a",;|~\n\t'=é𝄞-]{0,8}`))
		write := func(b *strings.Builder, cells []string) {
			for i, c := range cells {
				if i > 0 {
					b.WriteRune(separator)
				}
				needs := strings.ContainsAny(c, "\"\r\n"+string(separator))
				if needs || quoting == "all" || quoting == "some" && rapid.Bool().Draw(t, "quoted") {
					c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
				}
				b.WriteString(c)
			}
			b.WriteString(end)
		}
		var b strings.Builder
		if separator == '~' || rapid.Bool().Draw(t, "sep") {
			b.WriteString("sep=" + string(separator) + end)
		}
		var names []string
		for _, c := range columns {
			names = append(names, rapid.SampledFrom(headers[c]).Draw(t, "header"))
		}
		write(&b, names)
		var want []string
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			told, cells := map[string]string{}, []string{}
			for _, c := range columns {
				said := cell.Draw(t, "cell")
				cells = append(cells, said)
				if said = strings.TrimSpace(said); said != "" {
					told[c] = said
				}
			}
			write(&b, cells)
			if len(told) > 0 {
				want = append(want, "boxes "+string(schemas.JSON(told)))
			}
		}
		text := b.String()
		switch rapid.IntRange(0, 3).Draw(t, "encoding") {
		case 1:
			text = "\xef\xbb\xbf" + text
		case 2:
			text = toUTF16(text, "\xff\xfe", false)
		case 3:
			text = toUTF16(text, "\xfe\xff", true)
		}
		r := &rows{}
		if err := tableRecogniser.scan(iotest.OneByteReader(strings.NewReader(text)), r); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range r.out {
			_, s, _ = strings.Cut(s, " ")
			if !strings.HasPrefix(s, "notice") {
				got = append(got, s)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q reads back as\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// FuzzTable: whatever stands in a table, reading it ends, counts each row once, and finds the rows
// before and behind; and what encoding/csv reads without a fault is read as it does.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{"", "1,red", "\"1\",\"re\"\"d\"", "1,\"a\nb\"", "1,5\" disk", "\"1,red",
		"1,red\r\n2,\"x", "1,red,,", "1", ",", "sep=;", "1;red", "\xff", "\x00,\x00", "\"\"\"",
		"1,\"red\" x", "1,red\n\n\n2,blue", "\"\n\"\n\","} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := rowsOf(t, "BoxId,Colour\nfirst,red\n"+raw+"\nlast,red\n")
		if len(r.looks) != 0 {
			return // of a name that is not read here
		}
		first, last := `2 boxes {"BoxId":"first","Colour":"red"}`, ` boxes {"BoxId":"last","Colour":"red"}`
		if len(r.out) < 2 || r.out[0] != first || !strings.HasSuffix(r.out[len(r.out)-1], last) {
			t.Fatalf("%q: the rows around are not found: %q", raw, r.out)
		}
		c := csv.NewReader(bytes.NewReader([]byte("BoxId,Colour\nfirst,red\n" + raw + "\nlast,red\n")))
		all, err := c.ReadAll()
		if err != nil {
			return
		}
		var want []string
		for _, row := range all[1:] {
			told := map[string]string{}
			for i, name := range []string{"BoxId", "Colour"} {
				if said := strings.TrimSpace(row[i]); said != "" {
					told[name] = said
				}
			}
			if len(told) > 0 && !strings.ContainsRune(row[0]+row[1], '\ufffd') && string(schemas.JSON(told)) != "" {
				want = append(want, string(schemas.JSON(told)))
			}
		}
		got := []string{}
		for _, s := range r.out {
			if _, said, ok := strings.Cut(s, " boxes "); ok {
				got = append(got, said)
			}
		}
		if len(r.out) == len(got) && !slices.Equal(got, want) && !strings.Contains(raw, "\ufffd") {
			t.Fatalf("%q is read as %q, want %q", raw, got, want)
		}
	})
}
