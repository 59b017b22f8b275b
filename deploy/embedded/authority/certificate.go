package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// How long certificates live. Browsers and some TLS libraries refuse servers' of more than 398
// days.
const (
	caYears    = 10
	leafLife   = 397 * 24 * time.Hour
	skew       = time.Hour // a client's clock may be behind by so much
	warnBefore = 365 * 24 * time.Hour
)

// newCA makes an authority that signs servers' certificates and no other authorities.
func newCA(now time.Time) (certPEM, keyPEM []byte, cert *x509.Certificate, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, nil, nil, err
	}
	t := &x509.Certificate{
		// Clients may trust several machines' authorities: each has a name of its own.
		Subject:   subject("embedded servers " + hex.EncodeToString(id[:4])),
		NotBefore: now.Add(-skew), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, MaxPathLenZero: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		SubjectKeyId: id, AuthorityKeyId: id,
	}
	certPEM, cert, err = sign(t, t, key, &key.PublicKey)
	return certPEM, keyPEM, cert, err
}

// newLeaf makes a server's certificate and key, in one PEM text.
func (a *Authority) newLeaf(name string, hosts []string, now time.Time) ([]byte, *x509.Certificate, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	// A certificate outlives its authority neither way.
	from := latest(now.Add(-skew), a.cert.NotBefore)
	until := earliest(from.Add(leafLife-time.Second), a.cert.NotAfter) // the last second counts
	t := &x509.Certificate{
		Subject: subject(name), NotBefore: from, NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: id, AuthorityKeyId: a.cert.SubjectKeyId,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	certPEM, cert, err := sign(t, a.cert, a.key, &key.PublicKey)
	return append(certPEM, keyPEM...), cert, err
}

func subject(name string) pkix.Name {
	return pkix.Name{Organization: []string{"Ledgerline"}, CommonName: name}
}

// sign completes the template and returns the certificate, as PEM too.
func sign(t, parent *x509.Certificate, signer *ecdsa.PrivateKey, public *ecdsa.PublicKey) (
	certPEM []byte, cert *x509.Certificate, err error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	t.SerialNumber = serial.Add(serial, big.NewInt(1)) // zero is not allowed
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err = x509.ParseCertificate(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert, err
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

// keyID names a key as RFC 7093 does: 160 bits of its SHA-256.
func keyID(public *ecdsa.PublicKey) ([]byte, error) {
	point, err := public.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	der, err := findBlock(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := findBlock(text, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the key cannot be read") // the library's error could hold some of it
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not one of an elliptic curve")
	}
	return ec, nil
}

func findBlock(text []byte, kind string) ([]byte, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("it holds no PEM block %s", kind)
		}
		if block.Type == kind {
			return block.Bytes, nil
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
