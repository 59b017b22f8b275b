package front

import (
	"net/http"
	"net/url"
	"strings"
)

// A web page makes its reader's browser send requests to any address, and the browser adds
// credentials that it once was given. So what a browser says of a request's origin is looked at
// before the credentials are.

// fromElsewhere says that another page made the browser send this request. `same-site` is
// elsewhere too: another port of this machine is another application.
func fromElsewhere(r *http.Request) bool {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		return true
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err != nil || !strings.EqualFold(u.Host, r.Host)
	}
	return false
}
