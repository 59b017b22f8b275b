package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// LeastPassword is the least number of characters of a password that a person chooses, for an
// account of package accounts, which asks for as many itself, or for a user of the event store.
const LeastPassword = 12

// What is wrong with a password that was given.
var (
	ErrShort     = fmt.Errorf("a password has at least %d characters", LeastPassword)
	ErrDifferent = errors.New("the passwords are not the same")
)

// NewPassword asks for a password twice, unseen, or reads the first line of what is no terminal.
// It errs with ErrShort or ErrDifferent, and with ctx's error where that ends first.
func NewPassword(ctx context.Context, in io.Reader, prompt io.Writer) (string, error) {
	password, err := Password(ctx, in, prompt, "password: ")
	if err != nil {
		return "", err
	}
	if Is(in) {
		again, err := Password(ctx, in, prompt, "the same again: ")
		if err != nil {
			return "", err
		}
		if again != password {
			return "", ErrDifferent
		}
	}
	if len([]rune(password)) < LeastPassword {
		return "", ErrShort
	}
	return password, nil
}

// Password asks a question on prompt and returns the line that is typed unseen; of what is no
// terminal it asks nothing and returns the first line. It reads not a byte more, so that what
// follows can be read too.
func Password(ctx context.Context, in io.Reader, prompt io.Writer, question string) (line string, err error) {
	if f, ok := in.(*os.File); ok && Is(in) {
		line, err = askUnseen(ctx, f, prompt, question)
	} else {
		line, err = readLine(in)
	}
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return line, nil
}

// askUnseen reads a line from a terminal that does not show it, and that is as it was afterwards,
// after Ctrl-C too.
func askUnseen(ctx context.Context, f *os.File, prompt io.Writer, question string) (_ string, err error) {
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", err
	}
	type answer struct {
		line []byte
		err  error
	}
	answered := make(chan answer, 1)
	fmt.Fprint(prompt, question)
	go func() { // after Ctrl-C it waits for a line that nobody types, until the command has ended
		line, err := term.ReadPassword(int(f.Fd()))
		answered <- answer{line, err}
	}()
	defer func() { fmt.Fprintln(prompt) }()
	select {
	case a := <-answered:
		if errors.Is(a.err, io.EOF) { // the end of input at once: nothing was typed
			a.err = nil
		}
		return string(a.line), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(int(f.Fd()), before))
	}
}

// readLine reads up to the end of a line and not a byte more, so that the next line can be read
// too.
func readLine(in io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := in.Read(b[:])
		if n == 1 && b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b[:n]...)
		if errors.Is(err, io.EOF) {
			return string(line), nil
		}
		if err != nil {
			return "", err
		}
	}
}
