package vaulttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// BenchUpdate measures one Update that intakes 500 records: each looks a person and a device
// up, seals twelve values and needs two aliases. With fresh, nobody in it is known before,
// and everything is minted. cpu is the processor time that the process has used: a machine that
// others use too slows no clock of it.
func BenchUpdate(b *testing.B, f Factory, fresh bool, cpu func() time.Duration) {
	e := NewEnv(b, f)
	ctx := context.Background()
	c := schemas.Default()
	base := e.Clock.Now()
	round := 0
	work := func(tx *vault.Tx) error {
		var ahead vault.Ahead
		for i := range 500 {
			n := i
			if fresh {
				n += round * 500
			}
			at := base.Add(time.Duration(round*500+i) * time.Second)
			ahead.Persons = append(ahead.Persons, vault.PersonHint{At: at,
				ObjectID: fmt.Sprintf("11111111-2222-4333-8444-%012d", n+1),
				UPN:      fmt.Sprintf("user%d@voorbeeld.nl", n)})
			ahead.Devices = append(ahead.Devices, vault.DeviceHint{At: at,
				IntuneID: fmt.Sprintf("22222222-2222-4333-8444-%012d", n+1)})
		}
		if err := tx.LookAhead(ahead); err != nil {
			return err
		}
		for i := range 500 {
			at := ahead.Persons[i].At
			user, _, err := tx.Person(ahead.Persons[i])
			if err != nil {
				return err
			}
			device, _, err := tx.Device(ahead.Devices[i])
			if err != nil {
				return err
			}
			if device, err = tx.SetHolder(device.ID, "company", user, at); err != nil {
				return err
			}
			d := &schemas.Draft{Type: c.MustType("device.enrolled.v1"), Tenant: e.Tenant.ID, Stream: device.Stream,
				ID:       schemas.NewID(),
				Occurred: at, Recorded: at, Source: "graph", Policy: 1,
				Subjects: []schemas.SubjectRef{{Role: "user", Person: user}, {Role: "owner", Person: user}}}
			for _, id := range []string{"device.intune-id", "device.directory-id", "device.name",
				"device.management-name", "device.serial-number",
				"device.imei", "device.wifi-mac", "device.phone-number", "device.user-id", "device.user-name",
				"device.user-upn", "device.user-email"} {
				a, o := c.MustAttribute(id), schemas.Owner{Kind: schemas.OwnerDevice, ID: device.ID}
				if !a.SealedBy(o.Kind) {
					o = schemas.Owner{Kind: schemas.OwnerPerson, ID: user}
				}
				d.Values = append(d.Values, schemas.Value{Attr: a, Owner: o, Plain: schemas.JSON(uuid.NewString())})
			}
			if err := tx.Seal(d); err != nil {
				return err
			}
			if _, err := c.Encode(*d); err != nil {
				return err
			}
		}
		return nil
	}
	if err := e.V.Update(ctx, e.Tenant.ID, work); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began, rounds := cpu(), 0
	for b.Loop() {
		round++
		rounds++
		if err := e.V.Update(ctx, e.Tenant.ID, work); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(rounds*500), "cpu-µs/record")
}

// BenchOpen measures the opening of 12,000 values of 1,000 events.
func BenchOpen(b *testing.B, f Factory) {
	e := NewEnv(b, f)
	var asked []vault.Sealed
	e.Update(func(tx *vault.Tx) {
		for i := range 1000 {
			p := e.Person(tx, vault.PersonHint{UPN: fmt.Sprintf("user%d@voorbeeld.nl", i), At: e.Clock.Now()})
			for range 6 {
				d := e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), p, uuid.Nil, e.Clock.Now())
				if err := tx.Seal(d); err != nil {
					b.Fatal(err)
				}
				asked = append(asked, tokens(d)...)
			}
		}
	})
	for b.Loop() {
		e.View(func(tx *vault.Tx) {
			if _, err := tx.Open(asked); err != nil {
				b.Fatal(err)
			}
		})
	}
}
