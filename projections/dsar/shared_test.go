package dsar_test

import (
	"encoding/json"
	"testing"

	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
)

// Of a device that several people share, a package of one of them holds what names them and
// nothing else of it, whether a value is sealed or open.
func TestASharedDevicesDataIsNobodys(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	c := config(db, s, "en")
	c.Owners = owners
	shown := func(ownership string) (own, others int) {
		t.Helper()
		p := fatima(s)
		for i := range p.Devices {
			if p.Devices[i].Stream == mac {
				p.Devices[i].Ownership = ownership
			}
		}
		_, files, _ := build(t, c, p)
		for _, name := range []string{"data/devices.json", "data/apps.json"} {
			var all []struct {
				Stream, OccurredAt string
				Values             []struct{ Attribute, State, Ground string }
			}
			if err := json.Unmarshal(files[name], &all); err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if e.Stream != string(mac) || at(e.OccurredAt).Before(at("2026-10-01T08:00:00Z")) {
					continue
				}
				for _, v := range e.Values {
					switch of := schemas.Default().Attribute(v.Attribute); {
					case v.State != "shown":
					case of.Key == schemas.KeyPerson:
						own++
					default:
						others++
					}
				}
			}
		}
		return own, others
	}
	mine, device := shown("company")
	if mine == 0 || device == 0 {
		t.Fatalf("of a company's device %d and %d values are shown", mine, device)
	}
	if own, others := shown(dsar.Shared); own != mine || others != 0 {
		t.Errorf("of a shared one %d values that name the person are shown, want %d, and %d of the device", own, mine,
			others)
	}
}
