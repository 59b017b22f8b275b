package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// An Account may connect, and may do what its rules allow and nothing else. There is no superuser.
type Account struct {
	// Name is lower-case letters, digits and dashes.
	Name string
	// Password is 16 to 128 printable ASCII characters without spaces: a generated secret.
	Password string
	Allow    []Rule
}

// A Rule allows operations on one resource, or on all whose names begin with Name. As in Kafka,
// Read, Write, Delete and Alter of a topic or group include Describe.
type Rule struct {
	Resource string // "topic", "group" or "cluster"
	// Name of the topic or group; "*" with Prefix unset is every one. The cluster's is
	// "kafka-cluster".
	Name   string
	Prefix bool
	// Operations as kafka-acls.sh names them: "Read", "Write", "Create", "Delete", "Describe",
	// "DescribeConfigs", ….
	Operations []string
}

const (
	minPassword = 16
	maxPassword = 128
	maxAccounts = 64
)

var (
	accountName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	secretForm  = regexp.MustCompile(`^[!-~]+$`)
	// nameForm is what Kafka allows in a topic's name, and "*".
	nameForm = regexp.MustCompile(`^([A-Za-z0-9._-]{1,249}|\*)$`)
)

// checkAccounts returns every fault of the accounts. No message holds a password.
func checkAccounts(accounts []Account) []error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kafka: "+format, args...)) }
	if len(accounts) > maxAccounts {
		fault("Accounts: %d of them, at most %d", len(accounts), maxAccounts)
	}
	seen := map[string]bool{}
	for _, a := range accounts {
		switch {
		case !accountName.MatchString(a.Name):
			fault("Accounts: name %q: use lower-case letters, digits and dashes, at most 32, the first a letter",
				a.Name)
		case seen[a.Name]:
			fault("Accounts: %q is there twice", a.Name)
		}
		seen[a.Name] = true
		if n := len(a.Password); n < minPassword || n > maxPassword || !secretForm.MatchString(a.Password) {
			fault("Accounts: %q: the password must have %d to %d printable ASCII characters without spaces; "+
				"generate one", a.Name, minPassword, maxPassword)
		}
		for _, r := range a.Allow {
			if _, err := r.entries(a.Name); err != nil {
				fault("Accounts: %q: %w", a.Name, err)
			}
		}
	}
	return errs
}

// entries is the rule as kfake keeps it, one entry an operation.
//
// kfake asks a connection's user and its host. Its own SASL is off (see DESIGN.md), so each user
// is the same to it, and the guard names the account as the host.
func (r Rule) entries(account string) ([]aclEntry, error) {
	var resource kmsg.ACLResourceType
	switch r.Resource {
	case "topic":
		resource = kmsg.ACLResourceTypeTopic
	case "group":
		resource = kmsg.ACLResourceTypeGroup
	case "cluster":
		resource = kmsg.ACLResourceTypeCluster
		if r.Name != "kafka-cluster" || r.Prefix {
			return nil, errors.New(`a rule for the cluster has the name "kafka-cluster" and no prefix`)
		}
	default:
		return nil, fmt.Errorf(`a rule for a %q: the resource must be "topic", "group" or "cluster"`, r.Resource)
	}
	if !nameForm.MatchString(r.Name) || r.Prefix && r.Name == "*" {
		return nil, fmt.Errorf(`a rule for %s %q: name one, or a prefix of names, or "*" without prefix`,
			r.Resource, r.Name)
	}
	pattern := kmsg.ACLResourcePatternTypeLiteral
	if r.Prefix {
		pattern = kmsg.ACLResourcePatternTypePrefixed
	}
	if len(r.Operations) == 0 {
		return nil, fmt.Errorf("the rule for %s %q allows nothing: name its operations", r.Resource, r.Name)
	}
	out := make([]aclEntry, 0, len(r.Operations))
	for _, name := range r.Operations {
		op, err := kmsg.ParseACLOperation(name)
		switch {
		case err != nil || strings.ContainsAny(name, " ._-"),
			op == kmsg.ACLOperationUnknown, op == kmsg.ACLOperationAny, op == kmsg.ACLOperationAll:
			return nil, fmt.Errorf("the rule for %s %q: %q is no operation; name each, as kafka-acls.sh does",
				r.Resource, r.Name, name)
		}
		out = append(out, aclEntry{Principal: "User:*", Host: account,
			ResourceType: int8(resource), ResourceName: r.Name, Pattern: int8(pattern), Operation: int8(op),
			Permission: int8(kmsg.ACLPermissionTypeAllow)})
	}
	return out, nil
}

// writes reports whether the account may produce anything, and so needs to send large requests.
func (a Account) writes() bool {
	for _, r := range a.Allow {
		for _, op := range r.Operations {
			if r.Resource == "topic" && strings.EqualFold(op, "Write") {
				return true
			}
		}
	}
	return false
}
