package datadir

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Server names what asks for an account.
type Server string

// What asks: the three embedded servers, and the status port of `up`.
const (
	EventStore Server = "eventstore"
	Kafka      Server = "kafka"
	ClickHouse Server = "clickhouse"
	Status     Server = "status"
)

// The accounts. Reader may only read, wherever it is.
const (
	Reader   = "reader"
	Ledger   = "ledger"   // of event store and ClickHouse: what the ledger itself does there
	Relay    = "relay"    // of Kafka: alone writes the ledger's topics
	Consumer = "consumer" // of Kafka: reads in groups, and parks what it cannot handle
	Operator = "operator" // of the status port
)

// Accounts are who may log in where; the one that programs of others are given comes first.
func Accounts(s Server) []string {
	switch s {
	case EventStore, ClickHouse:
		return []string{Reader, Ledger}
	case Kafka:
		return []string{Reader, Consumer, Relay}
	case Status:
		return []string{Operator}
	}
	return nil
}

// secretsFile holds the accounts' passwords.
const secretsFile = "accounts.json"

// Secrets are the passwords of a directory's accounts. Printing them shows none.
type Secrets struct{ passwords map[Server]map[string]string }

// String names no password.
func (Secrets) String() string { return "passwords" }

// GoString names no password.
func (Secrets) GoString() string { return "passwords" }

// SecretsFile is the file of the directory's passwords; it is made by MakeSecrets.
func (d Dir) SecretsFile() string { return d.Path("keys", secretsFile) }

// Secrets reads the passwords.
func (d Dir) Secrets() (Secrets, error) {
	if err := d.Private(); err != nil {
		return Secrets{}, err
	}
	var s Secrets
	raw, err := ReadPrivate(d.SecretsFile())
	if err == nil && json.Unmarshal(raw, &s.passwords) != nil { // its error could quote a password
		err = fmt.Errorf("%s is no JSON object of servers, each an object of accounts: remove it, and the next "+
			"`ledgerline up` makes new passwords", d.SecretsFile())
	}
	if err != nil {
		return Secrets{}, fmt.Errorf("passwords of the embedded servers: %w", err)
	}
	return s, nil
}

// MakeSecrets reads the passwords and makes those that are missing, each 32 random bytes. Only
// the holder of the directory's lock may call it.
func (d Dir) MakeSecrets() (Secrets, error) {
	s, err := d.Secrets()
	if errors.Is(err, fs.ErrNotExist) {
		s, err = Secrets{}, nil
	}
	if err != nil {
		return Secrets{}, err
	}
	if s.passwords == nil {
		s.passwords = map[Server]map[string]string{}
	}
	made := false
	for _, server := range []Server{EventStore, Kafka, ClickHouse, Status} {
		if s.passwords[server] == nil {
			s.passwords[server] = map[string]string{}
		}
		for _, account := range Accounts(server) {
			if s.passwords[server][account] != "" {
				continue
			}
			var random [32]byte
			if _, err := rand.Read(random[:]); err != nil {
				return Secrets{}, err
			}
			s.passwords[server][account] = base64.RawURLEncoding.EncodeToString(random[:])
			made = true
		}
	}
	if !made {
		return s, nil
	}
	raw, err := json.MarshalIndent(s.passwords, "", " ")
	if err != nil {
		return Secrets{}, err
	}
	if err := os.MkdirAll(filepath.Dir(d.SecretsFile()), 0o700); err != nil {
		return Secrets{}, err
	}
	return s, WritePrivate(d.SecretsFile(), append(raw, '\n'))
}

// Password returns the password of one account.
func (s Secrets) Password(server Server, account string) (string, error) {
	if !slices.Contains(Accounts(server), account) {
		return "", fmt.Errorf("%s has no account %q; it has %v", server, account, Accounts(server))
	}
	p := s.passwords[server][account]
	if p == "" {
		return "", fmt.Errorf("there is no password of %s at %s: start `ledgerline up` again, it makes one",
			account, server)
	}
	return p, nil
}
