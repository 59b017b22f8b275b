// Package remoteaction is the kind of remote actions: what was asked of one device from afar, by
// whom, and how far it has come. Audit events of remote tasks, remoteActionAudits and a device's
// deviceActionResults tell of one; whichever comes first, they come to one stream. DESIGN.md says
// how they find it.
//
// It keeps nothing. It trusts a record for nothing but what it says of its own action. Secrets
// that a result holds are counted and not kept.
package remoteaction
