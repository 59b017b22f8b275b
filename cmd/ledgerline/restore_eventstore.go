package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

func newRestoreEventStore(a *app) *cobra.Command {
	var output string
	var acceptLoss, yes bool
	cmd := &cobra.Command{
		Use:   "eventstore",
		Short: "Complete an older or empty event store from the topics, byte for byte",
		Long: `The topics hold every event that was published, exactly as it was stored. restore eventstore appends
what the event store lacks of them: the same events, in the same order, at the same revisions. Proofs, positions and
views go on to hold.

First it reads all that was published and compares it with all that the event store holds; where they differ it names
the sequence and changes nothing. Then it appends, and compares everything once more. It may be interrupted and run
again.

The event store's folder lost, no backup:   ledgerline restore eventstore
A backup is there, which takes less time:   ledgerline eventstore restore FILE, then ledgerline restore eventstore
An older event store of your own cluster:   put it back there, then ledgerline restore eventstore

The vault must be there: it tells genuine events from those that others may have written into the topics. What was
appended in the moment of a crash and never published is in no topic. Where the vault knows that there was more, it is
said, and the exit code is 1; --accept-loss --yes declares that it is lost.`,
		Example: `  ledgerline restore eventstore
  ledgerline restore eventstore --data /srv/ledger`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, acceptLoss, yes); err != nil {
				return err
			}
			doc, err := a.restoreEventStore(cmd.Context(), cmd.ErrOrStderr(), acceptLoss)
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.text); err != nil {
				return err
			}
			if doc.Missing > 0 && !doc.Accepted {
				return fmt.Errorf("the vault has noted %s events more than the topics hold. If a newer copy of the "+
					"event store or of the topics is to be had, put it back and run this again. Otherwise `%s "+
					"--accept-loss --yes` declares that they are lost", count(doc.Missing),
					a.commandLine("restore eventstore"))
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(&acceptLoss, "accept-loss", false,
		"declare lost what the vault knows to have been in the ledger and no topic holds")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --accept-loss: it cannot be undone")
	return cmd
}

type restoredEventStore struct {
	Ledger uuid.UUID `json:"ledger"`
	ledger.Completed
	Sequence uint64                `json:"sequence"` // of the ledger's last event
	Topics   relay.PublishedCounts `json:"topics"`
	Doubted  int                   `json:"doubtedPositions"`
	Missing  uint64                `json:"missing"`  // events that the vault knows of and nobody holds
	Accepted bool                  `json:"accepted"` // that those are lost
}

func (d restoredEventStore) text(w io.Writer) {
	if d.Appended == 0 {
		fmt.Fprintf(w, "nothing to complete: the event store holds %s events of ledger %s, the topics %s; as far "+
			"as both go they are the same\n", count(d.Held), d.Ledger, count(d.Published))
	} else {
		fmt.Fprintf(w, "completed ledger %s: the event store held %s events, %s were appended; it ends at sequence "+
			"%d, and each event is the same as in the topics\n", d.Ledger, count(d.Held), count(d.Appended), d.Sequence)
	}
	say := func(n uint64, text string) {
		if n > 0 {
			fmt.Fprintf(w, "%8s  %s\n", count(n), text)
		}
	}
	say(d.Fillers, "placeholders stand where others' events lay between, so that later revisions are what they were")
	say(d.Forged, "events of the sequence were made by no holder of this vault; they stand as they stood")
	say(d.LeftOut, "events that were published and not noted were left out: they do not fit")
	say(d.Topics.Foreign, "records in the topics are not the ledger's; they were skipped")
	say(d.Topics.Disputed, "sequences were claimed by several records; the genuine one was taken")
	say(uint64(d.Doubted), "newer positions in ledger.position name what the topics do not hold; they were passed over")
	if d.Missing > 0 && d.Accepted {
		say(d.Missing, "events that the vault had noted are declared lost")
	}
}

func (a *app) restoreEventStore(
	ctx context.Context, progress io.Writer, acceptLoss bool,
) (doc restoredEventStore, err error) {
	if !exists(a.vaultPath()) {
		return doc, fmt.Errorf("there is no vault in %s: put it back first. It tells genuine events from forged "+
			"ones, and no other can be made for this ledger", a.cfg.Data)
	}
	if topics := filepath.Join(a.cfg.Data, embedded.KafkaDir); a.cfg.Kafka.Brokers == "" && !exists(topics) {
		return doc, fmt.Errorf("there are no topics in %s to complete the event store from: restore a backup of "+
			"it, `ledgerline eventstore restore FILE`", topics)
	}
	// A store that was made in vain would be in the way of a backup.
	fresh := a.cfg.EventStore.Address == "" && !exists(a.eventStoreDir())
	err = a.offline(ctx, progress, func(n *runningNode) error {
		doc, err = a.completeEventStore(ctx, progress, n, acceptLoss)
		return err
	})
	if err != nil && fresh && doc.Appended == 0 && exists(a.eventStoreDir()) {
		err = errors.Join(err, os.RemoveAll(a.eventStoreDir()))
	}
	return doc, err
}

func (a *app) completeEventStore(
	ctx context.Context, progress io.Writer, n *runningNode, acceptLoss bool,
) (doc restoredEventStore, err error) {
	v, _, err := a.openVaultAt(ctx, a.vaultPath())
	if err != nil {
		return doc, err
	}
	n.services.onClose(v.Close)
	bound, _, err := v.Ledger(ctx)
	if err != nil {
		return doc, err
	}
	anchor, anchored, err := v.LoadAnchor(ctx)
	if err != nil {
		return doc, err
	}
	client, err := a.openKafka(n.services, node.Reader)
	if err != nil {
		return doc, err
	}
	cfg, err := a.ledgerConfig(n.services, v, "")
	if err != nil {
		return doc, err
	}
	p := newProgress(progress)
	defer p.done()
	p.show("looking for what was published")
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
			p.show("%s %s of %s events", what, count(done), count(published.Through().Seq+1))
		},
	})
	if err != nil {
		return doc, err
	}
	p.done()
	doc.Topics = published.Counts()
	end := doc.Held + doc.Appended
	doc.Sequence = end - 1
	if doc.Appended > 0 {
		if err := ledger.DropIndex(filepath.Join(a.cfg.Data, indexFile)); err != nil {
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
				if last, err = a.lastAnchor(ctx, cfg, doc.Ledger, doc.Sequence); err != nil {
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
func (a *app) lastAnchor(ctx context.Context, cfg ledger.Config, id uuid.UUID, seq uint64) (schemas.Anchor, error) {
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
