package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// typeLink is the type of an event that stands for another: its data is
// "revision@stream". Real servers' projections write them; so may any client.
const typeLink = "$>"

// links resolves the links that one reader meets.
type links struct {
	now func() time.Time
	// mayRead tells whether the reader may see the stream that a link leads to;
	// a link to another is shown unresolved. Nil lets everything be seen.
	mayRead func(v *eventlog.View, stream string) bool
}

// parseLink returns what a link leads to. number is false where its data does
// not begin with one: then the event is none, whatever its type.
func parseLink(data []byte) (stream string, revision int64, number bool) {
	before, after, _ := bytes.Cut(data, []byte("@"))
	revision, err := strconv.ParseInt(string(bytes.TrimSpace(before)), 10, 64)
	return string(after), revision, err == nil
}

// target finds the event of a link as a read of that one event would: hidden by
// metadata, deleted or never written, it is not there.
func (l *links) target(v *eventlog.View, stream string, revision int64) (position uint64, found bool, err error) {
	if stream == "" || l.mayRead != nil && !l.mayRead(v, stream) {
		return 0, false, nil
	}
	rng, err := v.Stream(stream, l.now())
	if errors.Is(err, eventlog.ErrStreamNotFound) || errors.Is(err, eventlog.ErrStreamDeleted) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if revision == -1 {
		revision = rng.Last // as in a real server
	}
	if revision < 0 || uint64(revision) < rng.First || revision > rng.Last {
		return 0, false, nil
	}
	indexed := false
	err = v.ScanStream(stream, uint64(revision), uint64(revision)+1, false,
		func(_ uint64, e eventlog.IndexEntry) (bool, error) {
			position, indexed, found = e.Position, true, e.Created >= rng.Oldest
			return false, nil
		})
	if err == nil && !indexed {
		err = fmt.Errorf("%w: stream index misses revision %d", eventlog.ErrCorrupt, revision)
	}
	return position, found, err
}

// addLink adds a link with its event, or alone where that is not there.
func (p *page) addLink(v *eventlog.View, position uint64, link *eventlog.Record) error {
	stream, revision, number := parseLink(link.Data)
	if !number {
		p.add(p.enc.event(p.room(p.enc.eventSize(position, link)), position, link))
		return nil
	}
	target, found, err := p.links.target(v, stream, revision)
	if err != nil {
		return err
	}
	add := func(event *eventlog.Record) {
		p.add(p.enc.link(p.room(p.enc.linkSize(position, link, target, event)), position, link, target, event))
	}
	if !found {
		add(nil)
		return nil
	}
	return v.Event(target, add)
}
