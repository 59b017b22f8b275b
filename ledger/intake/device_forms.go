package intake

import "slices"

// The forms of a device, as they are counted and named.
const (
	kindManagedDevice = "managedDevices" // Graph
	kindDevice        = "Devices"        // Azure Monitor
)

// deviceForms are how sources write a device.
var deviceForms = []Form{
	{
		Name: kindManagedDevice, Origin: sourceGraph,
		ODataTypes: []string{"managedDevice", "windowsManagedDevice"}, Collection: "managedDevices",
		Members: [][]string{
			{"id", "enrolledDateTime", "managementAgent"}, {"id", "managedDeviceOwnerType", "lastSyncDateTime"},
		},
		SDK: [][]string{{"lastSyncDateTime"}, {"enrolledDateTime"}},
		Fields: FieldNames(slices.Concat(graphDevice, graphHardware), "hardwareInformation", "usersLoggedOn",
			"lastLogOnDateTime", "detectedApps", "sizeInByte", "activationLockBypassCode"),
	},
	{
		Name: kindDevice, Origin: sourceAzureMonitor, Category: "Devices",
		Overview: Overview{Has: "Stats", Lacks: "DeviceId"},
		Table:    "IntuneDevices", Flat: true,
		Columns:  []string{"TimeGenerated", "DeviceId", "LastContact", "CompliantState"},
		Unshared: []string{"DeviceId", "Stats", "BatchId"},
	},
}
