package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
)

// storeAccess is how the embedded event store is to be reached: over TLS or not, and by whom.
type storeAccess struct {
	tls      *eventstore.TLSConfig
	users    []eventstore.User
	password string // of this machine's own account; "" where nobody is asked
}

// storeAccess reads the configuration and the users' file, and makes this machine's own account where it is needed.
func (a *app) storeAccess() (storeAccess, error) {
	var s storeAccess
	e := a.cfg.Embedded
	beyond, err := eventstore.BeyondLoopback(e.EventStoreAddr)
	if err != nil {
		return s, usage("embedded.eventstore-addr: %w", err)
	}
	path := a.usersFile()
	users, err := readUsers(path)
	switch {
	case err == nil:
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			a.log.Warn("the event store's users can be read by others than their owner: chmod 600", "file", path, "mode", info.Mode().Perm().String())
		}
	case !errors.Is(err, fs.ErrNotExist):
		return s, &exitError{exitUsage, err}
	case e.EventStoreUsers != "" && !beyond:
		return s, usage("embedded.eventstore-users: %w (`ledgerline eventstore user add NAME` makes it)", err)
	case beyond:
		return s, usage(`the embedded event store is to listen on %s, which other machines can reach, and nobody has been said who may.
Make a user first; --groups ledger is for a ledgerline elsewhere, '$admins' for an administrator:
  ledgerline eventstore user add NAME --groups ledger
It will stand in %s`, e.EventStoreAddr, path)
	default:
		if _, err := os.Stat(a.accountFile()); err == nil { // a file that was lost must not open the store to everybody
			return s, usage("the event store has asked for passwords before, and the file of its users, %s, is gone: bring it back, make a user with "+
				"`ledgerline eventstore user add NAME`, or remove %s to let everybody on this machine in", path, a.accountFile())
		}
	}
	asked := err == nil
	switch on := e.EventStoreTLS; {
	case on == "off" && asked:
		return s, usage("embedded.eventstore-tls is off, but there are users in %s: passwords are not sent in plaintext", path)
	case on == "off" && beyond:
		return s, usage("embedded.eventstore-tls is off, but %s can be reached by other machines", e.EventStoreAddr)
	case on == "off" || on == "auto" && !asked && !beyond && e.EventStoreCert == "":
		return s, nil
	case on != "on" && on != "auto":
		return s, usage("embedded.eventstore-tls %q is not auto, on or off", on)
	}
	s.tls = &eventstore.TLSConfig{CertFile: e.EventStoreCert, KeyFile: e.EventStoreKey, CAFile: e.EventStoreCert, ClientCAFile: e.EventStoreClientCA}
	if !asked {
		return s, nil
	}
	if s.password, err = a.ensureAccount(); err != nil {
		return s, err
	}
	digest, err := eventstore.DigestSecret(s.password)
	if err != nil {
		return s, fmt.Errorf("this machine's own account at its event store: %s: %w", a.accountFile(), err)
	}
	s.users = append(users, eventstore.User{Name: accountName, SecretSHA256: digest, Groups: []string{ledgerGroup}})
	return s, nil
}

func (a *app) accountFile() string { return filepath.Join(a.cfg.Data, "keys", accountFile) }

// ensureAccount returns the password of this machine's own account, making one at the first start.
func (a *app) ensureAccount() (string, error) {
	password, err := a.accountPassword()
	if !errors.Is(err, fs.ErrNotExist) {
		return password, err
	}
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	password = base64.RawURLEncoding.EncodeToString(random[:])
	if err := os.MkdirAll(filepath.Dir(a.accountFile()), 0o700); err != nil {
		return "", err
	}
	return password, writePrivate(a.accountFile(), []byte(password+"\n"))
}

func (a *app) accountPassword() (string, error) {
	raw, err := os.ReadFile(a.accountFile())
	if err != nil {
		return "", fmt.Errorf("this machine's own account at its event store: %w", err)
	}
	password := strings.TrimSpace(string(raw))
	if password == "" {
		return "", fmt.Errorf("this machine's own account at its event store: %s is empty; remove it and start `ledgerline up` again", a.accountFile())
	}
	return password, nil
}

// ownEventStore is the connection string of a running node's event store, with the machine's own credentials where it asks for some.
func (a *app) ownEventStore(r running) (string, error) {
	if !r.EventStoreAccount {
		return r.EventStore, nil
	}
	password, err := a.accountPassword()
	if err != nil {
		return "", err
	}
	return withAccount(r.EventStore, password)
}

// withAccount returns the connection string with the machine's own credentials; it is dialled and never shown.
func withAccount(address, password string) (string, error) {
	if password == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("address of the embedded event store: %w", err)
	}
	u.User = url.UserPassword(accountName, password)
	return u.String(), nil
}

// shown is a connection string without the credentials that it may hold.
func shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	host, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		rest = host[at+1:]
		if query != "" {
			rest += "?" + query
		}
	}
	return scheme + "://" + rest
}

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
	before, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	unseen := *before
	unseen.Lflag &^= unix.ECHO
	unseen.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &unseen); err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	defer func() {
		err = errors.Join(err, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, before))
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
