package adminaction

import (
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// change is one modified property of a target. nil is null at the source.
type change struct {
	name     string
	old, new *string
}

const (
	maxChangeText  = 16 << 10 // of one old or new value; a longer one is cut
	maxChangeName  = 256      // of a property's name
	maxTargetBytes = 96 << 10 // of all changes of one target, so that its sealed value fits an event
)

// KeptChange is a changed property as it is sealed. What is withheld is a secret; what is cut had
// no room. The last entry may tell how many more there were.
type KeptChange struct {
	Name     string  `json:"name,omitempty"`
	Old      *string `json:"old,omitempty"`
	New      *string `json:"new,omitempty"`
	Withheld bool    `json:"withheld,omitempty"`
	Cut      bool    `json:"cut,omitempty"`
	More     int     `json:"more,omitempty"`
}

// sealable turns a target's modified properties into what is sealed, and counts those whose values
// are withheld as secrets, and those that are cut: they are longer than one may be, or do not fit
// beside the others.
func sealable(changes []change) (out []KeptChange, withheld, cut int) {
	size, more := 0, 0
	for _, c := range changes {
		k := KeptChange{Name: c.name, Old: c.old, New: c.new}
		long := false
		for _, v := range []*string{c.old, c.new} {
			if v != nil {
				k.Withheld = k.Withheld || record.Secretive(c.name, *v)
				long = long || len(*v) > maxChangeText
			}
		}
		if record.SecretText(c.name) {
			k.Name, k.Withheld = "", true
		}
		if len(k.Name) > maxChangeName {
			k.Name, k.Cut = record.Clip(k.Name, maxChangeName), true
		}
		if k.Withheld || long {
			k.Old, k.New = nil, nil
		}
		k.Cut = !k.Withheld && (k.Cut || long)
		size += len(schemas.JSON(k)) + 1
		fits := more == 0 && size <= maxTargetBytes
		switch {
		case k.Withheld:
			withheld++
		case k.Cut || !fits:
			cut++
		}
		if fits {
			out = append(out, k)
		} else {
			more++
		}
	}
	if more > 0 {
		out = append(out, KeptChange{More: more})
	}
	return out, withheld, cut
}
