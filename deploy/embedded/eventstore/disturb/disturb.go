// Package disturb does to an event store's clients, in tests, what a real server can do to them.
//
// It owns how often it did what, and the draws of its seed. It loses no event: what it adds goes
// through the log's writer, what befalls a call happens around it. It trusts its configuration
// alone: without one there is no disturbance. See ../DESIGN.md, Test mode.
package disturb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Disturbance makes this node as unpleasant as a real server can be, so that
// clients are tested against what they meet elsewhere. It is for tests only.
//
// A field that ends in Every counts occasions: what it names happens after one
// to 2n−1 of them, drawn from Seed, n on average; 0 is never. So a test that
// gives 2n−1 occasions knows that it did happen. Draws are made in the order in
// which calls come; with one caller, one seed gives one history.
type Disturbance struct {
	Seed uint64

	// SystemEvents begins a new store's $all with what a real node writes
	// first: an epoch, the settings of its statistics, its users.
	SystemEvents bool
	// StatsEvery writes a $statsCollected event into $stats-<host:port>; an occasion is an append.
	StatsEvery int
	// LinksEvery links an append's events from $ce-<category> and $et-<type>,
	// as the standard projections do; an occasion is an append.
	LinksEvery int
	// ForeignEvery writes events of somebody else, in turn: into a new stream
	// of another form; of a foreign type and as a link, into a new stream of
	// the form that ProtectStreams describes; an occasion is an append.
	ForeignEvery int
	// MetadataEvery sets a foreign stream's metadata; an occasion is an append.
	MetadataEvery int
	// DeletesEvery deletes and TombstonesEvery tombstones a new foreign stream;
	// an occasion is an append.
	DeletesEvery    int
	TombstonesEvery int

	// NotReadyFirst answers so many calls after the start, of whatever service, with Unavailable,
	// NotReadyEvery later ones.
	NotReadyFirst int
	NotReadyEvery int
	// NotLeaderEvery answers a call that requires the leader with this node's
	// own address as the leader's. Calls that do not ask for the leader never get this answer.
	NotLeaderEvery int
	// TimeoutsEvery answers an append with a timeout, in turn before and after
	// it was written, as Aborted and as DeadlineExceeded.
	TimeoutsEvery int
	// LostAnswersEvery resets the connection in place of a written append's answer. Of what ends a
	// BatchAppend, an occasion is as many appends as are on their way together.
	LostAnswersEvery int
	// DropsEvery ends a subscription, in turn with Unavailable, Aborted,
	// Cancelled and a reset connection; an occasion is a message after the confirmation.
	DropsEvery int
	// CutsEvery ends a read, in turn with a reset connection and with Unavailable;
	// an occasion is a message.
	CutsEvery int
	// CaughtUpDelay is the longest time that a CaughtUp is held back.
	CaughtUpDelay time.Duration
}

// Validate refuses what means nothing; nil is valid.
func (d *Disturbance) Validate() error {
	if d == nil {
		return nil
	}
	for _, n := range []int{d.StatsEvery, d.LinksEvery, d.ForeignEvery, d.MetadataEvery, d.DeletesEvery,
		d.TombstonesEvery, d.NotReadyFirst,
		d.NotReadyEvery, d.NotLeaderEvery, d.TimeoutsEvery, d.LostAnswersEvery, d.DropsEvery, d.CutsEvery,
		int(d.CaughtUpDelay)} {
		if n < 0 {
			return errors.New("disturbance: a number is negative")
		}
	}
	return nil
}

// Disturbed counts what a Disturbance has done: events for System, Stats,
// Links, Foreign and Metadata, streams for Deleted and Tombstoned, calls for the rest.
type Disturbed struct {
	System, Stats, Links, Foreign, Metadata, Deleted, Tombstoned int

	NotReady, NotLeader, Timeouts, LostAnswers, Drops, Cuts, LateCaughtUps int
}

// Disturber carries a Disturbance out. Its events go through the writer like
// everybody's; what it does to calls happens around the handlers (calls.go).
type Disturber struct {
	cfg    Disturbance
	log    *eventlog.Log
	addr   string   // that the server listens on
	leader *url.URL // what clients dial

	mu      sync.Mutex // guards what follows
	rnd     *rand.Rand
	left    map[*int]int // occasions until a kind happens next, by its field of cfg
	turns   map[*int]int // how often it happened
	calls   int
	done    Disturbed
	foreign []string // living foreign streams, the newest few
	conns   map[string]*net.TCPConn
}

// Node is the server that is to disturb its clients.
type Node struct {
	Log        *eventlog.Log
	Addr       string // that it listens on
	Connection string // what clients dial
	Logger     *slog.Logger
}

// Begin returns what carries out cfg, nil where that is nil. It says so, and begins an
// empty store as a real server does.
func Begin(ctx context.Context, cfg *Disturbance, n Node) (*Disturber, error) {
	if cfg == nil {
		return nil, nil
	}
	dialed, err := url.Parse(n.Connection)
	if err != nil {
		return nil, fmt.Errorf("disturb: %w", err)
	}
	d := &Disturber{
		cfg: *cfg, log: n.Log, addr: n.Addr, leader: dialed, rnd: rand.New(rand.NewPCG(cfg.Seed, 0)),
		left: map[*int]int{}, turns: map[*int]int{}, conns: map[string]*net.TCPConn{},
	}
	n.Logger.Warn("this event store disturbs its clients on purpose: it is of use to tests only", "seed", d.cfg.Seed)
	return d, d.found(ctx)
}

// Done is what the Disturbance has done so far; all zero where there is none.
func (d *Disturber) Done() Disturbed {
	if d == nil {
		return Disturbed{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// due counts an occasion of the kind whose field every is, and reports whether
// it happens now and how often it did before. d.mu is held.
func (d *Disturber) due(every *int) (turn int, now bool) {
	if *every == 0 {
		return 0, false
	}
	if d.left[every] == 0 {
		d.left[every] = 1 + d.rnd.IntN(2**every-1)
	}
	if d.left[every]--; d.left[every] > 0 {
		return 0, false
	}
	d.turns[every]++
	return d.turns[every] - 1, true
}

// found writes what a real node's $all begins with into a store that is empty.
func (d *Disturber) found(ctx context.Context) error {
	if !d.cfg.SystemEvents {
		return nil
	}
	v := d.log.Acquire()
	events := v.Events()
	if err := v.Release(); err != nil || events > 0 {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range []struct{ stream, typ, data string }{
		{"$epoch-information", "$epoch-information", `{"epochPosition":0,"epochNumber":0,"prevEpochPosition":-1}`},
		{"$$$stats-" + d.addr, "$metadata", `{"$maxAge":86400,"$acl":{"$r":"$admins"}}`},
		{"$user-admin", "$UserCreated",
			`{"loginName":"admin","fullName":"Event Store Administrator","groups":["$admins"],"disabled":false}`},
		{"$$$user-admin", "$metadata", `{"$acl":{"$r":"$admins","$w":"$admins"}}`},
		{"$users", "$User", "admin"},
		{"$user-ops", "$UserCreated",
			`{"loginName":"ops","fullName":"Event Store Operations","groups":["$ops"],"disabled":false}`},
		{"$users", "$User", "ops"},
	} {
		if err := d.write(ctx, e.stream, d.event(e.typ, e.data, "")); err != nil {
			return fmt.Errorf("write system events: %w", err)
		}
		d.done.System++
	}
	return nil
}

// appended is what a call wrote, as far as links to it need it.
type appended struct {
	stream string
	types  []string
	last   uint64 // revision of the last event
}

// wrote counts an append as an occasion for events of the server's own and of others.
func (d *Disturber) wrote(ctx context.Context, a appended) error {
	ctx = context.WithoutCancel(ctx) // what a node writes does not depend on a client's patience
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kind := range []struct {
		every *int
		write func(context.Context, int, appended) error
	}{
		{&d.cfg.StatsEvery, d.stats}, {&d.cfg.LinksEvery, d.links}, {&d.cfg.ForeignEvery, d.others},
		{&d.cfg.MetadataEvery, d.metadata}, {&d.cfg.DeletesEvery, d.deleted}, {&d.cfg.TombstonesEvery, d.tombstoned},
	} {
		turn, now := d.due(kind.every)
		if !now {
			continue
		}
		if err := kind.write(ctx, turn, a); err != nil {
			return fmt.Errorf("disturb: %w", err)
		}
	}
	return nil
}

func (d *Disturber) stats(ctx context.Context, turn int, _ appended) error {
	d.done.Stats++
	return d.write(ctx, "$stats-"+d.addr, d.event("$statsCollected",
		fmt.Sprintf(`{"proc-id":1,"sys-cpu":%d.5,"es-queue-length":%d,"es-writer-lastFlushSize":%d}`,
			d.rnd.IntN(100), d.rnd.IntN(9), turn), ""))
}

// links writes what $by_category and $by_event_type would.
func (d *Disturber) links(ctx context.Context, turn int, a appended) error {
	category, _, _ := strings.Cut(a.stream, "-")
	meta := fmt.Sprintf(`{"$v":"1:-1:1:4","$c":%d,"$p":%[1]d,"$causedBy":"%s"}`, turn, d.uuid())
	for i, typ := range a.types {
		target := fmt.Sprintf("%d@%s", a.last+1-uint64(len(a.types))+uint64(i), a.stream)
		for _, stream := range []string{"$ce-" + category, "$et-" + typ} {
			d.done.Links++
			if err := d.write(ctx, stream, d.event(linkType, target, meta)); err != nil {
				return err
			}
		}
	}
	return nil
}

const linkType = "$>"

func (d *Disturber) others(ctx context.Context, turn int, a appended) error {
	event, stream := d.event("OrderPlaced", `{"total":12.5}`, ""), "order-"+strconv.Itoa(turn)
	switch turn % 3 {
	case 1:
		stream = "foreign-" + d.uuid().String()
	case 2:
		stream, event = "foreign-"+d.uuid().String(), d.event(linkType, "0@"+a.stream, "")
	}
	d.done.Foreign++
	d.foreign = append(d.foreign, stream)
	d.foreign = d.foreign[max(0, len(d.foreign)-16):]
	return d.write(ctx, stream, event)
}

func (d *Disturber) metadata(ctx context.Context, turn int, _ appended) error {
	stream := "order-0"
	if len(d.foreign) > 0 {
		stream = d.foreign[d.rnd.IntN(len(d.foreign))]
	}
	d.done.Metadata++
	return d.write(ctx, layout.MetaPrefix+stream, d.event("$metadata", fmt.Sprintf(`{"$maxCount":%d}`, turn+1), ""))
}

func (d *Disturber) deleted(ctx context.Context, turn int, _ appended) error {
	d.done.Deleted++
	return d.remove(ctx, eventlog.KindDelete, "gone-"+strconv.Itoa(turn))
}

func (d *Disturber) tombstoned(ctx context.Context, turn int, _ appended) error {
	d.done.Tombstoned++
	return d.remove(ctx, eventlog.KindTombstone, "foreign-"+d.uuid().String())
}

func (d *Disturber) remove(ctx context.Context, kind eventlog.Kind, stream string) error {
	if err := d.write(ctx, stream, d.event("OrderPlaced", `{"total":1}`, "")); err != nil {
		return err
	}
	_, err := d.log.Submit(ctx, &eventlog.Request{Kind: kind, Stream: stream, Expect: eventlog.ExpectAny})
	return err
}

func (d *Disturber) write(ctx context.Context, stream string, e eventlog.Proposal) error {
	_, err := d.log.Submit(ctx, &eventlog.Request{Kind: eventlog.KindAppend, Stream: stream,
		Expect: eventlog.ExpectAny, Events: []eventlog.Proposal{e}})
	return err
}

func (d *Disturber) event(typ, data, meta string) eventlog.Proposal {
	return eventlog.Proposal{ID: d.uuid(), JSON: strings.HasPrefix(data, "{"), Type: typ, Data: []byte(data),
		Meta: []byte(meta)}
}

// uuid draws a version 4 UUID from the seed.
func (d *Disturber) uuid() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(d.rnd.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// Listen makes connections known, so that they can be reset.
func (d *Disturber) Listen(l net.Listener) net.Listener {
	if d == nil {
		return l
	}
	return knownListener{l, d}
}

type knownListener struct {
	net.Listener
	d *Disturber
}

func (l knownListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	tcp, ok := c.(*net.TCPConn)
	if err != nil || !ok {
		return c, err
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.conns[tcp.RemoteAddr().String()] = tcp
	return knownConn{tcp, l.d}, nil
}

type knownConn struct {
	*net.TCPConn
	d *Disturber
}

func (c knownConn) Close() error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if key := c.RemoteAddr().String(); c.d.conns[key] == c.TCPConn {
		delete(c.d.conns, key)
	}
	return c.TCPConn.Close()
}

// reset ends a connection with a TCP reset, as a machine that has restarted does. d.mu is held.
func (d *Disturber) reset(remote string) {
	c := d.conns[remote]
	if c == nil {
		return
	}
	delete(d.conns, remote)
	_ = c.SetLinger(0) // without it, closing would be orderly; it fails only where the connection has ended
	_ = c.Close()
}

// category tells what of a call can be disturbed.
type category int

const (
	otherCall category = iota
	appendCall
	readCall
)

func categoryOf(method string) category {
	switch method {
	case streams.Streams_Append_FullMethodName:
		return appendCall
	case streams.Streams_Read_FullMethodName:
		return readCall
	}
	return otherCall
}
