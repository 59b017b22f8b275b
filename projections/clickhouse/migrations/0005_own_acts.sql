-- The ledger's own acts. ORDER BY (tenant, occurred_at, ledger_seq), as admin actions: read by period.
CREATE TABLE IF NOT EXISTS refusal_v1 (
  tenant UUID, occurred_at DateTime64(3, 'UTC'), ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String),
  source LowCardinality(String), rule LowCardinality(String), category LowCardinality(String), count UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS refusal_v1_mv TO refusal_v1 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, source,
  arrayFirst((x, a) -> a = 'refusal.rule', values.value, values.attribute) AS rule,
  arrayFirst((x, a) -> a = 'refusal.category', values.value, values.attribute) AS category,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'refusal.count', values.value, values.attribute)) AS count
FROM events WHERE startsWith(type, 'refusal.');

CREATE OR REPLACE VIEW refusal AS SELECT * FROM refusal_v1 FINAL;

CREATE TABLE IF NOT EXISTS access_v1 (
  tenant UUID, occurred_at DateTime64(3, 'UTC'), ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String),
  officer_alias UUID, target_aliases Array(UUID),
  report LowCardinality(String), purpose String, officer String, filters String, persons UInt64, sequence UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS access_v1_mv TO access_v1 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type,
  arrayFirst((x, r) -> r = 'officer', subjects.alias, subjects.role) AS officer_alias,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFirst((x, a) -> a = 'access.report', values.value, values.attribute) AS report,
  arrayFirst((x, a) -> a = 'access.purpose', values.value, values.attribute) AS purpose,
  arrayFirst((x, a) -> a = 'access.officer', values.value, values.attribute) AS officer,
  arrayFirst((x, a) -> a = 'access.filters', values.value, values.attribute) AS filters,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'access.persons', values.value, values.attribute)) AS persons,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'access.sequence', values.value, values.attribute)) AS sequence
FROM events WHERE startsWith(type, 'access.');

CREATE OR REPLACE VIEW access AS SELECT * FROM access_v1 FINAL;

-- Requests and what was done on them, subject.erased included. ORDER BY (tenant, ledger_seq): the register is read whole.
CREATE TABLE IF NOT EXISTS request_v1 (
  tenant UUID, ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String), occurred_at DateTime64(3, 'UTC'),
  requester_alias UUID, officer_alias UUID,
  asked_right LowCardinality(String), subject String, received String, due String, identity_method LowCardinality(String),
  package String, sequence UInt64, files UInt64,
  ground LowCardinality(String), completion String, keys Array(String), erasure_order String, keys_destroyed UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS request_v1_mv TO request_v1 AS
SELECT tenant, ledger_seq, stream, event_id, type, occurred_at,
  arrayFirst((x, r) -> r = 'requester', subjects.alias, subjects.role) AS requester_alias,
  arrayFirst((x, r) -> r = 'officer', subjects.alias, subjects.role) AS officer_alias,
  arrayFirst((x, a) -> a = 'request.right', values.value, values.attribute) AS asked_right,
  arrayFirst((x, a) -> a = 'request.subject', values.value, values.attribute) AS subject,
  arrayFirst((x, a) -> a = 'request.received', values.value, values.attribute) AS received,
  arrayFirst((x, a) -> a = 'request.due', values.value, values.attribute) AS due,
  arrayFirst((x, a) -> a = 'request.identity-method', values.value, values.attribute) AS identity_method,
  arrayFirst((x, a) -> a = 'request.package', values.value, values.attribute) AS package,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'request.sequence', values.value, values.attribute)) AS sequence,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'request.files', values.value, values.attribute)) AS files,
  arrayFirst((x, a) -> a IN ('request.ground', 'subject.ground'), values.value, values.attribute) AS ground,
  arrayFirst((x, a) -> a = 'request.completion', values.value, values.attribute) AS completion,
  arrayFilter((x, a) -> a = 'request.key', values.value, values.attribute) AS keys,
  arrayFirst((x, a) -> a = 'subject.order', values.value, values.attribute) AS erasure_order,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'subject.keys', values.value, values.attribute)) AS keys_destroyed
FROM events WHERE startsWith(type, 'request.') OR startsWith(type, 'subject.');

CREATE OR REPLACE VIEW request AS SELECT * FROM request_v1 FINAL;
