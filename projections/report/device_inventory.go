package report

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// inventoryAttributes are what the inventory shows, and nothing else is read.
var inventoryAttributes = []string{
	"device.name", "device.serial-number", "device.manufacturer", "device.model", "device.operating-system",
	"device.os-version",
	"device.ownership", "device.user-upn", "device.user-name", "device.user-id",
	"device.compliance-state", "device.encrypted",
	"device.enrolled-at", "device.last-contact", "device.management-state", "device.intune-id",
}

// onDevices are the filters of reports that have a device a row: its user, name, serial number.
var onDevices = []Filter{
	{ID: "person", Check: isUUID, Shown: somebody},
	{ID: "name", In: []string{"device"}},
	{ID: "serial", In: []string{"serial"}},
}

// deviceInventory: which devices there are, or were at a moment.
var deviceInventory = Definition{
	ID:    "device-inventory",
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{ID: "device", Type: document.Text},
		{ID: "serial", Type: document.Text},
		{ID: "model", Type: document.Text, List: true, Parts: true},
		{ID: "os", Type: document.Text, List: true, Parts: true},
		{ID: "ownership", Type: document.Text},
		{ID: "user", Type: document.Text},
		{ID: "compliance", Type: document.Text},
		{ID: "encrypted", Type: document.Boolean},
		{ID: "state", Type: document.Text},
		{ID: "enrolled", Type: document.Reported},
		{ID: "lastContact", Type: document.Reported},
		{ID: "intuneId", Type: document.Text},
		{ID: "id", Type: document.Text},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: append([]Filter{
		{ID: "platform", Held: "device.operating-system"},
		{ID: "ownership", Attr: "device.ownership"},
	}, onDevices...),
	Rows: deviceInventoryRows,
}

func deviceInventoryRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for d, err := range q.Reader.Devices(ctx, q.Tenant, q.AsOf, inventoryAttributes...) {
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
	owned, _ := d.Get("device.ownership")
	system, _ := d.Get("device.operating-system")
	platform, person := q.Filter["platform"], q.Filter["person"]
	begins := func(p string) bool { return hasPrefixFold(string(system.Text), p) }
	return among(q.Filter["ownership"], string(owned.Text)) &&
		(len(platform) == 0 || slices.ContainsFunc(platform, begins)) &&
		(len(person) == 0 || isUserOf(d, person))
}

// userAttributes say who a device's user is. Their values are sealed under that person's aliases.
var userAttributes = []string{"device.user-upn", "device.user-name", "device.user-id"}

// isUserOf reports whether one of the aliases is the user of the device, and opens nothing to see.
func isUserOf(d projections.Device, aliases []string) bool {
	return slices.ContainsFunc(userAttributes, func(attr string) bool {
		h, _ := d.Get(attr)
		token, sealed := h.Text.Token()
		if !sealed {
			return false
		}
		header, _, err := token.Parse()
		return err == nil && slices.Contains(aliases, header.Alias.String())
	})
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func deviceRow(d projections.Device) Row {
	seq, get := newest(d), valuesOf(d)
	return Row{
		Key: string(d.Stream), Seq: seq,
		Cells: cells(
			get("device.name"), get("device.serial-number"),
			slices.Concat(get("device.manufacturer"), get("device.model")),
			slices.Concat(get("device.operating-system"), get("device.os-version")),
			get("device.ownership"), userOf(get),
			get("device.compliance-state"), get("device.encrypted"), get("device.management-state"),
			get("device.enrolled-at"),
			get("device.last-contact"), get("device.intune-id"), text(d.Stream.UUID().String()), sequence(seq),
		),
	}
}

// valuesOf gives a device's values, or an account's, by attribute. The event that set one is not
// part of the view: a restated value's token was sealed for that event alone.
func valuesOf(d projections.Device) func(attr string) Cell {
	return func(attr string) Cell {
		h, ok := d.Get(attr)
		if !ok {
			return nil
		}
		return of(attr, h.Text, uuid.Nil)
	}
}

// userOf names a device's user by the best name there is.
func userOf(get func(attr string) Cell) Cell {
	return first(get("device.user-upn"), get("device.user-name"), get("device.user-id"))
}

// newest is the sequence of the latest event that set one of the values.
func newest(d projections.Device) (seq uint64) {
	for _, hs := range d.Values {
		for _, h := range hs {
			seq = max(seq, h.Seq)
		}
	}
	return seq
}
