// Package report answers a compliance officer's and an auditor's questions: read-only reports
// with a header that says what was asked, of what, as of which ledger sequence, and how much of
// it may not be shown.
//
// It owns no state and may lose nothing: a report is a reading of the views. It trusts the Reader
// for which events there are and the Opener for who may see a value; a value that is not what the
// catalogue or its own event says it is fails the whole report. Protected values are masked
// unless the caller gives an Opener and asks to reveal them, and live only for the chunk of rows
// that is being written. Rows pass in constant memory; a sample holds what it shows.
//
// The words, columns and traps are those of docs/OFFICER.md, §§1 and 4. See DESIGN.md beside this
// file.
package report
