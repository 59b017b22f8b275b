package clickhouse

import "bytes"

// The engine's stream writes each chunk as a document of its own. Formats whose documents can simply
// follow each other are streamed; those with column names in front are streamed with the names of all
// chunks but the first cut off; all others have a head, a foot or an index and are built whole.
var streamable = map[string]func(chunk []byte) int{
	"Native": none, "RowBinary": none, "JSONEachRow": none, "JSONLines": none, "NDJSON": none,
	"JSONStringsEachRow": none, "JSONCompactEachRow": none, "JSONCompactStringsEachRow": none, "BSONEachRow": none,
	"TabSeparated": none, "TSV": none, "TabSeparatedRaw": none, "TSVRaw": none, "Raw": none, "TSKV": none,
	"CSV": none, "MsgPack": none, "LineAsString": none, "RawBLOB": none, "Protobuf": none, "Null": none,

	"TabSeparatedWithNames": line, "TSVWithNames": line, "TabSeparatedWithNamesAndTypes": twoLines, "TSVWithNamesAndTypes": twoLines,
	"JSONCompactEachRowWithNames": line, "JSONCompactEachRowWithNamesAndTypes": twoLines,
	"CSVWithNames": csvLine, "CSVWithNamesAndTypes": twoCSVLines,
}

func streams(format string) bool { return streamable[format] != nil }

// repeatedHeader returns how many bytes of a later chunk repeat the first one's header.
func repeatedHeader(format string, chunk []byte) int {
	if f := streamable[format]; f != nil {
		return f(chunk)
	}
	return 0
}

func none([]byte) int { return 0 }

// line is a line whose format escapes line breaks within values.
func line(b []byte) int { return bytes.IndexByte(b, '\n') + 1 }

func twoLines(b []byte) int { n := line(b); return n + line(b[n:]) }

// csvLine is a line in which a line break may stand within quotes.
func csvLine(b []byte) int {
	quoted := false
	for i, c := range b {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\n' && !quoted:
			return i + 1
		}
	}
	return len(b)
}

func twoCSVLines(b []byte) int { n := csvLine(b); return n + csvLine(b[n:]) }

// contentType is what the server sends for a format.
func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONCompactStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONCompactColumns", "JSONObjectEachRow":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow", "JSONEachRowWithProgress",
		"JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes":
		return "application/x-ndjson; charset=UTF-8"
	case "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "TSKV", "TabSeparatedWithNames", "TSVWithNames", "TabSeparatedWithNamesAndTypes", "TSVWithNamesAndTypes":
		return "text/tab-separated-values; charset=UTF-8"
	case "CSV":
		return "text/csv; charset=UTF-8; header=absent"
	case "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=present"
	case "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro", "Npy",
		"MsgPack", "Protobuf", "ProtobufList", "ProtobufSingle", "BSONEachRow", "RawBLOB":
		return "application/octet-stream"
	case "XML":
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}
