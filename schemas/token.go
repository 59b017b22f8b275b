package schemas

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// SealedPrefix begins every sealed value; intake refuses an open string that begins with
// "sealed:".
const SealedPrefix = looks.SealedPrefix

// Token is a sealed value as it stands in event data, topics and views (FORMATS §5). The empty
// token is none.
type Token string

// TokenHeader is the part H of a token: everything that is authenticated beside the tenant.
type TokenHeader struct {
	Alias uuid.UUID // of the key's owner, for this class and month
	Class string    // retention class
	Month string    // yyyymm
	Event uuid.UUID // the event it was sealed for
	Attr  string    // attribute id
	Path  []string  // per array level a decimal index, or the list element's uuid
}

// The forms of a token's parts. They are looked at wherever a value is sealed or opened.

func validMonth(s string) bool {
	return len(s) == 6 && looks.Only(s, looks.IsDigit) && (s[4] == '0' && s[5] != '0' || s[4] == '1' && s[5] <= '2')
}

func validIndex(s string) bool {
	return len(s) >= 1 && len(s) <= 10 && looks.Only(s, looks.IsDigit) && (s[0] != '0' || len(s) == 1)
}

// errTokenForm is the reason of every malformed token: callers report it as tampering and never
// guess.
var errTokenForm = errors.New("not a sealed value of form sealed:v1")

// String returns H, ending in ":"; seal and open use it as additional data.
func (h TokenHeader) String() string { return string(h.Append(make([]byte, 0, 128))) } // most are shorter

// Append appends H.
func (h TokenHeader) Append(b []byte) []byte {
	b = append(Base64.AppendEncode(append(b, tokenForm...), h.Alias[:]), ':')
	b = append(append(append(b, h.Class...), '.'), h.Month...)
	b = append(append(Base64.AppendEncode(append(b, ':'), h.Event[:]), ':'), h.Attr...)
	for _, p := range h.Path {
		b = append(append(b, '~'), p...)
	}
	return append(b, ':')
}

// Validate checks each part against its form.
func (h TokenHeader) Validate() error {
	switch {
	case !looks.IsClass(h.Class):
		return fmt.Errorf("%w: class %q", errTokenForm, h.Class)
	case !validMonth(h.Month):
		return fmt.Errorf("%w: month %q", errTokenForm, h.Month)
	case !looks.IsAttributeID(h.Attr):
		return fmt.Errorf("%w: attribute %q", errTokenForm, h.Attr)
	}
	for _, p := range h.Path {
		if !validPathElement(p) {
			return fmt.Errorf("%w: index of %s", errTokenForm, h.Attr)
		}
	}
	return nil
}

func validPathElement(p string) bool {
	if validIndex(p) {
		_, err := strconv.ParseUint(p, 10, 32)
		return err == nil
	}
	_, err := ParseUUID(p)
	return err == nil
}

// Token joins the header and the sealed body C ‖ nonce ‖ ciphertext ‖ tag.
func (h TokenHeader) Token(body []byte) Token {
	return Token(h.String() + Base64.EncodeToString(body))
}

// IsSealed reports whether an open string would be taken for a sealed value.
func IsSealed(s string) bool { return strings.HasPrefix(s, SealedPrefix) }

// tokenForm begins every token, before its alias.
const tokenForm = SealedPrefix + "v1:"

// Naming returns a token up to the end of its alias: tokens that share it name one alias. It is
// empty for what is too short to be a token.
func (t Token) Naming() Token {
	const alias = 22 // a uuid in Base64
	if len(t) < len(tokenForm)+alias {
		return ""
	}
	return t[:len(tokenForm)+alias]
}

// minTokenBody is C[32] ‖ nonce[12] ‖ one padded block[32] ‖ tag[16].
const minTokenBody = 32 + 12 + 32 + 16

// Parse splits a token strictly into its header and its body; the header's String equals the
// token's own H. Any deviation is an error: no spare bits, no line breaks, no alternative
// spelling.
func (t Token) Parse() (TokenHeader, []byte, error) { return t.ParseInto(nil) }

// ParseInto is Parse, with the body in the memory of b where that has room for it.
func (t Token) ParseInto(b []byte) (h TokenHeader, body []byte, err error) {
	rest, ok := strings.CutPrefix(string(t), tokenForm)
	var parts [4]string
	for i := 0; ok && i < len(parts); i++ {
		parts[i], rest, ok = strings.Cut(rest, ":")
	}
	class, month, dot := strings.Cut(parts[1], ".")
	if !ok || !dot {
		return TokenHeader{}, nil, errTokenForm
	}
	h.Class, h.Month = class, month
	var one, two error
	h.Alias, one = decodeUUID(parts[0])
	h.Event, two = decodeUUID(parts[2])
	path, deep := "", false
	if h.Attr, path, deep = strings.Cut(parts[3], "~"); deep {
		h.Path = strings.Split(path, "~")
	}
	if err := cmp.Or(one, two, h.Validate()); err != nil {
		return TokenHeader{}, nil, err
	}
	body, err = Base64.AppendDecode(b[:0], []byte(rest))
	if err != nil || len(body) < minTokenBody || (len(body)-minTokenBody)%32 != 0 ||
		strings.IndexByte(rest, '\r') >= 0 || strings.IndexByte(rest, '\n') >= 0 { // which the decoder passes over
		return TokenHeader{}, nil, fmt.Errorf("%w: body", errTokenForm)
	}
	return h, body[:len(body):len(body)], nil
}

func decodeUUID(s string) (uuid.UUID, error) {
	var id uuid.UUID
	if n, err := Base64.Decode(id[:], []byte(s[:min(len(s), 22)])); err != nil || n != len(id) || len(s) != 22 {
		return uuid.Nil, fmt.Errorf("%w: uuid", errTokenForm)
	}
	return id, nil
}
