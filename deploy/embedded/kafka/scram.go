package kafka

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), the only mechanism. Neither side sends
// the password, and what is kept here of an account cannot log in as it.
//
// It is our own because xdg-go/scram, which kafka-go uses, panics on a proof that is longer than a
// hash (v1.1.2, xorBytes): a stranger could end the process.

const mechanism = "SCRAM-SHA-256"

// scramIterations is Kafka's least. The passwords are generated, so that guessing is hopeless at
// any number.
const scramIterations = 4096

// errLogin says what a stranger is told, whatever was wrong.
var errLogin = errors.New("the name or the password is not right")

// verifier is what the server keeps of a password.
type verifier struct {
	salt, storedKey, serverKey []byte
}

func newVerifier(password string) (verifier, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return verifier{}, err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return verifier{}, err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return verifier{salt: salt, storedKey: stored[:], serverKey: mac(salted, "Server Key")}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// logins holds the accounts' verifiers. It does not change after newLogins.
type logins struct {
	accounts map[string]verifier
	// decoy makes a salt for names that are no account, the same each time, so that an answer does
	// not tell who is one.
	decoy []byte
}

func newLogins(accounts []Account) (*logins, error) {
	l := &logins{accounts: make(map[string]verifier, len(accounts)), decoy: make([]byte, sha256.Size)}
	if _, err := rand.Read(l.decoy); err != nil {
		return nil, fmt.Errorf("kafka: accounts: %w", err)
	}
	for _, a := range accounts {
		v, err := newVerifier(a.Password)
		if err != nil {
			return nil, fmt.Errorf("kafka: accounts: %w", err)
		}
		l.accounts[a.Name] = v
	}
	return l, nil
}

// exchange is one login: first answers the client's first message, final its second.
type exchange struct {
	account  string
	known    bool
	v        verifier
	client   string // the client's nonce
	nonce    string // with ours after it
	messages string // the client's first without its header, and the server's
}

func (l *logins) first(message []byte) (*exchange, []byte, error) {
	// No channel binding ("n"), and nobody logs in on another's behalf.
	bare, ok := strings.CutPrefix(string(message), "n,,")
	if !ok {
		return nil, nil, errLogin
	}
	fields := strings.Split(bare, ",")
	if len(fields) != 2 {
		return nil, nil, errLogin // extensions, none of which is known here
	}
	name, ok := strings.CutPrefix(fields[0], "n=")
	nonce, ok2 := strings.CutPrefix(fields[1], "r=")
	if !ok || !ok2 || nonce == "" || !secretForm.MatchString(nonce) {
		return nil, nil, errLogin
	}
	ours := make([]byte, 24)
	if _, err := rand.Read(ours); err != nil {
		return nil, nil, err
	}
	e := &exchange{account: name, client: nonce, nonce: nonce + base64.RawStdEncoding.EncodeToString(ours)}
	if e.v, e.known = l.accounts[name]; !e.known {
		e.v = verifier{salt: mac(l.decoy, name)[:16], storedKey: l.decoy, serverKey: l.decoy}
	}
	answer := fmt.Sprintf("r=%s,s=%s,i=%d", e.nonce, base64.StdEncoding.EncodeToString(e.v.salt), scramIterations)
	e.messages = bare + "," + answer
	return e, []byte(answer), nil
}

func (e *exchange) final(message []byte) ([]byte, error) {
	at := bytes.LastIndex(message, []byte(",p="))
	if at < 0 {
		return nil, errLogin
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(string(message[at+3:]))
	// "biws" is "n,,", the header of the first message. librdkafka before 2.6.1, and so Debian's
	// kcat, repeats the client's nonce before ours; the proof is over both sides' messages and
	// holds either way.
	nonce, ok := strings.CutPrefix(string(message[:at]), "c=biws,r=")
	if err != nil || len(proof) != sha256.Size || !ok || nonce != e.nonce && nonce != e.client+e.nonce {
		return nil, errLogin
	}
	signed := e.messages + "," + string(message[:at])
	key := make([]byte, sha256.Size)
	subtle.XORBytes(key, proof, mac(e.v.storedKey, signed))
	stored := sha256.Sum256(key)
	if subtle.ConstantTimeCompare(stored[:], e.v.storedKey) != 1 || !e.known {
		return nil, errLogin
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(e.v.serverKey, signed))), nil
}
