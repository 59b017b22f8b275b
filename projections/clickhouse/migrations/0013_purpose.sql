-- Who unsealed personal data, why and for what. As version 2, with the purpose that was chosen from the list beside the words.
-- ORDER BY (tenant, occurred_at, ledger_seq): a period of one tenant is one range, pages go on at a key.
CREATE TABLE IF NOT EXISTS access_v3 (
  tenant UUID, occurred_at DateTime64(3, 'UTC'), ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String),
  officer_alias UUID, target_aliases Array(UUID),
  report LowCardinality(String), purpose_code LowCardinality(String), purpose String, officer String, filters String,
  persons UInt64, sequence UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS access_v3_mv TO access_v3 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type,
  subjects.alias[indexOf(subjects.role, 'officer')] AS officer_alias,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  values.value[indexOf(values.attribute, 'access.report')] AS report,
  values.value[indexOf(values.attribute, 'access.purpose-code')] AS purpose_code,
  values.value[indexOf(values.attribute, 'access.purpose')] AS purpose,
  values.value[indexOf(values.attribute, 'access.officer')] AS officer,
  values.value[indexOf(values.attribute, 'access.filters')] AS filters,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'access.persons')]) AS persons,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'access.sequence')]) AS sequence
FROM genuine
WHERE startsWith(type, 'access.');
