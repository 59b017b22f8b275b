package terminal

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// promptWriter hands over what is asked, question by question.
type promptWriter chan string

func (w promptWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// On a terminal the password is asked for twice and never shown, and the terminal is as before
// afterwards.
func TestAPasswordTypedIsNotShown(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, tc := range []struct{ first, second, says string }{{"twelve or more", "twelve or more", ""},
		{"twelve or more", "twelve or less", "not the same"}, {"few", "few", "at least"}} {
		prompts := make(promptWriter)
		var got string
		var asked error
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, asked = NewPassword(t.Context(), terminal, prompts)
		}()
		for answers := []string{tc.first, tc.second}; ; {
			select {
			case p := <-prompts:
				if strings.HasSuffix(p, ": ") {
					for echoes(t, terminal) { // the question comes a moment before it is unseen
						runtime.Gosched()
					}
					if _, err := master.WriteString(answers[0] + "\n"); err != nil {
						t.Fatal(err)
					}
					answers = answers[1:]
				}
				continue
			case <-done:
			}
			break
		}
		if tc.says == "" && (asked != nil || got != tc.first) ||
			tc.says != "" && (asked == nil || !strings.Contains(asked.Error(), tc.says)) {
			t.Errorf("%q then %q: %v, want %q", tc.first, tc.second, asked, tc.says)
		}
	}
	if _, err := master.WriteString("seen\n"); err != nil { // the terminal shows again what is typed
		t.Fatal(err)
	}
	var shown []byte
	for buf := make([]byte, 256); !bytes.Contains(shown, []byte("seen")); {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, buf[:n]...)
	}
	if bytes.Contains(shown, []byte("twelve")) || bytes.Contains(shown, []byte("few")) {
		t.Errorf("the terminal showed %q", shown)
	}
}
