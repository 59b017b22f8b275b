package eventstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// aclWorld is a server with an administrator and two users who share one group.
type aclWorld struct {
	admin, anna, piet *fixture
}

func newACLWorld(t *testing.T, change func(*Config)) aclWorld {
	t.Helper()
	cfg := secureConfig(t, testUser(t, "anna", "a", "auditors"), testUser(t, "piet", "p"))
	if change != nil {
		change(&cfg)
	}
	s := startServer(t, cfg)
	return aclWorld{login(t, s, adminName, adminPassword), login(t, s, "anna", "a"), login(t, s, "piet", "p")}
}

// write appends one event of raw bytes, as any client may.
func (f *fixture) write(stream, data string) error {
	e := event(data)
	_, err := f.c.AppendToStream(f.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e)
	return err
}

func (f *fixture) putMeta(stream, data string) {
	f.t.Helper()
	if err := f.write("$$"+stream, data); err != nil {
		f.t.Fatalf("write the metadata of %s: %v", stream, err)
	}
}

// doings are what a list of roles each governs, by the list's name.
var doings = map[string]func(f *fixture, stream string) error{
	"$r": func(f *fixture, stream string) error {
		_, err := f.readStream(stream, esdb.Forwards, esdb.Start{}, 1)
		return err
	},
	"$w": func(f *fixture, stream string) error { return f.write(stream, `{}`) },
	"$mr": func(f *fixture, stream string) error {
		// the client itself fails on lists that are arrays
		_, err := f.readStream("$$"+stream, esdb.Backwards, esdb.End{}, 1)
		return err
	},
	"$mw": func(f *fixture, stream string) error {
		got, err := login(f.t, f.s, adminName, adminPassword).readStream("$$"+stream, esdb.Backwards, esdb.End{}, 1)
		if err != nil || len(got) == 0 {
			return f.write("$$"+stream, `{}`)
		}
		return f.write("$$"+stream, string(got[0].Data)) // leave it as it is
	},
	"$d": func(f *fixture, stream string) error {
		_, err := f.c.DeleteStream(f.ctx, stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.StreamExists{}})
		return err
	},
}

// doingOrder ends with the one after which the stream is gone.
var doingOrder = []string{"$r", "$w", "$mr", "$mw", "$d"}

func denied(t *testing.T, who, what string, err error) {
	t.Helper()
	var e *esdb.Error
	// a dropped subscription has the raw error
	if status.Code(err) != codes.PermissionDenied && (!errors.As(err, &e) || e.Code() != esdb.ErrorCodeAccessDenied) {
		t.Errorf("%s: %s: got %v, want access denied", who, what, err)
	}
}

// Each list of "$acl", as a text or an array, names by user or group who may do
// what it is for; nobody else, except administrators.
func TestEachListOfAStreamGovernsItsAction(t *testing.T) {
	w := newACLWorld(t, nil)
	for i, list := range doingOrder {
		for j, roles := range []string{`"anna"`, `["nobody","auditors"]`} {
			stream := "s" + string(rune('a'+i)) + string(rune('a'+j))
			if err := w.piet.write(stream, `{}`); err != nil {
				t.Fatalf("a user's own stream: %v", err)
			}
			w.piet.putMeta(stream, `{"$acl":{"`+list+`":`+roles+`}}`)
			denied(t, "piet", list, doings[list](w.piet, stream))
			for _, other := range doingOrder[:4] { // what has no list is as by default
				if err := doings[other](w.piet, stream); other != list && err != nil {
					t.Errorf("%s governs %s too: %v", list, other, err)
				}
			}
			for name, f := range map[string]*fixture{"anna": w.anna, "admin": w.admin} {
				if list == "$d" {
					if err := w.piet.write(stream, `{}`); err != nil {
						t.Fatal(err)
					}
					w.admin.putMeta(stream, `{"$acl":{"`+list+`":`+roles+`}}`)
				}
				if err := doings[list](f, stream); err != nil {
					t.Errorf("%s with %s %s: %v", name, list, roles, err)
				}
			}
		}
	}
}

// An empty list names nobody, and what cannot be read gives nobody anything:
// only administrators are left.
func TestListsThatNameNobody(t *testing.T) {
	w := newACLWorld(t, nil)
	for stream, meta := range map[string]string{"empty": `{"$acl":{"$r":[]}}`, "number": `{"$acl":{"$r":7}}`,
		"mixed": `{"$acl":{"$r":["anna",1]}}`, "text": `{"$acl":"anna"}`} {
		if err := w.anna.write(stream, `{}`); err != nil {
			t.Fatal(err)
		}
		w.anna.putMeta(stream, meta)
		denied(t, "anna", meta, doings["$r"](w.anna, stream))
		if err := doings["$r"](w.admin, stream); err != nil {
			t.Errorf("admin with %s: %v", meta, err)
		}
	}
}

// By default $all, and the streams whose names begin with $, are the administrators'.
func TestSystemStreamsAreTheAdministrators(t *testing.T) {
	w := newACLWorld(t, nil)
	if err := w.admin.write("$system", `{}`); err != nil {
		t.Fatal(err)
	}
	for _, list := range doingOrder {
		denied(t, "anna", list, doings[list](w.anna, "$system"))
	}
	_, err := w.anna.readAll(esdb.Forwards, esdb.Start{}, 1)
	denied(t, "anna", "read $all", err)
	_, err = w.anna.c.SubscribeToAll(w.anna.ctx, esdb.SubscribeToAllOptions{})
	denied(t, "anna", "subscribe to $all", err)
	denied(t, "anna", "write the list of $all", w.anna.write("$$$all", `{"$acl":{"$r":"anna"}}`))
	denied(t, "anna", "write the settings", w.anna.write("$settings", `{}`))
}

// Who reads $all can be given by its metadata, by the settings, and by the configuration.
func TestWhoReadsAll(t *testing.T) {
	read := func(f *fixture) error {
		_, err := f.readAll(esdb.Forwards, esdb.Start{}, 1)
		return err
	}
	t.Run("metadata", func(t *testing.T) {
		w := newACLWorld(t, nil)
		w.admin.putMeta(guard.AllStream, `{"$acl":{"$r":"auditors"}}`)
		if err := read(w.anna); err != nil {
			t.Error(err)
		}
		denied(t, "piet", "read $all", read(w.piet))
	})
	t.Run("settings", func(t *testing.T) {
		w := newACLWorld(t, nil)
		if err := w.admin.write("$settings", `{"$systemStreamAcl":{"$r":["auditors"]}}`); err != nil {
			t.Fatal(err)
		}
		if err := read(w.anna); err != nil {
			t.Error(err)
		}
		denied(t, "piet", "read $all", read(w.piet))
	})
	t.Run("configuration", func(t *testing.T) {
		w := newACLWorld(t, func(c *Config) { c.AllReaders = []string{"auditors"} })
		if err := read(w.anna); err != nil {
			t.Error(err)
		}
		denied(t, "piet", "read $all", read(w.piet))
	})
}

// The settings' default for users' streams binds those that say nothing themselves; settings that
// cannot be read leave administrators only.
func TestSettingsAreTheDefault(t *testing.T) {
	w := newACLWorld(t, nil)
	if err := w.admin.write("$settings", `{"$userStreamAcl":{"$w":"auditors"}}`); err != nil {
		t.Fatal(err)
	}
	denied(t, "piet", "write", w.piet.write("s", `{}`))
	if err := w.anna.write("s", `{}`); err != nil {
		t.Error(err)
	}
	w.anna.putMeta("mine", `{"$acl":{"$w":"piet"}}`)
	if err := w.piet.write("mine", `{}`); err != nil {
		t.Errorf("the stream's own list: %v", err)
	}
	if err := w.admin.write("$settings", `{"$userStreamAcl":7}`); err != nil {
		t.Fatal(err)
	}
	denied(t, "anna", "write", w.anna.write("s", `{}`))
}

// A live subscription ends with access denied when its reader may no longer read, and shows
// nothing of what came after.
func TestRevokedSubscriptionEnds(t *testing.T) {
	w := newACLWorld(t, func(c *Config) { c.AllReaders = nil })
	w.admin.putMeta(guard.AllStream, `{"$acl":{"$r":["auditors"]}}`)
	w.admin.append("s", nil, event(`{"n":1}`))
	subs := map[string]*esdb.Subscription{"stream": w.anna.subscribeStream("s", esdb.Start{}),
		"$all": w.anna.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})}
	for _, sub := range subs {
		for sub.Recv().CaughtUp == nil {
		}
	}
	w.admin.putMeta("s", `{"$acl":{"$r":[]}}`)
	w.admin.putMeta(guard.AllStream, `{}`)
	w.admin.append("s", nil, event(`{"n":2}`))
	for name, sub := range subs {
		for {
			e := sub.Recv()
			if e.EventAppeared != nil && strings.Contains(string(e.EventAppeared.OriginalEvent().Data), `"n":2`) {
				t.Errorf("%s: the event after the list was shown", name)
			}
			if e.SubscriptionDropped != nil {
				denied(t, "anna", name, e.SubscriptionDropped.Error)
				break
			}
		}
	}
}

// The ledger's streams: deletion and metadata are refused even to administrators, and writing is
// left to those configured.
func TestOnlyConfiguredRolesWriteProtectedStreams(t *testing.T) {
	w := newACLWorld(t, func(c *Config) { c.ProtectedWriters = []string{"auditors"} })
	stream := "device-" + uuid.NewString()
	denied(t, "piet", "write", w.piet.write(stream, `{}`))
	for name, f := range map[string]*fixture{"anna": w.anna, "admin": w.admin} {
		if err := f.write(stream, `{}`); err != nil {
			t.Errorf("%s writes: %v", name, err)
		}
		_, err := f.c.DeleteStream(f.ctx, stream, esdb.DeleteStreamOptions{})
		denied(t, name, "delete", err)
		_, err = f.c.TombstoneStream(f.ctx, stream, esdb.TombstoneStreamOptions{})
		denied(t, name, "tombstone", err)
		denied(t, name, "metadata", f.write("$$"+stream, `{"$maxCount":1}`))
	}
	if err := w.piet.write("own", `{}`); err != nil {
		t.Errorf("a stream that is not the ledger's: %v", err)
	}
	if got, err := w.piet.readStream(stream, esdb.Forwards, esdb.Start{}, 9); err != nil || len(got) != 2 {
		t.Errorf("piet reads %d events, %v", len(got), err)
	}
}

// Whoever may write the ledger's streams by configuration may whatever the defaults say.
func TestSettingsDoNotBindTheConfiguredWriters(t *testing.T) {
	w := newACLWorld(t, func(c *Config) { c.ProtectedWriters = []string{"auditors"} })
	if err := w.admin.write("$settings", `{"$userStreamAcl":{"$r":"$admins","$w":"$admins"}}`); err != nil {
		t.Fatal(err)
	}
	stream := "device-" + uuid.NewString()
	if err := w.anna.write(stream, `{}`); err != nil {
		t.Errorf("a configured writer: %v", err)
	}
	denied(t, "piet", "write", w.piet.write(stream, `{}`))
	denied(t, "anna", "write a stream that is not the ledger's", w.anna.write("own", `{}`))
	_, err := w.anna.readStream(stream, esdb.Forwards, esdb.Start{}, 1)
	denied(t, "anna", "read", err) // writing is all that is configured
}
