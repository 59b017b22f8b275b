-- One row an account, for dashboards: '' where an attribute is not set; protected ones are tokens. Its history and its
-- lists are in attribute_history and attribute_current, as those of every entity.
CREATE OR REPLACE VIEW account_current AS
SELECT tenant, stream,
  anyIf(value, attribute = 'account.id') AS id,
  anyIf(value, attribute = 'account.display-name') AS display_name,
  anyIf(value, attribute = 'account.given-name') AS given_name,
  anyIf(value, attribute = 'account.family-name') AS family_name,
  anyIf(value, attribute = 'account.upn') AS upn,
  anyIf(value, attribute = 'account.mail') AS mail,
  anyIf(value, attribute = 'account.mobile-phone') AS mobile_phone,
  anyIf(value, attribute = 'account.enabled') AS enabled,
  anyIf(value, attribute = 'account.user-type') AS user_type,
  anyIf(value, attribute = 'account.department') AS department,
  anyIf(value, attribute = 'account.created-at') AS created_at,
  anyIf(value, attribute = 'account.deleted-at') AS deleted_at,
  countIf(attribute = 'account.licence') AS licences,
  max(occurred_at) AS changed_at, max(ledger_seq) AS ledger_seq
FROM attribute_current WHERE startsWith(stream, 'account-') GROUP BY tenant, stream;
