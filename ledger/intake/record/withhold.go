package record

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// secretNames are parts of a property's name, lower-cased and without separators, that make its
// value a secret, a script or key material.
var secretNames = anyOf(
	`password|passcode|passphrase|passwd|wachtwoord|kennwort|motdepasse|secret`,
	`token(value|s)?\d*$|token(value)?\[|bearer|credential`,
	`privatekey|presharedkey|psk$|apikey|accesskey|sharedkey|licen[cs]ekey|productkey`,
	`encryptionkey|recoverykey|escrowkey|masterkey|filevaultkey|bitlockerkey`,
	`bypasscode|unlockcode|pincode|onetimecode`,
	`scriptcontent|scriptblock|script$|script\[|scripttext|scriptbody`,
	`payloadcontent|^payload$|payload\[|payloadjson`,
	`certificate(data|blob|content)?$|certificate(data|blob|content)?\[|pfx|pkcs|rootcert|connectionstring`,
	`^(\$collection\.)?.*signingkey|sastoken|qrcodecontent|encryptedvalue`,
	`detectionscript|remediationscript|installscript`)

func anyOf(patterns ...string) *regexp.Regexp { return regexp.MustCompile(strings.Join(patterns, "|")) }

// inSecretNames are texts one of which every match of secretNames holds: they are found faster.
var inSecretNames = []string{"pass", "wachtwoord", "kennwort", "secret", "token", "bearer", "credential", "key",
	"psk", "code", "script", "payload", "cert", "pfx", "pkcs", "connectionstring", "encryptedvalue"}

// secretWords are whole words of a name that do.
var secretWords = map[string]bool{"pin": true, "pins": true, "puk": true, "otp": true, "totp": true, "psk": true,
	"pwd": true, "pw": true, "passwd": true, "cvv": true}

// inSecretWords are texts one of which each of them holds.
var inSecretWords = []string{"pin", "puk", "otp", "psk", "pw", "passwd", "cvv"}

func holdsOne(s string, of []string) bool {
	return slices.ContainsFunc(of, func(part string) bool { return strings.Contains(s, part) })
}

// settingNames say that a number is a setting about a secret ("PasswordMinimumLength"), not the
// secret.
var settingNames = regexp.MustCompile(`minimum|maximum|length|days|count|minutes|expir|attempts`)

var (
	switchValues = regexp.MustCompile(`^(?i:<null>|true|false|not ?configured)?$`)
	smallNumber  = regexp.MustCompile(`^[0-9]{1,3}$`)
)

// secretContent betrays a secret or a script by itself.
var secretContent = anyOf(
	`(?i)-----BEGIN [A-Z ]+-----|\beyJ[A-Za-z0-9_-]{10,}\.eyJ|#!/|<\?xml`,
	`(password|passcode|passphrase|wachtwoord|kennwort|secret|pin ?code|api[_-]?key)\w{0,32}"?\s*[=:]`,
	`\b(pwd|pin)\w{0,8}"?\s*[=:]`,
	`AccountKey=|SharedAccessSignature`,
	`\b(Write-(Output|Host)|Invoke-(Expression|WebRequest|Command)|Set-ExecutionPolicy|Get-ItemProperty|`+
		`New-Object|ConvertTo-SecureString)\b`,
	`\bparam\s*\(|\bfunction\s+[A-Za-z-]+\s*\{`)

// maySecret reports whether a text may match secretContent: it holds a beginning of what each of
// its matches holds. The two runes are all beyond ASCII that case folding makes letters of it.
func maySecret(s string) bool {
	for i := range len(s) {
		rest := s[i:]
		switch s[i] | 0x20 {
		case 'p':
			if holdsFolded(rest, "pass") || holdsFolded(rest, "pin") || holdsFolded(rest, "pwd") ||
				holdsFolded(rest, "param") {
				return true
			}
		case 's':
			if holdsFolded(rest, "secret") || holdsFolded(rest, "shareda") || holdsFolded(rest, "set-e") {
				return true
			}
		case 'a':
			if holdsFolded(rest, "api") || holdsFolded(rest, "accountk") {
				return true
			}
		case 'w':
			if holdsFolded(rest, "wachtw") || holdsFolded(rest, "write-") {
				return true
			}
		case '-':
			if holdsFolded(rest, "-----b") {
				return true
			}
		case 'e', 'k', 'i', 'g', 'n', 'c', 'f', '#', '<':
			for _, begin := range []string{"eyj", "kennw", "invoke-", "get-i", "new-o", "convertto-", "functi", "#!/",
				"<?x"} {
				if holdsFolded(rest, begin) {
					return true
				}
			}
		case 0xc5 | 0x20, 0xe2: // ſ, the Kelvin sign
			if strings.HasPrefix(rest, "\u017f") || strings.HasPrefix(rest, "\u212a") {
				return true
			}
		}
	}
	return false
}

// holdsFolded reports whether s begins with what is given in small letters.
func holdsFolded(s, begin string) bool {
	if len(s) < len(begin) {
		return false
	}
	for i := range len(begin) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != begin[i] {
			return false
		}
	}
	return true
}

// SecretText reports whether a text betrays a secret or a script by itself, whatever it is called.
func SecretText(s string) bool { return maySecret(s) && secretContent.MatchString(s) || encoded(s) }

// Secretive reports whether the value may not be kept: by the property's name, or by what the
// value itself looks like. Of a property with a secret's name nothing is kept but a switch and,
// where the name is a setting's, a small number.
func Secretive(name, value string) bool {
	value = strings.TrimSpace(value)
	if plain := catalogue.PlainName(name); secretName(name, plain) {
		return !switchValues.MatchString(value) && !(smallNumber.MatchString(value) && settingNames.MatchString(plain))
	}
	return SecretText(value)
}

func secretName(name, plain string) bool {
	if holdsOne(plain, inSecretNames) && secretNames.MatchString(plain) {
		return true
	}
	if !holdsOne(strings.ToLower(name), inSecretWords) {
		return false
	}
	for _, w := range nameWords(name) {
		if secretWords[strings.ToLower(w)] {
			return true
		}
	}
	return false
}

// nameWords splits a property's name where letters end and where a small letter is followed by a
// capital.
func nameWords(name string) []string {
	var b strings.Builder
	var last rune
	for i, r := range name {
		beforeSmall := i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z'
		capital := unicode.IsUpper(r) && (unicode.IsLower(last) || unicode.IsUpper(last) && beforeSmall)
		switch last = r; {
		case !unicode.IsLetter(r):
			r = ' '
		case capital:
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.Fields(b.String())
}

// encoded reports whether the text is, or holds, a stretch of base64 that decodes to something:
// text, or bytes too varied to be a word or a number.
func encoded(s string) bool {
	for runs := 0; runs < maxRuns; runs++ {
		run, rest := base64Run(s)
		if run == "" {
			return false
		}
		if s = rest; isHex(run) {
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

// maxRuns is how many stretches of a text are decoded, and minRun how long one is that may be
// base64.
const (
	maxRuns = 8
	minRun  = 24
)

// base64Run returns the first stretch of s that may be base64, with up to two = at its end, ""
// where there is none, and what is behind it.
func base64Run(s string) (run, rest string) {
	for from, i := 0, 0; i <= len(s); i++ {
		if i < len(s) {
			if c := s[i]; isLetter(c) || isDigit(c) || c == '+' || c == '/' || c == '_' || c == '-' {
				continue
			}
		}
		if i-from >= minRun {
			for end := i + 2; i < len(s) && i < end && s[i] == '='; {
				i++
			}
			return s[from:i], s[i:]
		}
		from = i + 1
	}
	return "", ""
}

// isHex reports whether a stretch is of the digits of hexadecimal numbers, with dashes or without.
func isHex(run string) bool { return strings.Trim(run, "0123456789abcdefABCDEF-") == "" }

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

// mixed tells encoded bytes from words joined by slashes or dots: they hold small and capital
// letters and digits.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsUpper) &&
		strings.ContainsFunc(s, unicode.IsDigit)
}

// Clip cuts s to at most n bytes, between characters.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
