package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/ledger/vault/store"

	"github.com/google/uuid"
)

// Backup copies the vault file and its slots, of one moment, to a path where neither stands yet,
// while processes use them. Writers wait until it is done. What it returns nil for is whole and
// durable; after an error nothing is left.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up vault file: %w", err)
		}
	}()
	made := []string{}
	defer func() {
		if err != nil {
			for _, name := range made {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}()
	create := func(name string) (*os.File, error) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err == nil {
			made = append(made, name)
		}
		return f, err
	}
	copied, err := create(SlotsPath(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	file, err := create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// A write transaction that writes nothing keeps every other from changing either file.
	err = s.Update(ctx, uuid.Nil, func(store.Rows) error {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return translate(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
			return translate(err)
		}
		_, err = io.Copy(copied, io.NewSectionReader(s.slots.f, 0, 1<<62))
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(copied.Sync(), file.Sync(), syncDir(filepath.Dir(path)))
}
