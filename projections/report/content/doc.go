// Package content is what stands in a report's rows: values as the views hold them, open or as
// tokens until they are opened, and how people read each in a language.
//
// It owns no state. It trusts the views for what a value is of, and shows no token's value that
// was sealed for another attribute or event than the one in which it stands.
package content
