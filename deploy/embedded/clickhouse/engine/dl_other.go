//go:build !unix

package engine

import "errors"

var errNoLoader = errors.New("no library is loaded on this system")

func dlopen(string) (uintptr, error) { return 0, errNoLoader }

func dlsym(uintptr, string) (uintptr, error) { return 0, errNoLoader }
