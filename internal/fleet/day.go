package fleet

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// A Kind says what a record is.
type Kind string

// The kinds of record, the first three in Azure Monitor's form.
const (
	AuditLog      Kind = "AuditLogs"
	DeviceRow     Kind = "Devices"
	DeviceStats   Kind = "Devices/Stats" // ends a Devices export; is not a device
	Operational   Kind = "OperationalLogs"
	ComplianceOrg Kind = "DeviceComplianceOrg"
	GraphDevice   Kind = "graph/managedDevice"
	GraphDetail   Kind = "graph/managedDevice+detectedApps"
	GraphAudit    Kind = "graph/auditEvent"
	MalformedLine Kind = "malformed"
	ForeignRecord Kind = "foreign" // an AuditLogs record of another tenant
)

// batchOfRecords is how many records an Event Hubs message holds at most.
const batchOfRecords = 20

// A Day is one day of a fleet, as files.
type Day struct {
	Index int
	Date  time.Time
	f     *Fleet
}

// A File is what one file of a day holds. Its records may be iterated more than
// once, until the fleet's next day.
type File struct {
	Name    string // holds nothing personal
	LineEnd string // after every record
	// Modified is when the file was written, after everything in it was observed: Graph's records
	// of devices tell no other time of observation.
	Modified time.Time
	Records  iter.Seq[Record]
}

// A Record is one line, or one Graph response.
type Record struct {
	Kind Kind
	N    int    // how many source records it holds: an Event Hubs batch and a Graph page hold several
	Data []byte // without the line end; valid until the next record
}

// Files is what the sources deliver on the day, in the order of the names.
func (d Day) Files() []File {
	f := d.f
	broken := f.brokenLines()
	var files []File
	add := func(name, end string, records iter.Seq[Record]) {
		files = append(files, File{Name: name, LineEnd: end, Modified: f.snapshotAt(f.day).Add(10 * time.Minute),
			Records: records})
	}
	if f.hasLines() || f.cfg.Foreign > 0 {
		add("audit.ndjson", "\n", interleave(f.auditLines, broken.audit))
	}
	if len(f.reporting) > 0 {
		add("compliance.ndjson", "\r\n", f.complianceRows)
	}
	end := "\n"
	if f.full {
		end = "\r\n"
	}
	add("devices.ndjson", end, interleave(f.deviceRows, broken.devices))
	if f.hasBatches() {
		add("event-hubs.ndjson", "\n", interleave(f.batches, broken.batches))
	}
	f.graphAuditFiles(add)
	for i, n := range f.detailed {
		add(fmt.Sprintf("graph-device-%04d.json", i+1), "\n", func(yield func(Record) bool) {
			var b doc
			f.deviceWithApps(&b, &f.devices[n])
			yield(Record{GraphDetail, 1, b.b})
		})
	}
	page := 0
	for members := range slices.Chunk(f.member, f.cfg.GraphPage) {
		page++
		next := ""
		if page*f.cfg.GraphPage < len(f.member) {
			next = f.nextPage(f.day, page)
		}
		add(fmt.Sprintf("graph-devices-%04d.json", page), "\n", func(yield func(Record) bool) {
			devices := make([]*device, len(members))
			for i, n := range members {
				devices[i] = &f.devices[n]
			}
			var b doc
			f.devicePage(&b, devices, len(f.member), next)
			yield(Record{GraphDevice, len(members), b.b})
		})
	}
	if len(f.fresh) > 0 && f.day%2 == 0 { // on the other days Event Hubs brings them
		add("operational.ndjson", "\n", func(yield func(Record) bool) {
			var b doc
			for _, n := range f.fresh {
				b.b = b.b[:0]
				f.operationalRow(&b, &f.devices[n], f.snapshotAt(f.day))
				if !yield(Record{Operational, 1, b.b}) {
					return
				}
			}
		})
	}
	return files
}

func (f *Fleet) hasLines() bool {
	return slices.ContainsFunc(f.actions, func(a action) bool { return a.forms&inLines != 0 })
}

func (f *Fleet) hasBatches() bool {
	return slices.ContainsFunc(f.actions, func(a action) bool { return a.forms&inBatch != 0 }) ||
		len(f.fresh) > 0 && f.day%2 == 1
}

func (f *Fleet) auditLines(yield func(Record) bool) {
	var b doc
	put := func(a *action, tenant string, kind Kind) bool {
		b.b = b.b[:0]
		f.auditAzure(&b, a, tenant)
		return yield(Record{kind, 1, b.b})
	}
	for i := range f.actions {
		a := &f.actions[i]
		if a.forms&inLines == 0 {
			continue
		}
		if !put(a, f.cfg.Tenant, AuditLog) || a.twice && !put(a, f.cfg.Tenant, AuditLog) {
			return
		}
	}
	for i := range f.cfg.Foreign {
		r := f.cfg.rng(forBroken, f.day, i)
		a := f.actionAt(f.day, 1<<30+i, f.date(f.day).Add(20*time.Hour), nil, "", nil)
		if !put(&a, r.guid(), ForeignRecord) {
			return
		}
	}
}

func (f *Fleet) deviceRows(yield func(Record) bool) {
	var b doc
	when := f.snapshotAt(f.day)
	r := f.cfg.rng(forRow, f.day)
	batch := r.guid()
	for _, n := range f.reporting {
		b.b = b.b[:0]
		f.deviceRow(&b, &f.devices[n], when, batch)
		if !yield(Record{DeviceRow, 1, b.b}) {
			return
		}
	}
	b.b = b.b[:0]
	f.statsRow(&b, len(f.reporting), when, batch)
	yield(Record{DeviceStats, 1, b.b})
}

// complianceRows reports a handful of devices in yet another form.
func (f *Fleet) complianceRows(yield func(Record) bool) {
	var b doc
	when := f.snapshotAt(f.day).Add(3 * time.Minute)
	r := f.cfg.rng(forRow, f.day, 1)
	batch := r.guid()
	for _, n := range f.reporting[:min(5, len(f.reporting))] {
		b.b = b.b[:0]
		f.complianceRow(&b, &f.devices[n], when, batch)
		if !yield(Record{ComplianceOrg, 1, b.b}) {
			return
		}
	}
}

// batches yields Event Hubs messages; one holds records of one category.
func (f *Fleet) batches(yield func(Record) bool) {
	var b doc
	held := 0
	flush := func(kind Kind) bool {
		if held == 0 {
			return true
		}
		b.endArray()
		b.endObject()
		n := held
		held = 0
		return yield(Record{kind, n, b.b})
	}
	begin := func() {
		if held == 0 {
			b.b = b.b[:0]
			b.object("")
			b.array("records")
		}
		held++
	}
	for i := range f.actions {
		if f.actions[i].forms&inBatch == 0 {
			continue
		}
		begin()
		f.auditAzure(&b, &f.actions[i], f.cfg.Tenant)
		if held == batchOfRecords && !flush(AuditLog) {
			return
		}
	}
	if !flush(AuditLog) || f.day%2 == 0 {
		return
	}
	for _, n := range f.fresh {
		begin()
		f.operationalRow(&b, &f.devices[n], f.snapshotAt(f.day))
		if held == batchOfRecords && !flush(Operational) {
			return
		}
	}
	flush(Operational)
}

// graphAuditFiles adds the pages of the actions that Graph reports too.
func (f *Fleet) graphAuditFiles(add func(name, end string, records iter.Seq[Record])) {
	var those []int
	for i := range f.actions {
		if f.actions[i].forms&inGraph != 0 {
			those = append(those, i)
		}
	}
	page := 0
	for some := range slices.Chunk(those, f.cfg.GraphPage) {
		page++
		more := page*f.cfg.GraphPage < len(those)
		next := f.nextPage(f.day, 1000+page)
		add(fmt.Sprintf("graph-audit-%04d.json", page), "\n", func(yield func(Record) bool) {
			var b doc
			b.object("")
			b.str("@odata.context", graphRoot+"$metadata#deviceManagement/auditEvents")
			if more {
				b.str("@odata.nextLink", graphRoot+"deviceManagement/auditEvents?$skiptoken="+next)
			}
			b.array("value")
			for _, i := range some {
				f.auditGraph(&b, &f.actions[i])
			}
			b.endArray()
			b.endObject()
			yield(Record{GraphAudit, len(some), b.b})
		})
	}
}
