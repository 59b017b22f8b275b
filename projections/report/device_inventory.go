package report

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// inventoryAttributes are what the inventory shows, and nothing else is read.
var inventoryAttributes = []string{
	"device.name", "device.serial-number", "device.manufacturer", "device.model", "device.operating-system",
	"device.os-version",
	"device.ownership", "device.user-upn", "device.user-name", "device.user-id",
	"device.compliance-state", "device.encrypted",
	"device.enrolled-at", "device.last-contact", "device.management-state",
}

// deviceInventory: which devices there are, or were at a moment.
var deviceInventory = Definition{
	ID:    "device-inventory",
	Title: schemas.Label{EN: "Inventory on a date", NL: "Apparaten per datum"},
	About: schemas.Label{
		EN: "The devices with their present values, or their values as of a time or a ledger sequence.",
		NL: "De apparaten met hun huidige waarden, of met hun waarden per een tijdstip of volgnummer.",
	},
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{"device", schemas.Label{EN: "Device", NL: "Apparaat"}, Words},
		{"serial", schemas.Label{EN: "Serial number", NL: "Serienummer"}, Words},
		{"model", schemas.Label{EN: "Model", NL: "Model"}, Words},
		{"os", schemas.Label{EN: "Operating system", NL: "Besturingssysteem"}, Words},
		{"ownership", schemas.Label{EN: "Ownership", NL: "Eigendom"}, Words},
		{"user", schemas.Label{EN: "User", NL: "Gebruiker"}, Words},
		{"compliance", schemas.Label{EN: "Compliance", NL: "Naleving"}, Words},
		{"encrypted", schemas.Label{EN: "Encrypted", NL: "Versleuteld"}, Words},
		{"state", schemas.Label{EN: "Management", NL: "Beheer"}, Words},
		{"enrolled", schemas.Label{EN: "Enrolled", NL: "Ingeschreven op"}, Words},
		{"lastContact", schemas.Label{EN: "Last contact", NL: "Laatste contact"}, Words},
		{"id", schemas.Label{EN: "Ledger's device id", NL: "Apparaat-id van het grootboek"}, Words},
		{"sequence", schemas.Label{EN: "Seq.", NL: "Volgnr."}, Sequence},
	},
	Filters: []Filter{
		{ID: "platform", held: "device.operating-system", Title: schemas.Label{EN: "Platform", NL: "Platform"},
			Help: schemas.Label{
				EN: "only devices whose operating system begins with this, as in iOS,Windows",
				NL: "alleen apparaten waarvan het besturingssysteem zo begint, zoals iOS,Windows"}},
		{ID: "ownership", Title: schemas.Label{EN: "Ownership", NL: "Eigendom"}, Attr: "device.ownership",
			Help: schemas.Label{
				EN: "only company or personal devices",
				NL: "alleen apparaten van de organisatie (company) of privéapparaten (personal)"}},
	},
	rows: deviceInventoryRows,
}

func deviceInventoryRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for d, err := range q.reader.Devices(ctx, q.tenant, q.asOf, inventoryAttributes...) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !matches(q, d) {
				continue
			}
			if !yield(deviceRow(d), nil) {
				return
			}
		}
	}
}

func matches(q *question, d projections.Device) bool {
	if want := q.filter["ownership"]; len(want) > 0 {
		if h, ok := d.Get("device.ownership"); !ok || !slices.Contains(want, string(h.Text)) {
			return false
		}
	}
	if want := q.filter["platform"]; len(want) > 0 {
		h, ok := d.Get("device.operating-system")
		if !ok || !slices.ContainsFunc(want, func(p string) bool { return hasPrefixFold(string(h.Text), p) }) {
			return false
		}
	}
	return true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func deviceRow(d projections.Device) Row {
	seq := uint64(0)
	get := func(attr string) Cell {
		h, ok := d.Get(attr)
		if !ok {
			return nil
		}
		// The event that set it is not part of the view: a restated value's token
		// was sealed for that event alone.
		return of(attr, h.Text, uuid.Nil)
	}
	for _, hs := range d.Values {
		for _, h := range hs {
			seq = max(seq, h.Seq)
		}
	}
	return Row{
		Key: string(d.Stream), Seq: seq,
		Cells: cells(
			get("device.name"), get("device.serial-number"), joined(get("device.manufacturer"), get("device.model")),
			joined(get("device.operating-system"), get("device.os-version")), get("device.ownership"),
			first(get("device.user-upn"), get("device.user-name"), get("device.user-id")),
			get("device.compliance-state"), get("device.encrypted"), get("device.management-state"),
			get("device.enrolled-at"),
			get("device.last-contact"), text(d.Stream.UUID().String()), number(seq),
		),
	}
}

// joined puts values that people read as one ("Apple", "iPhone 16") into one cell.
func joined(cs ...Cell) Cell {
	var out Cell
	for _, c := range cs {
		out = append(out, c...)
	}
	return out
}
