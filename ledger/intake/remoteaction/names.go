package remoteaction

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file finds the action that a telling is of. The vault keeps names that lead to its stream,
// as HMACs alone: an id of the source's own where it has one, and what was asked of which device
// about when. DESIGN.md says why these.

// about is how long a bucket of time is: whatever is told to be requested within that time of one
// another is looked for as one action. Clocks of sources differ by less, and the same is rarely
// asked of a device again so soon.
const about = 5 * time.Minute

// maxAtOnce is how many actions of one name on devices called the same lead somewhere in one
// bucket. The others are found by their source's own id alone.
const maxAtOnce = 4

// name returns a canonical form of its parts.
func name(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = schemas.LP(b, p)
	}
	return b
}

// A device is told by these, the better first.
const (
	byID   = "id"
	byIMEI = "imei"
	byName = "name"
)

type deviceName struct{ by, is string }

func (t *telling) deviceNames() (out []deviceName) {
	for _, d := range []deviceName{{byID, t.device}, {byIMEI, t.imei}, {byName, t.name}} {
		if d.is != "" {
			out = append(out, d)
		}
	}
	return out
}

// nameOf returns the nth name of what was asked of a device in a bucket of time.
func (t *telling) nameOf(d deviceName, bucket int64, nth byte) []byte {
	b := name("asked", d.by, d.is, strings.ToLower(t.action))
	return append(binary.BigEndian.AppendUint64(b, uint64(bucket)), nth)
}

func (t *telling) bucket() int64 { return t.requested.Unix() / int64(about/time.Second) }

// holds is the name by which a stream has been told of by a record of the form's rank.
func (t *telling) holds(s schemas.Stream) []byte {
	return append(name("holds", string(s)), byte(rank(t.form)))
}

// candidate is a stream that a name leads to.
type candidate struct {
	schemas.Stream
	own      bool // by the source's own id
	byDevice bool // by the device's id
}

// candidates returns the streams to which the telling's names lead, the surest first.
func (t *telling) candidates(tx *vault.Tx) (out []candidate, err error) {
	var names [][]byte
	var are []candidate
	add := func(n []byte, c candidate) { names, are = append(names, n), append(are, c) }
	for _, id := range t.own {
		add(name("own", id), candidate{own: true})
	}
	for _, d := range t.deviceNames() {
		for _, off := range []int64{0, -1, 1} {
			for n := range byte(maxAtOnce) {
				add(t.nameOf(d, t.bucket()+off, n), candidate{byDevice: d.by == byID})
			}
		}
	}
	streams, err := tx.FindNamed(t.kind.Stream(), names...)
	seen := map[schemas.Stream]bool{"": true}
	for i, s := range streams {
		if !seen[s] {
			seen[s] = true
			are[i].Stream = s
			out = append(out, are[i])
		}
	}
	return out, err
}

// find returns the stream of the action, "" where none is known. One that is told of by another
// record of the same form, or is on another device of the same name, is another action's.
func (t *telling) find(tx *vault.Tx) (schemas.Stream, error) {
	all, err := t.candidates(tx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.own {
			return c.Stream, nil
		}
		is, err := tx.FindNamed(t.kind.Stream(), t.holds(c.Stream), hasDevice(c.Stream), t.isDevice(c.Stream))
		if err != nil {
			return "", err
		}
		switch {
		case is[0] != "":
		case t.device != "" && !c.byDevice && is[1] != "" && is[2] == "":
		default:
			return c.Stream, nil
		}
	}
	return "", nil
}

func hasDevice(s schemas.Stream) []byte { return name("has-device", string(s)) }

func (t *telling) isDevice(s schemas.Stream) []byte { return name("is-device", string(s), t.device) }

// named leads the telling's names to the stream. Those by which somebody's device is called are
// forgotten with whom they concern.
func (t *telling) named(tx *vault.Tx, s schemas.Stream, device, person uuid.UUID) error {
	own := [][]byte{t.holds(s)}
	for _, id := range t.own {
		own = append(own, name("own", id))
	}
	if t.device != "" {
		own = append(own, hasDevice(s), t.isDevice(s))
	}
	if err := tx.NameStream(s, uuid.Nil, own...); err != nil {
		return err
	}
	for _, d := range t.deviceNames() {
		names := make([][]byte, maxAtOnce)
		for n := range names {
			names[n] = t.nameOf(d, t.bucket(), byte(n))
		}
		lead, err := tx.FindNamed(t.kind.Stream(), names...)
		if err != nil {
			return err
		}
		for n, to := range lead {
			if to != "" && to != s {
				continue
			}
			concerned := device
			if device == uuid.Nil || d.by != byID && person != uuid.Nil {
				concerned = person
			}
			if err := tx.NameStream(s, concerned, names[n]); err != nil {
				return err
			}
			break
		}
	}
	return nil
}
