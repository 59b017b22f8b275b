package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one look at a password takes (RFC 9106).
type Cost struct {
	Passes   uint32
	MemoryKB uint32
	Lanes    uint8
}

// DefaultCost is the second choice that RFC 9106 §4 recommends: for machines with little memory to
// spare.
var DefaultCost = Cost{Passes: 3, MemoryKB: 64 << 10, Lanes: 4}

// What a stored digest may ask for at most: more would be a way to exhaust the machine.
var most = Cost{Passes: 16, MemoryKB: 1 << 20, Lanes: 16}

const (
	saltSize = 16
	hashSize = 32
)

var errDigest = errors.New("a password's digest is damaged")

// digest returns an argon2id digest in PHC's form, which carries its parameters and salt.
func digest(password string, c Cost) (string, error) {
	var salt [saltSize]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return "", err
	}
	text := base64.RawStdEncoding.EncodeToString
	hash := argon2.IDKey([]byte(password), salt[:], c.Passes, c.MemoryKB, c.Lanes, hashSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKB, c.Passes, c.Lanes,
		text(salt[:]), text(hash)), nil
}

// matches reports whether the digest is of that password; the time it takes does not tell how near
// it was.
func matches(digest, password string) (bool, error) {
	parts := strings.Split(digest, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return false, errDigest
	}
	var version int
	var c Cost
	if n, err := fmt.Sscanf(parts[2], "v=%d", &version); n != 1 || err != nil || version != argon2.Version {
		return false, errDigest
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.MemoryKB, &c.Passes, &c.Lanes); n != 3 || err != nil {
		return false, errDigest
	}
	if c.Passes < 1 || c.Passes > most.Passes || c.Lanes < 1 || c.Lanes > most.Lanes || c.MemoryKB > most.MemoryKB {
		return false, errDigest
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(salt) < saltSize {
		return false, errDigest
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < hashSize || len(want) > math.MaxUint8 {
		return false, errDigest
	}
	got := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKB, c.Lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
