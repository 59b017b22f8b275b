package fleet_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

func ExampleWrite() {
	tmp, err := os.MkdirTemp("", "fleet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(tmp)

	cfg := fleet.Sized(200)
	cfg.Seed, cfg.Days, cfg.Malformed = 7, 5, 2
	s, err := fleet.Write(context.Background(), cfg, filepath.Join(tmp, "source"), func(p fleet.Progress) {
		if p.Day == p.Days {
			fmt.Printf("%d days written\n", p.Day)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("facts", s.Expected.AuditFacts, "failed", s.Expected.Failed)
	// Output:
	// 5 days written
	// facts 50 failed 10
}

// Records can be had without files, for instance to send them to a broker.
func ExampleFleet_Days() {
	f, err := fleet.New(fleet.Sized(100))
	if err != nil {
		log.Fatal(err)
	}
	messages := 0
	for day := range f.Days() {
		for _, file := range day.Files() {
			if file.Name != "event-hubs.ndjson" {
				continue
			}
			for range file.Records {
				messages++
			}
		}
		if day.Index == 2 {
			break
		}
	}
	fmt.Println(messages > 0)
	// Output: true
}
