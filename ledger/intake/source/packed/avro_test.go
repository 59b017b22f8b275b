package packed

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// marker is the marker of a file of Avro: its last 16 bytes.
func marker(file string) string { return file[len(file)-16:] }

// blocks takes a file of Avro apart: header, and blocks without their markers.
func blocks(file string) []string {
	parts := strings.Split(file, marker(file))
	return parts[:len(parts)-1]
}

// joined puts the parts together.
func joined(file string, parts []string) string {
	return strings.Join(parts, marker(file)) + marker(file)
}

// Messages are read whatever packs them, and whatever else the schema has.
func TestMessagesOfCaptureAreRead(t *testing.T) {
	bodies := []string{"one", "", "two", strings.Repeat("3", 200_000), "four", "five"}
	want := []string{"#1 one", "#2", "#3 two", "#4 (200000 bytes)", "#5 four", "#6 five"}
	for _, codec := range []string{"null", "deflate", "snappy"} {
		for _, perBlock := range []int{1, 2, 100} {
			file := packedtest.Capture(t, codec, perBlock, bodies...)
			for name, content := range map[string]string{"file": file, "gzip": packedtest.Gzip(t, file)} {
				if got := unpackText(t, content, theLimits).out; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s by %s, %d a block: %q", name, codec, perBlock, got)
				}
			}
		}
	}
	text := packedtest.Avro(t, packedtest.TextSchema, "null", 3, map[string]any{"Body": "a", "Partition": 1},
		map[string]any{"Body": "b", "Partition": 2})
	if got := unpackText(t, text, theLimits).out; fmt.Sprint(got) != "[#1 a #2 b]" {
		t.Errorf("%q", got)
	}
}

// A file of Avro that is none of Capture's is named by its schema.
func TestOtherAvroIsNamed(t *testing.T) {
	fields := func(f string) string { return `{"type":"record","name":"a.B","fields":[` + f + `]}` }
	body := `{"name":"Body","type":"bytes"}`
	for schema, want := range map[string]string{
		`"string"`: "string", `{"type":"array","items":"null"}`: "array", fields(``): "a.B",
		fields(`{"name":"Body","type":"long"}`): "a.B", fields(`{"name":"Body","type":["null"]}`): "a.B",
		fields(body + `,{"name":"x","type":"a.B"}`):                                                 "a.B",
		fields(body + `,{"name":"x","type":["null","a.B"]}`):                                        "a.B",
		fields(body + `,{"name":"x","type":{"type":"array","items":"null"}}`):                       "a.B",
		fields(body + `,{"name":"x","type":{"type":"map","values":{"type":"map","values":"a.B"}}}`): "a.B",
	} {
		got := unpackText(t, withSchema(t, schema), theLimits).out
		if len(got) != 1 || got[0] != "AVRO "+want {
			t.Errorf("%s: %q", schema, got)
		}
	}
	for _, plain := range []string{`"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"null"`,
		`{"type":"enum","name":"e","symbols":["A"]}`, `{"type":"fixed","name":"f","size":3}`,
		`{"type":"array","items":{"type":"map","values":"bytes"}}`} {
		got := unpackText(t, withSchema(t, fields(body+`,{"name":"x","type":`+plain+`}`)), theLimits).out
		if len(got) != 0 {
			t.Errorf("%s: %q", plain, got)
		}
	}
}

// withSchema is a file of that schema without blocks.
func withSchema(t *testing.T, schema string) string {
	t.Helper()
	long := func(n int) string {
		var b []byte
		for n *= 2; n > 0x7f; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		return string(append(b, byte(n)))
	}
	return avroBegins + long(1) + long(len("avro.schema")) + "avro.schema" + long(len(schema)) + schema + long(0) +
		"0123456789abcdef"
}

// A broken block costs what stands behind the fault in it, and no other.
func TestABrokenBlockCostsItself(t *testing.T) {
	const broken = "DAMAGE block %d is broken: %d of the %d messages that it claims are read, and the blocks behind it"
	const cutOff = "DAMAGE block %d is cut off or broken, and none is found behind it: %d of the %d messages that " +
		"it claims are read"
	file := packedtest.Capture(t, "null", 2, "one", "two", "three", "four", "five", "six")
	packed := packedtest.Capture(t, "deflate", 2, "one", "two", "three", "four", "five", "six")
	snappy := packedtest.Capture(t, "snappy", 2, "one", "two", "three", "four", "five", "six")
	change := func(file string, do func(block string) string) string {
		parts := blocks(file)
		parts[2] = do(parts[2])
		return joined(file, parts)
	}
	replace := func(old, is string) string {
		return change(file, func(b string) string { return strings.Replace(b, old, is, 1) })
	}
	first, last := []string{"#1 one", "#2 two"}, []string{"#3 five", "#4 six"}
	half, behind := []string{"#3 three"}, []string{"#4 five", "#5 six"}
	both := []string{"#3 three", "#4 four"}
	rest := []string{"#5 five", "#6 six"}
	all := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	told := func(form string, args ...any) []string { return []string{fmt.Sprintf(form, args...)} }
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"a body too long": {replace("\x08four", "\x7efour"),
			all(first, half, told(broken, 2, 1, 2), behind)},
		"a length of none": {replace("\x08four", "\x07four"),
			all(first, half, told(broken, 2, 1, 2), behind)},
		"no branch": {replace("\x02\x08four", "\x0a\x08four"),
			all(first, half, told(broken, 2, 1, 2), behind)},
		"it claims more": {change(file, func(b string) string { return "\x08" + b[1:] }),
			all(first, both, told(broken, 2, 2, 4), rest)},
		"it claims less": {change(file, func(b string) string { return "\x02" + b[1:] }),
			all(first, half, told(broken, 2, 1, 1), behind)},
		"it claims none": {change(file, func(b string) string { return "\x00" + b[1:] }),
			all(first, told(broken, 2, 0, 0), last)},
		"claims less than none": {change(file, func(b string) string { return "\x01" + b[1:] }),
			all(first, told(broken, 2, 0, 0), last)},
		"it measures less": {change(file, func(b string) string { return cut(b, 3) }),
			all(first, half, told(broken, 2, 1, 2), behind)},
		"it measures more": {change(file, func(b string) string { return b + "more" }),
			all(first, both, told(broken, 2, 2, 2), rest)},
		"no size": {change(file, func(b string) string { return b[:1] + strings.Repeat("\xff", 11) }),
			all(first, told(broken, 2, 0, 2), last)},
		"a huge size": {change(file, func(b string) string { return b[:1] + "\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" }),
			all(first, told("DAMAGE block 2 measures more than 32 MiB: it is not read"), last)},
		"deflate broken": {change(packed, func(b string) string { return b[:3] + strings.Repeat("\xff", len(b)-3) }),
			all(first, told(broken, 2, 0, 2), last)},
		"snappy broken": {change(snappy, func(b string) string { return with(b, -1, 1) }),
			all(first, told(broken, 2, 0, 2), last)},
		"another marker":  {strings.Replace(file, marker(file), "0123456789abcdef", 2), nil},
		"cut in a block":  {cut(file, 16+5), all(first, both, []string{"#5 five"}, told(cutOff, 3, 1, 2))},
		"cut in a marker": {cut(file, 5), all(first, both, rest, told(cutOff, 3, 2, 2))},
		"cut between two": {joined(file, blocks(file)[:3]), all(first, both)},
		"a cut header":    {file[:100], []string{"LOOSE 100 bytes"}},
		"a codec of others": {strings.Replace(file, "\x08null", "\x08lzma", 1),
			[]string{"FAULT DAMAGE is a file of Avro whose blocks are packed by a codec that is not understood: " +
				"write it by null, deflate or snappy"}},
		"no schema": {strings.Replace(file, `{"name":`, `{"nome":`, 1), nil},
		"a schema that is none": {withSchema(t, `{"type":"record"}`),
			[]string{fmt.Sprintf("LOOSE %d bytes", len(withSchema(t, `{"type":"record"}`)))}},
		"gzip around it cut off": {cut(packedtest.Gzip(t, file), 3),
			all(first, both, rest, []string{"DAMAGE member 1 of its gzip is cut off: what stands before that is " +
				"read"})},
	} {
		t.Run(name, func(t *testing.T) {
			got := unpackText(t, c.file, theLimits).out
			if c.want != nil && strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
