// Package param gives values to statements of ClickHouse: as typed parameters, {name:Type} in the
// statement's text, the only way by which values reach one.
//
// It keeps nothing and trusts nobody: whatever a value holds, it stays a value.
package param

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// Set are a statement's parameters by name.
type Set map[string]any

// Texter is a value that writes itself as ClickHouse parses it.
type Texter interface{ ParamText() string }

// With returns the parameters with more, which replace those of the same name.
func (s Set) With(more Set) Set {
	out := maps.Clone(s)
	maps.Copy(out, more)
	return out
}

// In attaches the parameters to what is asked with the context, in the text form that ClickHouse
// parses them from: escaped as in TSV, and inside arrays quoted as in SQL.
func (s Set) In(ctx context.Context, opts ...ch.QueryOption) context.Context {
	m := make(ch.Parameters, len(s))
	for name, v := range s {
		m[name] = Text(v)
	}
	return ch.Context(ctx, append(opts, ch.WithParameters(m))...)
}

var (
	tsvEscape = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\b",
		`\b`, "\f", `\f`)
	quotedEscape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\b",
		`\b`, "\f", `\f`)
)

// Text is a value in the form that ClickHouse parses it from; it panics for a type that has none.
func Text(v any) string {
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
		return List(v, func(s string) string { return "'" + quotedEscape.Replace(s) + "'" })
	case []uint64:
		return List(v, func(n uint64) string { return strconv.FormatUint(n, 10) })
	case Texter:
		return v.ParamText()
	case []uuid.UUID:
		return List(v, func(u uuid.UUID) string { return "'" + u.String() + "'" })
	}
	panic(fmt.Sprintf("clickhouse: no parameter form for %T", v))
}

// List is an array of texts.
func List[T any](items []T, text func(T) string) string {
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
