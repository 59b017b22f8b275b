package front

import (
	"net/http"
	"testing"
)

// A name that is not this server's was made to point here by somebody else's name server.
func TestTrustedHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8123": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:8123": true,
		"LOCALHOST":                true,
		"rebound.example.org:8123": false, "": false, "10.0.0.1": false, "localhost.example.org": false,
		"10.0.0.1:8123": false,
	} {
		if got := new(Front).trustedHost(&http.Request{Host: host}); got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
}
