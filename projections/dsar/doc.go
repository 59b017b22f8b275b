// Package dsar makes the access package of one person (GDPR Art. 15): a zip with pages to read,
// the data itself, what is withheld and why, and the hashes to check it by.
//
// It owns the package's form and the decision, value by value, whether something is the person's
// to see. It keeps no state and writes nothing but the package; it may lose nothing. It trusts
// the caller for who the person is (aliases, devices with periods), the Reader for which events
// there are, and the Opener for what is in a token. Values of others are never opened: they are
// counted as withheld. Names, addresses and words of others never enter the package.
//
// A table of a page is made in view.go, those of a device in devices.go; whose a value is decides
// judge.go; which files there are, write.go; every text stands in schemas/words, under dsar.
//
// The content is that of docs/OFFICER.md §2. See DESIGN.md beside this file.
package dsar
