package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// A file none of whose records has a known name is named; a kind that is only not taken in is not.
func TestAFileThatIsNotUnderstoodIsNamed(t *testing.T) {
	office := func(part string) string {
		return packedtest.Zip(t, packedtest.Entry{Name: "[Content_Types].xml", Text: "<x/>"},
			packedtest.Entry{Name: part, Text: "<x/>"})
	}
	for name, c := range map[string]struct {
		content, looks string
	}{
		"CSV":              {"Device ID,Name\n1,a\n", "CSV"},
		"CSV of Excel":     {"sep=;\nDevice ID;Name\n1;a\n", "CSV"},
		"CSV in UTF-16":    {toUTF16("Device ID\tName\n1\ta\n", "\xff\xfe", false), "CSV"},
		"quoted CSV":       {"\"Device ID\",\"Name\"\n\"1\",\"a\"\n", "CSV"},
		"a workbook":       {office("xl/workbook.xml"), "Excel workbook"},
		"a letter":         {office("word/document.xml"), "Office document"},
		"other Avro":       {packedtest.Avro(t, `"string"`, "null", 1, "a"), "Avro"},
		"XML":              {"<?xml version=\"1.0\"?><a/>", "XML"},
		"a sign-in page":   {"<!DOCTYPE html><html></html>", "HTML page"},
		"UTF-32":           {"\xff\xfe\x00\x00{\x00\x00\x00", "text in UTF-32"},
		"binary":           {"\x01\x02\x03", "binary data"},
		"notes":            {"Dear all", "text without JSON"},
		"unknown JSON":     {`[{"surprise":1},{"surprise":2}]`, "JSON whose records have no known name"},
		"a kind by name":   {`{"category":"UpdateLogs","properties":{}}`, ""},
		"a page by name":   {`{"@odata.context":"https://x/$metadata#users","value":[{"id":"a"}]}`, ""},
		"an entity":        {`{"@odata.type":"#microsoft.graph.vppToken","id":"a"}`, ""},
		"a table's name":   {`[{"TimeGenerated":"2026-03-01T00:00:00Z","Type":"SigninLogs"}]`, ""},
		"known and other":  {`[{"surprise":1},{"category":"UpdateLogs","properties":{}}]`, ""},
		"an empty page":    {`{"value":[]}`, ""},
		"nothing":          {"", ""},
		"an unusual name":  {`{"category":"Anna's things","properties":{}}`, "JSON whose records have no known name"},
		"only a scalar":    {"17", "text without JSON"},
		"a comma and text": {", and so on", "text without JSON"},
	} {
		got := collect(t, testRecogniser, oneFile(c.content))
		switch {
		case c.looks == "" && len(got.looks) != 0:
			t.Errorf("%s is named: %+v", name, got.looks)
		case c.looks != "" && (len(got.looks) != 1 || got.looks[0].Kind != c.looks || got.looks[0].Help == ""):
			t.Errorf("%s: %+v, want %q", name, got.looks, c.looks)
		}
	}
}

// What helps with a nameless record names the types of which a whole one is known, and how the
// records begin.
func TestWhatHelpsNamesTheFormsThatAreKnown(t *testing.T) {
	forms := NewRecogniser(slices.Concat(testForms, incidents))
	got := collect(t, forms, oneFile(`{"surprise":1,"Anna's":2}`)).looks
	if len(got) != 1 || !strings.HasSuffix(got[0].Help,
		"or as a whole managedDevice or serviceIncident; these begin with surprise, (unusual name)") {
		t.Errorf("%+v", got)
	}
}
