package dsar

// Categories are what the tests look at from outside.
var Categories = categories
