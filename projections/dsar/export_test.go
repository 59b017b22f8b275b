package dsar

// What the tests look at from outside.
var (
	PageHTML       = pageHTML
	Texts          = texts
	Glossary       = glossary
	NeverCollected = neverCollected
	VerifyTexts    = verifyTexts
	Categories     = categories
)
