-- ORDER BY (tenant, alias, ledger_seq, role): a person's events, found by the aliases that the vault enumerates.
CREATE TABLE IF NOT EXISTS event_subject_v1 (
  tenant UUID, alias UUID, ledger_seq UInt64, role LowCardinality(String), stream String, type LowCardinality(String),
  occurred_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (tenant, alias, ledger_seq, role)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS event_subject_v1_mv TO event_subject_v1 AS
SELECT tenant, subjects.alias AS alias, ledger_seq, subjects.role AS role, stream, type, occurred_at
FROM events ARRAY JOIN subjects;

CREATE OR REPLACE VIEW event_subject AS SELECT * FROM event_subject_v1 FINAL;
