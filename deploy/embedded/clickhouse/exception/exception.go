// Package exception is an error as ClickHouse reports it: a code, a name, a text, and the status
// that HTTP has for it. It keeps nothing and trusts nobody.
package exception

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

// Error codes of ClickHouse that are raised before the engine is asked.
const (
	CodeSyntaxError           = 62
	CodeNotImplemented        = 48
	codeBadArguments          = 36
	codeTimeoutExceeded       = 159
	CodeReadonly              = 164
	CodeRequiredPassword      = 194
	CodeTooManyQueries        = 202
	CodeSupportIsDisabled     = 344
	CodeSessionNotFound       = 372
	CodeSessionIsLocked       = 373
	CodeInvalidSessionTimeout = 374
	codeQueryWasCancelled     = 394
	codeAccessDenied          = 497
	CodeAuthenticationFailed  = 516
	CodeSessionLimit          = 700
	codeUnknownException      = 1002
)

// Exception is an error as ClickHouse reports it: a number and a text that begins with `Code: N.`.
type Exception struct {
	Code   int
	Text   string
	Status int // HTTP status, 0 for the one that ClickHouse gives to the code
}

// Error is the text.
func (e *Exception) Error() string { return e.Text }

// New returns an exception of that code and name, with a text as a server writes it.
func New(code int, name, format string, args ...any) *Exception {
	return &Exception{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code,
		fmt.Sprintf(format, args...), name)}
}

// Syntax says that a statement does not parse.
func Syntax(text string) *Exception {
	return New(CodeSyntaxError, "SYNTAX_ERROR", "%s", text)
}

// NotImplemented says that a server would do this.
func NotImplemented(format string, args ...any) *Exception {
	return New(CodeNotImplemented, "NOT_IMPLEMENTED", format, args...)
}

// BadArguments says what is wrong with a request beside its statement.
func BadArguments(format string, args ...any) *Exception {
	return New(codeBadArguments, "BAD_ARGUMENTS", format, args...)
}

// AccessDenied says what an account may not do.
func AccessDenied(format string, args ...any) *Exception {
	return New(codeAccessDenied, "ACCESS_DENIED", format, args...)
}

// Cancelled says why a statement was stopped: the cause of ctx.
func Cancelled(ctx context.Context) error {
	return New(codeQueryWasCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled: %s", context.Cause(ctx))
}

var codePrefix = regexp.MustCompile(`^Code: (\d+)\. `)

// Parse takes the engine's own text; a text without a code becomes UNKNOWN_EXCEPTION.
func Parse(text string) error {
	if m := codePrefix.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			return &Exception{Code: code, Text: text}
		}
	}
	return New(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", text)
}

// As returns err's exception; any other error is UNKNOWN_EXCEPTION.
func As(err error) *Exception {
	if e, ok := errors.AsType[*Exception](err); ok {
		return e
	}
	return New(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", err)
}

// HTTPStatus follows the server's table (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp).
func (e *Exception) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	switch e.Code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 195, 291, 497, 516: // UNKNOWN_USER … ACCESS_DENIED, AUTHENTICATION_FAILED
		return http.StatusForbidden
	case 6, 25, 26, 27, 32, 33, 38, 41, 53, 62, 72, 117, 130, 167, 168, 223, 321, 376, 441: // does not parse
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336: // UNKNOWN_…
		return http.StatusNotFound
	case CodeNotImplemented:
		return http.StatusNotImplemented
	case codeTimeoutExceeded:
		return http.StatusRequestTimeout
	case 439, 202: // CANNOT_SCHEDULE_TASK, TOO_MANY_SIMULTANEOUS_QUERIES
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
