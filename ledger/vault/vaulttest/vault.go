package vaulttest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// RunVault runs what a vault on a store of the factory must do.
func RunVault(t *testing.T, f Factory) {
	for name, test := range map[string]func(*testing.T, Factory){
		"Tenants": testTenantsOfVault, "PersonRules": testPersonRules, "PersonModel": testPersonModel,
		"Devices": testDevices, "IDs": testIDs, "LooksAgain": testLooksAgain,
		"SealAndOpen": testSealAndOpen, "SealRefuses": testSealRefuses, "SealNames": testSealNames,
		"Tampered":   testTampered,
		"Streams":    testStreamsOfVault,
		"AwaitedIDs": testAwaitedIDs, "PersonStream": testPersonStream, "Named": testNamed,
		"ErasePerson": testErasePerson, "EraseResumes": testEraseResumes, "EraseReplays": testEraseReplays,
		"EraseCancelled": testEraseCancelled,
		"Suppression":    testSuppressionOfVault,
		"Memories":       testMemoriesOfVault, "Taken": testTaken, "Held": testHeld, "Expired": testExpired,
		"OtherProcess": testOtherProcess,
		"StaleView":    testStaleView, "SlotFirst": testSlotFirst, "SlotOfPeriod": testSlotOfPeriod,
		"SlotOfRest": testSlotOfRest,
		"Ledger":     testLedger, "Accounts": testAccounts, "Lost": testLost, "Claims": testClaims,
		"ForgettingModel":    testForgettingModel,
		"OptimisticConflict": testOptimisticConflict, "OptimisticRefuses": testOptimisticRefuses,
		"OptimisticStale": testOptimisticStale, "OptimisticFailed": testOptimisticFailed,
		"OptimisticClean": testOptimisticClean, "OptimisticAtOnce": testOptimisticAtOnce,
		"TenantsDoNotWait": testTenantsDoNotWait, "TurnsOfATenant": testTurnsOfATenant,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
	t.Run("Optimistic", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, Factory){
			"PersonRules": testPersonRules, "PersonModel": testPersonModel, "Devices": testDevices,
			"SealAndOpen": testSealAndOpen, "SealRefuses": testSealRefuses, "SealNames": testSealNames,
			"Tampered": testTampered, "Streams": testStreamsOfVault, "AwaitedIDs": testAwaitedIDs,
			"PersonStream": testPersonStream, "LooksAgain": testLooksAgain, "Named": testNamed,
		} {
			t.Run(name, func(t *testing.T) { test(t, f) })
		}
	})
}

func tokens(d *schemas.Draft) []vault.Sealed {
	var out []vault.Sealed
	for _, v := range d.Values {
		if v.Token != "" {
			out = append(out, vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID})
		}
	}
	return out
}

func testSealAndOpen(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	at := e.Clock.Now()
	var d *schemas.Draft
	var person uuid.UUID
	e.Update(func(tx *vault.Tx) {
		person = e.Person(tx, vault.PersonHint{ObjectID: "11111111-2222-4333-8444-555555555555",
			UPN: "Anna@Voorbeeld.nl", At: at})
		device, created, err := tx.Device(vault.DeviceHint{IntuneID: "aaaaaaaa-2222-4333-8444-555555555555", At: at})
		if err != nil || !created {
			t.Fatal(device, created, err)
		}
		if device, err = tx.SetHolder(device.ID, "company", person, at); err != nil || device.Generation != 1 {
			t.Fatal(device, err)
		}
		d = e.Enrolled(e.Tenant.ID, device.Stream, person, device.ID, at)
		if err := tx.Seal(d); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := schemas.Default().Encode(*d); err != nil {
		t.Fatalf("a sealed draft is not encoded: %v", err)
	}
	want := map[string]string{"device.serial-number": `"C02XL0GTJGH5"`, "device.imei": `"350000000000006"`,
		"device.user-upn": `"anna.devries@voorbeeld.nl"`, "device.name": `"anna.devries_Windows_11/24/2026"`}
	asked := tokens(d)
	if len(asked) != len(want) {
		t.Fatalf("%d values were sealed, want %d", len(asked), len(want))
	}
	for _, v := range []*vault.Vault{e.V, e.Again()} {
		e.V = v
		e.View(func(tx *vault.Tx) {
			got, err := tx.Open(asked)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range got {
				if o.Err != nil || string(o.Plain) != want[asked[i].Attr] {
					t.Errorf("%s opens to %s, %v", asked[i].Attr, o.Plain, o.Err)
				}
			}
			owner, err := tx.AliasOwner(d.Subjects[0].Alias)
			if err != nil || owner != (schemas.Owner{Kind: schemas.OwnerPerson, ID: person}) {
				t.Errorf("the subject's alias names %v, %v", owner, err)
			}
			aliases, err := tx.Aliases(person, "inventory")
			if err != nil || len(aliases) != 1 ||
				aliases[0] != (vault.Alias{ID: d.Subjects[0].Alias, Class: "inventory", Month: "202611"}) {
				t.Errorf("the person's aliases are %v, %v", aliases, err)
			}
		})
	}
}
