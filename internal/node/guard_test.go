package node

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAGuardedPortAnswersItsAccountAlone(t *testing.T) {
	answered := 0
	h := Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered++ }), "operator", "secret")
	for _, tc := range []struct {
		name, user, password, host, site string
		want                             int
	}{
		{"its account", "operator", "secret", "127.0.0.1:1", "", http.StatusOK},
		{"typed into a browser", "operator", "secret", "localhost", "none", http.StatusOK},
		{"its own page", "operator", "secret", "[::1]:80", "same-origin", http.StatusOK},
		{"nobody", "", "", "127.0.0.1:1", "", http.StatusUnauthorized},
		{"no password", "operator", "", "127.0.0.1:1", "", http.StatusUnauthorized},
		{"a wrong password", "operator", "secreT", "127.0.0.1:1", "", http.StatusUnauthorized},
		{"another account", "reader", "secret", "127.0.0.1:1", "", http.StatusUnauthorized},
		{"the colon moved", "operator:secret", "", "127.0.0.1:1", "", http.StatusUnauthorized},
		{"another site's page", "operator", "secret", "127.0.0.1:1", "cross-site", http.StatusForbidden},
		{"another site's page of this domain", "operator", "secret", "127.0.0.1:1", "same-site", http.StatusForbidden},
		{"a name bound to loopback", "operator", "secret", "evil.example:1", "", http.StatusForbidden},
		{"no name", "operator", "secret", "", "", http.StatusForbidden},
	} {
		answered = 0
		r := httptest.NewRequest(http.MethodGet, "/status", nil)
		r.Host = tc.host
		if tc.user != "" {
			r.SetBasicAuth(tc.user, tc.password)
		}
		if tc.site != "" {
			r.Header.Set("Sec-Fetch-Site", tc.site)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want || (answered == 1) != (tc.want == http.StatusOK) {
			t.Errorf("%s: status %d, answered %d times, want %d", tc.name, w.Code, answered, tc.want)
		}
	}
}
