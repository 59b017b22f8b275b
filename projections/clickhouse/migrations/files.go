// Package migrations is what the views are made of: the numbered SQL files of this folder, and the
// definitions that they come to.
//
// It owns the files, which never change once published, and keeps nothing. It trusts them: they
// are part of the program. It asks no database.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed *.sql
var sqlFiles embed.FS

// Migration is one of the files; Sum is the SHA-256 of its bytes in hex.
type Migration struct {
	Number     uint32
	Name, Sum  string
	Statements []string
}

var statementEnd = regexp.MustCompile(`;[ \t]*(\n|$)`)

// Read returns the embedded files in order. Every statement can be
// repeated, for a crash between two.
func Read() ([]Migration, error) {
	entries, err := sqlFiles.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var out []Migration
	for i, e := range entries {
		raw, err := sqlFiles.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		n, _, _ := strings.Cut(e.Name(), "_")
		number, err := strconv.ParseUint(n, 10, 32)
		if err != nil || int(number) != i+1 {
			return nil, fmt.Errorf("migration %s: numbers go up by one from 0001", e.Name())
		}
		m := Migration{Number: uint32(number), Name: e.Name()}
		sum := sha256.Sum256(raw)
		m.Sum = hex.EncodeToString(sum[:])
		for _, s := range statementEnd.Split(string(raw), -1) {
			if strings.TrimSpace(s) != "" {
				m.Statements = append(m.Statements, s)
			}
		}
		out = append(out, m)
	}
	return out, nil
}
