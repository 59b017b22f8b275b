package front

import (
	"errors"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/guard"
)

// allowedSettings looks up the settings of a request's URL.
func (req *request) allowedSettings() error {
	for _, s := range req.settings {
		switch {
		case s.Name == "log_comment": // the front's own, with the client's in it
			continue
		case s.Name == "additional_table_filters" && !plainFilters.MatchString(s.Value):
			return exception.AccessDenied("The setting additional_table_filters takes comparisons of columns " +
				"with numbers only")
		}
		if err := guard.Setting(s.Name, req.writes()); err != nil {
			return err
		}
	}
	return nil
}

// plainFilters are filters in which nothing can be called, since nothing
// has parentheses or quotes.
var plainFilters = regexp.MustCompile(`^\{('[A-Za-z0-9_.]+' *: *'[A-Za-z0-9_ <>=!]+' *,? *)*\}$`)

// valuesHint says what to do where VALUES had an expression.
func valuesHint(err error) error {
	if e, ok := errors.AsType[*exception.Exception](err); ok && e.Code == exception.CodeSupportIsDisabled {
		e.Text += ": VALUES takes literals here, INSERT … SELECT takes expressions"
	}
	return err
}

// writes says that the request may change something: the account may, and GET may not.
func (req *request) writes() bool { return !req.account.ReadOnly && !req.readonly }

// The reader's bounds. A dashboard's or a person's question ends far below them; what does
// not, ends there, before it takes the machine from the ledger. Results are streamed, so
// they are not bounded in rows.
const (
	readerTime    = 5 * time.Minute
	readerMemory  = 4 << 30 // bytes of one statement, where the machine has them
	readerSpill   = 1 << 30 // bytes in memory from where grouping and sorting go to a file
	readerScratch = 16 << 30
)

// ReaderShare is what one of so many statements of readers may take of the machine's
// memory: all of them, half.
func ReaderShare(machine int64, statements int) int64 {
	if machine <= 0 || statements <= 0 {
		return readerMemory
	}
	return min(readerMemory, machine/2/int64(statements))
}

// profile are settings that no request can change: they are set last.
func (req *request) profile() []engine.Param {
	out := []engine.Param{
		// Expressions in VALUES are SQL that nobody has looked at. Data are literals.
		{Name: "input_format_values_interpret_expressions", Value: "0"},
		{Name: "input_format_values_deduce_templates_of_expressions", Value: "0"},
		// Where the local engine's defaults are laxer than a server's, a server's hold.
		{Name: "implicit_select", Value: "0"},
		{Name: "allow_introspection_functions", Value: "0"},
	}
	if !req.account.ReadOnly {
		return out
	}
	limit := func(name string, most int64) {
		for _, s := range req.settings {
			if asked, err := strconv.ParseInt(s.Value, 10, 64); s.Name == name && err == nil &&
				asked > 0 && asked < most {
				most = asked
			}
		}
		out = append(out, engine.Param{Name: name, Value: strconv.FormatInt(most, 10)})
	}
	limit("max_memory_usage", req.mostMemory)
	limit("max_threads", int64(max(1, runtime.NumCPU()/2)))
	limit("max_bytes_before_external_group_by", min(readerSpill, req.mostMemory/4))
	limit("max_bytes_before_external_sort", min(readerSpill, req.mostMemory/4))
	return append(out, engine.Param{Name: "max_temporary_data_on_disk_size_for_query",
		Value: strconv.FormatInt(readerScratch, 10)})
}
