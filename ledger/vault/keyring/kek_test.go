package keyring

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestFileKEK(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path, vaultPath := filepath.Join(dir, "kek"), filepath.Join(dir, "vault")
	k, err := CreateFileKEK(path, vaultPath)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || k.Epoch() != 1 {
		t.Errorf("mode %v, epoch %d, %v", info.Mode(), k.Epoch(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("creating left %v, %v", entries, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFileKEK(path, vaultPath); !errors.Is(err, ErrKEK) {
		t.Errorf("created twice: %v", err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, text) {
		t.Errorf("creating twice changed the key: %v", err)
	}
	if err := os.WriteFile(vaultPath, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFileKEK(filepath.Join(dir, "new"), vaultPath); !errors.Is(err, ErrKEK) {
		t.Errorf("created beside a vault: %v", err)
	}

	// What it wraps is nonce ‖ ciphertext ‖ tag under the additional data of FORMATS §5.
	tenant, row := uuid.New(), uuid.New()
	w, err := Wrap(ctx, k, tenant, row, "inventory", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := schemas.Base64.DecodeString(strings.TrimPrefix(strings.Split(string(text), "\n")[1], "1 "))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	ad := append([]byte("ledgerline/v1/wrap"), tenant[:]...)
	ad = append(ad, row[:]...)
	ad = append(ad, "\x00\x00\x00\x09inventory\x00\x00\x00\x01"...)
	if plain, err := gcm.Open(nil, w.Bytes[:12], w.Bytes[12:], ad); err != nil || string(plain) != "secret" {
		t.Errorf("by hand it unwraps to %q, %v", plain, err)
	}
	reopened, err := OpenFileKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := Unwrap(ctx, reopened, tenant, row, "inventory", w); err != nil || string(plain) != "secret" {
		t.Errorf("unwraps to %q, %v", plain, err)
	}
	for what, f := range map[string]func() ([]byte, error){
		"another tenant": func() ([]byte, error) { return Unwrap(ctx, k, uuid.New(), row, "inventory", w) },
		"another row":    func() ([]byte, error) { return Unwrap(ctx, k, tenant, uuid.New(), "inventory", w) },
		"another class":  func() ([]byte, error) { return Unwrap(ctx, k, tenant, row, "apps", w) },
		"another epoch": func() ([]byte, error) {
			return Unwrap(ctx, k, tenant, row, "inventory", store.Wrapped{Epoch: 2, Bytes: w.Bytes})
		},
		"a changed byte": func() ([]byte, error) {
			b := bytes.Clone(w.Bytes)
			b[len(b)-1] ^= 1
			return Unwrap(ctx, k, tenant, row, "inventory", store.Wrapped{Epoch: 1, Bytes: b})
		},
		"no bytes": func() ([]byte, error) {
			return Unwrap(ctx, k, tenant, row, "inventory", store.Wrapped{Epoch: 1})
		},
	} {
		if plain, err := f(); !errors.Is(err, ErrKEK) || plain != nil {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
	}

	second := schemas.Base64.EncodeToString(bytes.Repeat([]byte{7}, keySize))
	for what, c := range map[string]struct {
		text  string
		epoch uint32
	}{
		"two epochs":   {string(text) + "2 " + second + "\n", 2},
		"no end":       {strings.TrimSuffix(string(text), "\n"), 1},
		"empty":        {"", 0},
		"no heading":   {"1 " + second + "\n", 0},
		"no key":       {kekFileHead + "\n", 0},
		"epoch 0":      {kekFileHead + "\n0 " + second + "\n", 0},
		"twice":        {string(text) + "1 " + second + "\n", 0},
		"a short key":  {kekFileHead + "\n1 " + second[:20] + "\n", 0},
		"trailing":     {string(text) + "x\n", 0},
		"spare blanks": {kekFileHead + "\n1  " + second + "\n", 0},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := OpenFileKEK(path)
		if c.epoch == 0 {
			if !errors.Is(err, ErrKEK) {
				t.Errorf("%s: %v", what, err)
			} else if strings.Contains(err.Error(), second[:20]) {
				t.Errorf("%s: the error shows the key", what)
			}
		} else if err != nil || k.Epoch() != c.epoch {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFileKEK(path); !errors.Is(err, ErrKEK) {
			t.Errorf("opened with mode %v: %v", mode, err)
		}
	}
	if _, err := OpenFileKEK(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opened a missing file: %v", err)
	}
	if _, err := OpenFileKEK(dir); !errors.Is(err, ErrKEK) {
		t.Errorf("opened a folder: %v", err)
	}
}
