package intake

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/schemas"
)

// change is one modified property of a target. nil is null at the source.
type change struct {
	name     string
	old, new *string
}

const (
	maxChangeText  = 16 << 10  // of one old or new value; a longer one is withheld
	maxTargetBytes = 120 << 10 // of all changes of one target, so that its sealed value fits an event
)

// secretNames are parts of a property's name, lower-cased and without separators, that make its value a secret, a script or key material.
var secretNames = regexp.MustCompile(`password|passcode(hash|value)|passphrase|secret|token(value|s)?$|token(value)?\[|bearer|credential|privatekey|presharedkey|psk$|apikey|accesskey|` +
	`sharedkey|licen[cs]ekey|productkey|encryptionkey|recoverykey|bypasscode|unlockcode|pincode|pin$|scriptcontent|scriptblock|script$|script\[|scripttext|scriptbody|` +
	`payloadcontent|^payload$|payload\[|payloadjson|certificate(data|blob|content)?$|certificate(data|blob|content)?\[|pfx|pkcs|rootcert|connectionstring|` +
	`^(\$collection\.)?.*signingkey|sastoken|qrcodecontent|encryptedvalue|detectionscript|remediationscript|installscript`)

// harmlessNames look like secrets and are settings about them ("PasswordMinimumLength").
var harmlessNames = regexp.MustCompile(`(required|minimum|maximum|length|count|days|type|block(ed|simple)?|expiration|expirationdays|history|enabled|enforced?|allowed|minutes|` +
	`timeout|complexity|policy|date|datetime|lastmodified|state|status|id|ids)(\[\d+\])?$`)

// harmlessValues can be no secret, whatever the property is called.
var harmlessValues = regexp.MustCompile(`^(?i:|<null>|true|false|none|not ?configured|[0-9]{1,4})$`)

// secretContent betrays a secret or a script by itself.
var secretContent = regexp.MustCompile(`(?i)-----BEGIN [A-Z ]+-----|\beyJ[A-Za-z0-9_-]{10,}\.eyJ|#!/|<\?xml|\bpassword\s*[=:]|\bpwd\s*[=:]|\bsecret\s*[=:]|\bapi[_-]?key\s*[=:]|AccountKey=|SharedAccessSignature|` +
	`\b(Write-(Output|Host)|Invoke-(Expression|WebRequest|Command)|Set-ExecutionPolicy|Get-ItemProperty|New-Object|ConvertTo-SecureString)\b|\bparam\s*\(|\bfunction\s+[A-Za-z-]+\s*\{`)

// secretive reports whether the value may not be kept: by the property's name, or by what the value itself looks like.
func secretive(name, value string) bool {
	if harmlessValues.MatchString(value) {
		return false
	}
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
	if secretNames.MatchString(plain) && !harmlessNames.MatchString(plain) {
		return true
	}
	return secretContent.MatchString(value) || encoded(value)
}

// encoded reports whether the text is, or holds, a stretch of base64 that decodes to something: text, or bytes too varied to be a word or a number.
func encoded(s string) bool {
	for _, run := range base64Run.FindAllString(s, 8) {
		if hexOnly.MatchString(run) {
			continue // a digest or an id without dashes
		}
		run = strings.TrimRight(run, "=")
		raw, err := base64.RawStdEncoding.DecodeString(run[:len(run)&^3])
		if err != nil {
			if raw, err = base64.RawURLEncoding.DecodeString(run[:len(run)&^3]); err != nil {
				continue
			}
		}
		if readable(raw) || len(run) >= 40 && mixed(run) {
			return true
		}
	}
	return false
}

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}={0,2}`)
	hexOnly   = regexp.MustCompile(`^[0-9a-fA-F-]+$`)
)

// readable reports whether the bytes are text, in UTF-8 or in the UTF-16 that PowerShell writes.
func readable(raw []byte) bool {
	if len(raw) >= 8 {
		var zeros int
		for i := 1; i < len(raw); i += 2 {
			if raw[i] == 0 {
				zeros++
			}
		}
		if zeros*4 > len(raw) {
			return true
		}
	}
	if !utf8.Valid(raw) {
		return false
	}
	for _, r := range string(raw) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
	}
	return true
}

// mixed tells encoded bytes from words joined by slashes or dots: they hold small and capital letters and digits.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsDigit)
}

type keptChange struct {
	Name string  `json:"name"`
	Old  *string `json:"old,omitempty"`
	New  *string `json:"new,omitempty"`
}

type withheldChange struct {
	Name     string `json:"name"`
	Withheld bool   `json:"withheld"`
}

// sealable turns a target's modified properties into the one value that is sealed, and counts those whose values are withheld. It returns nil
// where there are none.
func sealable(changes []change) (value json.RawMessage, withheld int) {
	if len(changes) == 0 {
		return nil, 0
	}
	out := make([]any, 0, len(changes))
	size := 0
	for _, c := range changes {
		var entry any = keptChange{Name: c.name, Old: c.old, New: c.new}
		if !keepable(c) || size+len(c.name)+textLen(c.old)+textLen(c.new) > maxTargetBytes {
			entry = withheldChange{Name: clip(c.name, 256), Withheld: true}
			withheld++
		}
		size += len(schemas.JSON(entry)) + 1
		out = append(out, entry)
	}
	return schemas.JSON(out), withheld
}

func keepable(c change) bool {
	for _, v := range []*string{c.old, c.new} {
		if v != nil && (len(*v) > maxChangeText || secretive(c.name, *v)) {
			return false
		}
	}
	return len(c.name) <= 256
}

func textLen(s *string) int {
	if s == nil {
		return 0
	}
	return len(*s)
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
