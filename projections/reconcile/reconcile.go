package reconcile

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// ErrNothing says that the views hold nothing yet, so that there is nothing to compare.
var ErrNothing = errors.New("the views hold nothing yet")

// Views is the views' database, as a comparison asks it.
type Views interface {
	Through(ctx context.Context) (seq uint64, ok bool, err error)
	Shape(ctx context.Context) (projections.Shape, error)
	Portions(ctx context.Context, view string) ([]projections.Portion, error)
	CompareView(ctx context.Context, view string, p projections.Portion) (projections.Compared, error)
	Marks(ctx context.Context, from, to uint64) (projections.Marks, error)
	MarksOf(ctx context.Context, from, to uint64, limit int) ([]projections.Mark, error)
	MarksAbove(ctx context.Context, seq uint64, limit int) (count uint64, highest []projections.Mark, err error)
	BrokenLeaves(ctx context.Context, from, to uint64, limit int) ([]projections.Difference, error)
	Disowned(ctx context.Context, tenant, event uuid.UUID, seq uint64) (bool, error)
	LoadState(ctx context.Context, name string) ([]byte, error)
	SaveState(ctx context.Context, name string, state []byte) error
}

// Config is what a Reconciler needs. Zero limits take the defaults named beside them.
type Config struct {
	Name   string    // of the progress that is kept: runs of different names do not go on with each other's
	Ledger uuid.UUID // its id
	// Events yields the ledger's events with a sequence from from on, with Seq and without
	// a gap, up to its present end.
	Events func(ctx context.Context, from uint64) iter.Seq2[schemas.Envelope, error]
	Views  Views
	// Judge says whether an event's origin is genuine; nil: origins are not checked.
	Judge func(ctx context.Context, r schemas.Envelope) (genuine bool, err error)
	Deep  bool // let the views' database recompute each leaf from the bytes that it stores
	// Gentle rests after each portion as long as it took, so that the
	// ledger's own work comes first.
	Gentle   bool
	Progress func(Progress) // may be nil
	Log      *slog.Logger
	Now      func() time.Time // time.Now

	Portion uint64        // 131,072 sequences: what is held of the ledger at a time, some 130 bytes each
	Keep    time.Duration // 24 h: progress that began longer ago is not gone on with
	Every   time.Duration // 24 h: how often Daily compares
	Look    time.Duration // 1 min: how often Daily looks whether it is time
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	if c.Ledger == uuid.Nil {
		errs = append(errs, errors.New("the ledger's id is missing"))
	}
	if c.Events == nil {
		errs = append(errs, errors.New("the ledger's events are missing"))
	}
	if c.Views == nil {
		errs = append(errs, errors.New("views are missing"))
	}
	if c.Log == nil {
		errs = append(errs, errors.New("logger is missing"))
	}
	if c.Keep < 0 || c.Every < 0 || c.Look < 0 {
		errs = append(errs, errors.New("a limit is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	return nil
}

// Progress says how far a run is: Done of Of sequences of the ledger, or portions of a view.
type Progress struct {
	View     string `json:"view"` // "events" while the ledger is read
	Done, Of uint64
}

// Reconciler compares. It may be asked for its status at any time; one run goes at a time.
type Reconciler struct {
	cfg Config

	run sync.Mutex // one run at a time

	mu     sync.Mutex
	status Status
}

// New returns a reconciler that has compared nothing.
func New(cfg Config) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Portion == 0 {
		cfg.Portion = 1 << 17
	}
	for v, def := range map[*time.Duration]time.Duration{&cfg.Keep: 24 * time.Hour, &cfg.Every: 24 * time.Hour,
		&cfg.Look: time.Minute} {
		if *v == 0 {
			*v = def
		}
	}
	return &Reconciler{cfg: cfg}, nil
}

// Result is what a run compared, and found.
type Result struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Resumed  bool      `json:"resumed"` // it went on with a run that was interrupted
	Unkept   bool      `json:"unkept"`  // it was asked by an account that may not keep progress or result
	Through  uint64    `json:"throughSequence"`
	// Events are those of the ledger, up to Through, that were compared with their rows: every
	// column of a row but where and by which program it was read.
	Events  uint64 `json:"events"`
	Above   uint64 `json:"eventsAbove"`   // rows of events above Through, when it began
	Checked uint64 `json:"aboveCompared"` // events of the ledger above Through against which they were compared
	// Views were compared row by row with what their definitions make of events; Plain have no
	// rows, and are defined as this program defines them.
	Views       []ViewResult             `json:"views"`
	Plain       []string                 `json:"definitions"`
	NotCompared []projections.Uncompared `json:"notCompared"`
	Leaves      bool                     `json:"leavesRecomputed"`
	Origins     bool                     `json:"originsChecked"`
	Disowned    uint64                   `json:"forgedAndDisowned"` // events of a wrong origin, in no view
	Unsettled   uint64                   `json:"unsettled"`         // rows that changed for too long to be judged
	Differences uint64                   `json:"differences"`       // at least as many, where not all could be counted
	Differing   map[string]uint64        `json:"differing"`         // of them, by view
	Findings    []projections.Finding    `json:"findings"`          // at most PerView of each view
}

// PerView is how many findings of one view a Result lists.
const PerView = 50

// ViewResult is what was compared of one view.
type ViewResult struct {
	Name string `json:"name"`
	Rows uint64 `json:"rows"`
}

// stateFormat is that of the kept progress.
const stateFormat = 1

// progress is a run, as it is kept: its own beginning must still hold for it to go on.
type progress struct {
	Format      int       `json:"format"`
	Ledger      uuid.UUID `json:"ledger"`
	Fingerprint string    `json:"fingerprint"` // of the views as they were made
	Catalogue   string    `json:"catalogue"`
	Deep        bool      `json:"deep"`
	Judged      bool      `json:"judged"`
	Next        uint64    `json:"next"` // the sequence that is compared next
	Read        bool      `json:"read"` // the ledger is
	Suspects    []suspect `json:"suspects"`
	Result      Result    `json:"result"`
}

// suspect is a row of events above Through. One that the ledger, read afterwards, has
// not reached is not the ledger's.
type suspect struct {
	Seq    uint64    `json:"sequence"`
	Tenant uuid.UUID `json:"tenant"`
	Stream string    `json:"stream"`
}

// suspectsAtOnce bounds them: the highest.
const suspectsAtOnce = 1000

// Names under which progress and result are kept.
const (
	progressName = "progress "
	resultName   = "result"
)

// run is a run that goes on. Owned by Run's goroutine.
type run struct {
	r   *Reconciler
	cfg *Config
	progress
	began time.Time // of the present portion
}

// Run compares, going on with an interrupted run of the same name where nothing has changed since.
// Where it ends with an error or ctx, what it has compared is kept.
func (r *Reconciler) Run(ctx context.Context) (Result, error) {
	r.run.Lock()
	defer r.run.Unlock()
	defer r.note(func(s *Status) { s.Running = nil })
	one := &run{r: r, cfg: &r.cfg, began: r.cfg.Now()}
	if err := one.begin(ctx); err != nil {
		return Result{}, fmt.Errorf("reconcile: %w", err)
	}
	if err := one.events(ctx); err != nil {
		return Result{}, fmt.Errorf("reconcile events: %w", err)
	}
	if err := one.views(ctx); err != nil {
		return Result{}, fmt.Errorf("reconcile views: %w", err)
	}
	if err := one.finish(ctx); err != nil {
		return Result{}, fmt.Errorf("reconcile: %w", err)
	}
	return one.Result, nil
}

// begin loads what an interrupted run has done, or begins anew.
func (o *run) begin(ctx context.Context) error {
	shape, err := o.cfg.Views.Shape(ctx)
	if err != nil {
		return err
	}
	through, ok, err := o.cfg.Views.Through(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNothing
	}
	version := schemas.Default().Version()
	fresh := progress{Format: stateFormat, Ledger: o.cfg.Ledger, Fingerprint: shape.Fingerprint,
		Catalogue: hex.EncodeToString(version[:]), Deep: o.cfg.Deep, Judged: o.cfg.Judge != nil}
	raw, err := o.cfg.Views.LoadState(ctx, progressName+o.cfg.Name)
	if err != nil {
		return err
	}
	var old progress
	if len(raw) > 0 && json.Unmarshal(raw, &old) == nil && old.goesOnAs(fresh) &&
		o.cfg.Now().Sub(old.Result.Started) < o.cfg.Keep && old.Result.Through <= through {
		o.progress = old
		o.Result.Resumed = true
		return nil
	}
	o.progress = fresh
	o.Result = Result{Started: o.cfg.Now(), Through: through, Leaves: o.cfg.Deep, Origins: o.cfg.Judge != nil,
		Views: []ViewResult{}, Differing: map[string]uint64{}, Findings: []projections.Finding{}}
	above, highest, err := o.cfg.Views.MarksAbove(ctx, through, suspectsAtOnce)
	if err != nil {
		return err
	}
	o.Result.Above = above
	for _, m := range highest {
		o.Suspects = append(o.Suspects, suspect{m.Seq, m.Tenant, m.Stream})
	}
	return nil
}

func (p progress) goesOnAs(o progress) bool {
	return p.Format == o.Format && p.Ledger == o.Ledger && p.Fingerprint == o.Fingerprint &&
		p.Catalogue == o.Catalogue &&
		p.Deep == o.Deep && p.Judged == o.Judged && p.Result.Differing != nil
}

func (o *run) save(ctx context.Context) error {
	raw, err := json.Marshal(o.progress)
	if err != nil {
		return err
	}
	return o.keep(ctx, progressName+o.cfg.Name, raw)
}

// keep is SaveState. An account that may only read compares all the same, and keeps nothing:
// its run cannot be gone on with.
func (o *run) keep(ctx context.Context, name string, state []byte) error {
	if o.Result.Unkept {
		return nil
	}
	err := o.cfg.Views.SaveState(ctx, name, state)
	if errors.Is(err, projections.ErrReadOnly) {
		o.Result.Unkept, err = true, nil
	}
	return err
}

// rest is called behind each portion.
func (o *run) rest(ctx context.Context, p Progress) error {
	o.r.note(func(s *Status) { s.Running = &p })
	if o.cfg.Progress != nil {
		o.cfg.Progress(p)
	}
	if o.cfg.Gentle {
		if retry.Wait(ctx, min(o.cfg.Now().Sub(o.began), 10*time.Second)) != nil {
			return context.Cause(ctx)
		}
	}
	o.began = o.cfg.Now()
	return context.Cause(ctx)
}

func (o *run) found(f projections.Finding) {
	o.Result.Differences++
	o.Result.Differing[f.View]++
	if o.Result.Differing[f.View] <= PerView {
		o.Result.Findings = append(o.Result.Findings, f)
	}
}

// viewTries is how often a view is compared that is made anew meanwhile.
const viewTries = 3

func (o *run) views(ctx context.Context) error {
	shape, err := o.cfg.Views.Shape(ctx)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, v := range o.Result.Views {
		done[v.Name] = true
	}
	for _, view := range shape.Views {
		if done[view] {
			continue
		}
		for try := 1; ; try++ {
			parts, err := o.view(ctx, view)
			after, serr := o.cfg.Views.Shape(ctx)
			if serr != nil {
				return errors.Join(err, serr)
			}
			same := shape.Fingerprint == after.Fingerprint
			if shape.Fingerprint = after.Fingerprint; !same && try < viewTries {
				continue // what was compared may be a table that is gone
			}
			if err != nil {
				return err
			}
			o.Result.Views = append(o.Result.Views, ViewResult{view, parts.Rows})
			o.Result.Unsettled += parts.Unsettled
			for _, f := range parts.Findings {
				o.found(f)
			}
			if more := parts.Count - uint64(len(parts.Findings)); more > 0 {
				o.Result.Differences += more
				o.Result.Differing[view] += more
			}
			break
		}
		if err := o.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (o *run) view(ctx context.Context, view string) (sum projections.Compared, err error) {
	portions, err := o.cfg.Views.Portions(ctx, view)
	if err != nil {
		return sum, err
	}
	for i, p := range portions {
		c, err := o.cfg.Views.CompareView(ctx, view, p)
		if err != nil {
			return sum, err
		}
		sum.Rows += c.Rows
		sum.Count += c.Count
		sum.Unsettled += c.Unsettled
		room := PerView - min(PerView, len(sum.Findings))
		sum.Findings = append(sum.Findings, c.Findings[:min(len(c.Findings), room)]...)
		if err := o.rest(ctx, Progress{view, uint64(i + 1), uint64(len(portions))}); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// finish looks at how the views are defined, keeps the result, and forgets the progress.
func (o *run) finish(ctx context.Context) error {
	shape, err := o.cfg.Views.Shape(ctx)
	if err != nil {
		return err
	}
	for _, f := range shape.Findings {
		o.found(f)
	}
	o.Result.Plain, o.Result.NotCompared = shape.Plain, shape.NotCompared
	o.Result.Finished = o.cfg.Now()
	raw, err := json.Marshal(o.Result)
	if err != nil {
		return err
	}
	if err := o.keep(ctx, resultName, raw); err != nil {
		return err
	}
	if err := o.keep(ctx, progressName+o.cfg.Name, nil); err != nil {
		return err
	}
	last := o.Result
	o.r.note(func(s *Status) { s.Last = &last })
	return nil
}
