-- Events that nothing disowns, on their way into the views: an insert asks once what is disowned, where each view did. It keeps nothing,
-- and has what a view may be made of. Each view reads from it instead of events; its table and its rows stay as they are.
-- A value is found by indexOf, which costs less than a function of its own for each; what is not there is at 0, and there is nothing.
CREATE TABLE IF NOT EXISTS genuine (
  ledger_seq UInt64, tenant UUID, stream String, event_id UUID, type LowCardinality(String), occurred_at DateTime64(3, 'UTC'), timed UInt8,
  recorded_at DateTime64(3, 'UTC'), source LowCardinality(String), correlation UUID,
  subjects Nested(alias UUID, role LowCardinality(String)),
  values Nested(attribute LowCardinality(String), element String, value String, removed UInt8, observed DateTime64(3, 'UTC'))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS genuine_mv TO genuine AS
SELECT ledger_seq, tenant, stream, event_id, type, occurred_at, timed, recorded_at, source, correlation, subjects.alias, subjects.role,
  values.attribute, values.element, values.value, values.removed, values.observed
FROM events
WHERE (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);

ALTER TABLE attribute_current_v3_mv MODIFY QUERY
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, values.value AS value,
  values.removed AS removed, occurred_at, values.observed AS observed_at, ledger_seq
FROM genuine ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant');

ALTER TABLE event_subject_v2_mv MODIFY QUERY
SELECT tenant, subjects.alias AS alias, ledger_seq, subjects.role AS role, stream, type, occurred_at
FROM genuine ARRAY JOIN subjects;

ALTER TABLE admin_action_v3_mv MODIFY QUERY
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, timed, recorded_at, source, correlation,
  subjects.alias[indexOf(subjects.role, 'actor')] AS actor,
  values.value[indexOf(values.attribute, 'action.verb')] AS verb,
  values.value[indexOf(values.attribute, 'action.operation')] AS operation,
  values.value[indexOf(values.attribute, 'action.activity-type')] AS activity_type,
  values.value[indexOf(values.attribute, 'action.component')] AS component,
  values.value[indexOf(values.attribute, 'action.category')] AS category,
  values.value[indexOf(values.attribute, 'action.result')] AS result,
  values.value[indexOf(values.attribute, 'action.actor-type')] AS actor_type,
  values.value[indexOf(values.attribute, 'action.delegated')] AS delegated,
  values.value[indexOf(values.attribute, 'action.application-id')] AS application_id,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'action.withheld')]) AS withheld,
  values.value[indexOf(values.attribute, 'action.display-name')] AS display_name,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'action.cut')]) AS cut,
  values.value[indexOf(values.attribute, 'action.actor-id')] AS actor_id,
  values.value[indexOf(values.attribute, 'action.actor-upn')] AS actor_upn,
  values.value[indexOf(values.attribute, 'action.actor-name')] AS actor_name,
  values.value[indexOf(values.attribute, 'action.actor-ip')] AS actor_ip,
  values.value[indexOf(values.attribute, 'action.actor-permissions')] AS actor_permissions,
  values.value[indexOf(values.attribute, 'action.partner-tenant')] AS partner_tenant,
  values.value[indexOf(values.attribute, 'action.application-name')] AS application_name,
  values.value[indexOf(values.attribute, 'action.details')] AS details,
  values.value[indexOf(values.attribute, 'action.reason')] AS reason,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFilter((x, a) -> a = 'action.target-device', values.value, values.attribute) AS target_devices,
  arrayFilter((x, a) -> startsWith(a, 'action.target-') OR a = 'action.changes', values.element, values.attribute) AS `targets.element`,
  arrayFilter(a -> startsWith(a, 'action.target-') OR a = 'action.changes', values.attribute) AS `targets.attribute`,
  arrayFilter((x, a) -> startsWith(a, 'action.target-') OR a = 'action.changes', values.value, values.attribute) AS `targets.value`
FROM genuine
WHERE startsWith(type, 'adminaction.recorded.');

ALTER TABLE admin_action_more_v2_mv MODIFY QUERY
SELECT tenant, stream, ledger_seq, occurred_at, event_id, type, source,
  values.value[indexOf(values.attribute, 'action.form')] AS form,
  subjects.alias[indexOf(subjects.role, 'actor')] AS actor,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  arrayFilter((x, a) -> a = 'action.target-device', values.value, values.attribute) AS target_devices,
  arrayFilter((x, a) -> a = 'action.disputed-attribute', values.value, values.attribute) AS disputes,
  arrayFilter((x, e) -> e = '', values.attribute, values.element) AS `attributes.attribute`,
  arrayFilter((x, e) -> e = '', values.value, values.element) AS `attributes.value`,
  arrayFilter((x, e) -> e != '', values.element, values.element) AS `targets.element`,
  arrayFilter((x, e) -> e != '', values.attribute, values.element) AS `targets.attribute`,
  arrayFilter((x, e) -> e != '', values.value, values.element) AS `targets.value`
FROM genuine
WHERE startsWith(type, 'adminaction.') AND NOT startsWith(type, 'adminaction.recorded.');

ALTER TABLE refusal_v2_mv MODIFY QUERY
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type, source,
  values.value[indexOf(values.attribute, 'refusal.rule')] AS rule,
  values.value[indexOf(values.attribute, 'refusal.category')] AS category,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'refusal.count')]) AS count
FROM genuine
WHERE startsWith(type, 'refusal.');

ALTER TABLE access_v2_mv MODIFY QUERY
SELECT tenant, occurred_at, ledger_seq, stream, event_id, type,
  subjects.alias[indexOf(subjects.role, 'officer')] AS officer_alias,
  arrayFilter((x, r) -> r = 'target', subjects.alias, subjects.role) AS target_aliases,
  values.value[indexOf(values.attribute, 'access.report')] AS report,
  values.value[indexOf(values.attribute, 'access.purpose')] AS purpose,
  values.value[indexOf(values.attribute, 'access.officer')] AS officer,
  values.value[indexOf(values.attribute, 'access.filters')] AS filters,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'access.persons')]) AS persons,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'access.sequence')]) AS sequence
FROM genuine
WHERE startsWith(type, 'access.');

ALTER TABLE request_v2_mv MODIFY QUERY
SELECT tenant, ledger_seq, stream, event_id, type, occurred_at,
  subjects.alias[indexOf(subjects.role, 'requester')] AS requester_alias,
  subjects.alias[indexOf(subjects.role, 'officer')] AS officer_alias,
  values.value[indexOf(values.attribute, 'request.right')] AS asked_right,
  values.value[indexOf(values.attribute, 'request.subject')] AS subject,
  values.value[indexOf(values.attribute, 'request.received')] AS received,
  values.value[indexOf(values.attribute, 'request.due')] AS due,
  values.value[indexOf(values.attribute, 'request.identity-method')] AS identity_method,
  values.value[indexOf(values.attribute, 'request.package')] AS package,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'request.sequence')]) AS sequence,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'request.files')]) AS files,
  arrayFirst((x, a) -> a IN ('request.ground', 'subject.ground'), values.value, values.attribute) AS ground,
  values.value[indexOf(values.attribute, 'request.completion')] AS completion,
  arrayFilter((x, a) -> a = 'request.key', values.value, values.attribute) AS keys,
  values.value[indexOf(values.attribute, 'subject.order')] AS erasure_order,
  toUInt64OrZero(values.value[indexOf(values.attribute, 'subject.keys')]) AS keys_destroyed
FROM genuine
WHERE startsWith(type, 'request.') OR startsWith(type, 'subject.');
