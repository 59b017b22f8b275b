package engine

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The C library resets or replaces handlers of signals that the Go runtime lives by (SIGSEGV
// becomes a Go panic, SIGURG preempts goroutines, …). What libc's own sigaction reports is kept
// as opaque bytes, so no layout of struct sigaction is assumed; it is smaller than this on
// every platform Go runs on.
const sigactionBytes = 256

// Handlers are those of the process at one moment.
type Handlers struct {
	sigaction func(sig int32, act, old unsafe.Pointer) int32
	saved     map[int32]*[sigactionBytes]byte
}

// SaveHandlers notes the handlers that are in force.
func SaveHandlers() (*Handlers, error) {
	name := "libc.so.6"
	if runtime.GOOS == "darwin" {
		name = "/usr/lib/libSystem.B.dylib"
	}
	libc, err := dlopen(name)
	if err != nil {
		return nil, fmt.Errorf("save signal handlers: %w", err)
	}
	h := &Handlers{saved: make(map[int32]*[sigactionBytes]byte)}
	sym, err := dlsym(libc, "sigaction")
	if err != nil {
		return nil, fmt.Errorf("save signal handlers: %w", err)
	}
	purego.RegisterFunc(&h.sigaction, sym)
	for sig := int32(1); sig < 65; sig++ {
		old := new([sigactionBytes]byte)
		if h.sigaction(sig, nil, unsafe.Pointer(old)) == 0 { // libc keeps a few for itself and refuses them
			h.saved[sig] = old
		}
	}
	return h, nil
}

// Restore puts them in force again.
func (h *Handlers) Restore() error {
	for sig, old := range h.saved {
		if sig == 9 || sig == 19 || sig == 17 && runtime.GOOS == "darwin" { // SIGKILL and SIGSTOP have none
			continue
		}
		if h.sigaction(sig, unsafe.Pointer(old), nil) != 0 {
			return fmt.Errorf("restore the handler of signal %d", sig)
		}
	}
	return nil
}
