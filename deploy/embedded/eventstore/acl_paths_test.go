package eventstore

import (
	"encoding/base64"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// BatchAppend asks the lists of each stream that it is to write, as Append does:
// a refused one is answered for itself, and the call goes on.
func TestBatchAppendAsksTheListsOfEachStream(t *testing.T) {
	w := newACLWorld(t, nil)
	w.admin.append("closed", nil, event(`{}`))
	w.admin.putMeta("closed", `{"$acl":{"$w":"auditors","$mw":"auditors"}}`)
	conn, err := grpc.NewClient(w.admin.s.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS(t,
		w.admin.s))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	login := func(user string) *batchCall {
		ctx := metadata.AppendToOutgoingContext(w.admin.ctx, "authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte(user)))
		call, err := streams.NewStreamsClient(conn).BatchAppend(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return &batchCall{t, call}
	}
	piet, anna := login("piet:p"), login("anna:a")
	for _, stream := range []string{"closed", "$$closed", "$system"} {
		id := uuid.New()
		piet.send(wholeAppend(id, batchOptions(stream, -2), batchEvents(1, 1)))
		wantPacked(t, piet.recv(), id, code.Code_PERMISSION_DENIED, &shared.AccessDenied{})
	}
	for _, c := range []struct {
		call   *batchCall
		stream string
		want   uint64
	}{{piet, "open", 0}, {anna, "closed", 1}, {anna, "$$closed", 1}} {
		id := uuid.New()
		c.call.send(wholeAppend(id, batchOptions(c.stream, -2), batchEvents(1, 1)))
		wantBatchWritten(t, c.call.recv(), id, c.want)
	}
}

// A link to what the reader may not read is shown as it is, and its event is not.
func TestLinksDoNotShowWhatTheReaderMayNotRead(t *testing.T) {
	w := newACLWorld(t, nil)
	w.admin.append("closed", nil, event(`{"secret":1}`))
	w.admin.putMeta("closed", `{"$acl":{"$r":"auditors"}}`)
	w.admin.append("links", nil, esdb.EventData{EventID: uuid.New(), EventType: typeLink,
		ContentType: esdb.ContentTypeBinary, Data: []byte("0@closed")})
	for name, f := range map[string]*fixture{"anna": w.anna, "piet": w.piet, "admin": w.admin} {
		r, err := f.c.ReadStream(f.ctx, "links", esdb.ReadStreamOptions{From: esdb.Start{}, ResolveLinkTos: true}, 10)
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.Recv()
		r.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if e.Link == nil || string(e.Link.Data) != "0@closed" {
			t.Errorf("%s gets no link: %+v", name, e)
		}
		if shown := e.Event != nil; shown != (name != "piet") {
			t.Errorf("%s is shown the event: %v", name, shown)
		}
	}
}
