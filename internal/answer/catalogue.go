package answer

import (
	"io"
	"time"

	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// WriteCatalogue writes the catalogue's data items, one a row, in the form of that name.
func WriteCatalogue(w io.Writer, c *catalogue.Catalogue, l *words.Language, form string, width int) error {
	d := &document.Document{
		Language: l, Location: time.UTC, Title: l.Text("catalogue.title"), About: l.Text("catalogue.about"),
		Columns: itemColumns(l),
		Rows: func(yield func(document.Row, error) bool) {
			for _, i := range c.Items() {
				if !yield(document.Row{Cells: itemCells(c, i, l)}, nil) {
					return
				}
			}
		},
		Totals: func() ([]document.Fact, bool) { return nil, true },
	}
	return render.Write(form, w, d, width)
}

// itemColumns has a name of each language for programs, and that of the reader's for people.
func itemColumns(l *words.Language) []document.Column {
	column := func(id, title string) document.Column {
		return document.Column{ID: id, Title: l.Text(title), Type: document.Text}
	}
	list := func(id, title string) document.Column {
		c := column(id, title)
		c.List = true
		return c
	}
	types := list("eventTypes", "catalogue.column.eventTypes")
	types.Machine = true
	out := []document.Column{
		column("item", "column.itemNumber"), column("name", "column.itemName"),
		column("requirement", "column.requirement"), column("identifiability", "column.identifiability"),
		column("owner", "catalogue.column.owner"), list("attributes", "catalogue.column.attributes"),
		list("key", "catalogue.column.itemKey"), list("class", "catalogue.column.itemClass"),
		column("rule", "catalogue.column.itemRule"), types,
	}
	for _, lang := range words.Languages() {
		named := column("name_"+lang, "column.itemName")
		named.Machine = true
		out = append(out, named)
	}
	return out
}

func itemCells(c *catalogue.Catalogue, i *catalogue.Item, l *words.Language) []document.Cell {
	text := func(s string) document.Value { return document.Value{Type: document.Text, JSON: schemas.JSON(s)} }
	word := func(vocabulary, id string) document.Cell {
		v := text(id)
		v.Word = content.Word(l, vocabulary, id)
		return document.Cell{v}
	}
	// each lists what the attributes say, once each.
	each := func(of func(*catalogue.Attribute) string) (out document.Cell) {
		have := map[string]bool{}
		for _, a := range i.Attributes() {
			if s := of(a); !have[s] {
				have[s] = true
				out = append(out, text(s))
			}
		}
		return out
	}
	var types document.Cell
	for _, t := range i.Types(c) {
		types = append(types, text(t.Name))
	}
	attributes := each(func(a *catalogue.Attribute) string {
		if i.Value != "" {
			return a.ID + "=" + i.Value
		}
		return a.ID
	})
	cells := []document.Cell{{text(i.ID)}, word(content.OfItem, i.ID), word(content.OfRequirement, i.Requirement),
		word(content.OfIdentifiability, i.Identifiability), word(content.OfOwner, i.Owner), attributes,
		each(func(a *catalogue.Attribute) string { return a.Key }),
		each(func(a *catalogue.Attribute) string { return a.Class }), word(content.OfRule, ruleOf(i)), types}
	for _, lang := range words.Languages() {
		cells = append(cells, document.Cell{text(i.Label.In(lang))})
	}
	return cells
}

// ruleOf says what becomes of the item: its own rule, or whether values of it may stand open.
func ruleOf(i *catalogue.Item) string {
	if i.Rule != "" {
		return i.Rule
	}
	for _, a := range i.Attributes() {
		if a.Shape == nil {
			return "sealed"
		}
	}
	return "open"
}
