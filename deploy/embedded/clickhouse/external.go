package clickhouse

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
)

// external is a table that a client sends along with a query (multipart/form-data). It lives as a
// temporary table in the request's own session.
type external struct {
	name, format, structure string
	data                    []byte
}

// The tables are held in memory before the query runs.
const externalLimit = 256 << 20

// readExternal reads the parts of a form: files are tables, the field `query` is the statement's text,
// which is returned as the body that a plain request would have.
func (req *request) readExternal(body io.Reader, boundary string, q url.Values) (io.Reader, error) {
	if req.readonly || flag(q, "readonly") {
		return nil, newException(codeReadonly, "READONLY", "External tables are not supported in readonly mode")
	}
	form := multipart.NewReader(body, boundary)
	var query []byte
	left := int64(externalLimit)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return bytes.NewReader(query), nil
		}
		if err != nil {
			return nil, bodyError(err)
		}
		b, err := io.ReadAll(io.LimitReader(part, left))
		if err != nil {
			return nil, bodyError(err)
		}
		if left -= int64(len(b)); left <= 0 {
			return nil, badArguments("external tables may have %d bytes in all", externalLimit)
		}
		name := part.FormName()
		if part.FileName() == "" && name == "query" {
			query = b
			continue
		}
		t := external{name: name, data: b, format: first(q.Get(name+"_format"), "TabSeparated"), structure: q.Get(name + "_structure")}
		if t.structure == "" {
			if t.structure = numbered(q.Get(name + "_types")); t.structure == "" {
				return nil, badArguments("neither %s_structure nor %s_types describes the external table %s", name, name, name)
			}
		}
		req.external = append(req.external, t)
	}
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
				out = append(out, "_"+itoa(len(out)+1)+" "+t)
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
	return "CREATE TEMPORARY TABLE " + identifier(t.name) + " (" + t.structure + ") ENGINE = Memory"
}

func (t external) load(c *conn) error {
	if _, _, err := c.exec(t.create(), "Null", nil); err != nil {
		return err
	}
	if len(t.data) == 0 {
		return nil
	}
	ins, err := c.insert("INSERT INTO "+identifier(t.name), t.format, nil)
	if err != nil {
		return err
	}
	defer ins.close()
	if _, err := ins.Write(t.data); err != nil {
		return err
	}
	_, err = ins.commit()
	return err
}
