package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// deviceStream reads a device filter: the device's stream or its uuid.
func deviceStream(s string) (schemas.Stream, error) {
	if st := schemas.Stream(s); st.Kind() == "device" {
		return st, nil
	}
	id, err := schemas.ParseUUID(s)
	if err != nil {
		return "", fmt.Errorf("%q is no device's stream or id", s)
	}
	return schemas.NewStream("device", id), nil
}

// foundBy are what a device is called by people.
var foundBy = []string{"device.name", "device.serial-number", "device.intune-id", "device.management-name"}

// mostFound bounds how many devices one name may mean.
const mostFound = 100

// findDevices returns the streams of the devices that the values of a device filter name. What is
// no device's stream is what one is called now: that is protected, and searched. Its error is a
// *Problem where a name is no device's, or several's and the filter takes one.
func findDevices(
	ctx context.Context, reader Reader, opener projections.Searcher, tenant uuid.UUID, seq uint64, f *Filter,
	values []string,
) (streams []string, err error) {
	sought := map[string][]string{} // by a name in small letters
	for _, v := range values {
		if s, err := deviceStream(v); err == nil {
			streams = append(streams, string(s))
		} else {
			sought[strings.ToLower(v)] = nil
		}
	}
	fail := func(c define.Code, known ...string) ([]string, error) {
		return nil, &Problem{Field: f.ID, Filter: true, Code: c, Known: known}
	}
	if len(sought) > 0 && opener == nil {
		return fail(define.NoDevice)
	}
	if len(sought) > 0 {
		if err := eachName(ctx, reader, opener, tenant, projections.AsOf{Seq: seq}, func(device, name string) {
			name = strings.ToLower(name)
			if of, ok := sought[name]; ok && len(of) < mostFound && !slices.Contains(of, device) {
				sought[name] = append(of, device)
			}
		}); err != nil {
			return nil, err
		}
	}
	for _, of := range sought {
		if len(of) == 0 {
			return fail(define.NoDevice)
		}
		streams = append(streams, of...)
	}
	slices.Sort(streams)
	if streams = slices.Compact(streams); f.One && len(streams) > 1 {
		return fail(define.Several, streams...)
	}
	return streams, nil
}

// eachName tells what each device is called, by searching.
func eachName(
	ctx context.Context, reader Reader, opener projections.Searcher, tenant uuid.UUID, asOf projections.AsOf,
	tell func(device, name string),
) error {
	var devices []string
	var names []Value
	flush := func() error {
		var tokens content.Tokens
		for i := range names {
			if names[i].Token() == "" {
				continue
			}
			if s, genuine := tokens.Parse(&names[i]); genuine {
				tokens.Add(&names[i], s)
			}
		}
		if err := tokens.Open(ctx, looking{opener}); err != nil {
			return err
		}
		for i, v := range names {
			var name string
			if v.State == document.Shown && json.Unmarshal(v.JSON, &name) == nil {
				tell(devices[i], name)
			}
		}
		clear(names) // plaintext does not outlive its portion
		devices, names = devices[:0], names[:0]
		return nil
	}
	for d, err := range reader.Devices(ctx, tenant, asOf, foundBy...) {
		if err != nil {
			return err
		}
		for _, attr := range foundBy {
			if h, ok := d.Get(attr); ok {
				devices = append(devices, string(d.Stream))
				names = append(names, content.ValueOf(attr, h.Text, uuid.Nil))
			}
		}
		if len(names) >= mostTimes*content.OpenBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
