package main

// keepPrivate does nothing: there is no umask here, and what must be private is refused (package
// datadir).
func keepPrivate() {}
