package intake

// graphUser is a user of Graph.
var graphUser = []Mapping{
	{"id", "account.id", 1},
	{"displayName", "account.display-name", 1},
	{"givenName", "account.given-name", 1},
	{"surname", "account.family-name", 1},
	{"userPrincipalName", "account.upn", 1},
	{"mail", "account.mail", 1},
	{"mobilePhone", "account.mobile-phone", 1},
	{"accountEnabled", "account.enabled", 1},
	{"userType", "account.user-type", 1},
	{"jobTitle", "account.job-title", 1},
	{"department", "account.department", 1},
	{"officeLocation", "account.office", 1},
	{"preferredLanguage", "account.language", 1},
	{"createdDateTime", "account.created-at", 1},
	{"deletedDateTime", "account.deleted-at", 1},
}

var (
	graphUserFields    = FieldNames(graphUser, "businessPhones", "assignedLicenses")
	graphLicenceFields = []string{"skuId", "disabledPlans"}
)
