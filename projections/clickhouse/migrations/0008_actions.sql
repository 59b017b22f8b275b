-- One row an action, whatever else its stream holds. As version 2, with what a Graph record calls the action and how many values were cut.
-- ORDER BY (tenant, occurred_at, ledger_seq): a period of one tenant is one range, pages go on at a key.
CREATE TABLE IF NOT EXISTS admin_action_v3 (
  tenant UUID, occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  stream String, event_id UUID, type LowCardinality(String), timed UInt8, recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String), correlation UUID,
  actor UUID,
  verb LowCardinality(String), operation LowCardinality(String), activity_type LowCardinality(String),
  component LowCardinality(String), category LowCardinality(String), result LowCardinality(String),
  actor_type LowCardinality(String), delegated LowCardinality(String), application_id String, withheld UInt64,
  display_name LowCardinality(String), cut UInt64,
  actor_id String, actor_upn String, actor_name String, actor_ip String, actor_permissions String, partner_tenant String,
  application_name String, details String, reason String,
  target_aliases Array(UUID), target_devices Array(String),
  targets Nested(element String, attribute LowCardinality(String), value String)
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS admin_action_v3_mv TO admin_action_v3 AS
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
  arrayFirst((x, a) -> a = 'action.display-name', values.value, values.attribute) AS display_name,
  toUInt64OrZero(arrayFirst((x, a) -> a = 'action.cut', values.value, values.attribute)) AS cut,
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

-- What other events say of an action: further targets, what the first telling lacked, what another says otherwise. A reader of actions takes
-- what belongs to its page. ORDER BY (tenant, stream, ledger_seq): an action's own lie together, in ledger order.
-- values are those of the action as a whole, targets those of a target or dispute (element = its index in this event).
-- The first version is never filled: events that were there before are taken in when the views are brought up to the second.
CREATE TABLE IF NOT EXISTS admin_action_more_v1 (
  tenant UUID, stream String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)), occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  event_id UUID, type LowCardinality(String), source LowCardinality(String), form LowCardinality(String),
  actor UUID, target_aliases Array(UUID), target_devices Array(String), disputes Array(String),
  attributes Nested(attribute LowCardinality(String), value String),
  targets Nested(element String, attribute LowCardinality(String), value String)
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS admin_action_more_v2 (
  tenant UUID, stream String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)), occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  event_id UUID, type LowCardinality(String), source LowCardinality(String), form LowCardinality(String),
  actor UUID, target_aliases Array(UUID), target_devices Array(String), disputes Array(String),
  attributes Nested(attribute LowCardinality(String), value String),
  targets Nested(element String, attribute LowCardinality(String), value String)
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS admin_action_more_v2_mv TO admin_action_more_v2 AS
SELECT tenant, stream, ledger_seq, occurred_at, event_id, type, source,
  arrayFirst((x, a) -> a = 'action.form', values.value, values.attribute) AS form,
  arrayFirst((x, r) -> r = 'actor', subjects.alias, subjects.role) AS actor,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFilter((x, a) -> a = 'action.target-device', values.value, values.attribute) AS target_devices,
  arrayFilter((x, a) -> a = 'action.disputed-attribute', values.value, values.attribute) AS disputes,
  arrayFilter((x, e) -> e = '', values.attribute, values.element) AS `attributes.attribute`,
  arrayFilter((x, e) -> e = '', values.value, values.element) AS `attributes.value`,
  arrayFilter((x, e) -> e != '', values.element, values.element) AS `targets.element`,
  arrayFilter((x, e) -> e != '', values.attribute, values.element) AS `targets.attribute`,
  arrayFilter((x, e) -> e != '', values.value, values.element) AS `targets.value`
FROM events
WHERE startsWith(type, 'adminaction.') AND NOT startsWith(type, 'adminaction.recorded.')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

CREATE OR REPLACE VIEW admin_action_more AS SELECT * FROM admin_action_more_v1 FINAL;
