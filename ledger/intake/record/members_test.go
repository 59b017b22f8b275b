package record

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestARecordIsReadOneLevelDeep(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1,"b":{"c":2}}`: "2 members", `{}`: "0 members",
		`[1]`: "none", `"x"`: "none", `null`: "none",
		``: "malformed JSON", `{"a":`: "malformed JSON", `[1`: "malformed JSON", `{"Anna":x}`: "malformed JSON",
	} {
		r, err := ReadRecord([]byte(in))
		got := fmt.Sprintf("%d members", r.Len())
		if r.Members == nil {
			got = "none"
		}
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func TestMembersAreReadAsWhatIsAskedFor(t *testing.T) {
	r, err := ReadRecord([]byte(`{"text":" Anna  B ","n":7,"yes":true,"null":null,"none":"<null>",
		"o":{"x":1},"a":[1,2],"zero":0,"half":1.5,"bytes":"4096","big":1e300}`))
	if err != nil {
		t.Fatal(err)
	}
	show := func(s *string) string {
		if s == nil {
			return "nil"
		}
		return *s
	}
	for field, want := range map[string][4]string{ // as text, known, a name, a value
		"text": {"Anna  B", "Anna  B", "Anna B", "Anna  B"}, "n": {"7", "7", "7", "7"},
		"yes": {"true", "true", "true", "true"}, "null": {"", "", "", "nil"}, "none": {"<null>", "", "", "nil"},
		"o": {"", "", "", `{"x":1}`}, "a": {"", "", "", "[1,2]"}, "absent": {"", "", "", "nil"},
	} {
		got := [4]string{r.Text(field), r.Known(field), r.Name(field), show(r.Value(field))}
		if got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	for field, want := range map[string]string{"n": "7", "bytes": "4096", "zero": "", "null": "", "absent": "",
		"half": "half: is no whole number", "big": "big: is no whole number", "text": "text: is no whole number"} {
		n, err := r.Size(field)
		got := string(n)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("the size %s is %s, want %s", field, got, want)
		}
	}
	if r.Object("o").Len() != 1 || r.Object("a") != nil || len(r.Array("a")) != 2 || r.Array("o") != nil {
		t.Error("an object or a list is not read as one")
	}
	if !r.Has("null", "o") || r.Has("o", "absent") {
		t.Error("a member is there where it is null too")
	}
}

// A failure names the field, with the path of the object it lies in, and never its content.
func TestAFailureNamesItsField(t *testing.T) {
	err := Within("detectedApps[0].", &FieldError{"id", "is not a single value"})
	if err.Error() != "detectedApps[0].id: is not a single value" {
		t.Error(err)
	}
	other := json.Unmarshal([]byte("{"), new(any))
	if Within("x.", other) != other {
		t.Error("another error is changed")
	}
}
