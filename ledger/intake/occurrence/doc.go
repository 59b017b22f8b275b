// Package occurrence makes a kind of what its folder declares as data: things that happened once,
// as CloudEvents tell them. A message that was exchanged, a control that was selected and a
// measurement are some.
//
// A Declaration says which type tells of one, which attribute is filled by which member of the
// data, and which members name whose it is. From there all is the same for every such kind: an
// event is told apart by its source and id, whoever is named is found or made known, values are
// sealed under their key, and what is told again tells nothing.
//
// It keeps nothing, knows no kind by name, and trusts no event.
package occurrence
