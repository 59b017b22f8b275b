package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Value is a sealed value and the key that it says it was sealed under.
type Value struct {
	Under  *Derived
	Header schemas.TokenHeader
	Body   []byte // its memory becomes that of Text
	Text   []byte // what was sealed, once OpenAll has returned; nil: ErrTampered
}

// openRun is how many values one worker takes at a time: enough that handing them out costs
// nothing beside opening them, and that most values of one key are one worker's.
const openRun = 128

// OpenAll opens the values of order, on all cores. Values under one key that follow one another
// there share what is derived from it, and so do those of one event under it.
func (tx *Tx) OpenAll(values []Value, order []int32) {
	runs := (len(order) + openRun - 1) / openRun
	var next atomic.Int64
	work := func() {
		o := opener{tenant: tx.tenant}
		for {
			i := int(next.Add(1)-1) * openRun
			if i >= len(order) {
				return
			}
			for _, n := range order[i:min(i+openRun, len(order))] {
				o.open(&values[n])
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), runs) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// opener opens one value after another.
type opener struct {
	tenant uuid.UUID
	under  *Derived
	mac    hash.Hash // HMAC under the data key
	event  uuid.UUID
	aead   cipher.AEAD // of the event, nil for none yet
	commit Key

	info, ad, out []byte
}

// open sets v.Text, where v is of the tenant, the key and the event that it names. The commitment
// is compared first: AES-GCM alone does not commit to its key.
func (o *opener) open(v *Value) {
	if v.Under != o.under {
		o.under, o.aead = v.Under, nil
		o.mac = hmac.New(sha256.New, o.under.data[:])
	}
	if o.aead == nil || v.Header.Event != o.event {
		if err := o.begin(v.Header.Event); err != nil {
			return
		}
	}
	const sealed = keySize + nonceSize
	if len(v.Body) < sealed+o.aead.Overhead() || subtle.ConstantTimeCompare(v.Body[:keySize], o.commit[:]) != 1 {
		return
	}
	o.ad = v.Header.Append(append(o.ad[:0], o.tenant[:]...))
	p, err := o.aead.Open(v.Body[sealed:sealed], v.Body[keySize:sealed], v.Body[sealed:], o.ad)
	if err != nil {
		return
	}
	if text, err := unpad(p); err == nil {
		v.Text = text[:len(text):len(text)]
	}
}

// begin derives the keys of an event, as eventKeyOf does, from the HMAC that is there.
func (o *opener) begin(event uuid.UUID) error {
	d := o.under
	o.info = eventInfo(o.info[:0], o.tenant, d.Alias, d.Class, d.Month, event)
	o.out = o.out[:0]
	for n := byte(1); n <= 2*keySize/sha256.Size; n++ { // RFC 5869, section 2.3
		o.mac.Reset()
		if n > 1 {
			o.mac.Write(o.out[len(o.out)-sha256.Size:])
		}
		o.mac.Write(o.info)
		o.mac.Write([]byte{n})
		o.out = o.mac.Sum(o.out)
	}
	block, err := aes.NewCipher(o.out[:keySize])
	if err != nil {
		return err
	}
	if o.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	o.commit, o.event = Key(o.out[keySize:]), event
	return nil
}
