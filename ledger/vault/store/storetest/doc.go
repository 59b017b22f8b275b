// Package storetest owns what every store.Store must do, as an exported test suite. It is for
// tests only.
package storetest
