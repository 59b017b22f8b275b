package front

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// external is a table that a client sends along with a query (multipart/form-data). It lives as a
// temporary table in the request's own session.
type external struct {
	name, format, structure string
	data                    []byte
}

// The tables are held in memory before the query runs.
const externalLimit = 256 << 20

// What a form may hold beside its tables.
const (
	formFields     = 1000
	FormFieldLimit = 1 << 20 // bytes of one that is not the query
)

// notInForms are parameters that a server reads before it reads the body.
var notInForms = map[string]bool{
	"user": true, "password": true, "quota_key": true, "query_id": true, "compress": true, "decompress": true,
	"role": true, "session_id": true, "session_timeout": true, "session_check": true, "close_session": true,
	"wait_end_of_query": true, "enable_http_compression": true, "client_protocol_version": true, "buffer_size": true,
	"stacktrace": true,
}

// readForm reads the parts of a form. Files are tables; fields are what they would be in the URL,
// which wins where both name one. The field `query` is the statement's text, which is returned as
// the body that a plain request would have.
func (req *request) readForm(body io.Reader, boundary string, q url.Values) (io.Reader, error) {
	form := multipart.NewReader(body, boundary)
	inURL := maps.Clone(q)
	var query []byte
	var files []*external
	left, fields := int64(externalLimit), 0
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bodyError(err)
		}
		name, file := part.FormName(), isFile(part)
		limit := left
		if !file && name != "query" {
			limit = min(left, FormFieldLimit)
		}
		b, err := io.ReadAll(io.LimitReader(part, limit+1))
		if err != nil {
			return nil, bodyError(err)
		}
		if int64(len(b)) > limit {
			return nil, exception.BadArguments("the form's field %q is too large: all of a form may have %d bytes, a "+
				"field beside query and files %d",
				name, externalLimit, FormFieldLimit)
		}
		left -= int64(len(b))
		switch {
		case file:
			if req.readonly || flag(q, "readonly") {
				return nil, exception.New(exception.CodeReadonly, "READONLY",
					"External tables are not supported in readonly mode")
			}
			files = append(files, &external{name: name, data: b})
		case name == "query":
			query = append(query, b...)
		case notInForms[name]:
			return nil, exception.BadArguments("%s belongs in the URL or in a header, not in a form", name)
		case !inURL.Has(name):
			q.Set(name, string(b))
		}
		if fields++; fields > formFields {
			return nil, exception.BadArguments("a form may have %d fields", formFields)
		}
	}
	for _, t := range files { // whose descriptions may have stood behind them
		if err := t.describe(q); err != nil {
			return nil, err
		}
		req.external = append(req.external, *t)
	}
	return bytes.NewReader(query), nil
}

// isFile says that a part names a file, be it with an empty name, as clickhouse-go does.
func isFile(part *multipart.Part) bool {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	_, named := params["filename"]
	return err == nil && named
}

func (t *external) describe(q url.Values) error {
	t.format, t.structure = first(q.Get(t.name+"_format"), "TabSeparated"), q.Get(t.name+"_structure")
	if t.structure == "" {
		t.structure = numbered(q.Get(t.name + "_types"))
	}
	if t.structure == "" {
		return exception.BadArguments("neither %s_structure nor %s_types describes the external table %s",
			t.name, t.name, t.name)
	}
	return nil
}

// numbered gives the columns of a list of types the names _1, _2, … that the server gives them.
func numbered(types string) string {
	var out []string
	depth, from := 0, 0
	for i, c := range types + "," {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			if t := strings.TrimSpace(types[from:i]); t != "" {
				out = append(out, "_"+strconv.Itoa(len(out)+1)+" "+t)
			}
			from = i + 1
		}
	}
	return strings.Join(out, ", ")
}

// describesExternal says that a URL parameter belongs to an external table and is no setting.
func (req *request) describesExternal(param string) bool {
	for _, t := range req.external {
		switch param {
		case t.name + "_format", t.name + "_structure", t.name + "_types":
			return true
		}
	}
	return false
}

func (t external) create() string {
	return "CREATE TEMPORARY TABLE " + statement.Identifier(t.name) + " (" + t.structure + ") ENGINE = Memory"
}

func (t external) load(c *engine.Conn) error {
	if _, _, err := c.Exec(t.create(), "Null", nil); err != nil {
		return err
	}
	if len(t.data) == 0 {
		return nil
	}
	ins, err := c.Insert("INSERT INTO "+statement.Identifier(t.name), t.format, nil)
	if err != nil {
		return err
	}
	defer ins.Close()
	if _, err := ins.Write(t.data); err != nil {
		return err
	}
	_, err = ins.Commit()
	return err
}
