package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/schemas"
)

func newRestore(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make a lost or older event store or vault fit the others again",
		Long: `The ledger lies in the event store, its copies in the topics and views, its keys in the vault. When one of them is lost,
or an older copy of it was put back, the others say so: "ledgerline up" refuses to serve. restore makes them fit again.

  event store lost or older    restore eventstore    completes it from the topics, byte for byte
  vault older                  restore vault         carries out the erasures it missed, and says what it cannot read
  topics lost                  relay refill          fills them from the ledger ("up" does so by itself for its own)
  sequence index damaged       reindex               counts the ledger anew
  views lost or wrong          views rebuild         makes them from the ledger's events

Nothing else may run on the data directory meanwhile: stop "ledgerline up" first.`,
	}
	cmd.AddCommand(newRestoreEventStore(a), newRestoreVault(a))
	return cmd
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (a *app) vaultPath() string { return filepath.Join(a.cfg.Data, vaultFile) }

// offline runs an act on a data directory that nothing else uses, with those servers started that are not elsewhere.
func (a *app) offline(ctx context.Context, out io.Writer, act func(n *runningNode) error) (err error) {
	lock, err := a.dir().Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n := a.newNode(lock)
	defer func() { err = a.damageWayOut(errors.Join(err, n.stop())) }()
	if _, err := n.startServers(ctx, out, false); err != nil {
		return err
	}
	return act(n)
}

// openVaultAt opens the vault in that file, which must be there.
func (a *app) openVaultAt(ctx context.Context, path string) (*vault.Vault, error) {
	kek, err := vault.OpenFileKEK(a.cfg.KeyFile)
	if err != nil {
		return nil, a.vaultWayOut(fmt.Errorf("the vault's key, without which nothing sealed can be read: %w", err))
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, a.vaultWayOut(err)
	}
	v, err := vault.Open(ctx, vault.Config{Store: store, KEK: kek, Clock: time.Now, Logger: a.log})
	if err != nil {
		return nil, errors.Join(a.vaultWayOut(err), store.Close())
	}
	return v, nil
}

func newRestoreEventStore(a *app) *cobra.Command {
	var output string
	var acceptLoss, yes bool
	cmd := &cobra.Command{
		Use:   "eventstore",
		Short: "Complete an older or empty event store from the topics, byte for byte",
		Long: `The topics hold every event that was published, exactly as it was stored. restore eventstore appends what the event store
lacks of them: the same events, in the same order, at the same revisions. Proofs, positions and views go on to hold.

First it reads all that was published and compares it with all that the event store holds; where they differ it names the
sequence and changes nothing. Then it appends, and compares everything once more. It may be interrupted and run again.

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
				return fmt.Errorf("the vault has noted %s events more than the topics hold. If a newer copy of the event store or of the topics is to be had, put it "+
					"back and run this again. Otherwise `%s --accept-loss --yes` declares that they are lost", count(doc.Missing), a.commandLine("restore eventstore"))
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(&acceptLoss, "accept-loss", false, "declare lost what the vault knows to have been in the ledger and no topic holds")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --accept-loss: it cannot be undone")
	return cmd
}

func checkRestoreFlags(output string, acceptLoss, yes bool) error {
	if output != "text" && output != "json" {
		return usage("--output %q is not text or json", output)
	}
	if acceptLoss && !yes {
		return usage("a loss that was accepted cannot be undone: look first without --accept-loss, then add --yes")
	}
	return nil
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
		fmt.Fprintf(w, "nothing to complete: the event store holds %s events of ledger %s, the topics %s; as far as both go they are the same\n",
			count(d.Held), d.Ledger, count(d.Published))
	} else {
		fmt.Fprintf(w, "completed ledger %s: the event store held %s events, %s were appended; it ends at sequence %d, and each event is the same as in the topics\n",
			d.Ledger, count(d.Held), count(d.Appended), d.Sequence)
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

func (a *app) restoreEventStore(ctx context.Context, progress io.Writer, acceptLoss bool) (doc restoredEventStore, err error) {
	if !exists(a.vaultPath()) {
		return doc, fmt.Errorf("there is no vault in %s: put it back first. It tells genuine events from forged ones, and no other can be made for this ledger", a.cfg.Data)
	}
	if topics := filepath.Join(a.cfg.Data, embedded.KafkaDir); a.cfg.Kafka.Brokers == "" && !exists(topics) {
		return doc, fmt.Errorf("there are no topics in %s to complete the event store from: restore a backup of it, `ledgerline eventstore restore FILE`", topics)
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

func (a *app) completeEventStore(ctx context.Context, progress io.Writer, n *runningNode, acceptLoss bool) (doc restoredEventStore, err error) {
	v, err := a.openVaultAt(ctx, a.vaultPath())
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
		Judge: func(ctx context.Context, r schemas.Recorded) (bool, error) { return madeBy(ctx, v, r) }})
	if err != nil {
		return doc, err
	}
	doc.Ledger, doc.Doubted = published.Ledger(), published.Doubted()
	doc.Completed, err = ledger.Complete(ctx, ledger.CompleteConfig{
		Store: cfg.Store, Through: published.Through(), Origin: v.OriginKey,
		Published: func(ctx context.Context) iter.Seq2[schemas.Recorded, error] {
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
	leaf, err := last.Leaf()
	return schemas.Anchor{LedgerID: id, Seq: seq, EventID: last.ID, Leaf: leaf, Position: last.Position}, err
}

// passing hands events on as long as the anchored one is what the anchor says.
func passing(events iter.Seq2[schemas.Recorded, error], anchor schemas.Anchor) iter.Seq2[schemas.Recorded, error] {
	return func(yield func(schemas.Recorded, error) bool) {
		for r, err := range events {
			if err == nil && r.Seq == anchor.Seq {
				var leaf [32]byte
				if leaf, err = r.Leaf(); err == nil && (r.ID != anchor.EventID || leaf != anchor.Leaf) {
					err = fmt.Errorf("sequence %d is event %s in the topics, the vault noted %s: %w", r.Seq, r.ID, anchor.EventID, ledger.ErrDiverged)
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// madeBy reports whether a holder of the vault made the event where it stands.
func madeBy(ctx context.Context, v *vault.Vault, r schemas.Recorded) (bool, error) {
	m, err := schemas.ParseMetadata(r.Metadata)
	if err != nil {
		return false, err
	}
	k, known, err := v.OriginKey(ctx, m.Tenant)
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

func (t publishedTopics) Read(ctx context.Context, topic string, partition int, from int64) ([]consumers.Message, int64, error) {
	return t.c.Partitions().Read(ctx, topic, partition, from)
}

func newReindex(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Count the ledger anew: drop the sequence index and make it again",
		Long: `The sequence index says where in the event store each sequence lies. It is a copy: reindex drops it, reads the whole event
store, and writes it again. It also counts anew the events that are not the ledger's, which are skipped and harm nothing.
Nothing else may run on the data directory meanwhile: stop "ledgerline up" first. It loses nothing when it is interrupted.`,
		Example: `  ledgerline reindex`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, false, false); err != nil {
				return err
			}
			doc, err := a.reindex(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "counted ledger %s anew: %s events; beside them %s that are not the ledger's\n",
					doc.Ledger, count(doc.Events), count(doc.Foreign.Count))
				if doc.Forged != nil && doc.Forged.Count > 0 {
					fmt.Fprintf(w, "%s of its events were made by no holder of its vault, and are not disowned: `%s` names them\n",
						count(doc.Forged.Count), a.commandLine("ledger check"))
				}
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

type reindexed struct {
	Ledger  uuid.UUID            `json:"ledger"`
	Events  uint64               `json:"events"`
	Foreign ledger.ForeignEvents `json:"foreign"`
	Forged  *ledger.ForgedEvents `json:"forged"` // null: there is no vault to tell
}

func (a *app) reindex(ctx context.Context, progress io.Writer) (doc reindexed, err error) {
	if a.cfg.EventStore.Address == "" && !exists(a.eventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s", a.cfg.Data)
	}
	err = a.offline(ctx, progress, func(n *runningNode) error {
		var v *vault.Vault // tells forged events, where it is there
		if exists(a.vaultPath()) {
			var err error
			if v, err = a.openVaultAt(ctx, a.vaultPath()); err != nil {
				return err
			}
			n.services.onClose(v.Close)
		}
		l, err := a.openFollowing(ctx, n.services, v, false, progress)
		if err != nil {
			return err
		}
		p := newProgress(progress)
		defer p.done()
		doc.Ledger = l.ID()
		doc.Events, err = l.Reindex(ctx, func(events uint64) { p.show("counted %s events", count(events)) })
		doc.Foreign = l.Foreign()
		if v != nil {
			f := l.Forged()
			doc.Forged = &f
		}
		return err
	})
	return doc, err
}

func newRestoreVault(a *app) *cobra.Command {
	var o vaultRestore
	var output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "vault [--from DIR] [--accept-loss --yes]",
		Short: "Make a vault that was put back fit the ledger: erasures first, then what it lacks",
		Long: `A copy of the vault is older than the ledger. Persons who were erased since are in it again, and keys that were made since are not.
restore vault checks that the copy and its key are this ledger's, and then looks at every event after the copy was made:

  orders of erasure    are carried out again, before anything is served: who was erased stays erased
  keys it never held   are counted. What is sealed under them can be read by nobody. A newer copy may hold them: put that
                       back. Where there is none, --accept-loss --yes declares them lost: such values read "lost" in
                       reports and packages and count as not set, so the next import records them again, and one event
                       in the ledger says how many there were

Put the copy of vault.db and vault.slots, which go together, into the data directory yourself, or name the folder that
holds them with --from: nothing is replaced, so move an existing vault aside first. The key that the vault is wrapped
under is in neither (see "key file" at the start of "up").

Without any copy of the vault there is no way to make it again: its keys were random, and lie nowhere else.`,
		Example: `  ledgerline restore vault --from /mnt/backup/vault
  ledgerline restore vault
  ledgerline restore vault --accept-loss --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, o.acceptLoss, yes); err != nil {
				return err
			}
			doc, err := a.restoreVault(cmd.Context(), cmd.ErrOrStderr(), o)
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.text)
		},
	}
	outputFlag(cmd, &output)
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "folder with copies of vault.db and vault.slots, which are put in place")
	f.BoolVar(&o.acceptLoss, "accept-loss", false, "declare lost what no copy of the vault can read any more")
	f.BoolVar(&yes, "yes", false, "with --accept-loss: it cannot be undone")
	return cmd
}

type vaultRestore struct {
	from       string
	acceptLoss bool
}

type restoredVault struct {
	Ledger    uuid.UUID        `json:"ledger"`
	Unknown   custody.Unknown  `json:"unknown"`
	Replayed  custody.Replayed `json:"replayed"`
	Completed int              `json:"completed"` // erasures whose completion was recorded now
	TakenBack int              `json:"takenBack"` // erasures that had not begun
	Accepted  bool             `json:"accepted"`
	Event     uuid.UUID        `json:"event,omitzero"` // that says what is lost
}

func (d restoredVault) text(w io.Writer) {
	fmt.Fprintf(w, "the vault fits ledger %s: %s events after its own note were looked at\n", d.Ledger, count(d.Unknown.Looked))
	r := d.Replayed
	fmt.Fprintf(w, "orders of erasure in the ledger: %s; carried out now: %s, with %s keys; done in this vault before: %s\n",
		count(r.Orders), count(r.Replayed), count(r.Keys), count(r.Done))
	if r.NoTenant+r.LeftOut > 0 {
		fmt.Fprintf(w, "left out: %s of tenants that this vault does not know, %s that are no orders\n", count(r.NoTenant), count(r.LeftOut))
	}
	if d.Completed+d.TakenBack > 0 {
		fmt.Fprintf(w, "erasures that were interrupted: %s completed, %s had not begun\n", count(d.Completed), count(d.TakenBack))
	}
	if d.Unknown.Forged > 0 {
		fmt.Fprintf(w, "%s events were made by no holder of this vault; they were left out\n", count(d.Unknown.Forged))
	}
	if d.Accepted {
		fmt.Fprintf(w, "declared lost: %s. Event %s says so\n", lostText(d.Unknown), d.Event)
	}
	fmt.Fprintln(w, "`ledgerline up` serves again")
}

// lostText says how much a vault does not know.
func lostText(u custody.Unknown) string {
	atLeast := ""
	if u.More {
		atLeast = "at least "
	}
	s := fmt.Sprintf("%s events, the first recorded %s, name %s%s aliases of keys that this vault does not hold", count(u.Events+u.TenantEvents),
		u.Since.Local().Format(time.DateTime), atLeast, count(u.Aliases))
	if u.TenantEvents > 0 {
		s += fmt.Sprintf("; %s of them are of %s tenants that it does not know, and nobody can tell a forged event among those", count(u.TenantEvents), count(u.Tenants))
	}
	return s
}

func (a *app) restoreVault(ctx context.Context, progress io.Writer, o vaultRestore) (doc restoredVault, err error) {
	path := a.vaultPath()
	if o.from == "" && !exists(path) {
		return doc, fmt.Errorf("there is no vault in %s. Put a copy of %s and %s there, or name the folder of one with --from. Without any copy there is no way to make it "+
			"again: its keys were random, and what is sealed under them can be read by nobody", a.cfg.Data, vaultFile, filepath.Base(sqlite.SlotsPath(path)))
	}
	if o.from != "" {
		if err := a.checkCopy(o.from); err != nil {
			return doc, err
		}
	}
	if a.cfg.EventStore.Address == "" && !exists(a.eventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s: the vault is compared with the ledger. Restore that first: `ledgerline restore eventstore` needs a vault of this ledger, "+
			"an older one too; then run this again", a.cfg.Data)
	}
	who, err := a.principal()
	if err != nil {
		return doc, err
	}
	err = a.offline(ctx, progress, func(n *runningNode) (err error) {
		staged := path
		if o.from != "" {
			dir, err := a.stage(o.from)
			if err != nil {
				return err
			}
			defer a.discard(dir)
			staged = filepath.Join(dir, vaultFile)
		}
		// Look first, change nothing; a copy that is not taken is not put in place.
		if doc.Unknown, err = a.lookAtVault(ctx, progress, n.services, staged); err != nil {
			return err
		}
		if doc.Unknown.Any() && !o.acceptLoss {
			return fmt.Errorf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put back a newer copy and run this again; "+
				"or, where there is none, declare that what is sealed under those keys is lost: `%s --accept-loss --yes`",
				lostText(doc.Unknown), a.commandLine("restore vault"+fromFlag(o.from)))
		}
		if staged != path {
			if err := place(staged, path); err != nil {
				return err
			}
		}
		return a.fitVault(ctx, progress, n.services, who, &doc)
	})
	return doc, err
}

func fromFlag(from string) string {
	if from == "" {
		return ""
	}
	return " --from " + shellWord(from)
}

// vaultBench is the vault in a file, with the ledger and custody on it.
type vaultBench struct {
	vault   *vault.Vault
	ledger  *ledger.Ledger
	custody *custody.Custody
}

func (a *app) openBench(ctx context.Context, s *services, path string) (b vaultBench, err error) {
	if b.vault, err = a.openVaultAt(ctx, path); err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.vault.Close())
		}
	}()
	cfg, err := a.ledgerConfig(s, b.vault, "")
	if err != nil {
		return b, err
	}
	b.ledger, err = ledger.Open(ctx, cfg)
	if errors.Is(err, ledger.ErrNoLedger) {
		err = fmt.Errorf("%w: complete that first, `%s`, then run this again", err, a.commandLine("restore eventstore"))
	}
	if err != nil {
		return b, err
	}
	s.onClose(b.ledger.Close)
	if bound, ok, err := b.vault.Ledger(ctx); err != nil {
		return b, err
	} else if ok && bound != b.ledger.ID() {
		return b, fmt.Errorf("%w: it is of ledger %s, this is %s", vault.ErrOtherLedger, bound, b.ledger.ID())
	}
	// Nothing serves: no process can hold a derived key of this vault.
	b.custody, err = custody.New(custody.Config{Ledger: b.ledger, Vault: b.vault, Logger: a.log, Clock: time.Now, Settle: time.Millisecond})
	return b, err
}

// reading yields the ledger's events and shows how many.
func (b vaultBench) reading(ctx context.Context, p *progress, what string) iter.Seq2[schemas.Recorded, error] {
	return func(yield func(schemas.Recorded, error) bool) {
		for r, err := range b.ledger.Events(ctx) {
			if r.Seq%4096 == 0 {
				p.show("%s: read %s events", what, count(r.Seq))
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (a *app) lookAtVault(ctx context.Context, progress io.Writer, s *services, path string) (u custody.Unknown, err error) {
	b, err := a.openBench(ctx, s, path)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, b.vault.Close()) }()
	p := newProgress(progress)
	defer p.done()
	u, err = b.custody.LookForUnknown(ctx, b.ledger.ID(), b.reading(ctx, p, "looking for keys that this vault does not hold"))
	if errors.Is(err, ledger.ErrDiverged) {
		err = fmt.Errorf("%w\nHere it is the event store that is older than the vault, or another: `%s` completes it from the topics", err, a.commandLine("restore eventstore"))
	}
	return u, err
}

// fitVault does what was looked at, in an order that may be cut anywhere: the note by which `up` serves again comes last.
func (a *app) fitVault(ctx context.Context, progress io.Writer, s *services, who access.Principal, doc *restoredVault) (err error) {
	b, err := a.openBench(ctx, s, a.vaultPath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.vault.Close()) }()
	doc.Ledger = b.ledger.ID()
	if err := b.vault.Bind(ctx, doc.Ledger); err != nil {
		return err
	}
	p := newProgress(progress)
	defer p.done()
	if doc.Replayed, err = b.custody.Replay(ctx, b.custody.Made(ctx, b.reading(ctx, p, "carrying out orders of erasure"))); err != nil {
		return err
	}
	if doc.Unknown.Any() {
		if doc.Event, err = b.custody.AcceptLoss(ctx, who, doc.Unknown); err != nil {
			return err
		}
		doc.Accepted = true
	}
	if doc.Completed, doc.TakenBack, err = b.custody.Resume(ctx); err != nil {
		return err
	}
	return b.vault.SaveAnchor(ctx, doc.Unknown.End)
}

// walSuffix is what SQLite's log has after the file's name: a copy of a vault that was not closed has one.
const walSuffix = "-wal"

// checkCopy says what is wrong with putting a copy of the vault in place, before anything is done.
func (a *app) checkCopy(from string) error {
	to := a.vaultPath()
	for _, name := range []string{to, sqlite.SlotsPath(to), to + walSuffix} {
		if exists(name) {
			aside := shellWord(filepath.Join(a.cfg.Data, "vault.aside"))
			return usage("%s is there, and nothing is replaced. Move it aside first, with all that goes with it: mkdir %s && mv %s/vault.* %s/",
				name, aside, shellWord(a.cfg.Data), aside)
		}
	}
	for _, name := range []string{filepath.Join(from, vaultFile), sqlite.SlotsPath(filepath.Join(from, vaultFile))} {
		st, err := os.Stat(name)
		if err == nil && !st.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		if err != nil {
			return usage("--from: a copy of the vault is two files, %s and %s: %w", vaultFile, filepath.Base(sqlite.SlotsPath(vaultFile)), err)
		}
	}
	if !exists(a.cfg.KeyFile) {
		return fmt.Errorf("there is no key at %s: without it no copy of the vault can be read. Put its copy back first, or set key-file", a.cfg.KeyFile)
	}
	return nil
}

// stage copies the vault's files into a folder of the data directory, beside the place where they will stand. The copy
// that was made is opened, not the one it was made from: opening may bring it to the present version.
func (a *app) stage(from string) (dir string, err error) {
	if dir, err = os.MkdirTemp(a.cfg.Data, ".vault-*"); err != nil { // mode 0700
		return "", err
	}
	defer func() {
		if err != nil {
			a.discard(dir)
		}
	}()
	source, target := filepath.Join(from, vaultFile), filepath.Join(dir, vaultFile)
	for _, f := range [][2]string{{sqlite.SlotsPath(source), sqlite.SlotsPath(target)}, {source, target}, {source + walSuffix, target + walSuffix}} {
		if err := copyFile(f[0], f[1]); err != nil && !(f[0] == source+walSuffix && errors.Is(err, os.ErrNotExist)) {
			return "", fmt.Errorf("copy the vault: %w", err)
		}
	}
	return dir, nil
}

// discard removes a staged copy. What is left of one is a wrapped vault in a folder that nobody looks at.
func (a *app) discard(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		a.log.Warn("a copy of the vault could not be removed", "error", err)
	}
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// place moves a closed vault into place, the file by which it is found last.
func place(from, to string) error {
	for _, f := range [][2]string{{sqlite.SlotsPath(from), sqlite.SlotsPath(to)}, {from + walSuffix, to + walSuffix}, {from, to}} {
		if !exists(f[0]) {
			continue
		}
		if err := os.Link(f[0], f[1]); err != nil { // unlike a rename, it never replaces a file
			return fmt.Errorf("put the vault in place: %w", err)
		}
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
