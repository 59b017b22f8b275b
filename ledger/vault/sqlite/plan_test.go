package sqlite

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// No row is looked for among all the rows of its tenant: left to itself the engine prefers the
// primary key, of which it has the tenant, to an index of which it has all.
func TestRowsAreFoundByTheirKeys(t *testing.T) {
	ctx := context.Background()
	s, err := Create(ctx, filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ids := make([]uuid.UUID, 1+4+16+64+256)
	var owners []schemas.Owner
	var names []store.Name
	var hashes [][]byte
	for i := range ids {
		ids[i] = uuid.New()
		owners = append(owners, schemas.Owner{Kind: schemas.OwnerPerson, ID: ids[i]})
		names = append(names, store.Name{Kind: "upn", Hash: string(ids[i][:])})
		hashes = append(hashes, ids[i][:])
	}
	err = s.View(ctx, uuid.New(), func(of store.Rows) error {
		if _, err := of.Fetch(store.Keys{
			Owners: owners, Names: names, IdentitiesOf: owners, Holders: ids, Holdings: ids, SubjectKeys: owners,
			SubjectKeyIDs: ids, Aliases: ids, AliasesOf: ids, Mappings: hashes, MappingsOf: ids,
			StreamKeys: ids, Suppressions: hashes}); err != nil {
			return err
		}
		c, asked := of.(*rows).c, 0
		for query := range c.stmts {
			if !strings.Contains(query, " IN (") {
				continue
			}
			asked++
			plan, err := c.conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query,
				make([]any, strings.Count(query, "?"))...)
			if err != nil {
				return err
			}
			for plan.Next() {
				var id, parent, unused int
				var step string
				if err := plan.Scan(&id, &parent, &unused, &step); err != nil {
					return err
				}
				if strings.HasPrefix(step, "SCAN") || strings.HasSuffix(step, "(tenant=?)") {
					t.Errorf("%.90s…: %s", query, step)
				}
			}
			if err := plan.Err(); err != nil {
				return err
			}
		}
		if asked < 11*len(chunks) {
			t.Errorf("%d statements were looked at", asked)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
