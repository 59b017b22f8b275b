package front

import (
	"fmt"
	"strings"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// clickhouse-go opens every connection with this query, asks for revision 54460 in the
// URL and decodes this one answer so. Results and inserts after it are encoded at the
// revision that the answer names.
const (
	helloQuery    = "SELECT displayName(), version(), revision(), timezone()"
	helloRevision = 54460
)

// engineInfo is what the engine says of itself, asked once.
type engineInfo struct{ version, timezone string }

const displayName = "ClickHouse (embedded)"

func isHello(query string, protocolVersion string) bool {
	return protocolVersion != "" && strings.TrimSpace(query) == helloQuery
}

// hello encodes the answer. It names revision 0: the engine writes Native without block info, so
// naming 0 is what lets every other result pass through untouched.
func (e engineInfo) hello() ([]byte, error) {
	block := proto.NewBlock()
	for _, c := range []struct {
		name string
		typ  column.Type
	}{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(c.name, c.typ); err != nil {
			return nil, fmt.Errorf("encode hello: %w", err)
		}
	}
	if err := block.Append(displayName, e.version, uint32(0), e.timezone); err != nil {
		return nil, fmt.Errorf("encode hello: %w", err)
	}
	buf := new(chproto.Buffer)
	if err := block.Encode(buf, helloRevision); err != nil {
		return nil, fmt.Errorf("encode hello: %w", err)
	}
	return buf.Buf, nil
}
