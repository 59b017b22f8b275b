package block

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// A block has the bytes that the client's own batch writes for the same rows: with no values and
// with many, with few words and with more than a byte, or two, can number.
func TestABlockHasTheBytesOfTheClients(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, n := range []struct{ rows, words int }{{1, 1}, {3, 2}, {40, 10}, {254, 1}, {600, 253}, {600, 254},
		{600, 255}, {600, 256}, {600, 300}, {66_000, 66_000}} {
		rows := make([]projections.Row, n.rows)
		for i := range rows {
			rows[i] = anyRow(r, i, n.words)
		}
		got, err := io.ReadAll(Reader(rows))
		slices.SortStableFunc(rows, func(a, b projections.Row) int { return byKey(&a, &b) })
		want := clientsBlock(t, rows)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d rows of %d words: %d bytes, %v; the client writes %d", n.rows, n.words, len(got), err,
				len(want))
		}
	}
}

func anyRow(r *rand.Rand, i, words int) projections.Row {
	id := func() (u uuid.UUID) {
		for i := range u {
			u[i] = byte(r.Uint32())
		}
		return u
	}
	at := func() time.Time { return time.UnixMilli(r.Int64N(1 << 42)) }
	text := func() string { return string(make([]byte, r.IntN(3))) + fmt.Sprint(r.Uint64N(1000)) }
	row := projections.Row{Seq: r.Uint64(), Tenant: id(), Stream: schemas.Stream(text()), Revision: r.Uint64(),
		EventID: id(), Type: fmt.Sprint(i % words), Occurred: at(), Timed: i%2 == 0, Recorded: at(), Source: text(),
		Correlation: id(), Causation: id(), Data: []byte(text()), Metadata: []byte(text()), Partition: ""}
	copy(row.Leaf[:], text())
	copy(row.Catalogue[:], text())
	for range r.IntN(3) * (i % 3) {
		row.Subjects = append(row.Subjects, projections.Subject{Alias: id(), Role: text()})
	}
	for range r.IntN(4) * (i % 3) {
		row.Values = append(row.Values, projections.Value{Attribute: fmt.Sprint(r.IntN(words)), Element: text(),
			Text: text(), Removed: r.IntN(2) == 0, Observed: at()})
	}
	return row
}

// clientsBlock is what the client makes of the rows.
func clientsBlock(t *testing.T, rows []projections.Row) []byte {
	t.Helper()
	block := proto.Block{ServerContext: &chcolumn.ServerContext{Timezone: time.UTC}}
	for _, c := range Columns {
		if err := block.AddColumn(c.Name, chcolumn.Type(c.Type)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rows {
		var aliases []uuid.UUID
		var roles, attributes, elements, texts []string
		var removed []uint8
		var observed []time.Time
		for _, s := range r.Subjects {
			aliases, roles = append(aliases, s.Alias), append(roles, s.Role)
		}
		for _, v := range r.Values {
			attributes, elements = append(attributes, v.Attribute), append(elements, v.Element)
			texts = append(texts, v.Text)
			removed, observed = append(removed, flag(v.Removed)), append(observed, v.Observed)
		}
		if err := block.Append(r.Seq, r.Tenant, string(r.Stream), r.Revision, r.EventID, r.Type, r.Occurred,
			flag(r.Timed), r.Recorded, r.Source, r.Correlation, r.Causation, r.Data, r.Metadata, r.Leaf[:],
			aliases, roles, attributes, elements, texts, removed, observed, r.Catalogue[:], r.Partition); err != nil {
			t.Fatal(err)
		}
	}
	var out chproto.Buffer
	if err := block.Encode(&out, 0); err != nil {
		t.Fatal(err)
	}
	return out.Buf
}
