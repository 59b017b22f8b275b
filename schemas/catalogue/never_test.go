package catalogue

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// ways are, for each category, a text that betrays it by itself; "" where no content does.
var ways = map[string]string{
	"calls": "", "browsing": "", "messages": "", "passwords": "", "files": "",
	"email":    "From: a@example.com\r\nTo: b@example.com\r\nSubject: hello\r\n\r\nbody",
	"contacts": "see begin:vcard\nFN:Somebody",
	"calendar": "BEGIN:VEVENT\nSUMMARY:x",
	"photos":   "/9j/4AAQ" + strings.Repeat("AbCd", 20),
	"location": "last seen at 52.370216, 4.895168",
}

// Each item that is never collected is recognised by names of members, by resources of Graph, by
// MIME types and by content, as far as there are any; each category has words in each language.
func TestWhatIsNeverCollectedIsRecognised(t *testing.T) {
	c, named := readCollected().never, map[string]bool{}
	for _, i := range Default().Items() {
		for _, category := range i.Categories {
			named[category] = true
			fields, resources := 0, 0
			for f, of := range c.fields {
				if of == category {
					fields++
					for _, spelled := range []string{f, strings.ToUpper(f), f[:1] + "_" + f[1:], f[:1] + "-" + f[1:]} {
						if NeverCollected(spelled) != category {
							t.Errorf("%s: the member %q is not recognised", category, spelled)
						}
					}
				}
			}
			for r, of := range c.resources {
				if of == category {
					resources++
					if NeverResource(strings.ToUpper(r)) != category {
						t.Errorf("%s: the resource %q is not recognised", category, r)
					}
				}
			}
			if fields == 0 || resources == 0 {
				t.Errorf("%s is recognised by %d members and %d resources", category, fields, resources)
			}
			text, told := ways[category]
			if !told || text != "" && NeverContent(text) != category {
				t.Errorf("%s is not recognised by content: %q", category, NeverContent(text))
			}
			for _, lang := range words.Languages() {
				l, _ := words.Default().Language(lang)
				if _, ok := l.Find("enum.refusal.category." + category); !ok {
					t.Errorf("%s has no word in %s", category, lang)
				}
			}
		}
	}
	for _, all := range []map[string]string{c.fields, c.resources} {
		for _, category := range all {
			if !named[category] {
				t.Errorf("the category %s is of no item", category)
			}
		}
	}
	for mime, want := range map[string]string{"image/jpeg": "photos", " Video/MP4": "photos", "text/vcard": "contacts",
		"text/calendar; charset=utf-8": "calendar", "message/rfc822": "email", "application/json": "",
		"text/plain": ""} {
		if got := NeverMedia(mime); got != want {
			t.Errorf("%q is %q", mime, got)
		}
	}
}

// What Intune tells of devices and administrators is not taken for what is never collected.
func TestWhatIsCollectedIsNotRefused(t *testing.T) {
	for _, field := range []string{"serialNumber", "officeLocation", "emailAddress", "mail", "userPrincipalName", "",
		"phoneNumber", "displayName", "cameraBlocked", "fileVaultEnabled", "locationServicesBlocked", "contact", "é"} {
		if c := NeverCollected(field); c != "" {
			t.Errorf("%q is refused as %s", field, c)
		}
	}
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("certificate", 20)))
	for _, text := range []string{"10.0.19045.3803, 10.0.22621.2428", "14.6.1 (23G93)", "2026-09-04T08:00:00.0000000Z",
		"Subject: the policy", "metadata: x", "geo: none", "192.168.178.20, 10.12.14.16", "a:b", "fe80::1", key,
		"https://example.com/data:image", "3.14159 and more", "1.23456789", "S-1-12-1-1234.56789", "begin: now"} {
		if c := NeverContent(text); c != "" {
			t.Errorf("%q is refused as %s", text, c)
		}
	}
	for _, r := range []string{"managedDevices", "users", "auditEvents", "mobileApps", "detectedApps",
		"roleAssignments",
		"troubleshootingEvents", "termsAndConditions", "deviceConfigurations"} {
		if c := NeverResource(r); c != "" {
			t.Errorf("the resource %q is refused as %s", r, c)
		}
	}
}
