//go:build unix

package main

import "syscall"

// keepPrivate has what this process writes be its owner's alone.
func keepPrivate() { syscall.Umask(0o077) }
