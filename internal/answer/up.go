package answer

import (
	"fmt"
	"io"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
)

// WriteUp says where everything of a node that runs is. attach is the command that says how other
// programs attach.
func WriteUp(w io.Writer, n *node.Node, s settings.Settings, attach string) {
	fmt.Fprintf(w, `
Ledgerline is up.
  ledger        %s
  data          %s
  event store   %s
  Kafka         %s
  ClickHouse    %s
  attach        %s     accounts and lines for kcat, curl, Python, …
  key file      %s     keep a copy apart from the data: without it nothing sealed can be read
`, n.Ledger.ID(), s.Data, n.Shown()["eventstore"], n.Shown()["kafka"], n.Shown()["clickhouse"], attach, s.KeyPath())
	if how := n.Confinement(); how != "" {
		fmt.Fprintf(w, "  engine        %s\n", how)
	}
	fmt.Fprintln(w)
}
