package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// keepPrivate does nothing: there is no umask here, and what must be private is refused (package
// node).
func keepPrivate() {}

// terminalSize is how many columns a console shows; ok is false where f is none.
func terminalSize(f *os.File) (columns int, ok bool) {
	var mode uint32
	if windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) != nil {
		return 0, false
	}
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info) != nil {
		return 0, true // a console to read from
	}
	return int(info.Window.Right-info.Window.Left) + 1, true
}

// hideInput has a console not show what is typed, until restore.
func hideInput(f *os.File) (restore func() error, err error) {
	h := windows.Handle(f.Fd())
	var before uint32
	if err := windows.GetConsoleMode(h, &before); err != nil {
		return nil, err
	}
	unseen := before&^windows.ENABLE_ECHO_INPUT | windows.ENABLE_LINE_INPUT | windows.ENABLE_PROCESSED_INPUT
	if err := windows.SetConsoleMode(h, unseen); err != nil {
		return nil, err
	}
	return func() error { return windows.SetConsoleMode(h, before) }, nil
}
