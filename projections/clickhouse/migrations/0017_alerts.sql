-- One row an alert: that a device does not comply and by which setting, or how an enrolment ended.
-- ORDER BY (tenant, occurred_at, ledger_seq): a period of one tenant is one range, pages go on at a key.
-- The first version is never filled: alerts that were there before are taken in when the views are brought up to the second.
CREATE TABLE IF NOT EXISTS alert_v1 (
  tenant UUID, occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  stream String, event_id UUID, type LowCardinality(String), recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String), alerted UUID,
  category String, result String, kind String, policy String, setting String, enrolment_type String, failure_category String,
  device String, failure_reason String, title String, description String, device_name String, operating_system String,
  os_version String, user_id String, user_upn String, user_name String
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS alert_v2 (
  tenant UUID, occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  stream String, event_id UUID, type LowCardinality(String), recorded_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String), alerted UUID,
  category String, result String, kind String, policy String, setting String, enrolment_type String, failure_category String,
  device String, failure_reason String, title String, description String, device_name String, operating_system String,
  os_version String, user_id String, user_upn String, user_name String
) ENGINE = ReplacingMergeTree ORDER BY (tenant, occurred_at, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS alert_v2_mv TO alert_v2 AS
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, recorded_at, source,
  subjects.alias[indexOf(subjects.role, 'user')] AS alerted,
  values.value[indexOf(values.attribute, 'alert.category')] AS category,
  values.value[indexOf(values.attribute, 'alert.result')] AS result,
  values.value[indexOf(values.attribute, 'alert.kind')] AS kind,
  values.value[indexOf(values.attribute, 'alert.policy')] AS policy,
  values.value[indexOf(values.attribute, 'alert.setting')] AS setting,
  values.value[indexOf(values.attribute, 'alert.enrolment-type')] AS enrolment_type,
  values.value[indexOf(values.attribute, 'alert.failure-category')] AS failure_category,
  values.value[indexOf(values.attribute, 'alert.device')] AS device,
  values.value[indexOf(values.attribute, 'alert.failure-reason')] AS failure_reason,
  values.value[indexOf(values.attribute, 'alert.title')] AS title,
  values.value[indexOf(values.attribute, 'alert.description')] AS description,
  values.value[indexOf(values.attribute, 'alert.device-name')] AS device_name,
  values.value[indexOf(values.attribute, 'alert.operating-system')] AS operating_system,
  values.value[indexOf(values.attribute, 'alert.os-version')] AS os_version,
  values.value[indexOf(values.attribute, 'alert.user-id')] AS user_id,
  values.value[indexOf(values.attribute, 'alert.user-upn')] AS user_upn,
  values.value[indexOf(values.attribute, 'alert.user-name')] AS user_name
FROM genuine
WHERE startsWith(type, 'alert.');

CREATE OR REPLACE VIEW alert AS SELECT * FROM alert_v1 FINAL;
