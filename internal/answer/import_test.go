package answer

import (
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Progress has a total, a rate, and the time that is left once there is a rate to tell it by.
func TestImportProgressHasATotal(t *testing.T) {
	s := intake.Summary{Read: 3000, EventsAppended: 4000, Bytes: 1 << 30, BytesTotal: 4 << 30}
	for took, want := range map[time.Duration]string{
		0:                "1.0 GiB of 4.0 GiB, 3,000 records read, 4,000 events appended",
		time.Second / 2:  "1.0 GiB of 4.0 GiB, 3,000 records read, 4,000 events appended",
		time.Second:      "1.0 GiB of 4.0 GiB, 3,000 records read, 4,000 events appended, 3,000 records/s, 3s left",
		10 * time.Second: "1.0 GiB of 4.0 GiB, 3,000 records read, 4,000 events appended, 300 records/s, 30s left",
	} {
		if got := importProgress(words.Default().Base(), s, took); got != want {
			t.Errorf("after %s: %q, want %q", took, got, want)
		}
	}
	s.Bytes = s.BytesTotal
	if got := importProgress(words.Default().Base(), s, time.Minute); strings.Contains(got, "left") {
		t.Errorf("at the end: %q", got)
	}
}
