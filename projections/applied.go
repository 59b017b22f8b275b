package projections

import "math/bits"

// applied tracks which sequences are applied: all below next, and of those above a bitmap in
// blocks of 65,536, so that a partition read far ahead of the others costs one bit an event.
type applied struct {
	next   uint64 // every sequence below is applied
	blocks map[uint64]*block
}

type block struct {
	words [1024]uint64
	count int
}

func newApplied(next uint64) *applied { return &applied{next: next, blocks: map[uint64]*block{}} }

// has reports whether seq is applied.
func (a *applied) has(seq uint64) bool {
	if seq < a.next {
		return true
	}
	b := a.blocks[seq>>16]
	return b != nil && b.words[seq&0xffff>>6]>>(seq&63)&1 == 1
}

// add marks seq and moves next over everything that is contiguous now.
func (a *applied) add(seq uint64) {
	if seq < a.next {
		return
	}
	if seq > a.next {
		b := a.blocks[seq>>16]
		if b == nil {
			b = new(block)
			a.blocks[seq>>16] = b
		}
		w, bit := &b.words[seq&0xffff>>6], uint64(1)<<(seq&63)
		if *w&bit == 0 {
			*w |= bit
			b.count++
		}
		return
	}
	a.next++
	if a.next>>16 != seq>>16 {
		delete(a.blocks, seq>>16)
	}
	for {
		key := a.next >> 16
		b := a.blocks[key]
		if b == nil {
			return
		}
		i := a.next & 0xffff >> 6
		run := uint64(bits.TrailingZeros64(^(b.words[i] >> (a.next & 63))))
		run = min(run, 64-a.next&63)
		a.next += run
		if a.next>>16 != key {
			delete(a.blocks, key)
			continue
		}
		if run == 0 || a.next&63 != 0 {
			return
		}
	}
}

// ahead returns how many sequences above next are applied. Bits that next passed inside its own
// block count no more.
func (a *applied) ahead() (n int) {
	for key, b := range a.blocks {
		if key != a.next>>16 {
			n += b.count
			continue
		}
		from := a.next & 0xffff
		n += bits.OnesCount64(b.words[from>>6] >> (from & 63))
		for _, w := range b.words[from>>6+1:] {
			n += bits.OnesCount64(w)
		}
	}
	return n
}
