-- attribute_history is read out of events: their key, (tenant, stream, ledger_seq), leads to an entity's as well as a table of its own did,
-- which held every value once more and was a fifth of what an insert cost. Its tables are dropped when the views are brought up.
CREATE OR REPLACE VIEW attribute_history AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, ledger_seq, occurred_at,
  values.observed AS observed_at, values.value AS value, values.removed AS removed
FROM events FINAL ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

-- As version 2, with a part of up to 64 MiB in one file, as those of events: of a large batch there were 29, each synced.
-- ORDER BY (tenant, stream, attribute, element): one row each, the one with the highest ledger_seq.
CREATE TABLE IF NOT EXISTS attribute_current_v3 (
  tenant UUID, stream String, attribute LowCardinality(String), element String,
  value String CODEC(ZSTD(1)), removed UInt8, occurred_at DateTime64(3, 'UTC'), observed_at DateTime64(3, 'UTC'), ledger_seq UInt64
) ENGINE = ReplacingMergeTree(ledger_seq) ORDER BY (tenant, stream, attribute, element)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 67108864;

CREATE MATERIALIZED VIEW IF NOT EXISTS attribute_current_v3_mv TO attribute_current_v3 AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, values.value AS value,
  values.removed AS removed, occurred_at, values.observed AS observed_at, ledger_seq
FROM events ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);
