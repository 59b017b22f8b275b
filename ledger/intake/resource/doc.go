// Package resource makes a kind of what its folder declares as data: the things that a tenant has
// beside its devices, which Graph calls resources. Apps, roles and connectors are some.
//
// A Declaration says which types tell of one, which attribute tells things apart, how each source
// writes one, and whom it may name. From there all is the same for every such kind: records are
// read by tables, nested objects are flattened, lists become entries of one value each, secrets
// are left out, and what a record adds is compared by ledger/entity. ledger/intake/DESIGN.md,
// "Resources", has the rules.
//
// It keeps nothing, knows no kind by name, and trusts no record: what is no value of the
// declared shape is sealed, and what cannot be told from another fails, by field.
package resource
