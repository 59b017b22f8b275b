package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// What a policy may not say is refused, each field by name with the reason.
func TestAPolicyIsRefusedByFieldAndReason(t *testing.T) {
	c := catalogue.Default()
	if err := Default().Validate(c); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		change func(*Policy)
		field  string
		why    error
	}{
		{func(p *Policy) { p.PersonalApps = "some" }, FieldPersonalApps, ErrChoice},
		{func(p *Policy) { p.Diagnostics = "" }, FieldDiagnostics, ErrChoice},
		{func(p *Policy) { p.Items = []string{"71"} }, FieldItem, ErrItem},
		{func(p *Policy) { p.Items = []string{"12", "64"} }, FieldItem, ErrNever},
		{func(p *Policy) { p.Items = []string{"2"} }, FieldItem, ErrNeeded},
		{func(p *Policy) { p.Items = []string{"37"} }, FieldItem, ErrNeeded},
		{func(p *Policy) { p.Items = []string{"14"} }, FieldItem, ErrNeeded},
		{func(p *Policy) { p.Retention = map[string]Retention{"all": {"1m", "g"}} }, FieldRetention, ErrClass},
		{func(p *Policy) { p.Retention = map[string]Retention{"apps": {"1 month", "g"}} }, FieldRetention, ErrPeriod},
		{func(p *Policy) { p.Retention = map[string]Retention{"apps": {"9999m", "g"}} }, FieldRetention, ErrPeriod},
		{func(p *Policy) { p.Retention = map[string]Retention{"apps": {"1m", " "}} }, FieldGround, ErrNoGround},
		{func(p *Policy) { p.Retention = map[string]Retention{"apps": {"", "g"}} }, FieldGround, ErrGround},
		{func(p *Policy) { p.Retention = map[string]Retention{"apps": {"1m", strings.Repeat("g", 501)}} }, FieldGround,
			ErrGround},
	} {
		p := Default()
		tc.change(&p)
		err := p.Validate(c)
		var field *Error
		if !errors.Is(err, tc.why) || !errors.As(err, &field) || field.Field != tc.field {
			t.Errorf("%+v: %v, want %s: %v", p, err, tc.field, tc.why)
		}
	}
}

// However it is given, a policy that says the same is the same, and settling settles.
func TestAPolicyHasOneForm(t *testing.T) {
	c := catalogue.Default()
	var may []string
	for _, i := range c.Items() {
		p := Default()
		if p.Items = []string{i.ID}; p.Validate(c) == nil {
			may = append(may, i.ID)
		}
	}
	if !slices.Contains(may, "12") || len(may) < 10 {
		t.Fatalf("only %v can be refused", may)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := Default()
		p.Items = rapid.SliceOf(rapid.SampledFrom(may)).Draw(t, "items")
		p.Retention = rapid.MapOf(rapid.SampledFrom([]string{"apps", "support", "access"}), rapid.Custom(
			func(t *rapid.T) Retention {
				return Retention{rapid.SampledFrom([]string{"1m", "90d", "24m", "0d"}).Draw(t, "keep"),
					rapid.SampledFrom([]string{"a", " a ", "b"}).Draw(t, "ground")}
			})).Draw(t, "retention")
		s := p.Settled(c)
		if err := s.Validate(c); err != nil || !s.Same(s.Settled(c)) {
			t.Fatalf("%+v: %v", s, err)
		}
		other := p
		other.Items = append(slices.Clone(p.Items), p.Items...)
		slices.Reverse(other.Items)
		if !other.Settled(c).Same(s) {
			t.Fatalf("%+v and %+v are not the same", other, p)
		}
		for _, a := range c.Attributes() {
			if s.Refuses(a) != (a.Item != "" && slices.Contains(p.Items, a.Item)) {
				t.Fatalf("%s: refused %v", a.ID, s.Refuses(a))
			}
		}
	})
}

// Without a word of the tenant's the catalogue's periods hold.
func TestRetentionIsTheCataloguesWhereThePolicyIsSilent(t *testing.T) {
	p := Default()
	p.Retention = map[string]Retention{"apps": {"30d", "works council"}}
	for _, c := range catalogue.Default().Classes() {
		keep, ground := p.Keep(c)
		want, wantGround := c.Keep, ""
		if c.Name == "apps" {
			want, wantGround = catalogue.Period{Days: 30}, "works council"
		}
		if keep != want || ground != wantGround {
			t.Errorf("%s: %v, %q", c.Name, keep, ground)
		}
	}
}
