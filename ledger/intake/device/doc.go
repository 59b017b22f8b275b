// Package device is the kind of managed devices: how Graph and Azure Monitor write one, and how a
// snapshot changes what is known of it, of who uses it and of whose its data is.
//
// It keeps nothing. It trusts the record for nothing but what the device is said to be: apps of a
// device that is not known to be the company's stay out, and so does what is never collected.
package device
