package estate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

const (
	attrApp       = "device.app"
	attrOwnership = "device.ownership"
	attrContact   = "device.last-contact"

	company = "company"
)

// AppInventory tells which apps there are, in which version, on how many devices, since when. It
// counts what devices are known to have; beside that stands how many devices Intune counts. Apps
// of personal devices are counted only where they are asked for: that the ledger holds any is the
// policy's choice.
var AppInventory = define.Definition{
	ID:    "app-inventory",
	Scope: define.AtMoment, Personal: true,
	Columns: []define.Column{
		{ID: "app", Type: document.Text},
		{ID: "version", Type: document.Text},
		{ID: "publisher", Type: document.Text},
		{ID: "devices", Type: document.Number},
		{ID: "devicesTold", Type: document.Number},
		{ID: "firstSeen", Type: document.Instant},
		{ID: "lastSeen", Type: document.Instant},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []define.Filter{
		{ID: "app", In: []string{"app"}, Whole: true},
		{ID: "ownership", Attr: attrOwnership},
	},
	Rows: appRows,
}

// mostApps bounds the apps that are counted at once, each version one.
const mostApps = 500_000

// installed is an app of one version, and the devices that have it. What it is called is shown as
// one of them tells it, which is opened where it is shown.
type installed struct {
	nameOf
	app, version, publisher content.Cell
	devices, seq            uint64
	told                    content.Cell // on how many devices the source counts it
	first, last             time.Time
}

// nameOf is what is one app of one version: in small letters, since sources differ in it. Where it
// cannot be looked into, why.
type nameOf struct {
	name, version string
	state         document.State
}

type inventory map[nameOf]*installed

// of is the app of that name and version.
func (all inventory) of(n nameOf) (*installed, error) {
	n.name, n.version = strings.ToLower(n.name), strings.ToLower(n.version)
	if all[n] == nil {
		if len(all) == mostApps {
			return nil, fmt.Errorf("more than %d apps and versions: too many to be counted at once", mostApps)
		}
		all[n] = &installed{nameOf: n}
	}
	return all[n], nil
}

func (a *installed) seen(at time.Time, seq uint64) {
	if a.first.IsZero() || at.Before(a.first) {
		a.first = at
	}
	if at.After(a.last) {
		a.last = at
	}
	a.seq = max(a.seq, seq)
}

func appRows(ctx context.Context, q *define.Question) iter.Seq2[define.Row, error] {
	return func(yield func(define.Row, error) bool) {
		all := inventory{}
		err := all.count(ctx, q)
		if err == nil {
			err = all.told(ctx, q)
		}
		if err != nil {
			yield(define.Row{}, err)
			return
		}
		sorted := make([]*installed, 0, len(all))
		for _, a := range all {
			sorted = append(sorted, a)
		}
		slices.SortFunc(sorted, func(a, b *installed) int {
			return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.nameOf.version, b.nameOf.version),
				cmp.Compare(a.state, b.state))
		})
		for _, a := range sorted {
			if !yield(a.row(), nil) {
				return
			}
		}
	}
}

// count counts what is on devices, so many entries at a time.
func (all inventory) count(ctx context.Context, q *define.Question) error {
	type entry struct {
		held projections.Held
		seen time.Time // when the device was last told of
		of   int       // which device it is on
	}
	var page []entry
	devices := 0
	flush := func() error {
		values := make([]content.Value, len(page))
		looked := make([]*content.Value, len(page))
		for i, e := range page {
			values[i] = content.ValueOf(attrApp, e.held.Text, uuid.Nil)
			looked[i] = &values[i]
		}
		if q.Look != nil {
			if err := q.Look(ctx, looked); err != nil {
				return err
			}
		}
		counted := map[*installed]int{} // the last device that it was counted on
		for i, e := range page {
			name := appOf(values[i])
			one, err := all.of(name)
			if err != nil {
				return err
			}
			one.tell(e.held.Text, name)
			if counted[one] != e.of {
				counted[one] = e.of
				one.devices++
			}
			one.seen(e.held.Observed, e.held.Seq)
			one.seen(e.seen, e.held.Seq)
		}
		page = page[:0]
		return nil
	}
	for d, err := range q.Reader.Devices(ctx, q.Tenant, q.AsOf, attrApp, attrOwnership, attrContact) {
		if err != nil {
			return err
		}
		if !countsApps(d, q.Filter["ownership"]) {
			continue
		}
		devices++
		var seen time.Time
		for _, hs := range d.Values {
			for _, h := range hs {
				if h.Occurred.After(seen) {
					seen = h.Occurred
				}
			}
		}
		for _, h := range d.Values[attrApp] {
			page = append(page, entry{h, seen, devices})
		}
		if len(page) >= content.OpenBatch { // a device's entries stay together: none is counted twice
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func countsApps(d projections.Device, asked []string) bool {
	h, _ := d.Get(attrOwnership)
	if len(asked) == 0 {
		return string(h.Text) == company
	}
	return define.Among(asked, string(h.Text))
}

// appOf reads an entry of a device's list.
func appOf(v content.Value) nameOf {
	var app struct{ Name, Version string }
	switch {
	case v.State != document.Shown:
		return nameOf{state: v.State}
	case json.Unmarshal(v.JSON, &app) != nil:
		return nameOf{state: document.NotGenuine}
	}
	return nameOf{name: app.Name, version: app.Version}
}

// tell takes the names that a device's entry has, where none has told them yet.
func (a *installed) tell(entry projections.Text, n nameOf) {
	if len(a.app) > 0 {
		return
	}
	a.app = content.MemberOf(attrApp, entry, uuid.Nil, "name")
	if n.version != "" || n.state != document.Shown {
		a.version = content.MemberOf(attrApp, entry, uuid.Nil, "version")
	}
	a.publisher = content.MemberOf(attrApp, entry, uuid.Nil, "publisher")
}

// appNames are what the tenant's list of detected apps tells of each.
var appNames = []string{"app.name", "app.version", "app.publisher", "app.device-count"}

// told adds how many devices the source counts, and the apps that no device's own list names. One
// that cannot be looked into cannot be told from others.
func (all inventory) told(ctx context.Context, q *define.Question) error {
	var page []projections.Entity
	flush := func() error {
		texts := map[string][]string{}
		for _, attr := range appNames[:2] {
			of := make([]projections.Text, len(page))
			for i, e := range page {
				h, _ := e.Get(attr)
				of[i] = h.Text
			}
			var err error
			if texts[attr], err = look(ctx, q, attr, of); err != nil {
				return err
			}
		}
		for i, e := range page {
			name := nameOf{name: texts["app.name"][i], version: texts["app.version"][i]}
			if name.name == "" {
				continue
			}
			one, err := all.of(name)
			if err != nil {
				return err
			}
			get := define.ValuesOf(e)
			if len(one.app) == 0 {
				one.app, one.version, one.publisher = get("app.name"), get("app.version"), get("app.publisher")
			}
			h, _ := e.Get("app.device-count")
			one.told = get("app.device-count")
			one.seen(h.Observed, h.Seq)
		}
		page = page[:0]
		return nil
	}
	if len(q.Filter["ownership"]) > 0 { // the source's count tells none
		return nil
	}
	for e, err := range q.Reader.Entities(ctx, q.Tenant, "app", q.AsOf, appNames...) {
		if err != nil {
			return err
		}
		if _, counted := e.Get("app.device-count"); !counted {
			continue
		}
		if page = append(page, e); len(page) == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (a *installed) row() define.Row {
	var devices content.Cell
	if a.devices > 0 {
		devices = content.Number(a.devices)
	}
	return define.Row{
		Key: string(schemas.JSON([]any{a.name, a.nameOf.version, a.state})), Seq: a.seq,
		Cells: []content.Cell{a.app, a.version, a.publisher, devices, a.told, content.Instant(a.first),
			content.Instant(a.last), content.Sequence(a.seq)},
	}
}
