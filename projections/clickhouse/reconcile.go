package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
)

// Digest returns the digest of every tenant's bucket of the events up to
// through, as the views hold them.
func (db *DB) Digest(ctx context.Context, through uint64) (projections.Digests, error) {
	type sum struct {
		bucket projections.Bucket
		digest projections.Digest
	}
	sums, err := ask.All(ctx, db.Asker, params{"through": through},
		`SELECT tenant, bitShiftRight(ledger_seq, 16) AS bucket, count(),
		reinterpretAsFixedString(sum(reinterpretAsUInt256(leaf)))
		FROM events FINAL WHERE ledger_seq <= {through:UInt64} GROUP BY tenant, bucket`,
		func(scan func(...any) error) (s sum, err error) {
			var bytes string
			err = scan(&s.bucket.Tenant, &s.bucket.Number, &s.digest.Count, &bytes)
			copy(s.digest.Sum[:], bytes)
			return s, err
		})
	if err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	out := make(projections.Digests, len(sums))
	for _, s := range sums {
		out[s.bucket] = s.digest
	}
	return out, nil
}

// Leaves yields the leaves of a bucket's events up to through, by sequence,
// to find which of them differ.
func (db *DB) Leaves(ctx context.Context, b projections.Bucket, through uint64) iter.Seq2[projections.Leaf, error] {
	return func(yield func(projections.Leaf, error) bool) {
		// At most 65,536 rows of 56 bytes: no pages.
		leaves, err := ask.All(ctx, db.Asker, params{"tenant": b.Tenant, "from": b.Number << 16,
			"to": min(through, b.Number<<16|0xffff)}, `SELECT ledger_seq, event_id, leaf FROM events FINAL
			WHERE tenant = {tenant:UUID} AND ledger_seq >= {from:UInt64} AND ledger_seq <= {to:UInt64}
			ORDER BY ledger_seq`,
			func(scan func(...any) error) (l projections.Leaf, err error) {
				var leaf string
				err = scan(&l.Seq, &l.EventID, &leaf)
				copy(l.Leaf[:], leaf)
				return l, err
			})
		if err != nil {
			yield(projections.Leaf{}, fmt.Errorf("leaves: %w", err))
			return
		}
		for _, l := range leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// maxDifferences is how many differences DeepCheck returns at most: beyond that
// the table is to be made anew.
const maxDifferences = 10_000

// leafSQL computes FORMATS §7 from the stored columns: the frame's hash, the distinct labels
// sorted, the entry, the leaf. Fixed strings keep their zero bytes through every function here;
// reinterpretAsString would drop them.
const leafSQL = `
WITH
  (x -> reverse(reinterpretAsFixedString(toUInt32(length(x))))) AS u32,
  SHA256(concat('ledgerline/leaf/v1\n', u32(stream), stream, reverse(reinterpretAsFixedString(revision)),
    UUIDStringToNum(toString(event_id)), u32(toString(type)), type, u32(data), data, u32(metadata), metadata)) AS h,
  arraySort(arrayDistinct(arrayMap(
    x -> substring(toString(SHA256(concat('ledgerline/label/v1\n', UUIDStringToNum(x), h))), 1, 16),
    arrayConcat([toString(tenant), right(stream, 36)], arrayMap(a -> toString(a), subjects.alias))))) AS labels,
  SHA256(concat(char(0), char(1), h, char(length(labels)), arrayStringConcat(labels))) AS computed`

// DeepCheck recomputes every leaf from the stored bytes, inside ClickHouse, and returns the events
// whose stored leaf is another one, by sequence. Together with equal Digests it shows that the
// views hold the ledger's own bytes.
func (db *DB) DeepCheck(ctx context.Context) ([]projections.Difference, error) {
	return db.BrokenLeaves(ctx, 0, math.MaxUint64, maxDifferences)
}

// BrokenLeaves is DeepCheck of the events with a sequence from from to to,
// and returns at most limit.
func (db *DB) BrokenLeaves(ctx context.Context, from, to uint64, limit int) ([]projections.Difference, error) {
	out, err := askHeavily(ctx, db, params{"from": from, "to": to, "limit": limit}, leafSQL+`
		SELECT tenant, ledger_seq, event_id, leaf, computed FROM events FINAL
		PREWHERE ledger_seq >= {from:UInt64} AND ledger_seq <= {to:UInt64}
		WHERE leaf != computed ORDER BY ledger_seq LIMIT {limit:UInt64}`,
		func(scan func(...any) error) (d projections.Difference, err error) {
			var stored, computed string
			err = scan(&d.Tenant, &d.Seq, &d.EventID, &stored, &computed)
			copy(d.Stored[:], stored)
			copy(d.Computed[:], computed)
			return d, err
		})
	if err != nil {
		return nil, fmt.Errorf("deep check: %w", err)
	}
	return out, nil
}

// Tenants returns the tenants that have events, the zero uuid of the ledger's own event included.
func (db *DB) Tenants(ctx context.Context) ([]uuid.UUID, error) {
	out, err := ask.All(ctx, db.Asker, nil, "SELECT DISTINCT tenant FROM event_seq ORDER BY toString(tenant)",
		func(scan func(...any) error) (u uuid.UUID, err error) { return u, scan(&u) })
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return out, nil
}
