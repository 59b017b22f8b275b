package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// leastPassword is the least number of characters of a password that a person chooses.
const leastPassword = 12

// readPassword asks for a password twice, unseen, or reads the first line of what is no terminal.
func readPassword(ctx context.Context, in io.Reader, prompt io.Writer) (string, error) {
	f, ok := in.(*os.File)
	ask := ok && isTerminal(f)
	password, err := "", error(nil)
	if ask {
		if password, err = askUnseen(ctx, f, prompt, "password: "); err != nil {
			return "", err
		}
		again, err := askUnseen(ctx, f, prompt, "the same again: ")
		if err != nil {
			return "", err
		}
		if again != password {
			return "", usage("the passwords are not the same")
		}
	} else if password, err = readLine(in); err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len([]rune(password)) < leastPassword {
		return "", usage("a password has at least %d characters", leastPassword)
	}
	return password, nil
}

// askUnseen reads a line from a terminal that does not show it.
func askUnseen(ctx context.Context, f *os.File, prompt io.Writer, question string) (_ string, err error) {
	restore, err := hideInput(f)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	defer func() {
		err = errors.Join(err, restore())
		fmt.Fprintln(prompt)
	}()
	fmt.Fprint(prompt, question)
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // after Ctrl-C it waits for a line that nobody types, until the command has ended
		line, err := readLine(f)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLine reads up to the end of a line and not a byte more, so that the next line can be read too.
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
