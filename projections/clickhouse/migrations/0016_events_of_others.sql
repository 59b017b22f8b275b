-- Cases at support, billing accounts, licences and ids with other companies are states too. The attribute views take them as they take
-- those before; their tables and rows stay as they are.
ALTER TABLE attribute_current_v3_mv MODIFY QUERY
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, values.value AS value,
  values.removed AS removed, occurred_at, values.observed AS observed_at, ledger_seq
FROM genuine ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant', 'role', 'connector', 'configuration', 'registration',
  'compliance', 'encryption', 'terms', 'counts', 'status', 'support', 'billing', 'licence', 'platformid');

CREATE OR REPLACE VIEW attribute_history AS
SELECT tenant, stream, values.attribute AS attribute, values.element AS element, ledger_seq, occurred_at,
  values.observed AS observed_at, values.value AS value, values.removed AS removed
FROM events FINAL ARRAY JOIN values
WHERE splitByChar('-', stream)[1] IN ('device', 'account', 'app', 'tenant', 'role', 'connector', 'configuration', 'registration',
  'compliance', 'encryption', 'terms', 'counts', 'status', 'support', 'billing', 'licence', 'platformid')
  AND (tenant, event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)
  AND (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned);
