package fleet

import (
	"fmt"
	"strings"
	"time"
)

type ownership uint8

const (
	company ownership = iota
	personal
	unknownOwner
)

type compliance uint8

const (
	compliant compliance = iota
	noncompliant
	inGrace
	unknownCompliance
)

// The two spellings of one thing: Azure Monitor's exports and Graph.
var (
	ownershipText   = [...]string{"Corporate", "Personal", "Unknown"}
	ownershipGraph  = [...]string{"company", "personal", "unknown"}
	complianceText  = [...]string{"Compliant", "Noncompliant", "InGracePeriod", "Unknown"}
	complianceGraph = [...]string{"compliant", "noncompliant", "inGracePeriod", "unknown"}
)

// A platform is an operating system as Intune names it, here and there.
type platform struct {
	azure, graph, deviceType, chassis, inName string
	models                                    []string // maker|model
	version                                   func(step int) string
}

var platforms = [...]platform{
	{"Windows", "Windows", "windowsRT", "desktop", "Windows",
		[]string{"LENOVO|20XW", "LENOVO|21HM", "Dell Inc.|Latitude 5450", "HP|EliteBook 840 G11",
			"Microsoft Corporation|Surface Laptop 7"},
		func(step int) string { return fmt.Sprintf("10.0.26100.%d", 3194+step*137) }},
	{"macOS", "macOS", "macMDM", "desktop", "MacOS",
		[]string{"Apple|MacBook Pro", "Apple|MacBook Air", "Apple|Mac mini"},
		func(step int) string {
			return fmt.Sprintf("15.%d.%d (24%c%d)", step/3, step%3, 'C'+rune(step/3%20), 60+step*7)
		}},
	{"iOS/iPadOS", "iOS", "iPhone", "phone", "IPhone",
		[]string{"Apple|iPhone 15", "Apple|iPhone 16 Pro", "Apple|iPhone SE", "Apple|iPad Air"},
		func(step int) string { return fmt.Sprintf("18.%d.%d", step/3, step%3) }},
	{"Android (Personally-Owned Work Profile)", "AndroidForWork", "androidForWork", "phone", "AndroidForWork",
		[]string{"samsung|SM-S921B", "Google|Pixel 9", "Fairphone|FP5", "Nokia|XR21"},
		func(step int) string { return fmt.Sprintf("%d.0", 15+step/8) }},
}

// A device is the present state of one device; reporting it changes nothing.
type device struct {
	n                  int
	id, refID          string // Intune's id, the directory's (zero where it has none)
	name, managedName  string
	serial, imei, meid string
	mac, easID, phone  string
	maker, model       string
	platform           *platform
	owner              ownership
	user               int // index into people, -1 without one
	created            time.Time
	osStep             int
	state              compliance
	encrypted          bool
	totalMB, freeMB    int
	contact            time.Time
	contacts           int    // how often it has reported: what its apps depend on
	pending            string // "", "retire" or "wipe"
	gone               bool
}

const (
	upper  = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
	digits = "0123456789"
	hexes  = "0123456789ABCDEF"
)

func newDevice(c Config, p *people, n int, created, contact time.Time) device {
	r := c.rng(forDevice, n)
	d := device{n: n, id: r.guid(), refID: r.guid(), created: created, contact: contact, user: r.n(p.users)}
	mobile := false
	if r.chance(c.PersonalShare) {
		d.owner, mobile = personal, r.chance(0.9)
	} else {
		mobile = r.chance(0.2)
	}
	kind := r.n(2)
	if mobile {
		kind += 2
	} else if kind == 1 && r.chance(0.5) {
		kind = 0 // more Windows than Mac
	}
	d.platform = &platforms[kind]
	d.maker, d.model, _ = strings.Cut(r.pick(d.platform.models), "|")
	d.serial = r.from(upper, 10)
	d.easID = r.from(hexes, 16)
	d.mac = r.from(hexes, 12)
	d.osStep = r.n(5)
	d.encrypted = r.chance(0.95)
	d.totalMB = []int{61035, 121845, 243406, 486811, 976762}[r.n(5)]
	d.freeMB = r.between(d.totalMB/10, d.totalMB*9/10)
	d.state = [...]compliance{compliant, compliant, compliant, compliant, compliant, compliant, compliant, compliant,
		noncompliant, inGrace}[r.n(10)]
	if mobile {
		d.imei = "35" + r.from(digits, 13)
		d.meid = d.imei[:14]
		d.phone = "+*******" + r.from(digits, 4)
	}
	who := &p.all[d.user]
	stamp := created.Format("1/2/2006_3:04 PM")
	d.name = who.local + "_" + d.platform.inName + "_" + stamp
	d.managedName = d.name
	switch {
	case kind == 0 && d.owner == company && r.chance(0.5):
		d.name = "CONTOSO-" + d.serial[:7]
	case kind == 2 || kind == 1:
		d.name = who.given + "’s " + d.model
	}
	switch trap := r.n(100); {
	case trap < 3:
		d.serial = "0"
	case trap < 5:
		d.serial = "System Serial Number"
	case trap < 9: // a device that belongs to nobody in particular
		if d.owner == company {
			d.user, d.managedName = -1, "_"+d.platform.inName+"_"+stamp
			d.name = "KIOSK-" + r.from(upper, 6)
		}
	case trap < 12:
		d.refID = zeroGUID // not in the directory: must not make two devices one
	case trap < 13:
		d.owner = unknownOwner
	case trap < 14:
		d.totalMB, d.freeMB = 0, 0
	}
	return d
}

// report is what happens when a device reports: its free storage always moves, and
// now and then something worth recording has changed too.
func (d *device) report(r *rng, when time.Time, count func(what string)) {
	d.contact = when
	d.contacts++
	if d.totalMB > 0 {
		d.freeMB = min(max(d.freeMB+r.between(-2000, 1500), 512), d.totalMB)
	}
	if r.chance(0.10) {
		d.osStep++
		count("os-update")
	}
	if r.chance(0.05) {
		next := compliance(r.n(3))
		if next != d.state {
			d.state = next
			count("compliance")
		}
	}
	if !d.encrypted && r.chance(0.2) {
		d.encrypted = true
		count("encryption")
	}
}

// A Truth is what a fleet says a device's state is after the days iterated so far,
// in Azure Monitor's spelling.
type Truth struct {
	ID, SerialNumber, OSVersion, Compliance, Ownership string
	UserID, UPN                                        string // "" without a user
	LastContact                                        time.Time
	StorageFreeMB                                      int
	// Gone: retired or wiped; exports no longer hold it. Its last row said so.
	Gone bool
}
