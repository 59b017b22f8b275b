//go:build unix

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepPrivate has what this process writes be its owner's alone.
func keepPrivate() { syscall.Umask(0o077) }

// terminalSize is how many columns a terminal shows; ok is false where f is none.
func terminalSize(f *os.File) (columns int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// hideInput has a terminal not show what is typed, until restore.
func hideInput(f *os.File) (restore func() error, err error) {
	before, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return nil, err
	}
	unseen := *before
	unseen.Lflag &^= unix.ECHO
	unseen.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(int(f.Fd()), setTermios, &unseen); err != nil {
		return nil, err
	}
	return func() error { return unix.IoctlSetTermios(int(f.Fd()), setTermios, before) }, nil
}
