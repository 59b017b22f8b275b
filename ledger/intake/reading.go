package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// reading is one file being read; it is the scan's visitor.
type reading struct {
	*walked
	file   string
	dating // of a record that tells no time

	src     *countingReader
	known   bool     // a record of a known name was found
	unnamed int      // records of none
	names   []string // how the first of those begins
}

// countingReader tells how far a file is read.
type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// scan reads the file. One that cannot be opened or read to its end is a failure of
// its own, and the import goes on.
func (r *reading) scan(src Source) error {
	f, err := src.open(r.file)
	var none errNoFile
	switch {
	case errors.As(err, &none):
		return r.send(&entry{outcome: failed, reason: none.Error()})
	case err != nil:
		return r.send(&entry{outcome: failed, reason: "cannot be opened: " + reasonOf(err)})
	}
	defer f.Close()
	r.src = &countingReader{Reader: f}
	if err := scan(r.src, r); err != nil {
		if ctxErr := context.Cause(r.ctx); ctxErr != nil {
			return ctxErr
		}
		return r.send(&entry{outcome: failed, reason: "cannot be read to its end: " + reasonOf(err)})
	}
	if !r.known && r.unnamed > 0 {
		l := nameless(r.names)
		return r.send(&entry{outcome: noted, looks: &l})
	}
	return nil
}

// reasonOf is an I/O error without the path, which the failure names already.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func (r *reading) send(e *entry) error {
	e.file = r.file
	if e.bytes = r.done; r.src != nil {
		e.bytes += r.src.n
	}
	e.bytesTotal = r.total
	return r.walked.send(e)
}

func (w *walked) send(e *entry) error {
	select {
	case w.to <- e:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (r *reading) broken(f flaw) error {
	return r.send(&entry{line: f.line, number: f.number, outcome: failed, field: f.field, reason: f.reason})
}

func (r *reading) foreign(l looks) error {
	if err := r.send(&entry{outcome: unrecognised, kind: l.kind}); err != nil {
		return err
	}
	return r.send(&entry{outcome: noted, looks: &l})
}

func (r *reading) notice(line int, what string) error {
	return r.send(&entry{line: line, outcome: noted, reason: what})
}

func (r *reading) record(it item) error {
	e := r.parse(it, r.dating)
	if e.outcome == unrecognised && !e.named {
		if r.unnamed++; r.unnamed == 1 {
			for _, name := range firstNames(it.raw, 4) {
				r.names = append(r.names, safeName(name))
			}
		}
	} else if e.kind != "" {
		r.known = true
	}
	return r.send(e)
}

// pages is what was read of a collection in one folder.
type pages struct {
	more, ends int // pages that name one after them, and others
	file       string
	line       int // of the last that names one
}

// maxCollections bounds the collections that are followed.
const maxCollections = 10_000

func (r *reading) page(p page) error {
	key := path.Dir(r.file) + "\x00" + p.collection
	of := r.pages[key]
	if of == nil {
		if len(r.pages) == maxCollections {
			return nil
		}
		of = &pages{}
		r.pages[key] = of
	}
	if !p.more {
		of.ends++
		return nil
	}
	of.more++
	of.file, of.line = r.file, p.line
	return nil
}

// missing tells of collections whose last page was not read: in a folder, each page of one names
// another. Pages do not say which they are, so that nothing closer can be told.
func (w *walked) missing() error {
	for _, key := range sortedKeys(w.pages) {
		if of := w.pages[key]; of.ends == 0 && of.more > 0 {
			e := &entry{file: of.file, line: of.line, outcome: noted, bytes: w.done, bytesTotal: w.total,
				reason: "the page names one after it (@odata.nextLink), and its folder holds no last page: what the " +
					"export left out is not imported"}
			if err := w.send(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// parse recognises one record and puts it into the ledger's terms.
func (w *walked) parse(it item, file dating) *entry {
	e := w.in.parse(w.tenant, it, file)
	w.foreign = w.foreign || e.othersTenant
	if w.foreign && !w.src.TakeNameless && e.outcome == pending && e.tenant == "" {
		e.outcome, e.record, e.tally, e.fields, e.heldBack = failed, nil, Tally{}, nil, true
		e.reason = "names no source tenant, and other records beside it name one that is not declared for this " +
			"tenant: it may be another customer's"
	}
	return e
}

// parse recognises one record and puts it into the ledger's terms.
func (in *Intake) parse(tenant vault.Tenant, it item, file dating) *entry {
	e := &entry{line: it.line, number: it.number, size: len(it.raw)}
	if it.rec == nil {
		m, err := decodeRecord(it.raw)
		if err != nil {
			e.outcome, e.reason = failed, err.Error()
			return e
		}
		it.rec = &m
	}
	m := *it.rec
	fail := func(err error) *entry {
		var f *fieldError
		e.outcome, e.reason, e.parsed = failed, "cannot be understood", Tally{}
		if errors.As(err, &f) {
			e.field, e.reason = f.field, f.reason
		}
		return e
	}
	kind, v := m.kind(it.context)
	e.kind, e.named, e.decoded = kind, v != unnamed, it.decoded || m.decoded
	named := m.sourceTenants()
	for _, n := range named {
		e.tenant = n.value
		e.othersTenant = e.othersTenant || !tenant.Takes(n.value)
	}
	if v != taken {
		e.outcome = unrecognised
		return e
	}
	if err := in.check(tenant, named); err != nil {
		return fail(err)
	}
	if m.has("properties") && m.properties == nil && (kind == kindAuditLog || kind == kindDevice) {
		return fail(&fieldError{"properties", "is no object, nor a text that holds one"})
	}
	seen := &fields{}
	form := in.kinds.byForm[kind]
	record, err := form.Parse(Parsing{sourceRecord: m, File: file, Now: in.cfg.Clock(), Seen: seen, Tally: &e.parsed})
	e.decoded = e.decoded || seen.decoded > 0
	if err != nil {
		return fail(err)
	}
	e.record, e.wave, e.tally, e.fields = record, form.wave, e.parsed, seen.unknown
	e.forged = bytes.Contains(it.raw, []byte(`"`+schemas.SealedPrefix))
	return e
}

// tenantOfResource finds the source tenant in the id of a resource.
var tenantOfResource = regexp.MustCompile(`(?i)^/tenants/([^/]+)/`)

// sourceTenants returns the source tenants that the record names, and where.
func (m sourceRecord) sourceTenants() (out []named) {
	resource := ""
	if f := tenantOfResource.FindStringSubmatch(m.text("resourceId")); f != nil {
		resource = f[1]
	}
	for _, n := range []named{{"tenantId", m.text("tenantId")},
		{"properties.AADTenantId", m.properties.text("AADTenantId")}, {"resourceId", resource}} {
		if !isNothing(n.value) {
			out = append(out, named{n.field, strings.ToLower(n.value)})
		}
	}
	return out
}

// check refuses a record of a source tenant that was not declared.
func (in *Intake) check(tenant vault.Tenant, named []named) error {
	for _, n := range named {
		if !tenant.Takes(n.value) {
			return &fieldError{n.field, "names a source tenant that is not declared for this tenant"}
		}
	}
	return nil
}
