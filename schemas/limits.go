package schemas

import "github.com/google/uuid"

// FullEventBytes is where whoever fills an event closes it and begins another, by EstimateSize:
// Encode refuses one over MaxEventBytes.
const FullEventBytes = 200 << 10

// EstimateSize returns about how many bytes a value takes in an event: its token is the header,
// and the plaintext padded to 32, in base64. element is that of a list's entry, "" for none.
func EstimateSize(a *Attribute, plain []byte, element string) int {
	if len(plain) == 0 || a.MayStandOpen(plain) {
		return len(plain) + len(element) + 64
	}
	return 220 + 2*len(element) + (len(plain)/32+1)*32*4/3
}

// PersonOrTenant returns the owner of a value that is a person's, and the tenant's where nobody is
// known.
func PersonOrTenant(person uuid.UUID) Owner {
	if person == uuid.Nil {
		return Owner{Kind: OwnerTenant}
	}
	return Owner{Kind: OwnerPerson, ID: person}
}
