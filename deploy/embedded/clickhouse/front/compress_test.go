package front

import (
	"net/http"
	"slices"
	"testing"
)

func TestContentEncoding(t *testing.T) {
	for header, want := range map[string]string{"": "", "gzip": "gzip", "br;q=1.0, gzip;q=0": "br",
		"zstd, deflate": "deflate", "*": "", "snappy": ""} {
		r := &http.Request{Header: http.Header{"Accept-Encoding": {header}}}
		if got := contentEncoding(r, nil); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
	if !slices.Contains([]string{"gzip"}, contentEncoding(&http.Request{
		Header: http.Header{"Accept-Encoding": {"gzip, br"}},
	}, nil)) {
		t.Error("gzip comes first")
	}
}
