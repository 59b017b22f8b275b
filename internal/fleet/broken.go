package fleet

import (
	"iter"
	"slices"
)

// A brokenLine comes before the record of its index, or after the last.
type brokenLine struct {
	before int
	text   string
}

type brokenDay struct{ audit, devices, batches []brokenLine }

var brokenTexts = []string{
	`{"time":"2026-03-01T09:00:00.0000000Z","tenantId":"00000000-0000-4000-8000-000000000001",` +
		`"category":"AuditLogs","operationName":"Create Mo`, // cut off
	`{"time": }`,
	`<html><body>502 Bad Gateway</body></html>`,
	`{"records":[{"category":"Devices","properties":{"DeviceId":`,
	"{\"category\":\"Devices\",\"properties\":{\"UserName\":\"a raw \x01 control character\"}}",
	`{"category":"Devices"} trailing`,
}

// brokenLines spreads the day's malformed lines over its line files: never to the
// front of one, unless it is a Devices export without devices, and never behind the
// row that ends one.
func (f *Fleet) brokenLines() (out brokenDay) {
	lines, batches := f.cfg.Foreign, 0
	for i := range f.actions {
		if f.actions[i].forms&inLines != 0 {
			lines++
		}
		if f.actions[i].forms&inBatch != 0 {
			batches++
		}
	}
	messages := (batches + batchOfRecords - 1) / batchOfRecords
	for i := range f.cfg.Malformed {
		r := f.cfg.rng(forBroken, f.day, i, 0)
		line := brokenLine{text: r.pick(brokenTexts)}
		switch {
		case i%3 == 0 && lines > 0:
			line.before = r.between(1, lines)
			out.audit = append(out.audit, line)
		case i%3 == 1 && messages > 0:
			line.before = r.between(1, messages)
			out.batches = append(out.batches, line)
		default:
			line.before = min(1+r.n(max(1, len(f.reporting))), len(f.reporting))
			out.devices = append(out.devices, line)
		}
	}
	for _, l := range [][]brokenLine{out.audit, out.devices, out.batches} {
		slices.SortStableFunc(l, func(a, b brokenLine) int { return a.before - b.before })
	}
	return out
}

func interleave(records iter.Seq[Record], broken []brokenLine) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		i, at := 0, 0
		pass := func() bool {
			for ; at < len(broken) && broken[at].before <= i; at++ {
				if !yield(Record{MalformedLine, 1, []byte(broken[at].text)}) {
					return false
				}
			}
			return true
		}
		for rec := range records {
			if !pass() || !yield(rec) {
				return
			}
			i++
		}
		i = int(^uint(0) >> 1)
		pass()
	}
}
