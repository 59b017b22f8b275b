// Package fleet invents a fleet of managed devices and writes what Microsoft
// Intune would report about it, day by day, in Intune's own formats: Azure
// Monitor records, Event Hubs batches and Microsoft Graph responses, with the
// irregularities that the real ones have.
//
// It owns nothing and keeps nothing: everything follows from a Config, and the
// same Config gives the same bytes. It knows nothing of the ledger, so that what
// the ledger makes of a fleet can be checked against what the fleet says of
// itself (Summary, Truth). All names, numbers and addresses are made up; domains
// end in .example (RFC 2606).
//
// Shapes: https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice,
// https://learn.microsoft.com/graph/api/resources/intune-auditing-auditevent,
// https://learn.microsoft.com/azure/azure-monitor/reference/tables/intunedevices.
package fleet

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// A Config describes a fleet. Fill one with Sized and change what matters.
type Config struct {
	// Seed decides everything that the other fields leave open.
	Seed uint64
	// Tenant is the GUID of the source tenant; when empty it follows from Seed.
	Tenant string
	// Domain is that of all addresses. It must end in ".example".
	Domain string

	// Devices is the size of the fleet on the first day, Users the number of
	// people who may have one, Admins the number who act on them. Every second
	// administrator is also a user.
	Devices, Users, Admins int

	// Start is the first day; Days how many there are. Only the UTC date counts.
	Start time.Time
	Days  int

	// PersonalShare is the share of devices that belong to their users, 0 to 1.
	PersonalShare float64
	// AppsPerDevice is about how many discovered apps a device has.
	AppsPerDevice int

	// ContactShare is the share of devices that report on an ordinary day, 0 to 1.
	// A day's Devices export holds those, and whatever else changed.
	ContactShare float64
	// FullEvery makes every so-many-th day an export of all devices; 0 leaves
	// only the first day's.
	FullEvery int

	// AuditPerDay is the number of distinct admin actions a day.
	AuditPerDay int
	// GraphAuditShare is the share of admin actions that Graph reports as well.
	GraphAuditShare float64

	// GraphShare is the share of the fleet that Graph's device pages cover, every
	// GraphEvery days from the first. GraphEvery 0 means never.
	GraphShare float64
	GraphEvery int
	// GraphPage is the number of devices on a page.
	GraphPage int
	// DetailPerDay is how many devices a day are read one by one with their apps.
	DetailPerDay int

	// Malformed is how many lines a day cannot be parsed.
	Malformed int
	// Foreign is how many records a day name another tenant.
	Foreign int
}

// Sized describes so many devices over 30 days from 1 March 2026, with people and actions in
// proportion.
func Sized(devices int) Config {
	return Config{
		Seed:            1,
		Domain:          "contoso.example",
		Devices:         devices,
		Users:           max(1, devices*7/10),
		Admins:          min(max(2, devices/400), 60),
		Start:           time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Days:            30,
		PersonalShare:   0.3,
		AppsPerDevice:   40,
		ContactShare:    0.12,
		FullEvery:       14,
		AuditPerDay:     max(10, devices/100),
		GraphAuditShare: 0.3,
		GraphShare:      0.05,
		GraphEvery:      7,
		GraphPage:       100,
		DetailPerDay:    min(max(2, devices/200), 20),
	}
}

var (
	guidShape   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	domainShape = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.example$`)
)

// Validate returns every fault of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("fleet: "+format, args...))
		}
	}
	fault(c.Tenant != "" && !guidShape.MatchString(c.Tenant), "Tenant is no lower-case GUID")
	fault(!domainShape.MatchString(c.Domain), "Domain %q does not end in .example", c.Domain)
	fault(c.Devices < 1 || c.Devices > 5_000_000, "Devices is %d, not 1 to 5,000,000", c.Devices)
	fault(c.Users < 1, "Users is %d, not at least 1", c.Users)
	fault(c.Admins < 1, "Admins is %d, not at least 1", c.Admins)
	fault(c.Start.Year() < 2000 || c.Start.Year() > 2200, "Start is not in the years 2000 to 2200")
	fault(c.Days < 1 || c.Days > 3660, "Days is %d, not 1 to 3660", c.Days)
	fault(c.AuditPerDay < 1, "AuditPerDay is %d, not at least 1", c.AuditPerDay)
	fault(c.GraphPage < 1, "GraphPage is %d, not at least 1", c.GraphPage)
	for _, s := range []struct {
		name  string
		value float64
	}{{"PersonalShare", c.PersonalShare}, {"ContactShare", c.ContactShare}, {"GraphShare", c.GraphShare},
		{"GraphAuditShare", c.GraphAuditShare}} {
		fault(!(s.value >= 0 && s.value <= 1), "%s is %v, not 0 to 1", s.name, s.value)
	}
	for _, s := range []struct {
		name  string
		value int
	}{{"AppsPerDevice", c.AppsPerDevice}, {"FullEvery", c.FullEvery}, {"GraphEvery", c.GraphEvery},
		{"DetailPerDay", c.DetailPerDay},
		{"Malformed", c.Malformed}, {"Foreign", c.Foreign}} {
		fault(s.value < 0, "%s is %d, below 0", s.name, s.value)
	}
	return errors.Join(errs...)
}
