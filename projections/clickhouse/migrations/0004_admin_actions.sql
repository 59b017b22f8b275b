-- ORDER BY (tenant, occurred_at, ledger_seq): a period of one tenant is one range, pages go on at a key.
-- Open attributes are text; protected ones are tokens; '' where the event has none. What a target is made of stays
-- one list (element = the target's index): no number of targets makes it more than linear.
CREATE TABLE IF NOT EXISTS admin_action_v1 (
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

CREATE MATERIALIZED VIEW IF NOT EXISTS admin_action_v1_mv TO admin_action_v1 AS
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
FROM events WHERE startsWith(type, 'adminaction.recorded.');

CREATE OR REPLACE VIEW admin_action AS SELECT * FROM admin_action_v1 FINAL;
