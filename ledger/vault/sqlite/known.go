package sqlite

import "github.com/ledgerline/ledgerline/ledger/vault/store"

const knownColumns = "first, as_of, seen, sealed"

func (r *rows) KnownPages(firsts [][]byte) (out []store.KnownPage, err error) {
	query := "SELECT " + knownColumns + " FROM known_page WHERE tenant = ? AND first IN ("
	err = each(r, query, []any{r.t()}, firsts, byHash,
		into(&out, func(p *store.KnownPage) []any { return []any{&p.First, &p.AsOf, &p.Seen, &p.Sealed} }))
	return out, err
}

func (r *rows) KnownUnsettled(after uint64) ([]store.KnownUnsettled, error) {
	return list(r, "SELECT at, tags FROM known_unsettled WHERE tenant = ? AND at > ? ORDER BY at",
		[]any{r.t(), after}, func(u *store.KnownUnsettled) []any { return []any{&u.At, &u.Tags} })
}

// PutKnown counts no change: no row of it is kept between transactions.
func (r *rows) PutKnown(b store.KnownBatch) error {
	for _, p := range b.Pages {
		if err := r.exec(`INSERT INTO known_page (tenant, first, as_of, seen, sealed) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET as_of = excluded.as_of, seen = excluded.seen, sealed = excluded.sealed`,
			r.t(), p.First, p.AsOf, p.Seen, p.Sealed); err != nil {
			return err
		}
	}
	for _, u := range b.Unsettled {
		if err := r.exec(`INSERT INTO known_unsettled (tenant, at, tags) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET tags = excluded.tags`, r.t(), u.At, u.Tags); err != nil {
			return err
		}
	}
	return r.PutSetting(store.Known(r.tenant), b.State)
}

func (r *rows) ExpireKnown(before int64, atMost int) error {
	if err := r.exec(`DELETE FROM known_page WHERE tenant = ? AND first IN
		(SELECT first FROM known_page WHERE tenant = ? AND seen < ? ORDER BY seen LIMIT ?)`,
		r.t(), r.t(), before, atMost); err != nil {
		return err
	}
	return r.exec(`DELETE FROM known_unsettled WHERE tenant = ? AND
		at <= coalesce((SELECT min(as_of) FROM known_page WHERE tenant = ?), at)`, r.t(), r.t())
}

func (r *rows) DeleteKnown() error {
	if err := r.exec("DELETE FROM known_page WHERE tenant = ?", r.t()); err != nil {
		return err
	}
	return r.exec("DELETE FROM known_unsettled WHERE tenant = ?", r.t())
}
