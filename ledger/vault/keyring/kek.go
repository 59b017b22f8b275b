package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// KEK is the key-encryption key under which owners' keys, and what is the vault's or a tenant's
// own, are wrapped. It lives outside the store and outside its backups. Each epoch is another key;
// destroying one ends what it wrapped.
type KEK interface {
	// Epoch returns the epoch under which new values are wrapped, from 1.
	Epoch() uint32
	// Wrap returns nonce[12] ‖ ciphertext ‖ tag[16] (AES-256-GCM) of plain
	// under the given epoch's key.
	Wrap(ctx context.Context, epoch uint32, plain, additional []byte) ([]byte, error)
	// Unwrap is the inverse. It errs with ErrKEK when the epoch is not held or
	// the bytes are not of that key.
	Unwrap(ctx context.Context, epoch uint32, wrapped, additional []byte) ([]byte, error)
}

// ErrKEK is returned where the key-encryption key is missing, unsafe, or not
// the one that wrapped a value.
var ErrKEK = errors.New("key-encryption key")

const kekFileHead = "ledgerline key-encryption key v1"

// FileKEK is a KEK in a file of mode 0600.
type FileKEK struct {
	epoch uint32
	aeads map[uint32]cipher.AEAD
}

// CreateFileKEK writes a new key of epoch 1 to path and returns it. It refuses when the file
// exists, and when the vault at vaultPath exists: a new key could open nothing in it, and its
// old one must be found instead.
func CreateFileKEK(path, vaultPath string) (*FileKEK, error) {
	if _, err := os.Lstat(vaultPath); err == nil {
		return nil, fmt.Errorf("create %w: a vault exists already and was wrapped by another key; restore "+
			"that key's file", ErrKEK)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create %w: %w", ErrKEK, err)
	}
	var k Key
	if _, err := rand.Read(k[:]); err != nil {
		return nil, fmt.Errorf("create %w: %w", ErrKEK, err)
	}
	text := fmt.Sprintf("%s\n1 %s\n", kekFileHead, schemas.Base64.EncodeToString(k[:]))
	if err := writeOnce(path, []byte(text)); err != nil {
		return nil, fmt.Errorf("create %w: %w", ErrKEK, err)
	}
	return OpenFileKEK(path)
}

// writeOnce makes the file whole and durable under its final name, or not at
// all; it never replaces one.
func writeOnce(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".kek-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, refuses an existing name
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// OpenFileKEK reads the key from path. It refuses a file that its group or others can access, and
// anything that is not exactly the form it writes: a line of heading, then a line "<epoch>
// <base64url key>" per epoch held.
func OpenFileKEK(path string) (*FileKEK, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open %w: %w", ErrKEK, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open %w: its file has mode %v; it must be a regular file only its owner can "+
			"access (0600)", ErrKEK, info.Mode())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open %w: %w", ErrKEK, err)
	}
	defer clear(raw)
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	k := &FileKEK{aeads: map[uint32]cipher.AEAD{}}
	for i, line := range lines {
		if i == 0 {
			if line != kekFileHead {
				return nil, fmt.Errorf("open %w: line 1 is not %q", ErrKEK, kekFileHead)
			}
			continue
		}
		var epoch uint32
		var text string
		if _, err := fmt.Sscanf(line, "%d %s", &epoch, &text); err != nil || epoch == 0 ||
			line != fmt.Sprintf("%d %s", epoch, text) {
			return nil, fmt.Errorf("open %w: line %d is not an epoch and a key", ErrKEK, i+1)
		}
		secret, err := schemas.Base64.DecodeString(text)
		if err != nil || len(secret) != keySize {
			return nil, fmt.Errorf("open %w: line %d holds no key of %d bytes", ErrKEK, i+1, keySize)
		}
		if k.aeads[epoch] != nil {
			return nil, fmt.Errorf("open %w: line %d repeats epoch %d", ErrKEK, i+1, epoch)
		}
		block, err := aes.NewCipher(secret)
		clear(secret)
		if err != nil {
			return nil, fmt.Errorf("open %w: %w", ErrKEK, err)
		}
		if k.aeads[epoch], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("open %w: %w", ErrKEK, err)
		}
		k.epoch = max(k.epoch, epoch)
	}
	if k.epoch == 0 {
		return nil, fmt.Errorf("open %w: the file holds no key", ErrKEK)
	}
	return k, nil
}

// Epoch returns the highest epoch in the file.
func (k *FileKEK) Epoch() uint32 { return k.epoch }

// Wrap implements KEK.
func (k *FileKEK) Wrap(_ context.Context, epoch uint32, plain, additional []byte) ([]byte, error) {
	a := k.aeads[epoch]
	if a == nil {
		return nil, fmt.Errorf("wrap: %w: epoch %d is not held", ErrKEK, epoch)
	}
	return a.Seal(nil, nil, plain, additional), nil
}

// Unwrap implements KEK.
func (k *FileKEK) Unwrap(_ context.Context, epoch uint32, wrapped, additional []byte) ([]byte, error) {
	a := k.aeads[epoch]
	if a == nil {
		return nil, fmt.Errorf("unwrap: %w: epoch %d is not held", ErrKEK, epoch)
	}
	plain, err := a.Open(nil, nil, wrapped, additional)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w: the value was wrapped by another key or altered", ErrKEK)
	}
	return plain, nil
}

// wrapAD is the additional data of a wrapped value: it binds the value to
// its tenant, row, kind and epoch.
func wrapAD(tenant, row uuid.UUID, kind string, epoch uint32) []byte {
	b := append([]byte("ledgerline/v1/wrap"), tenant[:]...)
	b = append(b, row[:]...)
	b = schemas.LP(b, kind)
	return binary.BigEndian.AppendUint32(b, epoch)
}

// Wrap returns plain wrapped under the current epoch for a row of that kind or class.
func Wrap(ctx context.Context, k KEK, tenant, row uuid.UUID, kind string, plain []byte) (store.Wrapped, error) {
	epoch := k.Epoch()
	b, err := k.Wrap(ctx, epoch, plain, wrapAD(tenant, row, kind, epoch))
	return store.Wrapped{Epoch: epoch, Bytes: b}, err
}

// Unwrap is the inverse of Wrap.
func Unwrap(ctx context.Context, k KEK, tenant, row uuid.UUID, kind string, w store.Wrapped) ([]byte, error) {
	return k.Unwrap(ctx, w.Epoch, w.Bytes, wrapAD(tenant, row, kind, w.Epoch))
}

// UnwrapKey is Unwrap of a key.
func UnwrapKey(ctx context.Context, k KEK, tenant, row uuid.UUID, kind string, w store.Wrapped) (Key, error) {
	b, err := Unwrap(ctx, k, tenant, row, kind, w)
	if err != nil {
		return Key{}, err
	}
	if len(b) != keySize {
		return Key{}, fmt.Errorf("unwrap %s: %d bytes, a key has %d", kind, len(b), keySize)
	}
	defer clear(b)
	return Key(b), nil
}

// Mint returns a fresh random key and its wrapped form.
func Mint(ctx context.Context, k KEK, tenant, row uuid.UUID, kind string) (Key, store.Wrapped, error) {
	var s Key
	if _, err := rand.Read(s[:]); err != nil {
		return Key{}, store.Wrapped{}, err
	}
	w, err := Wrap(ctx, k, tenant, row, kind, s[:])
	return s, w, err
}
