package node

import (
	"crypto/sha256"
	"errors"
	"io/fs"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	broker "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// Groups of the embedded event store's users, beside its own $admins and $ops.
const (
	WritersGroup = "writers" // what a ledger does: reads everything, appends to the ledger's streams
	ReadersGroup = "readers" // reads everything and writes nothing
)

// eventStoreAccounts are this machine's own accounts, and the users of the file where there is
// one.
func (c Config) eventStoreAccounts(secrets datadir.Secrets) ([]guard.User, error) {
	users, err := ReadUsers(c.UsersPath())
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Settings.Embedded.EventStoreUsers != "":
		return nil, settings.Errorf("embedded.eventstore-users: %w (`ledgerline eventstore user add NAME` makes it)",
			err)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, settings.Invalid(err)
	}
	for account, group := range map[string]string{datadir.Ledger: WritersGroup, datadir.Reader: ReadersGroup} {
		password, err := secrets.Password(datadir.EventStore, account)
		if err != nil {
			return nil, err
		}
		digest, err := guard.DigestSecret(password)
		if err != nil {
			return nil, err
		}
		users = append(users, guard.User{Name: account, SecretSHA256: digest, Groups: []string{group}})
	}
	return users, nil
}

// clickHouseAccounts are the ledger's own, and the one that may only read.
func clickHouseAccounts(secrets datadir.Secrets) ([]clickhouse.Account, error) {
	var accounts []clickhouse.Account
	for _, name := range datadir.Accounts(datadir.ClickHouse) {
		password, err := secrets.Password(datadir.ClickHouse, name)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, clickhouse.Account{Name: name, Password: sha256.Sum256([]byte(password)),
			ReadOnly: name == datadir.Reader})
	}
	return accounts, nil
}

// kafkaAccounts are those of FORMATS §8: what each may is package kafka's, for brokers everywhere.
func kafkaAccounts(secrets datadir.Secrets) ([]broker.Account, error) {
	var accounts []broker.Account
	for _, name := range datadir.Accounts(datadir.Kafka) {
		password, err := secrets.Password(datadir.Kafka, name)
		if err != nil {
			return nil, err
		}
		account := broker.Account{Name: name, Password: password}
		for _, r := range kafka.Rights(kafka.Role(name)) {
			account.Allow = append(account.Allow, broker.Rule(r))
		}
		accounts = append(accounts, account)
	}
	return accounts, nil
}
