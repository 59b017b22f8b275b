package account

import "github.com/ledgerline/ledgerline/ledger/entity"

// graphUser is a user of Graph.
var graphUser = []entity.Mapping{
	{Field: "id", Attr: "account.id", Unit: 1},
	{Field: "displayName", Attr: "account.display-name", Unit: 1},
	{Field: "givenName", Attr: "account.given-name", Unit: 1},
	{Field: "surname", Attr: "account.family-name", Unit: 1},
	{Field: "userPrincipalName", Attr: "account.upn", Unit: 1},
	{Field: "mail", Attr: "account.mail", Unit: 1},
	{Field: "mobilePhone", Attr: "account.mobile-phone", Unit: 1},
	{Field: "accountEnabled", Attr: "account.enabled", Unit: 1},
	{Field: "userType", Attr: "account.user-type", Unit: 1},
	{Field: "jobTitle", Attr: "account.job-title", Unit: 1},
	{Field: "department", Attr: "account.department", Unit: 1},
	{Field: "officeLocation", Attr: "account.office", Unit: 1},
	{Field: "preferredLanguage", Attr: "account.language", Unit: 1},
	{Field: "createdDateTime", Attr: "account.created-at", Unit: 1},
	{Field: "deletedDateTime", Attr: "account.deleted-at", Unit: 1},
}
