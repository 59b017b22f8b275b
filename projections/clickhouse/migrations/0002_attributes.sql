-- ORDER BY (tenant, stream, attribute, element, ledger_seq): one attribute's history lies together, in ledger order.
CREATE TABLE IF NOT EXISTS attribute_history_v1 (
  tenant UUID, stream String, attribute LowCardinality(String), element String, ledger_seq UInt64 CODEC(Delta, ZSTD(1)),
  occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), observed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  value String CODEC(ZSTD(1)), removed UInt8
) ENGINE = ReplacingMergeTree ORDER BY (tenant, stream, attribute, element, ledger_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS attribute_history_v1_mv TO attribute_history_v1 AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, ledger_seq, occurred_at,
  values.observed AS observed_at, values.value AS value, values.removed AS removed
FROM events ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant');

CREATE OR REPLACE VIEW attribute_history AS SELECT * FROM attribute_history_v1 FINAL;

-- ORDER BY (tenant, stream, attribute, element): one row each, the one with the highest ledger_seq; a removed value
-- stays as a tombstone, or an older value inserted later would come back.
CREATE TABLE IF NOT EXISTS attribute_current_v1 (
  tenant UUID, stream String, attribute LowCardinality(String), element String,
  value String CODEC(ZSTD(1)), removed UInt8, occurred_at DateTime64(3, 'UTC'), observed_at DateTime64(3, 'UTC'), ledger_seq UInt64
) ENGINE = ReplacingMergeTree(ledger_seq) ORDER BY (tenant, stream, attribute, element)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS attribute_current_v1_mv TO attribute_current_v1 AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, values.value AS value,
  values.removed AS removed, occurred_at, values.observed AS observed_at, ledger_seq
FROM events ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant');

-- With its tombstones, for readers that must know what came after a sequence.
CREATE OR REPLACE VIEW attribute_latest AS SELECT * FROM attribute_current_v1 FINAL;

CREATE OR REPLACE VIEW attribute_current AS SELECT * FROM attribute_latest WHERE NOT removed;

CREATE OR REPLACE VIEW app_current AS
SELECT tenant, stream, element, value, occurred_at, observed_at, ledger_seq FROM attribute_current WHERE attribute = 'device.app';

CREATE OR REPLACE VIEW tenant_current AS
SELECT tenant, attribute, value, occurred_at, ledger_seq FROM attribute_current WHERE startsWith(stream, 'tenant-');

-- One row a device, for dashboards: '' where an attribute is not set; protected ones are tokens.
CREATE OR REPLACE VIEW device_current AS
SELECT tenant, stream,
  anyIf(value, attribute = 'device.name') AS name,
  anyIf(value, attribute = 'device.serial-number') AS serial_number,
  anyIf(value, attribute = 'device.manufacturer') AS manufacturer,
  anyIf(value, attribute = 'device.model') AS model,
  anyIf(value, attribute = 'device.operating-system') AS operating_system,
  anyIf(value, attribute = 'device.os-version') AS os_version,
  anyIf(value, attribute = 'device.ownership') AS ownership,
  anyIf(value, attribute = 'device.user-id') AS user_id,
  anyIf(value, attribute = 'device.user-name') AS user_name,
  anyIf(value, attribute = 'device.user-upn') AS user_upn,
  anyIf(value, attribute = 'device.compliance-state') AS compliance_state,
  anyIf(value, attribute = 'device.encrypted') AS encrypted,
  anyIf(value, attribute = 'device.management-state') AS management_state,
  anyIf(value, attribute = 'device.enrolled-at') AS enrolled_at,
  anyIf(value, attribute = 'device.last-contact') AS last_contact,
  max(occurred_at) AS changed_at, max(ledger_seq) AS ledger_seq
FROM attribute_current WHERE startsWith(stream, 'device-') AND attribute != 'device.app' GROUP BY tenant, stream;
