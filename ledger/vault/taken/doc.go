// Package taken keeps which records were taken, so that whoever takes records in need not look at
// them once more.
//
// It owns pages, each of some records, that could be made anew at any time, and may lose any. What
// became of a record rests on streams and names: once one is unsettled, it is known no longer; and
// each forgetting forgets all pages of the tenant. It trusts its rows to be no older than what was
// unsettled; whether the ledger still has what they rest on, its caller asks. What a page says,
// its caller decides: here it is a sealed text.
package taken
