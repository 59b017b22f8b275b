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

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/schemas"
)

func newRestoreVault(a *app) *cobra.Command {
	var o vaultRestore
	var output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "vault [--from DIR] [--accept-loss --yes]",
		Short: "Make a vault that was put back fit the ledger: erasures first, then what it lacks",
		Long: `A copy of the vault is older than the ledger. Persons who were erased since are in it again, and keys
that were made since are not. restore vault checks that the copy and its key are this ledger's, and then looks at
every event after the copy was made:

  orders of erasure    are carried out again, before anything is served: who was erased stays erased
  keys it never held   are counted. What is sealed under them can be read by nobody. A newer copy may hold them: put
                       that back. Where there is none, --accept-loss --yes declares them lost: such values read "lost"
                       in reports and packages and count as not set, so the next import records them again, and one
                       event in the ledger says how many there were

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

	DamagedKeys uint64 `json:"damagedKeys,omitempty"` // places of keys that cannot be read
}

func (d restoredVault) text(w io.Writer) {
	fmt.Fprintf(w, "the vault fits ledger %s: %s events after its own note were looked at\n",
		d.Ledger, count(d.Unknown.Looked))
	r := d.Replayed
	fmt.Fprintf(w,
		"orders of erasure in the ledger: %s; carried out now: %s, with %s keys; done in this vault before: %s\n",
		count(r.Orders), count(r.Replayed), count(r.Keys), count(r.Done))
	if r.NoTenant+r.LeftOut > 0 {
		fmt.Fprintf(w, "left out: %s of tenants that this vault does not know, %s that are no orders\n",
			count(r.NoTenant), count(r.LeftOut))
	}
	if d.Completed+d.TakenBack > 0 {
		fmt.Fprintf(w, "erasures that were interrupted: %s completed, %s had not begun\n",
			count(d.Completed), count(d.TakenBack))
	}
	if d.Unknown.Forged > 0 {
		fmt.Fprintf(w, "%s events were made by no holder of this vault; they were left out\n", count(d.Unknown.Forged))
	}
	if d.Accepted {
		fmt.Fprintf(w, "declared lost: %s. Event %s says so\n", lostText(d.Unknown), d.Event)
	}
	if d.DamagedKeys > 0 {
		fmt.Fprintf(w, "%s keys of persons, devices or periods in this copy have changed on disk and cannot be read\n",
			count(d.DamagedKeys))
	}
	fmt.Fprintln(w, "`ledgerline up` serves again")
}

// lostText says how much a vault does not know.
func lostText(u custody.Unknown) string {
	atLeast := ""
	if u.More {
		atLeast = "at least "
	}
	s := fmt.Sprintf("%s events, the first recorded %s, name %s%s aliases of keys that this vault does not hold",
		count(u.Events+u.TenantEvents), u.Since.Local().Format(time.DateTime), atLeast, count(u.Aliases))
	if u.TenantEvents > 0 {
		s += fmt.Sprintf("; %s of them are of %s tenants that it does not know, and nobody can tell a forged event "+
			"among those", count(u.TenantEvents), count(u.Tenants))
	}
	return s
}

func (a *app) restoreVault(ctx context.Context, progress io.Writer, o vaultRestore) (doc restoredVault, err error) {
	path := a.vaultPath()
	if o.from == "" && !exists(path) {
		return doc, fmt.Errorf("there is no vault in %s. Put a copy of %s and %s there, or name the folder of one "+
			"with --from. Without any copy there is no way to make it again: its keys were random, and what is "+
			"sealed under them can be read by nobody", a.cfg.Data, vaultFile, filepath.Base(sqlite.SlotsPath(path)))
	}
	if o.from != "" {
		if err := a.checkCopy(o.from); err != nil {
			return doc, err
		}
	}
	if a.cfg.EventStore.Address == "" && !exists(a.eventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s: the vault is compared with the ledger. Restore that "+
			"first: `ledgerline restore eventstore` needs a vault of this ledger, an older one too; then "+
			"run this again", a.cfg.Data)
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
			return fmt.Errorf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put back "+
				"a newer copy and run this again; or, where there is none, declare that what is sealed under those "+
				"keys is lost: `%s --accept-loss --yes`",
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
	slots   *sqlite.Store // the vault's
	vault   *vault.Vault
	ledger  *ledger.Ledger
	custody *custody.Custody
}

func (a *app) openBench(ctx context.Context, s *services, path string) (b vaultBench, err error) {
	if b.vault, b.slots, err = a.openVaultAt(ctx, path); err != nil {
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
	b.custody, err = custody.New(custody.Config{Ledger: b.ledger, Vault: b.vault, Logger: a.log, Clock: time.Now,
		Settle: time.Millisecond})
	return b, err
}

// reading yields the ledger's events and shows how many.
func (b vaultBench) reading(ctx context.Context, p *progress, what string) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
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

func (a *app) lookAtVault(
	ctx context.Context, progress io.Writer, s *services, path string,
) (u custody.Unknown, err error) {
	b, err := a.openBench(ctx, s, path)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, b.vault.Close()) }()
	p := newProgress(progress)
	defer p.done()
	u, err = b.custody.LookForUnknown(ctx, b.ledger.ID(),
		b.reading(ctx, p, "looking for keys that this vault does not hold"))
	if errors.Is(err, ledger.ErrDiverged) {
		err = fmt.Errorf("%w\nHere it is the event store that is older than the vault, or another: `%s` completes "+
			"it from the topics", err, a.commandLine("restore eventstore"))
	}
	return u, err
}

// fitVault does what was looked at, in an order that may be cut anywhere: the note by which
// `up` serves again comes last.
func (a *app) fitVault(
	ctx context.Context, progress io.Writer, s *services, who access.Principal, doc *restoredVault,
) (err error) {
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
	made := b.custody.Made(ctx, b.reading(ctx, p, "carrying out orders of erasure"))
	if doc.Replayed, err = b.custody.Replay(ctx, made); err != nil {
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
	if doc.DamagedKeys, err = b.slots.DamagedSlots(ctx); err != nil {
		return err
	}
	return b.vault.SaveAnchor(ctx, doc.Unknown.End)
}

// walSuffix is what SQLite's log has after the file's name: a copy of a
// vault that was not closed has one.
const walSuffix = "-wal"

// checkCopy says what is wrong with putting a copy of the vault in place, before anything is done.
func (a *app) checkCopy(from string) error {
	to := a.vaultPath()
	for _, name := range []string{to, sqlite.SlotsPath(to), to + walSuffix} {
		if exists(name) {
			aside := shellWord(filepath.Join(a.cfg.Data, "aside-vault"))
			return usage("%s is there, and nothing is replaced. Move it aside first, with all that goes with it: "+
				"mkdir %s && mv %s/vault.* %s/", name, aside, shellWord(a.cfg.Data), aside)
		}
	}
	for _, name := range []string{filepath.Join(from, vaultFile), sqlite.SlotsPath(filepath.Join(from, vaultFile))} {
		st, err := os.Stat(name)
		if err == nil && !st.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		if err != nil {
			return usage("--from: a copy of the vault is two files, %s and %s: %w",
				vaultFile, filepath.Base(sqlite.SlotsPath(vaultFile)), err)
		}
	}
	if !exists(a.cfg.KeyFile) {
		return fmt.Errorf("there is no key at %s: without it no copy of the vault can be read. Put its copy back "+
			"first, or set key-file", a.cfg.KeyFile)
	}
	return nil
}

// stage copies the vault's files into a folder of the data directory, beside the place where
// they will stand. The copy that was made is opened, not the one it was made from: opening may
// bring it to the present version.
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
	for _, f := range [][2]string{
		{sqlite.SlotsPath(source), sqlite.SlotsPath(target)},
		{source, target},
		{source + walSuffix, target + walSuffix},
	} {
		if err := copyFile(f[0], f[1]); err != nil && !(f[0] == source+walSuffix && errors.Is(err, os.ErrNotExist)) {
			return "", fmt.Errorf("copy the vault: %w", err)
		}
	}
	return dir, nil
}

// discard removes a staged copy. What is left of one is a wrapped vault in a
// folder that nobody looks at.
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
	for _, f := range [][2]string{
		{sqlite.SlotsPath(from), sqlite.SlotsPath(to)},
		{from + walSuffix, to + walSuffix},
		{from, to},
	} {
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
