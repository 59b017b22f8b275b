package device

import (
	"slices"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
)

// The forms of a device, as they are counted and named.
const (
	kindManagedDevice = "managedDevices" // Graph
	kindDevice        = "Devices"        // Azure Monitor
)

// forms are how sources write a device.
var forms = []source.Form{
	{
		Name: kindManagedDevice, Origin: source.Graph,
		ODataTypes: []string{"managedDevice", "windowsManagedDevice"}, Collection: "managedDevices",
		Members: [][]string{
			{"id", "enrolledDateTime", "managementAgent"}, {"id", "managedDeviceOwnerType", "lastSyncDateTime"},
		},
		SDK: [][]string{{"lastSyncDateTime"}, {"enrolledDateTime"}},
		Fields: entity.FieldNames(slices.Concat(graphDevice, graphHardware), "hardwareInformation", "usersLoggedOn",
			"lastLogOnDateTime", "detectedApps", "sizeInByte", "activationLockBypassCode"),
	},
	{
		Name: kindDevice, Origin: source.AzureMonitor, Category: "Devices",
		Overview: source.Overview{Has: "Stats", Lacks: "DeviceId"},
		Table:    "IntuneDevices", Flat: true,
		Columns:  []string{"TimeGenerated", "DeviceId", "LastContact", "CompliantState"},
		Unshared: []string{"DeviceId", "Stats", "BatchId"},
	},
}
