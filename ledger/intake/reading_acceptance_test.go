//go:build acceptance

package intake

import (
	"fmt"
	"os"
	"testing"
)

// TestRealRecordsAreHeldAsAnIndependentReadingSays: every real record of a device or an action,
// alone and all together.
func TestRealRecordsAreHeldAsAnIndependentReadingSays(t *testing.T) {
	root := os.Getenv("LEDGERLINE_RECORDS")
	if root == "" {
		t.Fatal("LEDGERLINE_RECORDS must name the folder with the real records")
	}
	var all []sourceReading
	for _, folder := range []string{"azure-monitor", "event-hubs", "graph"} {
		all = append(all, readSources(t, root+"/"+folder)...)
	}
	kinds := map[string]int{}
	for i, r := range all {
		kinds[r.kind]++
		compareReadings(t, fmt.Sprintf("real record %d", i), []sourceReading{r})
	}
	if kinds["device"] < 6 || kinds["action"] < 5 {
		t.Errorf("the folder holds %v", kinds)
	}
	compareReadings(t, "all real records together", all)
}
