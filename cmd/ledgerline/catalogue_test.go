package main

import (
	"bytes"
	"encoding/csv"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// The catalogue is printed without a ledger, in each form and language, an item a row.
func TestTheCatalogueIsPrintedAnItemARow(t *testing.T) {
	printed := func(args ...string) []byte {
		t.Helper()
		var out bytes.Buffer
		root := newRoot(&app{})
		root.SetOut(&out)
		root.SetArgs(append([]string{"schema", "catalogue"}, args...))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	rows, err := csv.NewReader(bytes.NewReader(printed("--output", "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(rows[0], "item")
	var have, want []string
	for _, row := range rows[1:] {
		have = append(have, row[at])
	}
	for _, i := range catalogue.Default().Items() {
		want = append(want, i.ID)
	}
	if !slices.Equal(have, want) {
		t.Errorf("rows are of %v", have)
	}
	for _, lang := range words.Languages() {
		l, _ := words.Default().Language(lang)
		for _, form := range render.Names() {
			if !bytes.Contains(printed("--output", form, "--lang", lang), []byte(l.Text("item.12"))) {
				t.Errorf("%s in %s names no item", form, lang)
			}
		}
	}
}
