// Package packedtest packs texts for tests as others do, by libraries that share nothing with what
// unpacks them but Deflate.
package packedtest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"time"

	"github.com/hamba/avro/v2/ocf"
)

// TB is what a test or a property reports to.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// Gzip returns the texts as members of gzip, one behind the other.
func Gzip(t TB, texts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Entry is a file of an archive.
type Entry struct {
	Name, Text string
	Modified   time.Time // none where zero
	Stored     bool      // and not packed
}

// Zip returns an archive of the entries.
func Zip(t TB, entries ...Entry) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.Name, Modified: e.Modified, Method: zip.Deflate}
		if e.Stored {
			h.Method = zip.Store
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.Text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// CaptureSchema is what Event Hubs Capture writes; TextSchema has the body as a text.
const (
	CaptureSchema = `{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[` +
		`{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},` +
		`{"name":"EnqueuedTimeUtc","type":"string"},` +
		`{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
		`{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null"]}},` +
		`{"name":"Body","type":["null","bytes"]}]}`
	TextSchema = `{"type":"record","name":"Message","fields":[{"name":"Body","type":"string"},` +
		`{"name":"Partition","type":"int"}]}`
)

// Capture returns messages as Event Hubs Capture writes them, so many in a block. Of an empty body
// there is none.
func Capture(t TB, codec string, perBlock int, bodies ...string) string {
	t.Helper()
	events := make([]any, len(bodies))
	for i, body := range bodies {
		event := map[string]any{"SequenceNumber": int64(i), "Offset": "0", "EnqueuedTimeUtc": "9/2/2026 10:14:00 AM",
			"SystemProperties": map[string]any{"x-opt-enqueued-time": int64(1)}, "Body": []byte(body),
			"Properties": map[string]any{"a": "text", "b": []byte("bytes"), "c": 1.5}}
		if body == "" {
			event["Body"] = nil
		}
		events[i] = event
	}
	return Avro(t, CaptureSchema, codec, perBlock, events...)
}

// Avro returns a file of Avro, of so many values in a block.
func Avro(t TB, schema, codec string, perBlock int, values ...any) string {
	t.Helper()
	var b bytes.Buffer
	w, err := ocf.NewEncoder(schema, &b, ocf.WithCodec(ocf.CodecName(codec)), ocf.WithBlockLength(perBlock))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := w.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
