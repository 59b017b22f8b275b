-- What ledger.disowned events name. A ledger's own (zero tenant) names any event, a tenant's only that tenant's.
-- An event is named by id and sequence: whoever repeats a true event elsewhere repeats its id.
-- ORDER BY (tenant, event, at_seq, ledger_seq): asked by (tenant, event, at_seq); two events may name the same one.
CREATE TABLE IF NOT EXISTS disowned_event_v1 (
  tenant UUID, event UUID, at_seq UInt64, ledger_seq UInt64, stream String, disowner UUID, ground String
) ENGINE = ReplacingMergeTree ORDER BY (tenant, event, at_seq, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE OR REPLACE VIEW disowned_named AS SELECT * FROM disowned_event_v1 FINAL;

-- An event that is disowned disowns nothing, whatever disowned it: a forged one is undone by naming it.
CREATE OR REPLACE VIEW disowned_event AS SELECT * FROM disowned_named
WHERE (tenant, disowner, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned_named)
  AND (disowner, ledger_seq) NOT IN (SELECT event, at_seq FROM disowned_named WHERE tenant = toUUID('00000000-0000-0000-0000-000000000000'));

CREATE MATERIALIZED VIEW IF NOT EXISTS disowned_event_v1_mv TO disowned_event_v1 AS
SELECT tenant,
  toUUIDOrZero(tupleElement(arrayJoin(arrayFilter(x -> x.1 = 'disowned.event', arrayZip(values.attribute, values.element, values.value))) AS entry, 3)) AS event,
  toUInt64OrZero(arrayFirst((x, a, e) -> a = 'disowned.sequence' AND e = entry.2, values.value, values.attribute, values.element)) AS at_seq,
  ledger_seq, stream, event_id AS disowner,
  arrayFirst((x, a) -> a = 'disowned.ground', values.value, values.attribute) AS ground
FROM events WHERE type = 'ledger.disowned.v1' AND stream = concat('ledger-', toString(tenant));

-- What disowned_event says, as a table, since every insert asks it once for each view: 2 ms where the view took 20.
-- DB.Disown keeps it so. ORDER BY (tenant, event, at_seq): the whole row.
CREATE TABLE IF NOT EXISTS disowned (tenant UUID, event UUID, at_seq UInt64) ENGINE = ReplacingMergeTree ORDER BY (tenant, event, at_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The views that leave disowned events out. event_seq keeps them: it is the way to exact bytes, for proofs. What was
-- inserted before it was disowned is put right by DB.Disown.

CREATE TABLE IF NOT EXISTS attribute_history_v2 (
  tenant UUID, stream String, attribute LowCardinality(String), element String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), observed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  value String CODEC(ZSTD(1)), removed UInt8
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, attribute, element, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS attribute_history_v2_mv TO attribute_history_v2 AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, ledger_seq, occurred_at,
  values.observed AS observed_at, values.value AS value, values.removed AS removed
FROM events ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS attribute_current_v2 (
  tenant UUID, stream String, attribute LowCardinality(String), element String,
  value String CODEC(ZSTD(1)), removed UInt8, occurred_at DateTime64(3, 'UTC'), observed_at DateTime64(3, 'UTC'), ledger_seq UInt64
) ENGINE = ReplacingMergeTree(ledger_seq) ORDER BY (tenant, stream, attribute, element)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS attribute_current_v2_mv TO attribute_current_v2 AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, values.value AS value,
  values.removed AS removed, occurred_at, values.observed AS observed_at, ledger_seq
FROM events ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS event_subject_v2 (
  tenant UUID, alias UUID, ledger_seq UInt64, role LowCardinality(String), stream String, type LowCardinality(String),
  occurred_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (tenant, alias, ledger_seq, role)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS event_subject_v2_mv TO event_subject_v2 AS
SELECT tenant, subjects.alias AS alias, ledger_seq, subjects.role AS role, stream, type, occurred_at
FROM events ARRAY JOIN subjects
WHERE (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS admin_action_v2 (
  tenant UUID, occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  stream String, event_id UUID, type LowCardinality(String), timed UInt8, recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String), correlation UUID,
  actor UUID,
  verb LowCardinality(String), operation LowCardinality(String), activity_type LowCardinality(String),
  component LowCardinality(String), category LowCardinality(String), result LowCardinality(String),
  actor_type LowCardinality(String), delegated LowCardinality(String), application_id String, withheld UInt64,
  actor_id String, actor_upn String, actor_name String, actor_ip String, actor_permissions String, partner_tenant String,
  application_name String, details String, reason String,
  target_aliases Array(UUID), target_devices Array(String),
  targets Nested(element String, attribute LowCardinality(String), value String)
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS admin_action_v2_mv TO admin_action_v2 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, timed, recorded_at, source, correlation,
  arrayFirst((x, r) -> r = 'actor', subjects.alias, subjects.role) AS actor,
  arrayFirst((x, a) -> a = 'action.verb', values.value, values.attribute) AS verb,
  arrayFirst((x, a) -> a = 'action.operation', values.value, values.attribute) AS operation,
  arrayFirst((x, a) -> a = 'action.activity-type', values.value, values.attribute) AS activity_type,
  arrayFirst((x, a) -> a = 'action.component', values.value, values.attribute) AS component,
  arrayFirst((x, a) -> a = 'action.category', values.value, values.attribute) AS category,
  arrayFirst((x, a) -> a = 'action.result', values.value, values.attribute) AS result,
  arrayFirst((x, a) -> a = 'action.actor-type', values.value, values.attribute) AS actor_type,
  arrayFirst((x, a) -> a = 'action.delegated', values.value, values.attribute) AS delegated,
  arrayFirst((x, a) -> a = 'action.application-id', values.value, values.attribute) AS application_id,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'action.withheld', values.value, values.attribute)) AS withheld,
  arrayFirst((x, a) -> a = 'action.actor-id', values.value, values.attribute) AS actor_id,
  arrayFirst((x, a) -> a = 'action.actor-upn', values.value, values.attribute) AS actor_upn,
  arrayFirst((x, a) -> a = 'action.actor-name', values.value, values.attribute) AS actor_name,
  arrayFirst((x, a) -> a = 'action.actor-ip', values.value, values.attribute) AS actor_ip,
  arrayFirst((x, a) -> a = 'action.actor-permissions', values.value, values.attribute) AS actor_permissions,
  arrayFirst((x, a) -> a = 'action.partner-tenant', values.value, values.attribute) AS partner_tenant,
  arrayFirst((x, a) -> a = 'action.application-name', values.value, values.attribute) AS application_name,
  arrayFirst((x, a) -> a = 'action.details', values.value, values.attribute) AS details,
  arrayFirst((x, a) -> a = 'action.reason', values.value, values.attribute) AS reason,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFilter((x, a) -> a = 'action.target-device', values.value, values.attribute) AS target_devices,
  arrayFilter((x, a) -> startsWith(a, 'action.target-') OR a = 'action.changes', values.element, values.attribute) AS `targets.element`,
  arrayFilter(a -> startsWith(a, 'action.target-') OR a = 'action.changes', values.attribute) AS `targets.attribute`,
  arrayFilter((x, a) -> startsWith(a, 'action.target-') OR a = 'action.changes', values.value, values.attribute) AS `targets.value`
FROM events
WHERE startsWith(type, 'adminaction.recorded.')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS refusal_v2 (
  tenant UUID, occurred_at DateTime64(3, 'UTC'), ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String),
  source LowCardinality(String), rule LowCardinality(String), category LowCardinality(String), count UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS refusal_v2_mv TO refusal_v2 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, source,
  arrayFirst((x, a) -> a = 'refusal.rule', values.value, values.attribute) AS rule,
  arrayFirst((x, a) -> a = 'refusal.category', values.value, values.attribute) AS category,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'refusal.count', values.value, values.attribute)) AS count
FROM events
WHERE startsWith(type, 'refusal.')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS access_v2 (
  tenant UUID, occurred_at DateTime64(3, 'UTC'), ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String),
  officer_alias UUID, target_aliases Array(UUID),
  report LowCardinality(String), purpose String, officer String, filters String, persons UInt64, sequence UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS access_v2_mv TO access_v2 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type,
  arrayFirst((x, r) -> r = 'officer', subjects.alias, subjects.role) AS officer_alias,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFirst((x, a) -> a = 'access.report', values.value, values.attribute) AS report,
  arrayFirst((x, a) -> a = 'access.purpose', values.value, values.attribute) AS purpose,
  arrayFirst((x, a) -> a = 'access.officer', values.value, values.attribute) AS officer,
  arrayFirst((x, a) -> a = 'access.filters', values.value, values.attribute) AS filters,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'access.persons', values.value, values.attribute)) AS persons,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'access.sequence', values.value, values.attribute)) AS sequence
FROM events
WHERE startsWith(type, 'access.')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE TABLE IF NOT EXISTS request_v2 (
  tenant UUID, ledger_seq UInt64, stream String, event_id UUID, type LowCardinality(String), occurred_at DateTime64(3, 'UTC'),
  requester_alias UUID, officer_alias UUID,
  asked_right LowCardinality(String), subject String, received String, due String, identity_method LowCardinality(String),
  package String, sequence UInt64, files UInt64,
  ground LowCardinality(String), completion String, keys Array(String), erasure_order String, keys_destroyed UInt64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS request_v2_mv TO request_v2 AS
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
FROM events
WHERE (startsWith(type, 'request.') OR startsWith(type, 'subject.'))
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

-- Which ledger the views are of: one row, written when the database is first used. ORDER BY id: another would stand beside it.
CREATE TABLE IF NOT EXISTS ledger (id UUID, bound_at DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- How far a comparison has come and what the last one found, as JSON. ORDER BY name: the row with the highest saved.
CREATE TABLE IF NOT EXISTS reconcile_state (name String, saved UInt64, state String) ENGINE = ReplacingMergeTree(saved) ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
