package connector

import (
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// sources are how Graph writes connectors: each kind of one has a type of its own.
var sources = []resource.Source{
	connector(source.Form{
		Name: "applePushNotificationCertificate", Collection: "deviceManagement/applePushNotificationCertificate",
		Members: [][]string{{"id", "appleIdentifier", "topicIdentifier"}}, SDK: [][]string{{"topicIdentifier"}},
	}, pushCertificate, nil, "certificate"),
	connector(source.Form{
		Name: "vppToken", Collection: "vppTokens",
		Members: [][]string{{"id", "appleId", "vppTokenAccountType"}}, SDK: [][]string{{"vppTokenAccountType"}},
	}, vppToken, []resource.List{scopeTags, tokenActions}, "token"),
	connector(source.Form{
		Name: "depOnboardingSetting", Collection: "depOnboardingSettings",
		Members: [][]string{{"id", "appleIdentifier", "tokenExpirationDateTime"}},
		SDK:     [][]string{{"tokenExpirationDateTime"}},
	}, depSetting, []resource.List{scopeTags}, "token"),
	connector(source.Form{
		Name:       "androidManagedStoreAccountEnterpriseSettings",
		Collection: "androidManagedStoreAccountEnterpriseSettings",
		Members:    [][]string{{"id", "bindStatus", "ownerUserPrincipalName"}}, SDK: [][]string{{"bindStatus"}},
	}, googlePlay, []resource.List{targetGroups}, "companyCodes"),
}

// connector is a source whose form is named as its type, which says what it is. secret is what
// opens it.
func connector(form source.Form, table []entity.Mapping, lists []resource.List, secret string) resource.Source {
	form.Origin, form.ODataTypes = source.Graph, []string{form.Name}
	return resource.Source{Form: form, Thing: form.Name, Table: append(table, identity...), Lists: lists,
		Says:     []resource.Constant{{Attr: "connector.kind", Value: form.Name}},
		Withheld: []resource.Secret{{Field: secret, Attr: "connector.secret-withheld"}}}
}
