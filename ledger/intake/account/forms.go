package account

import "github.com/ledgerline/ledgerline/ledger/intake/source"

// forms are how sources write a directory account. Without a name it is known by what Graph
// answers of a user that nobody asked more of.
var forms = []source.Form{
	{
		Name: "users", Origin: source.Graph, ODataTypes: []string{"user"}, Collection: "users",
		Members: [][]string{{"id", "userPrincipalName", "businessPhones"}},
		SDK:     [][]string{{"userPrincipalName", "businessPhones"}},
		Fields:  graphUserFields,
	},
}
