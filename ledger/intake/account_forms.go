package intake

// accountForms are how sources write a directory account. Without a name it is known by what Graph
// answers of a user that nobody asked more of.
var accountForms = []Form{
	{
		Name: "users", Origin: sourceGraph, ODataTypes: []string{"user"}, Collection: "users",
		Members: [][]string{{"id", "userPrincipalName", "businessPhones"}},
		SDK:     [][]string{{"userPrincipalName", "businessPhones"}},
		Fields:  graphUserFields,
	},
}
