package clickhouse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// params are a statement's typed parameters, {name:Type} in its text: the only way by which
// values reach a statement.
type params map[string]any

// withParams attaches p in the text form that ClickHouse parses parameters from: escaped as in
// TSV, and inside arrays quoted as in SQL.
func withParams(ctx context.Context, p params, opts ...ch.QueryOption) context.Context {
	m := make(ch.Parameters, len(p))
	for name, v := range p {
		m[name] = paramText(v)
	}
	return ch.Context(ctx, append(opts, ch.WithParameters(m))...)
}

var (
	tsvEscape = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\b",
		`\b`, "\f", `\f`)
	quotedEscape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\b",
		`\b`, "\f", `\f`)
)

func paramText(v any) string {
	switch v := v.(type) {
	case string:
		return tsvEscape.Replace(v)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case uuid.UUID:
		return v.String()
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.000")
	case []string:
		return list(v, func(s string) string { return "'" + quotedEscape.Replace(s) + "'" })
	case []uint64:
		return list(v, func(n uint64) string { return strconv.FormatUint(n, 10) })
	case places:
		return list(v, func(p place) string {
			return "('" + p.tenant.String() + "','" + p.event.String() + "'," + strconv.FormatUint(p.seq, 10) + ")"
		})
	case []uuid.UUID:
		return list(v, func(u uuid.UUID) string { return "'" + u.String() + "'" })
	}
	panic(fmt.Sprintf("clickhouse: no parameter form for %T", v))
}

func list[T any](items []T, text func(T) string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, it := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(text(it))
	}
	b.WriteByte(']')
	return b.String()
}
