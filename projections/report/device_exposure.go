package report

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
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// deviceExposure: a device is gone; whose data was on it, how it was protected, when it was last
// heard of and what was asked of it. One row a fact, for a notification under Art. 33.
var deviceExposure = Definition{
	ID:    "device-exposure",
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{ID: "item", Type: document.Text},
		{ID: "value", Type: document.Mixed, List: true},
		{ID: "since", Type: document.Instant},
		{ID: "source", Type: document.Text},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{{ID: "device", Required: true, One: true, Devices: true}},
	Rows:    deviceExposureRows,
}

// exposed are the attributes that are told first: which device, whose it was, how protected, when
// heard of. What was asked of it stands behind them, then furtherExposed.
var exposed = []string{
	"device.name", "device.serial-number",
	"device.user-upn", "device.user-name", "device.user-email", "device.phone-number", attributeLoggedOn,
	"device.ownership", "device.encrypted", "device.compliance-state", "device.grace-until", "device.jail-broken",
	"device.threat-state", "device.malware-active", "device.lost-mode", "device.supervised",
	"device.last-contact", attributeManagement,
}

var furtherExposed = []string{
	"device.manufacturer", "device.model", "device.operating-system", "device.os-version",
	"device.security-patch-level", "device.imei", "device.intune-id", "device.enrolled-at",
}

// asked are those that are told also where nothing is recorded: what was not told is to be
// found out elsewhere.
var asked = []string{"device.user-upn", "device.last-contact", attributeManagement, "device.encrypted",
	"device.compliance-state"}

const attributeLoggedOn = "device.logged-on-user"

func deviceExposureRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stream := schemas.Stream(q.Filter["device"][0])
		e := exposure{stream: stream, held: map[[2]string]projections.Change{}, other: map[uint64]bool{}}
		for c, err := range q.Reader.DeviceHistory(ctx, q.Tenant, stream, projections.Period{}, nil, q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			e.note(c)
		}
		acts, err := e.acts(ctx, q)
		if err != nil {
			yield(Row{}, err)
			return
		}
		if e.seen.Type == "" && len(acts) == 0 {
			return
		}
		if len(acts) == 0 {
			acts = append(acts, e.nothing("asked", e.item("asked")))
		}
		rows := slices.Concat(e.rows(exposed), acts, e.rows(furtherExposed), e.kinds())
		if e.seen.Type != "" {
			rows = append(rows, e.row("seen", e.item("latest-record"), named(content.NameOfType, e.seen.Type),
				e.seen.Occurred, e.source, e.seen.Seq))
		}
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// exposure is what is known of the device: its values, each as the change that set it, and the
// users that it had before.
type exposure struct {
	stream schemas.Stream
	held   map[[2]string]projections.Change // by attribute and element
	before []projections.Change             // of the user's name: Old is what it was
	other  map[uint64]bool                  // sequences of events that told another user's id
	seen   projections.Fact                 // its latest event
	source string                           // of that event
}

func (e *exposure) note(c projections.Change) {
	e.seen, e.source = c.Fact, c.Source
	at := [2]string{c.Attribute, c.Element}
	if c.New == nil {
		delete(e.held, at)
	} else {
		e.held[at] = c
	}
	restated := strings.HasPrefix(c.Type, "device.restated.")
	if c.Attribute == "device.user-id" && !restated {
		e.other[c.Seq] = true
	}
	if c.Attribute == "device.user-upn" && c.Old != nil && !restated {
		e.before = append(e.before, c)
	}
}

func (e *exposure) row(key string, item, value Cell, since time.Time, source string, seq uint64) Row {
	return Row{Key: string(e.stream) + "/" + key, Seq: seq,
		Cells: cells(item, value, instant(since), named(content.NameOfSource, source), sequence(seq))}
}

// nothing tells that the ledger holds nothing of an item: for people a text, for programs null.
func (e *exposure) nothing(key string, item Cell) Row {
	return Row{Key: string(e.stream) + "/" + key,
		Cells: cells(item, Cell{{Attr: content.NameOfItem, JSON: json.RawMessage("null")}}, nil, nil, nil)}
}

func (e *exposure) item(id string) Cell { return named(content.NameOfItem, id) }

// rows tell what is held of the attributes, in their order.
func (e *exposure) rows(attributes []string) (rows []Row) {
	for _, attr := range attributes {
		var of []projections.Change
		for at, c := range e.held {
			if at[0] == attr {
				of = append(of, c)
			}
		}
		slices.SortFunc(of, func(a, b projections.Change) int {
			return cmp.Or(cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Element, b.Element))
		})
		for _, c := range of {
			rows = append(rows, e.row(attr+"/"+c.Element, named(content.NameOfAttribute, attr),
				held(attr, c.New, c.EventID),
				c.New.Observed, c.Source, c.Seq))
		}
		if len(of) == 0 && slices.Contains(asked, attr) {
			rows = append(rows, e.nothing(attr, named(content.NameOfAttribute, attr)))
		}
		if attr == attributeLoggedOn { // those of before stand behind those of now
			for i, c := range slices.Backward(e.before) {
				item := "name-before" // of the same user, whose id stayed
				if _, told := e.held[[2]string{"device.user-id", ""}]; e.other[c.Seq] || !told {
					item = "user-before"
				}
				rows = append(rows, e.row(fmt.Sprint("before/", i), e.item(item),
					held(c.Attribute, c.Old, uuid.Nil), c.Old.Observed, c.Source, c.Seq))
			}
		}
	}
	return rows
}

// kinds tell of which kinds the ledger holds personal data of the device, and how many apps.
func (e *exposure) kinds() (rows []Row) {
	var kinds Cell
	var apps projections.Change
	n, seen := uint64(0), map[string]bool{}
	for at, c := range e.held {
		if at[0] == attributeApp {
			if n++; c.Seq >= apps.Seq {
				apps = c
			}
		}
		if _, sealed := c.New.Text.Token(); sealed {
			seen[at[0]] = true
		}
	}
	if n > 0 {
		rows = append(rows, e.row("apps", e.item("apps"), number(n), apps.New.Observed, apps.Source, apps.Seq))
	}
	for _, attr := range schemas.Default().Attributes() {
		if seen[attr.ID] {
			kinds = append(kinds, named(content.NameOfAttribute, attr.ID)...)
		}
	}
	if len(kinds) > 0 {
		rows = append(rows, e.row("kinds", e.item("kinds"), kinds, time.Time{}, e.source, e.seen.Seq))
	}
	return rows
}

// acts tell what was asked of the device, the latest first: by whom, with which result, and why.
func (e *exposure) acts(ctx context.Context, q *question) (rows []Row, err error) {
	f := projections.ActionFilter{Verbs: remoteVerbs, Devices: []string{e.stream.UUID().String()}}
	for a, err := range actsOf(q).Actions(ctx, f, targetAttributes, nil) {
		if err != nil {
			return nil, err
		}
		value := slices.Concat(a.What(), instant(a.Occurred), a.By(), a.Accepted(),
			a.In("action.reason", a.Reason))
		rows = append(rows, e.row(a.EventID.String(), e.item("asked"), value, a.Occurred, a.Source, a.Seq))
	}
	slices.Reverse(rows)
	return rows, nil
}
