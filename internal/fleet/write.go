package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Expected is what a correct import of all files must come to, where the fleet
// alone decides it.
type Expected struct {
	// Read is the number of source records, a malformed line being one.
	Read int
	// Failed is how many of them cannot be taken in: malformed, or of another tenant.
	Failed int
	// Unrecognised is how many are of kinds that tell of alerts, enrolments and totals
	// and neither of an admin action nor of a device's state.
	Unrecognised int
	// AuditFacts is the number of distinct admin actions; AuditRepeats how many
	// more records report one of them again, in the same form or another.
	AuditFacts, AuditRepeats int
	// RemoteTasks is how many of the actions are about one device.
	RemoteTasks int
	// ApplicationActions is how many were done by an application and no person.
	ApplicationActions int
	// Devices is the number of distinct devices; Gone how many of them were wiped
	// or retired and left the exports. Company, Personal and UnknownOwner add up to
	// Devices, by their last known ownership.
	Devices, Gone                   int
	Company, Personal, UnknownOwner int
	// Persons is the number of distinct directory ids of users of devices and of
	// administrators who acted.
	Persons int
	// Apps holds, summed over devices, the entries of the list of apps that was read
	// last from each.
	Apps Apps
	// Changes counts what happened to devices between two exports, by what it was.
	Changes map[string]int
}

// Apps counts entries of lists of discovered apps, by the ownership that the device
// had when its list was read.
type Apps struct{ Company, Personal, UnknownOwner int }

// expect adds the day to what is expected.
func (f *Fleet) expect() {
	e := &f.expected
	for i := range f.actions {
		a := &f.actions[i]
		e.AuditFacts++
		for _, form := range []int{inLines, inBatch, inGraph} {
			if a.forms&form != 0 {
				e.AuditRepeats++
			}
		}
		e.AuditRepeats += bit(a.twice) - 1
		e.RemoteTasks += bit(a.targetType == "ManagedDevice")
		e.ApplicationActions += bit(a.actor == nil)
		if a.actor != nil {
			f.seen[a.actorIndex] = true
			f.acted[a.actorIndex]++
		}
	}
	for _, n := range f.detailed {
		d := &f.devices[n]
		var apps Apps
		*[...]*int{&apps.Company, &apps.Personal, &apps.UnknownOwner}[d.owner] = f.appCount(d)
		f.apps[n] = apps
	}
}

// Expected is what importing all files up to and including the present day must
// come to. Read, Failed and Unrecognised are known only to Write and are zero here.
func (f *Fleet) Expected() Expected {
	e := f.expected
	e.Changes = make(map[string]int, len(f.expected.Changes))
	for k, v := range f.expected.Changes {
		e.Changes[k] = v
	}
	for i := range f.devices {
		d := &f.devices[i]
		e.Devices++
		e.Gone += bit(d.gone)
		*[...]*int{&e.Company, &e.Personal, &e.UnknownOwner}[d.owner]++
	}
	for _, seen := range f.seen {
		e.Persons += bit(seen)
	}
	for _, a := range f.apps {
		e.Apps.Company += a.Company
		e.Apps.Personal += a.Personal
		e.Apps.UnknownOwner += a.UnknownOwner
	}
	return e
}

// A Summary tells what was written.
type Summary struct {
	Tenant      string
	Days, Files int
	Bytes       int64
	Records     map[Kind]int // source records, by kind
	Expected    Expected
}

// Progress is how far Write has come.
type Progress struct {
	Day, Days int // Day is the number of days that are written
	Records   int // source records so far
	Bytes     int64
}

// Write writes the files of all days under dir, which must not exist or be empty,
// one folder a day named by its date (2026-03-01/devices.ndjson, …). After each day
// it calls progress, if that is not nil. On an error, and when ctx ends, what was
// written stays.
func Write(ctx context.Context, cfg Config, dir string, progress func(Progress)) (Summary, error) {
	f, err := New(cfg)
	if err != nil {
		return Summary{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Summary{}, fmt.Errorf("fleet: write: %w", err)
	}
	if len(entries) > 0 {
		return Summary{}, fmt.Errorf("fleet: write: %s is not empty: %w", dir, fs.ErrExist)
	}
	s := Summary{Tenant: f.Tenant(), Records: map[Kind]int{}}
	read := 0
	out := bufio.NewWriterSize(nil, 256<<10)
	for day := range f.Days() {
		folder := filepath.Join(dir, day.Date.Format("2006-01-02"))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return s, fmt.Errorf("fleet: write: %w", err)
		}
		for _, file := range day.Files() {
			n, err := writeFile(ctx, filepath.Join(folder, file.Name), file, out, s.Records)
			s.Bytes += n
			if err == nil {
				err = os.Chtimes(filepath.Join(folder, file.Name), file.Modified, file.Modified)
			}
			if err != nil {
				return s, fmt.Errorf("fleet: write %s: %w", file.Name, err)
			}
			s.Files++
		}
		s.Days++
		read = 0
		for _, n := range s.Records {
			read += n
		}
		if progress != nil {
			progress(Progress{Day: s.Days, Days: f.cfg.Days, Records: read, Bytes: s.Bytes})
		}
	}
	s.Expected = f.Expected()
	s.Expected.Read = read
	s.Expected.Failed = s.Records[MalformedLine] + s.Records[ForeignRecord]
	s.Expected.Unrecognised = s.Records[DeviceStats]
	return s, nil
}

func writeFile(
	ctx context.Context, path string, file File, out *bufio.Writer, counts map[Kind]int,
) (written int64, err error) {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	out.Reset(to)
	for rec := range file.Records {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		// bufio keeps the first error and Flush returns it.
		_, _ = out.Write(rec.Data)
		_, _ = out.WriteString(file.LineEnd)
		written += int64(len(rec.Data) + len(file.LineEnd))
		counts[rec.Kind] += rec.N
	}
	return written, out.Flush()
}
