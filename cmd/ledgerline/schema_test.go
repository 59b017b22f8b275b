package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/schemas"
)

// Every type's schema lies under its name; exporting again changes what differs and nothing else.
func TestSchemaExportWritesTheSchemaOfEachType(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "schemas")
	export := func() (doc answer.Schemas) {
		t.Helper()
		var out bytes.Buffer
		root := newRoot(&app{})
		root.SetOut(&out)
		root.SetArgs([]string{"schema", "export", "--dir", dir, "--output", "json"})
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	types := schemas.Default().Types()
	if doc := export(); doc.Changed != len(types) || len(doc.Schemas) != len(types) {
		t.Errorf("%d written, %d new, of %d types", len(doc.Schemas), doc.Changed, len(types))
	}
	mine, damaged := filepath.Join(dir, "mine.json"), filepath.Join(dir, types[3].Name+".json")
	for _, path := range []string{mine, damaged} {
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	doc := export()
	if doc.Changed != 1 {
		t.Errorf("%d changed, want the one that was damaged", doc.Changed)
	}
	for i, s := range doc.Schemas {
		raw, err := os.ReadFile(filepath.Join(dir, s.File))
		if err != nil || !bytes.Equal(raw, schemas.JSONSchema(types[i])) {
			t.Errorf("%s: %v, or not the schema of its type", s.File, err)
		}
		var schema struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(raw, &schema); err != nil || schema.ID != s.ID || s.ID != schemas.SchemaURI(s.Type) {
			t.Errorf("%s has id %q (%v), want %q", s.File, schema.ID, err, s.ID)
		}
	}
	if raw, err := os.ReadFile(mine); err != nil || string(raw) != "{}" {
		t.Errorf("another's file is now %q (%v)", raw, err)
	}
	if code, err := execute(t, "schema", "export"); err == nil || code != cli.Wrong {
		t.Errorf("without a directory: exit %d, %v", code, err)
	}
}
