package report_test

import (
	"regexp"

	"github.com/ledgerline/ledgerline/schemas/words"
)

var uuids = regexp.MustCompile(`(device-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

var (
	english   = words.Default().Base()
	dutch, _  = words.Default().Language("nl")
	amsterdam = dutch.Location()
)
