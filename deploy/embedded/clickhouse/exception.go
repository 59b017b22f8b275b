package clickhouse

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Error codes of ClickHouse that the front itself raises.
const (
	codeSyntaxError           = 62
	codeNotImplemented        = 48
	codeBadArguments          = 36
	codeTimeoutExceeded       = 159
	codeReadonly              = 164
	codeRequiredPassword      = 194
	codeTooManyQueries        = 202
	codeSupportIsDisabled     = 344
	codeSessionNotFound       = 372
	codeSessionIsLocked       = 373
	codeInvalidSessionTimeout = 374
	codeQueryWasCancelled     = 394
	codeAccessDenied          = 497
	codeAuthenticationFailed  = 516
	codeSessionLimit          = 700
	codeUnknownException      = 1002
)

// exception is an error as ClickHouse reports it: a number and a text that begins with `Code: N.`.
type exception struct {
	code   int
	text   string
	status int // HTTP status, 0 for the one that ClickHouse gives to the code
}

func (e *exception) Error() string { return e.text }

func newException(code int, name, format string, args ...any) *exception {
	return &exception{code: code, text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

func syntaxError(text string) *exception {
	return newException(codeSyntaxError, "SYNTAX_ERROR", "%s", text)
}

func notImplemented(format string, args ...any) *exception {
	return newException(codeNotImplemented, "NOT_IMPLEMENTED", format, args...)
}

func badArguments(format string, args ...any) *exception {
	return newException(codeBadArguments, "BAD_ARGUMENTS", format, args...)
}

var codePrefix = regexp.MustCompile(`^Code: (\d+)\. `)

// parseException takes the engine's own text; a text without a code becomes UNKNOWN_EXCEPTION.
func parseException(text string) error {
	if m := codePrefix.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			return &exception{code: code, text: text}
		}
	}
	return newException(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", text)
}

func asException(err error) *exception {
	if e, ok := errors.AsType[*exception](err); ok {
		return e
	}
	return newException(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", err)
}

// httpStatus follows the server's table (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp).
func (e *exception) httpStatus() int {
	if e.status != 0 {
		return e.status
	}
	switch e.code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 195, 291, 497, 516: // UNKNOWN_USER … ACCESS_DENIED, AUTHENTICATION_FAILED
		return http.StatusForbidden
	case 6, 25, 26, 27, 32, 33, 38, 41, 53, 62, 72, 117, 130, 167, 168, 223, 321, 376, 441: // does not parse
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336: // UNKNOWN_…
		return http.StatusNotFound
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeTimeoutExceeded:
		return http.StatusRequestTimeout
	case 439, 202: // CANNOT_SCHEDULE_TASK, TOO_MANY_SIMULTANEOUS_QUERIES
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
