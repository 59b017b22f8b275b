package packed

import (
	"errors"
	"fmt"
	"io"
)

// limits bound what may come out of one file. A bomb is a file, so each is held to them alone.
type limits struct {
	// Deflate packs 1032 to 1 at most, and so does a bomb. Exports of devices and audit logs,
	// whose names repeat in each record, come to 4 to 8 (measured), devices of one model to 20,
	// one record over and over to 130. The ratio is to what the whole file measures: parts of it
	// that several entries claim count once, and layers within layers gain nothing.
	ratio int64
	// free may come out whatever the ratio is: a small file may well be of nothing but blanks.
	free int64
	// most is what any file may hold: more than a month of a large tenant, and an end to it.
	most int64
	// entries of all archives in the file. Each takes some 500 bytes while its archive is open.
	entries int
	// directory is what an archive's list of entries may measure, which is in memory.
	directory int64
	// held is what an archive inside something packed may measure: it is read from its end, and so
	// has to be in memory; by the layers, two at a time.
	held int64
	// layers of packing, one in the other: an archive of archives of gzip has three.
	layers int
	// header, block and body are of Avro, and what a block of deflate may come to, which is read
	// piece by piece. Writers close a block at 16 KiB to a few MiB, or at a hundred messages.
	// Event Hubs takes messages of 1 MiB, and of 20 MiB on dedicated clusters.
	header, block, unpacked, body int64
}

var theLimits = limits{ratio: 200, free: 64 << 20, most: 64 << 30, entries: 100_000, directory: 16 << 20,
	held: 32 << 20, layers: 3, header: 1 << 20, block: 32 << 20, unpacked: 128 << 20, body: 20 << 20}

// Damage is why content cannot be read further. It names no content.
type Damage struct{ Reason string }

func (d *Damage) Error() string { return d.Reason }

// damage returns an error as a Damage of that reason where it is an unexpected end or one of
// these, and else as it is: it may be one of reading, or of what is packed around.
func damage(err error, reason string, those ...error) error {
	for _, is := range append(those, io.ErrUnexpectedEOF) {
		if errors.Is(err, is) {
			return &Damage{Reason: reason}
		}
	}
	return err
}

// budget is what came out of one file.
type budget struct {
	limits
	size    int64 // of the file
	out     int64 // bytes, of all layers
	entries int
	spent   *Damage // once a limit is passed
}

// take counts n bytes that came out, and says that they are too many.
func (b *budget) take(n int) error {
	b.out += int64(n)
	switch {
	case b.spent != nil:
	case b.out > b.most:
		b.spent = &Damage{Reason: fmt.Sprintf("more than %d GiB come out of the file: it is read no further",
			b.most>>30)}
	case b.out > b.free && b.out/b.ratio > b.size:
		b.spent = &Damage{Reason: fmt.Sprintf("more than %d times what the file measures comes out of it: it is read "+
			"no further", b.ratio)}
	default:
		return nil
	}
	return b.spent
}

// enter counts an entry of an archive, and says that it is one too many.
func (b *budget) enter() error {
	if b.entries++; b.entries > b.limits.entries {
		b.spent = tooMany(b.limits.entries)
		return b.spent
	}
	return nil
}

func tooMany(n int) *Damage {
	return &Damage{Reason: fmt.Sprintf("the file has more than %d entries: unpack it first", n)}
}
