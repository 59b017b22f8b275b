package restore

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

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/schemas"
)

// VaultOptions say how a vault is made to fit.
type VaultOptions struct {
	From       string // folder with a copy of the vault that is put in place, "" for none
	AcceptLoss bool   // declare lost what no copy can read any more
}

// Fitted is what became of making a vault fit the ledger.
type Fitted struct {
	Ledger    uuid.UUID        `json:"ledger"`
	Unknown   custody.Unknown  `json:"unknown"`
	Replayed  custody.Replayed `json:"replayed"`
	Completed int              `json:"completed"` // erasures whose completion was recorded now
	TakenBack int              `json:"takenBack"` // erasures that had not begun
	Accepted  bool             `json:"accepted"`
	Event     uuid.UUID        `json:"event,omitzero"` // that says what is lost

	DamagedKeys uint64 `json:"damagedKeys,omitempty"` // places of keys that cannot be read
}

// WriteText writes it for a person.
func (d Fitted) WriteText(w io.Writer) {
	fmt.Fprintf(w, "the vault fits ledger %s: %s events after its own note were looked at\n",
		d.Ledger, terminal.Count(d.Unknown.Looked))
	r := d.Replayed
	fmt.Fprintf(w,
		"orders of erasure in the ledger: %s; carried out now: %s, with %s keys; done in this vault before: %s\n",
		terminal.Count(r.Orders), terminal.Count(r.Replayed), terminal.Count(r.Keys), terminal.Count(r.Done))
	if r.NoTenant+r.LeftOut > 0 {
		fmt.Fprintf(w, "left out: %s of tenants that this vault does not know, %s that are no orders\n",
			terminal.Count(r.NoTenant), terminal.Count(r.LeftOut))
	}
	if d.Completed+d.TakenBack > 0 {
		fmt.Fprintf(w, "erasures that were interrupted: %s completed, %s had not begun\n",
			terminal.Count(d.Completed), terminal.Count(d.TakenBack))
	}
	if d.Unknown.Forged > 0 {
		fmt.Fprintf(w, "%s events were made by no holder of this vault; they were left out\n",
			terminal.Count(d.Unknown.Forged))
	}
	if d.Accepted {
		fmt.Fprintf(w, "declared lost: %s. Event %s says so\n", LostText(d.Unknown), d.Event)
	}
	if d.DamagedKeys > 0 {
		fmt.Fprintf(w, "%s keys of persons, devices or periods in this copy have changed on disk and cannot be read\n",
			terminal.Count(d.DamagedKeys))
	}
	fmt.Fprintln(w, "`ledgerline up` serves again")
}

// LostText says how much a vault does not know.
func LostText(u custody.Unknown) string {
	atLeast := ""
	if u.More {
		atLeast = "at least "
	}
	s := fmt.Sprintf("%s events, the first recorded %s, name %s%s aliases of keys that this vault does not hold",
		terminal.Count(u.Events+u.TenantEvents), u.Since.Local().Format(time.DateTime), atLeast,
		terminal.Count(u.Aliases))
	if u.TenantEvents > 0 {
		s += fmt.Sprintf("; %s of them are of %s tenants that it does not know, and nobody can tell a forged event "+
			"among those", terminal.Count(u.TenantEvents), terminal.Count(u.Tenants))
	}
	return s
}

// Vault makes a vault that was put back, or is put back from a copy, fit the ledger: the erasures
// that it missed are carried out, and what it cannot read is declared lost, by who, or else
// counted in a Problem, ErrOlder, before anything is changed. Nothing else may use the data
// directory.
func Vault(ctx context.Context, c node.Config, who access.Principal, o VaultOptions) (doc Fitted, err error) {
	path := c.VaultPath()
	if o.From == "" && !exists(path) {
		return doc, &Problem{Code: ErrNoVault, Path: c.Settings.Data, Files: files(path)}
	}
	if o.From != "" {
		if err := checkCopy(c, o.From); err != nil {
			return doc, err
		}
	}
	if c.Settings.EventStore.Address == "" && !exists(c.EventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s: the vault is compared with the ledger. Restore that "+
			"first: `ledgerline restore eventstore` needs a vault of this ledger, an older one too; then "+
			"run this again", c.Settings.Data)
	}
	err = node.Offline(ctx, c, true, func(n *node.Node) (err error) {
		staged := path
		if o.From != "" {
			dir, err := stage(c, o.From)
			if err != nil {
				return err
			}
			defer discard(c, dir)
			staged = filepath.Join(dir, filepath.Base(path))
		}
		// Look first, change nothing; a copy that is not taken is not put in place.
		if doc.Unknown, err = look(ctx, c, n.Services(), staged); err != nil {
			return err
		}
		if doc.Unknown.Any() && !o.AcceptLoss {
			return &Problem{Code: ErrOlder, Unknown: doc.Unknown}
		}
		if staged != path {
			if err := place(staged, path); err != nil {
				return err
			}
		}
		return fit(ctx, c, n.Services(), who, &doc)
	})
	return doc, err
}

// bench is the vault in a file, with the ledger and custody on it.
type bench struct {
	slots   *sqlite.Store // the vault's
	vault   *vault.Vault
	ledger  *ledger.Ledger
	custody *custody.Custody
}

func openBench(ctx context.Context, c node.Config, s *node.Services, path string) (b bench, err error) {
	if b.vault, b.slots, err = c.OpenVaultAt(ctx, path); err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.vault.Close())
		}
	}()
	cfg, err := s.LedgerConfig(b.vault, "")
	if err != nil {
		return b, err
	}
	b.ledger, err = ledger.Open(ctx, cfg)
	if errors.Is(err, ledger.ErrNoLedger) {
		err = fmt.Errorf("%w: complete that first, `%s`, then run this again", err, c.Command("restore eventstore"))
	}
	if err != nil {
		return b, err
	}
	s.OnClose(b.ledger.Close)
	if bound, ok, err := b.vault.Ledger(ctx); err != nil {
		return b, err
	} else if ok && bound != b.ledger.ID() {
		return b, fmt.Errorf("%w: it is of ledger %s, this is %s", vault.ErrOtherLedger, bound, b.ledger.ID())
	}
	// Nothing serves: no process can hold a derived key of this vault.
	b.custody, err = custody.New(custody.Config{Ledger: b.ledger, Vault: b.vault, Logger: c.Log, Clock: time.Now,
		Settle: time.Millisecond})
	return b, err
}

// reading yields the ledger's events and shows how many.
func (b bench) reading(ctx context.Context, p *terminal.Progress, what string) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range b.ledger.Events(ctx) {
			if r.Seq%4096 == 0 {
				p.Show("%s: read %s events", what, terminal.Count(r.Seq))
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func look(
	ctx context.Context, c node.Config, s *node.Services, path string,
) (u custody.Unknown, err error) {
	b, err := openBench(ctx, c, s, path)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, b.vault.Close()) }()
	p := c.Console
	defer p.Done()
	u, err = b.custody.LookForUnknown(ctx, b.ledger.ID(),
		b.reading(ctx, p, "looking for keys that this vault does not hold"))
	if errors.Is(err, ledger.ErrDiverged) {
		err = fmt.Errorf("%w\nHere it is the event store that is older than the vault, or another: `%s` completes "+
			"it from the topics", err, c.Command("restore eventstore"))
	}
	return u, err
}

// fit does what was looked at, in an order that may be cut anywhere: the note by which
// `up` serves again comes last.
func fit(
	ctx context.Context, c node.Config, s *node.Services, who access.Principal, doc *Fitted,
) (err error) {
	b, err := openBench(ctx, c, s, c.VaultPath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.vault.Close()) }()
	doc.Ledger = b.ledger.ID()
	if err := b.vault.Bind(ctx, doc.Ledger); err != nil {
		return err
	}
	p := c.Console
	defer p.Done()
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

// checkCopy says what is wrong with putting a copy of the vault in place, before anything is done.
func checkCopy(c node.Config, from string) error {
	to := c.VaultPath()
	for _, name := range []string{to, sqlite.SlotsPath(to), to + node.WALSuffix} {
		if exists(name) {
			return &Problem{Code: ErrInTheWay, Path: c.Settings.Data, At: name}
		}
	}
	copied := filepath.Join(from, filepath.Base(to))
	for _, name := range []string{copied, sqlite.SlotsPath(copied)} {
		st, err := os.Stat(name)
		if err == nil && !st.Mode().IsRegular() {
			err = errors.New("it is no regular file")
		}
		if err != nil {
			return &Problem{Code: ErrNoCopy, Files: files(to), Cause: err}
		}
	}
	if key := c.Settings.KeyPath(); !exists(key) {
		return fmt.Errorf("there is no key at %s: without it no copy of the vault can be read. Put its copy back "+
			"first, or set key-file", key)
	}
	return nil
}

// stage copies the vault's files into a folder of the data directory, beside the place where
// they will stand. The copy that was made is opened, not the one it was made from: opening may
// bring it to the present version.
func stage(c node.Config, from string) (dir string, err error) {
	if dir, err = os.MkdirTemp(c.Settings.Data, ".vault-*"); err != nil { // mode 0700
		return "", err
	}
	defer func() {
		if err != nil {
			discard(c, dir)
		}
	}()
	name := filepath.Base(c.VaultPath())
	source, target := filepath.Join(from, name), filepath.Join(dir, name)
	for _, f := range [][2]string{
		{sqlite.SlotsPath(source), sqlite.SlotsPath(target)},
		{source, target},
		{source + node.WALSuffix, target + node.WALSuffix},
	} {
		err := copyFile(f[0], f[1])
		if f[0] == source+node.WALSuffix && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("copy the vault: %w", err)
		}
	}
	return dir, nil
}

// discard removes a staged copy. What is left of one is a wrapped vault in a
// folder that nobody looks at.
func discard(c node.Config, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		c.Log.Warn("a copy of the vault could not be removed", "error", err)
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
		{from + node.WALSuffix, to + node.WALSuffix},
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
