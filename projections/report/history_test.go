package report_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// lived are the views of one device that has these changes. Values that begin with "sealed" are
// tokens, which open to what follows.
type lived struct {
	report.Reader
	changes []projections.Change
	plain   map[schemas.Token]string
}

func (l *lived) Through(context.Context) (uint64, bool, error) { return 1000, true, nil }

func (l *lived) DeviceHistory(
	context.Context, uuid.UUID, schemas.Stream, projections.Period, []string, projections.AsOf,
) iter.Seq2[projections.Change, error] {
	return func(yield func(projections.Change, error) bool) {
		for _, c := range l.changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (l *lived) Open(_ context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	out := make([]projections.Opened, len(tokens))
	for i, t := range tokens {
		out[i].Plain = schemas.JSON(l.plain[t.Token])
	}
	return out, nil
}

func (l *lived) Search(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	return l.Open(ctx, tokens)
}

// event adds an event that changes attributes: "attribute[/element]: old -> new".
func (l *lived) event(of string, changes ...string) {
	seq := uint64(len(l.changes) + 1)
	eventID := id(of + string(rune('a'+seq)))
	for n, c := range changes {
		name, values, _ := strings.Cut(c, ": ")
		attribute, element, _ := strings.Cut(name, "/")
		old, now, _ := strings.Cut(values, " -> ")
		held := func(text string, event uuid.UUID) *projections.Held {
			if text == "-" {
				return nil
			}
			plain, sealed := strings.CutPrefix(text, "sealed ")
			if !sealed {
				return &projections.Held{Text: projections.Text(text)}
			}
			body := make([]byte, 32+12+64+16)
			body[0], body[1] = byte(seq), byte(n)
			token := schemas.TokenHeader{Alias: anna, Class: "inventory", Month: "202609", Event: event,
				Attr: attribute}.Token(body)
			l.plain[token] = plain
			return &projections.Held{Text: projections.Text(token)}
		}
		l.changes = append(l.changes, projections.Change{Fact: projections.Fact{Seq: seq, EventID: eventID, Type: of,
			Occurred: at("2026-09-14T07:30:00Z")}, Attribute: attribute, Element: element,
			Old: held(old, id("before")), New: held(now, eventID)})
	}
}

// A history tells changes: what a device had when it was first seen is one row, its apps are
// counted, and nothing reads the same before and after. With "all" every value is there.
func TestAHistoryTellsChanges(t *testing.T) {
	l := &lived{plain: map[schemas.Token]string{}}
	l.event("device.enrolled.v1", "device.model: - -> X1", "device.serial-number: - -> sealed S-1",
		"device.app/1: - -> sealed Mail")
	l.event("device.inventory-changed.v1", "device.enrolled-at: 2026-09-01T08:00:00Z -> 2026-09-01T08:00:00.25Z",
		"device.storage-free: 10 -> 11", "device.serial-number: sealed S-1 -> sealed S-1", "device.os-version: 1 -> 2",
		"device.host-name: - -> sealed ", "device.phone-number: sealed +31611111111 -> -")
	l.event("device.apps-changed.v1", "device.app/1: sealed Mail -> -", "device.app/2: - -> sealed Notes",
		"device.app/3: - -> sealed Chess")
	l.event("device.restated.v1", "device.model: X1 -> X1", "device.serial-number: sealed S-1 -> sealed S-1")

	told := func(filters ...string) (rows []string) {
		r := request("device-history", "en")
		r.Filters = map[string]string{"device": string(phone)}
		for _, f := range filters {
			r.Filters[f] = define.Set
		}
		rep, err := report.Run(t.Context(), l, l, r)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range rep.Document().Rows {
			if err != nil {
				t.Fatal(err)
			}
			people := func(c document.Cell) string {
				return document.Column{}.People(c, &document.Document{Language: rep.Header.Language,
					Location: rep.Header.Location})
			}
			rows = append(rows, people(row.Cells[1])+": "+people(row.Cells[2])+" -> "+people(row.Cells[3]))
		}
		return rows
	}
	changes := []string{"First seen:  -> 3 values recorded", "OS version: 1 -> 2", "Phone number: +31611111111 -> ",
		"Apps:  -> 2 added, 1 removed"}
	if got := told(); !slices.Equal(got, changes) {
		t.Errorf("a history reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(changes, "\n"))
	}
	got := told("with-volatile")
	if len(got) != len(changes)+1 || !slices.Contains(got, "Free storage: 10 B -> 11 B") {
		t.Errorf("with what changes by itself it reads\n%s", strings.Join(got, "\n"))
	}
	if got := told("all"); len(got) != len(l.changes) {
		t.Errorf("%d rows of all, want each of %d changes", len(got), len(l.changes))
	}
}
