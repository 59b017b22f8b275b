package front

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// request is one HTTP request, understood: a statement, the session it wants,
// and how it wants the answer.
type request struct {
	statement.Statement
	account    *Account
	id         string // query_id as the client named it, or a random one
	external   []external
	mark       string // log_comment of the session: what KILL QUERY finds this one statement by
	database   string
	settings   []engine.Param // in a fixed order
	params     []engine.Param
	format     string           // the output format that will be used, or the format of the data of an insert
	input      io.Reader        // data of an insert
	changes    statement.Change // what the statement does to a session
	readonly   bool             // nothing may be written, whatever the settings say
	hello      bool
	waitEnd    bool
	compress   bool   // ClickHouse's own blocks
	encoding   string // HTTP's Content-Encoding
	query      url.Values
	timeLimit  time.Duration
	mostMemory int64 // bytes, of an account that reads
}

// URL parameters that are no settings. Those that the server knows and the front does not need are
// accepted; those that would change the result and are not built are refused by refuse.
var notSettings = map[string]bool{
	"query": true, "query_id": true, "database": true, "default_format": true, "user": true, "password": true,
	"compress": true, "decompress": true, "wait_end_of_query": true, "buffer_size": true, "quota_key": true,
	"client_protocol_version": true, "stacktrace": true, "http_response_buffer_size": true,
	"session_id": true, "session_timeout": true, "session_check": true, "close_session": true, "role": true,
}

// An INSERT's text up to its data must fit, and a reader's statement; the engine itself stops at
// max_query_size, 256 KiB.
const headLimit = 1 << 20

func truthy(v string) bool { return v != "" && v != "0" && !strings.EqualFold(v, "false") }

func flag(q url.Values, name string) bool { return truthy(q.Get(name)) }

// parseRequest reads the statement from the URL and the body, as the server does: the URL's query
// and the body are one text, so an INSERT may stand in the URL and its data in the body.
func parseRequest(r *http.Request, q url.Values, account *Account, limit time.Duration) (*request, error) {
	req := &request{account: account, query: q, id: q.Get("query_id"), waitEnd: flag(q, "wait_end_of_query"),
		compress: flag(q, "compress")}
	if req.id == "" {
		req.id = uuid.NewString()
	}
	if err := refuse(q); err != nil {
		return nil, err
	}
	req.readonly = account.ReadOnly || r.Method != http.MethodPost
	if !req.compress {
		req.encoding = contentEncoding(r, q)
	}
	if err := req.readStatement(r, q); err != nil {
		return nil, err
	}
	// After the body, which may have further parameters.
	req.database = first(q.Get("database"), r.Header.Get("X-ClickHouse-Database"))
	req.changes = statement.ChangeOf(req.Text)
	if err := req.readSettings(q, limit); err != nil {
		return nil, err
	}
	if req.Outfile {
		return nil, exception.New(exception.CodeNotImplemented, "INTO_OUTFILE_NOT_ALLOWED",
			"INTO OUTFILE is not allowed over HTTP")
	}
	if req.Infile {
		return nil, exception.NotImplemented("FROM INFILE is not allowed over HTTP")
	}
	if r.Method != http.MethodPost && statement.Kills(req.Text) {
		return nil, exception.New(exception.CodeReadonly, "READONLY", "KILL is not run by GET: use POST")
	}
	if strings.IndexFunc(req.format, func(r rune) bool { return r > 127 || !statement.WordByte(byte(r)) }) >= 0 {
		return nil, exception.New(73, "UNKNOWN_FORMAT", "Unknown format %s", req.format)
	}
	return req, nil
}

// parseQuery is url.ParseQuery for a server to which a semicolon is a character like any other.
func parseQuery(raw string) (url.Values, error) {
	q, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
	if err != nil {
		return nil, exception.BadArguments("the URL's parameters could not be read: %s", err)
	}
	return q, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// refuse answers what would otherwise be silently ignored.
func refuse(q url.Values) error {
	switch {
	case q.Get("role") != "":
		return exception.NotImplemented("Roles are not supported by the embedded server")
	}
	return nil
}

func (req *request) readStatement(r *http.Request, q url.Values) error {
	body, err := decodeBody(r, q)
	if err != nil {
		return err
	}
	src := q.Get("query")
	if t, p, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && t == "multipart/form-data" {
		if body, err = req.readForm(body, p["boundary"], q); err != nil {
			return err
		}
	}
	if req.Statement, err = statement.Parse(src); src != "" && err == nil && req.Insert && req.Data == len(src) &&
		req.Statement.Format == "" {
		// `INSERT INTO t` in the URL: the body may begin with FORMAT or VALUES, or be data alone.
		err = errNeedBody
	}
	if src == "" || err != nil || !req.Insert {
		return req.readWhole(src, body, q, r.Header)
	}
	req.input = io.MultiReader(strings.NewReader(src[req.Data:]), body)
	req.format = req.Statement.Format
	return nil
}

var errTooLong = &exception.Exception{Code: exception.CodeSyntaxError, Status: http.StatusRequestEntityTooLarge,
	Text: exception.Syntax("The statement is too long").Text}

var errNeedBody = errors.New("the statement goes on in the body")

func (req *request) readWhole(src string, body io.Reader, q url.Values, h http.Header) error {
	head, err := io.ReadAll(io.LimitReader(body, headLimit))
	if err != nil {
		return bodyError(err)
	}
	complete := len(head) < headLimit
	text := src + string(head)
	st, err := statement.Parse(text)
	switch {
	case err == nil && st.Insert:
		req.Statement, req.format = st, first(st.Format, "Values")
		req.input = io.MultiReader(strings.NewReader(text[st.Data:]), body)
		return nil
	case !complete && req.account.ReadOnly:
		return errTooLong
	case !complete:
		rest, err := io.ReadAll(io.LimitReader(body, statement.Limit))
		if err != nil {
			return bodyError(err)
		}
		if len(rest) == statement.Limit {
			return errTooLong
		}
		text += string(rest)
		if st, err = statement.Parse(text); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	req.Statement = st
	req.format = first(st.Format, q.Get("default_format"), h.Get("X-ClickHouse-Format"), "TabSeparated")
	req.hello = isHello(st.Text, q.Get("client_protocol_version"))
	return nil
}

func bodyError(err error) error {
	if e, ok := errors.AsType[*exception.Exception](err); ok {
		return e
	}
	return exception.BadArguments("the request's body could not be read: %s", err)
}

// readSettings turns the rest of the URL into settings and query parameters.
func (req *request) readSettings(q url.Values, limit time.Duration) error {
	settings := make(map[string]string)
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case notSettings[name], req.describesExternal(name):
		case strings.HasPrefix(name, "param_"):
			req.params = append(req.params, engine.Param{Name: strings.TrimPrefix(name, "param_"), Value: value})
		case strings.IndexFunc(name, func(r rune) bool { return r > 127 || !statement.WordByte(byte(r)) }) >= 0:
			return exception.New(115, "UNKNOWN_SETTING", "Unknown setting '%s'", name)
		default:
			settings[name] = value
		}
	}
	if v := settings["readonly"]; truthy(v) {
		req.readonly = true
	}
	delete(settings, "readonly")
	if req.account.ReadOnly && (limit == 0 || limit > readerTime) {
		limit = readerTime
	}
	if limit > 0 {
		asked, err := time.ParseDuration(first(settings["max_execution_time"], "0") + "s")
		if err != nil || asked < 0 {
			return exception.BadArguments("max_execution_time %q is not a number of seconds",
				settings["max_execution_time"])
		}
		if asked == 0 || asked > limit {
			asked = limit
		}
		req.timeLimit = asked
		settings["max_execution_time"] = strconv.FormatFloat(asked.Seconds(), 'f', -1, 64)
	}
	req.mark = strings.TrimSpace(settings["log_comment"] + " query_id=" + req.id + " " + uuid.NewString())
	settings["log_comment"] = req.mark
	for name, value := range settings {
		req.settings = append(req.settings, engine.Param{Name: name, Value: value})
	}
	byName := func(a, b engine.Param) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(req.settings, byName)
	slices.SortFunc(req.params, byName)
	return nil
}
