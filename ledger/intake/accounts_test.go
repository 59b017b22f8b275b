package intake

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// user is a Graph user n.
func user(n int, more map[string]any) string {
	m := map[string]any{"@odata.type": "#microsoft.graph.user", "id": guid(10, n), "displayName": "Anna Appel",
		"userPrincipalName": "anna@contoso.example", "accountEnabled": true, "userType": "Member",
		"businessPhones": []any{"+31 20 123 4567"}, "department": "Sales",
		"assignedLicenses": []any{map[string]any{"skuId": guid(50, 1),
			"disabledPlans": []any{guid(51, 2), guid(51, 1)}}}}
	maps.Copy(m, more)
	return asLine(m) + "\n"
}

// importObserved imports records that were observed so many days after the tests begin.
func (w *world) importObserved(day int, content string) Summary {
	w.t.Helper()
	return w.importWith(map[string]string{"users.json": content},
		Source{Observed: propertyStart.AddDate(0, 0, day), TakeNameless: true})
}

// accountEvents returns the types of the account's events, and what the last one says of an
// attribute.
func (w *world) accountEvents(attr string) (types []string, last string) {
	w.t.Helper()
	for _, r := range w.own() {
		if r.Stream.Kind() != "account" {
			continue
		}
		d, err := schemas.Default().Decode(r)
		if err != nil {
			w.t.Fatal(err)
		}
		types = append(types, d.Type.Name)
		last = ""
		for _, v := range d.Values {
			if v.Attr.ID != attr {
				continue
			}
			if last = string(v.Plain); v.Token != "" {
				last = w.openToken(d, v)
			}
			if v.Removed {
				last = "removed"
			}
		}
	}
	return types, last
}

// An account's life: seen, seen again, changed, deleted, restored; each told once, in its type.
func TestAnAccountIsFollowed(t *testing.T) {
	w := newWorld(t, false)
	gone := map[string]any{"deletedDateTime": propertyStart.Format(time.RFC3339), "accountEnabled": false}
	for _, step := range []struct {
		what      string
		day       int
		record    string
		want      string // counted as
		typ       string // of the new event
		attr      string
		said      string
		newEvents int
	}{
		{"first sight", 0, user(1, nil), "recorded", "account.observed.v1", "account.business-phone",
			`"+31201234567"`, 1},
		{"the same again", 0, user(1, nil), "unchanged", "", "", "", 0},
		{"plans in another order", 0, user(1, map[string]any{"assignedLicenses": []any{map[string]any{
			"skuId": guid(50, 1), "disabledPlans": []any{guid(51, 1), guid(51, 2)}}}}), "unchanged", "", "", "", 0},
		{"another department", 1, user(1, map[string]any{"department": "Support"}), "recorded", "account.changed.v1",
			"account.department", `"Support"`, 1},
		{"an older export that was taken", 0, user(1, nil), "unchanged", "", "", "", 0},
		{"an older export", 0, user(1, map[string]any{"department": "Care"}), "superseded", "", "", "", 0},
		{"no licence any more", 2, user(1, map[string]any{"department": "Support", "assignedLicenses": []any{}}),
			"recorded", "account.changed.v1", "account.licence", "removed", 1},
		{"what an answer leaves out stays", 3, asLine(map[string]any{"@odata.type": "#microsoft.graph.user",
			"id": guid(10, 1), "department": "Support"}) + "\n", "recorded", "account.changed.v1",
			"account.department", "", 1},
		{"deleted", 4, user(1, gone), "recorded", "account.deleted.v1", "account.deleted-at",
			`"2026-03-01T06:00:00Z"`, 2},
		{"restored", 5, user(1, map[string]any{"deletedDateTime": nil}), "recorded", "account.changed.v1",
			"account.deleted-at", "removed", 1},
	} {
		before, _ := w.accountEvents("")
		s := w.importObserved(step.day, step.record)
		types, said := w.accountEvents(step.attr)
		counted := map[string]int{"recorded": s.Recorded, "unchanged": s.Unchanged, "superseded": s.Superseded}
		if counted[step.want] != 1 || len(types)-len(before) != step.newEvents {
			t.Fatalf("%s: %d new events, %s", step.what, len(types)-len(before), asJSON(t, s))
		}
		if step.newEvents > 0 && (types[len(types)-1] != step.typ || said != step.said) {
			t.Errorf("%s: %v said %s, want %s", step.what, types[len(before):], said, step.said)
		}
	}
}

// All that tells of a person in an account is sealed under their key, is theirs in a package, and
// goes with them.
func TestAnAccountIsThePersonsAndGoesWithThem(t *testing.T) {
	w := newWorld(t, false)
	w.importObserved(0, user(1, map[string]any{"mail": "anna@contoso.example", "mobilePhone": "+31612345678",
		"givenName": "Anna", "surname": "Appel", "jobTitle": "Buyer", "officeLocation": "A1",
		"preferredLanguage": "nl"}))
	open := map[string]bool{"account.enabled": true, "account.user-type": true}
	for _, r := range w.own() {
		if r.Stream.Kind() != "account" {
			continue
		}
		for _, plain := range []string{"Anna", "anna@", "612345678", "Buyer", "201234567"} {
			if strings.Contains(string(r.Data), plain) {
				t.Errorf("%s stands open in %s", plain, r.Data)
			}
		}
		d, err := schemas.Default().Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Values {
			if (v.Token == "") != open[v.Attr.ID] {
				t.Errorf("%s is sealed: %v", v.Attr.ID, v.Token != "")
			}
		}
		if len(d.Subjects) != 1 || d.Subjects[0].Role != "user" {
			t.Errorf("subjects %v", d.Subjects)
		}
	}
	if n := w.namesEverybody(t.Errorf, w.aliasesOf("anna@contoso.example")); n == 0 {
		t.Error("nothing is Anna's")
	}
	erase(t, w, guid(10, 1))
	s := w.importWith(map[string]string{"users.json": user(1, nil)},
		Source{Observed: propertyStart, TakeNameless: true})
	if s.Refused["erased-subject"] != 1 {
		t.Errorf("a record from before the erasure: %s", asJSON(t, s))
	}
	before := slices.Collect(maps.Keys(w.streams("account")))
	s = w.importWith(map[string]string{"users.json": user(1, nil)},
		Source{Observed: w.clock.Now().Add(time.Minute), TakeNameless: true})
	if after := w.streams("account"); s.Recorded != 1 || len(after) != len(before)+1 {
		t.Errorf("collected again, it has a stream of its own: %d streams, %s", len(after), asJSON(t, s))
	}
}

// streams returns the streams of a kind.
func (w *world) streams(kind string) map[schemas.Stream]bool {
	out := map[schemas.Stream]bool{}
	for _, r := range w.events() {
		if r.Stream.Kind() == kind {
			out[r.Stream] = true
		}
	}
	return out
}

// Bad values are told by field, the rest goes in, and what is never collected is counted by rule.
func TestOddAccountsAreToldByField(t *testing.T) {
	w := newWorld(t, false)
	for field, c := range map[string]struct {
		more   map[string]any
		reason string
	}{
		"id":               {map[string]any{"id": "x"}, "is missing or no id of the directory's form"},
		"createdDateTime":  {map[string]any{"createdDateTime": "soon"}, "is not a time that can be read"},
		"assignedLicenses": {map[string]any{"assignedLicenses": "none"}, "is not a list of objects"},
		"displayName":      {map[string]any{"displayName": []any{"a", "b"}}, "is not a single value"},
		"businessPhones":   {map[string]any{"businessPhones": map[string]any{"a": 1}}, "is not a list of texts"},
		"assignedLicenses[0].skuId": {map[string]any{"assignedLicenses": []any{map[string]any{"skuId": []any{1}}}},
			"is not a single value"},
	} {
		s := w.importObserved(0, user(2, c.more)+user(3, nil))
		if s.FailedCount != 1 || s.Failed[0].Field != field || !strings.Contains(s.Failed[0].Reason, c.reason) {
			t.Errorf("%s: %s", field, asJSON(t, s))
		}
	}
	s := w.importObserved(1, user(4, map[string]any{"photos": []any{"x"}, "hobby": "chess"}))
	if s.Recorded != 1 || s.UnknownFields["hobby"] != 1 || len(w.streams("refusal")) != 1 {
		t.Errorf("%s", asJSON(t, s))
	}
}

// An action that named a user before anybody knew whose the id is gets its link from the account.
func TestAnAccountTellsWhoseAnIDWas(t *testing.T) {
	w := newWorld(t, false)
	w.importFiles(map[string]string{"a.json": asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent",
		"id": guid(30, 1), "activityDateTime": "2026-03-01T08:00:00Z", "activityType": "Patch Unheard",
		"actor":     map[string]any{"auditActorType": "ItPro", "userPrincipalName": "admin@contoso.example"},
		"resources": []any{map[string]any{"resourceId": guid(10, 7), "displayName": "x"}}}) + "\n"})
	w.importObserved(0, user(7, map[string]any{"userPrincipalName": "eva@contoso.example"}))
	linked := 0
	for _, r := range w.own() {
		if r.Type == "adminaction.supplemented.v1" {
			linked++
		}
	}
	if linked != 1 {
		t.Errorf("%d supplements", linked)
	}
}

// A page of users is told from other things by its context, by its members, and in the SDK's
// spelling.
func TestAccountsAreRecognisedHoweverTheyAreHeld(t *testing.T) {
	w := newWorld(t, true)
	content := map[string]string{
		"page.json": `{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "value": [` +
			strings.TrimSpace(user(1, map[string]any{"@odata.type": nil})) + `]}`,
		"bare.json": asLine(map[string]any{"id": guid(10, 2), "userPrincipalName": "b@contoso.example",
			"businessPhones": []any{}, "displayName": "B"}),
		"sdk.json": asLine(map[string]any{"Id": guid(10, 3), "UserPrincipalName": "c@contoso.example",
			"BusinessPhones": []any{"1"}, "DisplayName": "C", "AccountEnabled": true}),
		"other.json": `{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#groups", ` +
			`"value": [{"id": "x"}]}`,
	}
	files := fstest.MapFS{}
	for name, text := range content {
		files[name] = aFile(text)
	}
	s := w.importPath(Source{Paths: []string{"."}, FS: files})
	if s.Recorded != 3 || s.Unrecognised["groups"] != 1 || s.FailedCount != 0 {
		t.Errorf("%s", asJSON(t, s))
	}
}
