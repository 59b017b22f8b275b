package store

import "github.com/google/uuid"

// KnownRows are the rows of which records were taken. Each call is one trip to the store.
type KnownRows interface {
	// KnownPages returns those of the pages that there are, in any order.
	KnownPages(firsts [][]byte) ([]KnownPage, error)
	// KnownUnsettled returns what was unsettled after that count, in order.
	KnownUnsettled(after uint64) ([]KnownUnsettled, error)
	PutKnown(KnownBatch) error
	// ExpireKnown deletes pages that were not seen since that day, at most so many, and what was
	// unsettled before all that are left.
	ExpireKnown(before int64, atMost int) error
	DeleteKnown() error // all of the tenant
}

// KnownPage is a page of records that were taken.
type KnownPage struct {
	First  []byte // names it
	AsOf   uint64 // the tenant's count of unsettlings when it was written
	Seen   int64  // day since 1970
	Sealed []byte // under a key that follows from the tenant's
}

// KnownUnsettled are tags of what is no longer known of pages of an earlier count.
type KnownUnsettled struct {
	At   uint64
	Tags []byte
}

// KnownBatch is what one transaction puts.
type KnownBatch struct {
	Pages     []KnownPage      // key: First
	Unsettled []KnownUnsettled // key: At
	State     []byte           // under the setting Known
}

// Known is the name of the setting that holds what the tenant's pages rest on.
func Known(tenant uuid.UUID) string { return "known." + tenant.String() }
