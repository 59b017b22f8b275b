package report_test

import "github.com/ledgerline/ledgerline/schemas/words"

var (
	english   = words.Default().Base()
	dutch, _  = words.Default().Language("nl")
	amsterdam = dutch.Location()
)
