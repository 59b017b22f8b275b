-- One row an event: its exact bytes, and what the catalogue read in them. Every other table is filled from here.
-- ORDER BY (tenant, stream, ledger_seq): an entity's events are read together, and the key is the event's identity.
-- PARTITION by sequence, not by tenant or month: a batch touches one or two, and FINAL skips what has settled.
-- partition is where the projector read it: a row counts as applied once the saved place of its partition covers it.
-- index_granularity 1024: a page of events in ledger order is as many keys here; at 8192 each cost five times as much.
-- values and subjects are parallel arrays, the form in which the client appends them fastest.
CREATE TABLE IF NOT EXISTS events (
  ledger_seq   UInt64 CODEC(Delta, ZSTD(1)),
  tenant       UUID,
  stream       String,
  revision     UInt64 CODEC(Delta, ZSTD(1)),
  event_id     UUID,
  type         LowCardinality(String),
  occurred_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  timed        UInt8,
  recorded_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source       LowCardinality(String),
  correlation  UUID,
  causation    UUID,
  data         String CODEC(ZSTD(1)),
  metadata     String CODEC(ZSTD(1)),
  leaf         FixedString(32) CODEC(NONE),
  subjects     Nested(alias UUID, role LowCardinality(String)),
  values       Nested(attribute LowCardinality(String), element String, value String, removed UInt8, observed DateTime64(3, 'UTC')),
  catalogue    FixedString(8),
  partition    LowCardinality(String)
) ENGINE = ReplacingMergeTree PARTITION BY intDiv(ledger_seq, 10000000) ORDER BY (tenant, stream, ledger_seq)
SETTINGS index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1;

-- ORDER BY (tenant, ledger_seq): the way from a sequence to the key of events, and pages in ledger order.
-- size is bytes of data and metadata, so that a page of events can be bounded by bytes before it is read.
CREATE TABLE IF NOT EXISTS event_seq_v1 (
  tenant UUID, ledger_seq UInt64 CODEC(Delta, ZSTD(1)), stream String, event_id UUID, type LowCardinality(String),
  occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), size UInt32,
  INDEX event_id event_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY (tenant, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS event_seq_v1_mv TO event_seq_v1 AS
SELECT tenant, ledger_seq, stream, event_id, type, occurred_at, toUInt32(length(data) + length(metadata)) AS size FROM events;

CREATE OR REPLACE VIEW event_seq AS SELECT * FROM event_seq_v1 FINAL;

-- ORDER BY projector: one row each, the one with the highest saved.
CREATE TABLE IF NOT EXISTS projector_position (
  projector String, saved UInt64, applied UInt64, next Nested(partition String, offset Int64, last_seq UInt64)
) ENGINE = ReplacingMergeTree(saved) ORDER BY projector
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
