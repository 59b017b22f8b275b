package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ledgerline/ledgerline/schemas"
)

// speller writes a device's record as the same source, another version of it or whoever saved it
// might have written it too. It knows the fields by itself, not by intake's own tables.
type speller struct{ *rand.Rand }

func (r speller) pick(ways ...func() any) any { return ways[r.IntN(len(ways))]() }

func (r speller) oneOf(texts ...string) string { return texts[r.IntN(len(texts))] }

// osNames are groups of names that mean one operating system.
var osNames = [][]string{
	{"MacOS", "macOS", "MACOS", "Mac OS", "Mac OS X"}, {"iOS", "IOS", "iOS/iPadOS", "iPadOS", "ios"}, {"Windows",
		"windows", "WINDOWS"},
	{"AndroidForWork", "androidForWork", "Android (Personally-Owned Work Profile)",
		"Android (personally-owned work profile)"}, {"Android", "android"},
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// spellings says how each kind of field may be written. A text comes trimmed and not empty.
var spellings = map[string]func(r speller, s string) any{
	"mac": func(r speller, s string) any {
		if len(s) != 12 {
			return s
		}
		var pairs []string
		for i := 0; i < 12; i += 2 {
			pairs = append(pairs, s[i:i+2])
		}
		return r.oneOf(s, strings.ToLower(s), strings.ToUpper(s), strings.Join(pairs, ":"),
			strings.ToUpper(strings.Join(pairs, "-")),
			strings.ToLower(s[:4]+"."+s[4:8]+"."+s[8:]), " "+s+" ")
	},
	"digits": func(r speller, s string) any {
		if strings.Trim(s, "0123456789") != "" || len(s) < 14 {
			return s
		}
		return r.pick(func() any { return s }, func() any { return s + ".0" }, func() any { return json.Number(s) },
			func() any { return json.Number(s + ".0") },
			func() any { return s[:2] + " " + s[2:8] + " " + s[8:14] + " " + s[14:] },
			func() any { return s[:6] + "-" + s[6:] }, func() any { return "'" + s },
			func() any { return s[:1] + "." + s[1:] + fmt.Sprintf("E+%d", len(s)-1) })
	},
	"address": func(r speller, s string) any {
		return r.oneOf(s, strings.ToUpper(s), strings.ToLower(s), swapCase(s), s+" ")
	},
	"guid": func(r speller, s string) any {
		return r.oneOf(s, strings.ToUpper(s), "{"+s+"}", strings.ReplaceAll(s, "-", ""), "{"+strings.ToUpper(s)+"}")
	},
	"phone": func(r speller, s string) any {
		if !strings.HasPrefix(s, "+31") || strings.Contains(s, "*") || len(s) < 11 {
			return s
		}
		return r.oneOf(s, s[:3]+" "+s[3:4]+" "+s[4:], s[:3]+" (0)"+s[3:], s[:3]+"-"+s[3:5]+"-"+s[5:], "00"+s[1:],
			"0"+s[3:], "0"+s[3:5]+"."+s[5:], s[1:],
			"+*******"+s[len(s)-4:], "******"+s[len(s)-4:])
	},
	"version": func(r speller, s string) any {
		out := []string{s, s + " ", strings.Replace(s, " (", "(", 1), strings.Replace(s, " (", "  ( ", 1),
			strings.Replace(s, " (", "\u00a0(", 1), strings.ToLower(s)}
		if !strings.Contains(s, "(") {
			out = append(out, s+".0", strings.TrimSuffix(s, ".0"))
		}
		return r.oneOf(out...)
	},
	"os": func(r speller, s string) any {
		for _, group := range osNames {
			if slices.Contains(group, s) {
				return r.oneOf(group...)
			}
		}
		return s
	},
	"time": func(r speller, s string) any {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			at, err = time.Parse("2006-01-02 15:04:05.9999999", s)
		}
		if err != nil || at.Year() < 1970 || at.Year() > 9000 {
			return s
		}
		at = at.Truncate(time.Second).Add(time.Duration(r.IntN(1e7)) * 100)
		east := at.In(time.FixedZone("", 2*3600))
		return r.oneOf(at.Format("2006-01-02T15:04:05.0000000Z"), at.Format(time.RFC3339),
			at.Format("2006-01-02 15:04:05.0000000"), at.Format("2006-01-02T15:04:05"),
			at.Format("1/2/2006 3:04:05 PM"), at.Format("1/2/2006 3:04:05\u202fPM"),
			at.Format("01/02/2006 15:04:05"), east.Format(time.RFC3339Nano),
			east.Format("1/2/2006 3:04:05 PM -07:00"), fmt.Sprintf("/Date(%d)/", at.UnixMilli()),
			at.Format("2006-01-02t15:04:05z"))
	},
	"enum": func(r speller, s string) any { return r.oneOf(s, strings.ToUpper(s), strings.ToLower(s), swapCase(s)) },
	"bool": func(r speller, s string) any {
		return r.pick(func() any { return s }, func() any { return strings.ToUpper(s) },
			func() any { return strings.EqualFold(s, "true") },
			func() any { return map[bool]string{true: "Yes", false: "No"}[strings.EqualFold(s, "true")] })
	},
	"size": func(r speller, s string) any {
		return r.pick(func() any { return s }, func() any { return json.Number(s) },
			func() any { return json.Number(s + ".0") })
	},
	"name": func(r speller, s string) any {
		return r.oneOf(s, " "+s, strings.ReplaceAll(s, " ", "\u00a0"), strings.ReplaceAll(s, " ", "\u202f"),
			strings.ReplaceAll(s, " ", "  "))
	},
	"product": func(r speller, s string) any {
		return r.oneOf(s, strings.ToUpper(s), strings.ToLower(s), strings.ReplaceAll(s, " ", "\u00a0"))
	},
	"code": func(r speller, s string) any { return r.oneOf(s, strings.ToUpper(s), strings.ToLower(s), " "+s) },
}

// fieldKinds is what the fields of both sources hold, by Graph's name and Azure Monitor's,
// lower-cased.
var fieldKinds = func() map[string]string {
	out := map[string]string{}
	for kind, names := range map[string]string{
		"mac": "wifimacaddress ethernetmacaddress wifimac", "digits": "imei iccid",
		"address": "userprincipalname upn emailaddress useremail",
		"guid":    "deviceid azureaddeviceid azureactivedirectorydeviceid referenceid userid primaryuser id",
		"phone":   "phonenumber", "version": "osversion",
		"os": "os operatingsystem",
		"time": "enrolleddatetime createddate lastcontact lastsyncdatetime ingraceperioduntil " +
			"compliancegraceperiodexpirationdatetime managementcertificateexpirationdate lastlogondatetime",
		"enum": "compliancestate compliantstate manageddeviceownertype ownertype ownership devicestate " +
			"managementstate jointype deviceregistrationstate chassistype devicetype deviceenrollmenttype " +
			"lostmodestate managementagent managedby processorarchitecture",
		"bool": "isencrypted issupervised encryptionstatusstring supervisedstatusstring jailbroken " +
			"autopilotenrolled easactivated",
		"size":    "totalstoragespaceinbytes freestoragespaceinbytes storagetotal storagefree physicalmemoryinbytes",
		"name":    "devicename manageddevicename userdisplayname username devicecategorydisplayname categoryname",
		"product": "manufacturer model subscribercarrier subscribercarriernetwork skufamily",
		"code":    "serialnumber easdeviceid easid udid meid",
	} {
		for _, n := range strings.Fields(names) {
			out[n] = kind
		}
	}
	return out
}()

// device spells every field of a device anew that has a value.
func (r speller) device(m map[string]any) {
	for name, v := range m {
		kind := fieldKinds[strings.ToLower(name)]
		switch v := v.(type) {
		case string:
			if s := strings.TrimSpace(v); kind != "" && s != "" && s[0] != '[' && (kind != "bool" ||
				strings.EqualFold(s, "true") || strings.EqualFold(s, "false")) {
				m[name] = spellings[kind](r, s)
			}
		case bool:
			if kind == "bool" {
				m[name] = spellings[kind](r, fmt.Sprint(v))
			}
		case json.Number:
			if kind == "size" {
				m[name] = spellings[kind](r, v.String())
			}
		}
	}
	for _, name := range []string{"detectedApps", "usersLoggedOn"} {
		list, _ := m[name].([]any)
		if len(list) == 0 {
			continue
		}
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, e := range list {
			if u, ok := e.(map[string]any); ok && name == "usersLoggedOn" {
				r.device(u)
			}
		}
		switch r.IntN(3) {
		case 0:
			if len(list) == 1 {
				m[name] = list[0] // as PowerShell unrolls it
			}
		case 1:
			m[name] = string(schemas.JSON(list))
		}
	}
	if h, ok := m["hardwareInformation"].(map[string]any); ok {
		if r.IntN(3) == 0 { // a list's answer
			m["hardwareInformation"] = map[string]any{"serialNumber": nil, "totalStorageSpace": 0,
				"freeStorageSpace": 0, "isSupervised": false, "isEncrypted": false, "imei": ""}
		} else if r.device(h); r.IntN(2) == 0 {
			m["hardwareInformation"] = string(schemas.JSON(h))
		}
	}
}

// action spells an action's who and what anew.
func (r speller) action(m map[string]any) {
	for name, kind := range map[string]string{"UPN": "address", "userPrincipalName": "address", "ObjectId": "guid",
		"userId": "guid", "AuditEventId": "guid"} {
		if s, ok := m[name].(string); ok && s != "" {
			m[name] = spellings[kind](r, s)
		}
	}
	for _, name := range []string{"Actor", "actor"} {
		if a, ok := m[name].(map[string]any); ok {
			r.action(a)
		}
	}
}

// record spells every device and action in a document anew.
func (r speller) record(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			r.record(e)
		}
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		switch {
		case v["category"] == "Devices" && properties != nil:
			r.device(properties)
		case v["category"] == "AuditLogs" && properties != nil:
			r.action(properties)
		case v["managedDeviceOwnerType"] != nil && v["id"] != nil:
			r.device(v)
		case v["activityDateTime"] != nil:
			r.action(v)
		default:
			for _, e := range v {
				r.record(e)
			}
		}
	}
}

// line spells a document anew, as one line.
func (r speller) line(t testing.TB, doc []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	r.record(v)
	return string(schemas.JSON(v))
}

// respellAndImport imports the documents spelled anew, in any order and portions, and expects
// nothing new.
func respellAndImport(t testing.TB, w *world, seed uint64, docs [][]byte) {
	t.Helper()
	r := speller{rand.New(rand.NewPCG(seed, 1))}
	files := map[string]string{}
	for i, n := range r.Perm(len(docs)) {
		files[fmt.Sprintf("%03d.ndjson", i/(1+r.IntN(4)))] += r.line(t, docs[n]) + "\n"
	}
	before := len(w.events())
	s := w.importFiles(files)
	if s.FailedCount != 0 {
		t.Fatalf("seed %d: %d records fail: %v", seed, s.FailedCount, s.Failed[0])
	}
	if s.Superseded != 0 {
		t.Fatalf("seed %d: %d of the same records tell something else, spelled anew", seed, s.Superseded)
	}
	if s.EventsAppended != 0 {
		t.Fatalf("seed %d: spelled anew, the same records appended %d events:\n%s", seed, s.EventsAppended,
			w.dumpFrom(newLabels(), before))
	}
}

// onceEach checks that the devices' events set each attribute and element once: whoever tells it
// second tells nothing new.
func onceEach(t testing.TB, w *world) {
	t.Helper()
	set, contacts := map[string]string{}, map[schemas.Stream]string{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		if e.Stream.Kind() != "device" {
			continue
		}
		for _, v := range d.Values {
			key := string(e.Stream) + " " + v.Attr.ID + " " + v.Element()
			if v.Attr.ID == "device.last-contact" {
				key += w.openToken(d, v) // it stands in each event, always the same
				if n := contacts[e.Stream]; n != "" && n != key {
					t.Errorf("%s changed", v.Attr.ID)
				}
				contacts[e.Stream] = key
				continue
			}
			if was, twice := set[key]; twice {
				t.Errorf("%s was set by %s and again by %s (removed: %v)", v.Attr.ID, was, d.Type.Name, v.Removed)
			}
			set[key] = d.Type.Name
		}
	}
}
