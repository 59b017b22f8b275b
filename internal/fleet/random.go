package fleet

import "encoding/hex"

// rng is SplitMix64 (Steele, Lea, Flood 2014). It is written out here because the
// standard library does not promise its sequences from one version to the next, and
// because a generator of eight bytes can be made anew for every device and day: a
// value depends on what it is for, not on how many were drawn before.
type rng struct{ state uint64 }

// What a generator is for.
const (
	forTenant = iota + 1
	forPerson
	forDevice
	forDay
	forStep
	forRow
	forGraph
	forApp
	forAudit
	forObject
	forForms
	forBroken
	forMember
)

func (c Config) rng(purpose uint64, of ...int) rng {
	r := rng{c.Seed}
	r.state = r.next() ^ purpose
	for _, n := range of {
		r.state = r.next() ^ uint64(n)
	}
	r.next()
	return r
}

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n is uniform in [0, n) for all practical purposes; n ≥ 1.
func (r *rng) n(n int) int { return int(r.next() % uint64(n)) }

// between is uniform in [lo, hi].
func (r *rng) between(lo, hi int) int { return lo + r.n(hi-lo+1) }

// chance is true with probability p.
func (r *rng) chance(p float64) bool { return float64(r.next()>>11)/(1<<53) < p }

func (r *rng) pick(from []string) string { return from[r.n(len(from))] }

// about is the whole number next to x on one side or the other, x on average.
func (r *rng) about(x float64) int {
	n := int(x)
	if r.chance(x - float64(n)) {
		n++
	}
	return n
}

func (r *rng) bytes(b []byte) {
	for i := 0; i < len(b); i += 8 {
		v := r.next()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
}

const zeroGUID = "00000000-0000-0000-0000-000000000000"

// guid is a random GUID, version 4.
func (r *rng) guid() string {
	var b [16]byte
	r.bytes(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// from is n characters of an alphabet.
func (r *rng) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.n(len(alphabet))]
	}
	return string(b)
}
