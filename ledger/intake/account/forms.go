package account

import (
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// sources are how sources write a directory account. Without a name it is known by what Graph
// answers of a user that nobody asked more of.
var sources = []resource.Source{{
	Form: source.Form{
		Name: "users", Origin: source.Graph, ODataTypes: []string{"user"}, Collection: "users",
		Members: [][]string{{"id", "userPrincipalName", "businessPhones"}},
		SDK:     [][]string{{"userPrincipalName", "businessPhones"}},
	},
	Thing: "user", Table: graphUser,
	Lists: []resource.List{
		{Attr: "account.business-phone", Field: "businessPhones"},
		{Attr: "account.licence", Field: "assignedLicenses", Key: []string{"sku"}, Members: []resource.Member{
			{Name: "sku", Field: "skuId", As: resource.GUID},
			{Name: "disabledPlans", Field: "disabledPlans", As: resource.Words},
		}},
	},
}}
