//go:build !crash

package node

import "log/slog"

// crashVariables are none: only a program that is built with the tag crash, for tests, kills
// itself at a named point.
var crashVariables []string

func CrashHook(*slog.Logger) func(string) error { return nil }
