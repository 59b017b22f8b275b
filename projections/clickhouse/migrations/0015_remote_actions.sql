-- The events of remote actions, one row each: '' where an event does not tell. What a reader makes of an action's rows is the latest of each.
-- ORDER BY (tenant, stream, ledger_seq): an action's own lie together, in ledger order. There are a few an action, and they are narrow:
-- a period, or a request's devices, are found by reading the tenant's.
-- The first version is never filled: it is there for the views to be brought up from.
CREATE TABLE IF NOT EXISTS remote_action_v1 (
  tenant UUID, stream String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)), occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  event_id UUID, type LowCardinality(String), recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), source LowCardinality(String),
  form LowCardinality(String), actor UUID, target UUID,
  action String, state String, requested_at LowCardinality(String), completed_at LowCardinality(String),
  request String, device String, device_name String, user_upn String, failure String, error_code String, withheld UInt64,
  actor_id String, actor_upn String, actor_name String, approver String
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS remote_action_v2 (
  tenant UUID, stream String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)), occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  event_id UUID, type LowCardinality(String), recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), source LowCardinality(String),
  form LowCardinality(String), actor UUID, target UUID,
  action String, state String, requested_at LowCardinality(String), completed_at LowCardinality(String),
  request String, device String, device_name String, user_upn String, failure String, error_code String, withheld UInt64,
  actor_id String, actor_upn String, actor_name String, approver String
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS remote_action_v2_mv TO remote_action_v2 AS
SELECT tenant, stream, ledger_seq, occurred_at, event_id, type, recorded_at, source,
  values.value[indexOf(values.attribute, 'remoteaction.form')] AS form,
  subjects.alias[indexOf(subjects.role, 'actor')] AS actor,
  subjects.alias[indexOf(subjects.role, 'target')] AS target,
  values.value[indexOf(values.attribute, 'remoteaction.action')] AS action,
  values.value[indexOf(values.attribute, 'remoteaction.state')] AS state,
  values.value[indexOf(values.attribute, 'remoteaction.requested-at')] AS requested_at,
  values.value[indexOf(values.attribute, 'remoteaction.completed-at')] AS completed_at,
  values.value[indexOf(values.attribute, 'remoteaction.group')] AS request,
  values.value[indexOf(values.attribute, 'remoteaction.device')] AS device,
  values.value[indexOf(values.attribute, 'remoteaction.device-name')] AS device_name,
  values.value[indexOf(values.attribute, 'remoteaction.user-upn')] AS user_upn,
  values.value[indexOf(values.attribute, 'remoteaction.failure')] AS failure,
  values.value[indexOf(values.attribute, 'remoteaction.error-code')] AS error_code,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'remoteaction.withheld')]) AS withheld,
  values.value[indexOf(values.attribute, 'remoteaction.actor-id')] AS actor_id,
  values.value[indexOf(values.attribute, 'remoteaction.actor-upn')] AS actor_upn,
  values.value[indexOf(values.attribute, 'remoteaction.actor-name')] AS actor_name,
  values.value[indexOf(values.attribute, 'remoteaction.approver')] AS approver
FROM genuine
WHERE startsWith(type, 'remoteaction.');

CREATE OR REPLACE VIEW remote_action AS SELECT * FROM remote_action_v1 FINAL;
