package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
)

// accessRoles are who calls, by their groups; nobody brings no credentials.
var accessRoles = []struct{ name, group string }{
	{"nobody", ""}, {"stranger", ""}, {"plain", ""}, {"reader", "readers"}, {"ledger", "writers"},
	{"ops", "$ops"}, {"admin", "$admins"},
}

// accessWorld is a server with a user of each role, and one caller of it.
type accessWorld struct {
	t      *testing.T
	s      *Server
	conn   *grpc.ClientConn
	http   *http.Client
	role   string
	header string // of the role
}

func newAccessWorld(t *testing.T) *accessWorld {
	t.Helper()
	cfg := secureConfig(t)
	for _, r := range accessRoles[2:] {
		u := testUser(t, r.name, "secret of "+r.name)
		if r.group != "" {
			u.Groups = []string{r.group}
		}
		cfg.Users = append(cfg.Users, u)
	}
	cfg.ProtectedWriters, cfg.AllReaders = []string{"writers"}, []string{"writers"}
	cfg.ReadOnlyRoles = []string{"readers"}
	return accessWorldOf(t, startServer(t, cfg))
}

func accessWorldOf(t *testing.T, s *Server) *accessWorld {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS(t, s))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	transport := &http.Transport{TLSClientConfig: clientTLS(t, s)}
	w := &accessWorld{t: t, s: s, conn: conn, http: &http.Client{Transport: transport}}
	t.Cleanup(w.http.CloseIdleConnections)
	return w
}

// as returns the world with another caller.
func (w *accessWorld) as(role string) *accessWorld {
	c := *w
	c.role, c.header = role, basic(role, "secret of "+role)
	if role == "nobody" {
		c.header = ""
	}
	return &c
}

func (w *accessWorld) ctx() context.Context {
	if w.header == "" {
		return testContext(w.t)
	}
	return metadata.AppendToOutgoingContext(testContext(w.t), "authorization", w.header)
}

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func (w *accessWorld) append(stream, data string) error {
	call, err := streams.NewStreamsClient(w.conn).Append(w.ctx())
	if err != nil {
		return err
	}
	options := &streams.AppendReq_Options{
		StreamIdentifier:       identifier(stream),
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}
	message := &streams.AppendReq_ProposedMessage{
		Id:       rawUUID(uuid.New()),
		Metadata: map[string]string{"type": "t", "content-type": "application/json"}, Data: []byte(data),
	}
	for _, req := range []*streams.AppendReq{
		{Content: &streams.AppendReq_Options_{Options: options}},
		{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: message}},
	} {
		if err := call.Send(req); err != nil && !errors.Is(err, io.EOF) { // EOF: the answer is there
			return err
		}
	}
	_, err = call.CloseAndRecv()
	return err
}

func (w *accessWorld) batchAppend(stream string) error {
	call, err := streams.NewStreamsClient(w.conn).BatchAppend(w.ctx())
	if err != nil {
		return err
	}
	err = call.Send(wholeAppend(uuid.New(), batchOptions(stream, -2), batchEvents(1, 1)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	resp, err := call.Recv()
	if err != nil {
		return err
	}
	if c := resp.GetError().GetCode(); c != int32(code.Code_OK) {
		return status.Error(codes.Code(c), resp.GetError().GetMessage())
	}
	return nil
}

func anyTombstone(stream string) *streams.TombstoneReq {
	return &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier:       identifier(stream),
		ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}}
}

// read returns the first answer, or what follows the confirmation of a subscription.
func (w *accessWorld) read(stream string, live bool) error {
	opts := ofStream(stream, streamFromStart())
	if stream == guard.AllStream {
		opts = ofAll(allFromStart())
	}
	opts.CountOption = &streams.ReadReq_Options_Count{Count: 1}
	if live {
		opts.CountOption = &streams.ReadReq_Options_Subscription{}
	}
	ctx, cancel := context.WithCancel(w.ctx())
	defer cancel()
	call, err := streams.NewStreamsClient(w.conn).Read(ctx, &streams.ReadReq{Options: opts})
	for err == nil {
		var resp *streams.ReadResp
		if resp, err = call.Recv(); err == nil && resp.GetConfirmation() == nil {
			if resp.GetEvent() == nil {
				w.t.Errorf("%s reads %s and gets %v", w.role, stream, resp)
			}
			return nil
		}
	}
	return err
}

func (w *accessWorld) delete(stream string) error {
	_, err := streams.NewStreamsClient(w.conn).Delete(w.ctx(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       identifier(stream),
		ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}})
	return err
}

func (w *accessWorld) tombstone(stream string) error {
	_, err := streams.NewStreamsClient(w.conn).Tombstone(w.ctx(), anyTombstone(stream))
	return err
}

func (w *accessWorld) get(path string) error {
	req, err := http.NewRequestWithContext(testContext(w.t), http.MethodGet, "https://"+w.s.Addr()+path, nil)
	if err != nil {
		return err
	}
	if w.header != "" {
		req.Header.Set("Authorization", w.header)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusUnauthorized:
		return status.Error(codes.Unauthenticated, "")
	case http.StatusForbidden:
		return status.Error(codes.PermissionDenied, "")
	case http.StatusNotFound:
		return status.Error(codes.Unimplemented, "")
	}
	return fmt.Errorf("%s", resp.Status)
}

// accessTargets are streams as access control tells them apart. A name is made for each role and
// each row, so that none meets what another has done; prepare is the administrator's.
var accessTargets = map[string]func(w *accessWorld) (stream string){
	"plain": func(w *accessWorld) string { return w.made("plain-"+uuid.NewString()+"-", "") },
	"opened": func(w *accessWorld) string {
		return w.made("opened", `{"$acl":{"$r":"$all","$w":["$all","reader","readers"],
			"$d":["$all","readers"],"$mr":"$all","$mw":["$all","readers"]}}`)
	},
	"closed": func(w *accessWorld) string {
		return w.made("closed", `{"$acl":{"$r":[],"$w":[],"$d":[],"$mr":[],"$mw":[]}}`)
	},
	"ledger's":      func(w *accessWorld) string { return w.made("device-", "") },
	"system's":      func(w *accessWorld) string { return w.made("$system-", "") },
	"settings":      func(w *accessWorld) string { return "$settings" },
	guard.AllStream: func(w *accessWorld) string { return guard.AllStream },
	"unwritten":     func(w *accessWorld) string { return "unwritten-" + uuid.NewString() + "-" },
	"ledger new":    func(w *accessWorld) string { return "device-" + uuid.NewString() },
}

// made is a new stream with one event, and metadata where there is some.
func (w *accessWorld) made(prefix, meta string) string {
	w.t.Helper()
	stream, admin := prefix+uuid.NewString(), *w
	admin.header = basic(adminName, adminPassword)
	err := admin.append(stream, `{}`)
	if err == nil && meta != "" {
		err = admin.append("$$"+stream, meta)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return stream
}

type accessRow struct {
	method, what string
	changes      bool // the store, so that who may only read may not
	call         func(w *accessWorld) error
}

// short is the call without its package.
func (r accessRow) short() string {
	method, _, _ := strings.Cut(r.method, ",")
	return r.method[strings.LastIndex(method, ".")+1:]
}

// accessRows are every call of the server with every kind of target.
func accessRows() []accessRow {
	var rows []accessRow
	on := func(method string, changes bool, do func(w *accessWorld, stream string) error, targets ...string) {
		for _, target := range targets {
			name, meta := strings.CutPrefix(target, "metadata of ")
			rows = append(rows, accessRow{method, target, changes, func(w *accessWorld) error {
				stream := accessTargets[name](w)
				if meta {
					stream = "$$" + stream
				}
				return do(w, stream)
			}})
		}
	}
	read := func(w *accessWorld, stream string) error { return w.read(stream, false) }
	follow := func(w *accessWorld, stream string) error { return w.read(stream, true) }
	write := func(w *accessWorld, stream string) error { return w.append(stream, `{}`) }
	written := []string{"plain", "unwritten", "opened", "closed", "ledger's", "ledger new", "system's",
		guard.AllStream,
		"metadata of plain", "metadata of unwritten", "metadata of opened", "metadata of closed",
		"metadata of ledger's", "metadata of system's", "metadata of $all"}
	shown := []string{"plain", "opened", "closed", "ledger's", "system's", guard.AllStream,
		"metadata of opened", "metadata of closed"}
	removed := []string{"plain", "opened", "closed", "ledger's", "system's"}
	on(streams.Streams_Read_FullMethodName, false, read, shown...)
	on(streams.Streams_Read_FullMethodName+", live", false, follow, shown...)
	on(streams.Streams_Append_FullMethodName, true, write, written...)
	on(streams.Streams_BatchAppend_FullMethodName, true, (*accessWorld).batchAppend, written...)
	on(streams.Streams_Delete_FullMethodName, true, (*accessWorld).delete, removed...)
	on(streams.Streams_Tombstone_FullMethodName, true, (*accessWorld).tombstone, removed...)
	invoke := func(method string) {
		rows = append(rows, accessRow{method, "-", false, func(w *accessWorld) error {
			return w.conn.Invoke(w.ctx(), method, &shared.Empty{}, &shared.Empty{})
		}})
	}
	invoke(serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName)
	invoke(gossip.Gossip_Read_FullMethodName)
	invoke("/event_store.client.users.Users/Details")
	invoke("/kurrentdb.protocol.v2.streams.StreamsService/AppendSession")
	paths := []string{"/health/live", "/metrics", "/stats", "/info", BackupPath, "/debug/pprof/", "/streams/s"}
	for _, path := range paths {
		rows = append(rows, accessRow{"GET " + path, "-", false, func(w *accessWorld) error { return w.get(path) }})
	}
	// Last: what an administrator does to the settings changes the defaults of what comes after.
	on(streams.Streams_Append_FullMethodName, true, write, "settings")
	on(streams.Streams_BatchAppend_FullMethodName, true, (*accessWorld).batchAppend, "settings")
	on(streams.Streams_Delete_FullMethodName, true, (*accessWorld).delete, "settings")
	on(streams.Streams_Tombstone_FullMethodName, true, (*accessWorld).tombstone, "settings")
	return rows
}

func outcome(err error) string {
	switch c := status.Code(err); {
	case err == nil:
		return "yes"
	case c == codes.PermissionDenied:
		return "no"
	case c == codes.Unauthenticated:
		return "who?"
	case c == codes.Unimplemented:
		return "absent"
	}
	return err.Error()
}

// Every call, by everybody, on every kind of stream. "no" is access denied, "who?"
// unauthenticated, "absent" what this node does not have. nobody has no credentials, stranger
// wrong ones.
func TestAccess(t *testing.T) {
	w := newAccessWorld(t)
	rows := accessRows()
	for service, info := range w.s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			if !slices.ContainsFunc(rows, func(r accessRow) bool { return r.method == name }) {
				t.Errorf("%s is asked by nobody here: add its rows", name)
			}
		}
	}
	anonymous := []string{
		serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName, gossip.Gossip_Read_FullMethodName,
		"GET /health/live",
	}
	datadriven.RunTest(t, "testdata/access.txt", func(t *testing.T, _ *datadriven.TestData) string {
		var out strings.Builder
		table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
		fmt.Fprint(table, "call\tof")
		for _, r := range accessRoles {
			fmt.Fprint(table, "\t", r.name)
		}
		fmt.Fprintln(table)
		for _, row := range rows {
			fmt.Fprint(table, row.short(), "\t", row.what)
			for _, r := range accessRoles {
				got := outcome(row.call(w.as(r.name)))
				fmt.Fprint(table, "\t", got)
				switch { // whatever the file says
				case r.name == "reader" && row.changes && got != "no":
					t.Errorf("who may only read: %s %s: %s", row.method, row.what, got)
				case r.name == "reader" && !row.changes && got == "no":
					t.Errorf("who may read everything: %s %s: %s", row.method, row.what, got)
				case (r.name == "nobody" || r.name == "stranger") && got != "who?" &&
					!slices.Contains(anonymous, row.method):
					t.Errorf("%s: %s %s: %s", r.name, row.method, row.what, got)
				}
			}
			fmt.Fprintln(table)
		}
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	})
}
