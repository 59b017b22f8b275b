package schemas_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// An event is made of values and read back into values; the catalogue says what each is.
func ExampleCatalogue_Decode() {
	c := schemas.Default()
	made := schemas.Draft{
		Type:     c.MustType("refusal.recorded.v1"),
		Tenant:   uuid.MustParse("7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051"),
		Stream:   "refusal-11111111-2222-4333-8444-555555555555",
		ID:       uuid.MustParse("3c2b1a09-8f7e-4d6c-9b5a-493827160504"),
		Recorded: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC),
		Source:   "test",
		Values: []schemas.Value{
			{Attr: c.MustAttribute("refusal.rule"), Plain: schemas.JSON("personal-apps")},
			{Attr: c.MustAttribute("refusal.count"), Plain: schemas.JSON(12)},
		},
	}
	event, err := c.Encode(made)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s\n", event.Type, event.Data)

	read, err := c.Decode(schemastest.Envelope(schemas.RecordedEvent{Event: schemastest.Sign(event, 0)}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range read.Values {
		fmt.Printf("%s / %s: %s\n", v.Attr.Label.In("en"), v.Attr.Label.In("nl"), v.Plain)
	}
	// Output:
	// refusal.recorded.v1 {"rule":"personal-apps","count":12}
	// Count / Aantal: 12
	// Rule / Regel: "personal-apps"
}
