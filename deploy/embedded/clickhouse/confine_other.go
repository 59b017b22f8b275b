//go:build unix && !(linux && (amd64 || arm64))

package clickhouse

import "runtime"

// confine reports that nothing holds: Landlock and seccomp are Linux's.
func confine(plan) (Confinement, error) {
	return Confinement{Missing: []string{"nothing confines a process on " + runtime.GOOS + "/" + runtime.GOARCH}}, nil
}
