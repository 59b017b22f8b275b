package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Completed is what became of completing an event store from the topics.
type Completed struct {
	Ledger uuid.UUID `json:"ledger"`
	ledger.Completed
	Sequence uint64                `json:"sequence"` // of the ledger's last event
	Topics   relay.PublishedCounts `json:"topics"`
	Doubted  int                   `json:"doubtedPositions"`
	Missing  uint64                `json:"missing"`  // events that the vault knows of and nobody holds
	Accepted bool                  `json:"accepted"` // that those are lost
}

// WriteText writes it for a person.
func (d Completed) WriteText(w io.Writer) {
	if d.Appended == 0 {
		fmt.Fprintf(w, "nothing to complete: the event store holds %s events of ledger %s, the topics %s; as far "+
			"as both go they are the same\n", terminal.Count(d.Held), d.Ledger, terminal.Count(d.Published))
	} else {
		fmt.Fprintf(w, "completed ledger %s: the event store held %s events, %s were appended; it ends at sequence "+
			"%d, and each event is the same as in the topics\n", d.Ledger, terminal.Count(d.Held),
			terminal.Count(d.Appended), d.Sequence)
	}
	say := func(n uint64, text string) {
		if n > 0 {
			fmt.Fprintf(w, "%s  %s\n", terminal.Right(terminal.Count(n), 8), text)
		}
	}
	say(d.Fillers, "placeholders stand where others' events lay between, so that later revisions are what they were")
	say(d.Forged, "events of the sequence were made by no holder of this vault; they stand as they stood")
	say(d.LeftOut, "events that were published and not noted were left out: they do not fit")
	say(d.Topics.Foreign, "records in the topics are not the ledger's; they were skipped")
	say(d.Topics.Disputed, "sequences were claimed by several records; the genuine one was taken")
	say(uint64(d.Doubted), "newer positions in ledger.position name what the topics do not hold; they were passed "+
		"over")
	if d.Missing > 0 && d.Accepted {
		say(d.Missing, "events that the vault had noted are declared lost")
	}
}

// EventStore appends what the event store lacks of what the topics hold: the same events, in the
// same order, at the same revisions, after all of both was compared. Nothing else may use the
// data directory. acceptLoss declares lost what the vault knows of and no topic holds.
func EventStore(ctx context.Context, c node.Config, acceptLoss bool) (doc Completed, err error) {
	if !exists(c.VaultPath()) {
		return doc, fmt.Errorf("there is no vault in %s: put it back first. It tells genuine events from forged "+
			"ones, and no other can be made for this ledger", c.Settings.Data)
	}
	if topics := c.Dir().Path(embedded.KafkaDir); c.Settings.Kafka.Brokers == "" && !exists(topics) {
		return doc, fmt.Errorf("there are no topics in %s to complete the event store from: restore a backup of "+
			"it, `ledgerline eventstore restore FILE`", topics)
	}
	// A store that was made in vain would be in the way of a backup.
	fresh := c.Settings.EventStore.Address == "" && !exists(c.EventStoreDir())
	err = node.Offline(ctx, c, true, func(n *node.Node) error {
		doc, err = complete(ctx, c, n, acceptLoss)
		return err
	})
	if err != nil && fresh && doc.Appended == 0 && exists(c.EventStoreDir()) {
		err = errors.Join(err, os.RemoveAll(c.EventStoreDir()))
	}
	return doc, err
}

func complete(
	ctx context.Context, c node.Config, n *node.Node, acceptLoss bool,
) (doc Completed, err error) {
	v, _, err := c.OpenVaultAt(ctx, c.VaultPath())
	if err != nil {
		return doc, err
	}
	n.Services().OnClose(v.Close)
	bound, _, err := v.Ledger(ctx)
	if err != nil {
		return doc, err
	}
	anchor, anchored, err := v.LoadAnchor(ctx)
	if err != nil {
		return doc, err
	}
	client, err := n.Services().OpenKafka(datadir.Reader)
	if err != nil {
		return doc, err
	}
	cfg, err := n.Services().LedgerConfig(v, "")
	if err != nil {
		return doc, err
	}
	p := c.Console
	defer p.Done()
	p.Show("looking for what was published")
	published, err := relay.OpenPublished(ctx, relay.PublishedConfig{Topics: publishedTopics{client}, Ledger: bound,
		Judge: func(ctx context.Context, r schemas.Envelope) (bool, error) { return madeBy(ctx, v, r) }})
	if err != nil {
		return doc, err
	}
	doc.Ledger, doc.Doubted = published.Ledger(), published.Doubted()
	doc.Completed, err = ledger.Complete(ctx, ledger.CompleteConfig{
		Store: cfg.Store, Through: published.Through(), Origin: v.OriginKey,
		Published: func(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
			if !anchored {
				return published.Events(ctx)
			}
			return passing(published.Events(ctx), anchor)
		},
		Progress: func(done uint64, appending bool) {
			what := "compared"
			if appending {
				what = "completed up to"
			}
			p.Show("%s %s of %s events", what, terminal.Count(done), terminal.Count(published.Through().Seq+1))
		},
	})
	if err != nil {
		return doc, err
	}
	p.Done()
	doc.Topics = published.Counts()
	end := doc.Held + doc.Appended
	doc.Sequence = end - 1
	if doc.Appended > 0 {
		if err := ledger.DropIndex(c.IndexPath()); err != nil {
			return doc, err
		}
	}
	if err := v.Bind(ctx, doc.Ledger); err != nil {
		return doc, err
	}
	if anchored && anchor.Seq >= end {
		doc.Missing = anchor.Seq + 1 - end
		if acceptLoss {
			last := doc.Last
			if doc.Appended == 0 {
				if last, err = lastAnchor(ctx, cfg, doc.Ledger, doc.Sequence); err != nil {
					return doc, err
				}
			}
			if err := v.LowerAnchor(ctx, last); err != nil {
				return doc, err
			}
			doc.Accepted = true
		}
	}
	return doc, nil
}

// lastAnchor is the anchor of the store's last event, whose sequence is known.
func lastAnchor(ctx context.Context, cfg ledger.Config, id uuid.UUID, seq uint64) (schemas.Anchor, error) {
	last, found, err := cfg.Store.Last(ctx)
	if err == nil && !found {
		err = ledger.ErrNoLedger
	}
	if err != nil {
		return schemas.Anchor{}, err
	}
	e, err := schemas.NewEnvelope(last)
	if err != nil {
		return schemas.Anchor{}, err
	}
	e.Seq = seq
	return e.Anchor(id), nil
}

// passing hands events on as long as the anchored one is what the anchor says.
func passing(events iter.Seq2[schemas.Envelope, error], anchor schemas.Anchor) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range events {
			if err == nil && r.Seq == anchor.Seq && (r.ID != anchor.EventID || r.Leaf() != anchor.Leaf) {
				err = fmt.Errorf("sequence %d is event %s in the topics, the vault noted %s: %w",
					r.Seq, r.ID, anchor.EventID, ledger.ErrDiverged)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// madeBy reports whether a holder of the vault made the event where it stands.
func madeBy(ctx context.Context, v *vault.Vault, r schemas.Envelope) (bool, error) {
	k, known, err := v.OriginKey(ctx, r.Meta().Tenant)
	return known && r.Genuine(k), err
}

// publishedTopics reads the topics for package relay.
type publishedTopics struct{ c *kafka.Client }

func (t publishedTopics) Positions(ctx context.Context) iter.Seq2[consumers.Position, error] {
	return t.c.Positions(ctx)
}

func (t publishedTopics) Describe(ctx context.Context, topic string) (uuid.UUID, []int64, []int64, error) {
	return t.c.Describe(ctx, topic)
}

func (t publishedTopics) Read(
	ctx context.Context, topic string, partition int, from int64,
) ([]consumers.Message, int64, error) {
	return t.c.Partitions().Read(ctx, topic, partition, from)
}
