package front

// The engine's stream writes each chunk as a document of its own. These formats' documents
// can simply follow each other; every other format has a head, a foot or an index and
// takes the way through a pipe.
var chunked = map[string]bool{
	"Native": true, "RowBinary": true, "JSONEachRow": true, "JSONLines": true, "NDJSON": true,
	"JSONStringsEachRow": true, "JSONCompactEachRow": true, "JSONCompactStringsEachRow": true, "BSONEachRow": true,
	"TabSeparated": true, "TSV": true, "TabSeparatedRaw": true, "TSVRaw": true, "Raw": true, "TSKV": true, "CSV": true,
	"MsgPack": true, "LineAsString": true, "RawBLOB": true, "Null": true,
}

// contentType is what the server sends for a format.
func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONCompactStrings", "JSONColumns", "JSONColumnsWithMetadata",
		"JSONCompactColumns", "JSONObjectEachRow":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow",
		"JSONEachRowWithProgress",
		"JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes":
		return "application/x-ndjson; charset=UTF-8"
	case "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "TSKV", "TabSeparatedWithNames", "TSVWithNames",
		"TabSeparatedWithNamesAndTypes", "TSVWithNamesAndTypes":
		return "text/tab-separated-values; charset=UTF-8"
	case "CSV":
		return "text/csv; charset=UTF-8; header=absent"
	case "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=present"
	case "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream",
		"ORC", "Avro", "Npy",
		"MsgPack", "Protobuf", "ProtobufList", "ProtobufSingle", "BSONEachRow", "RawBLOB":
		return "application/octet-stream"
	case "XML":
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}
