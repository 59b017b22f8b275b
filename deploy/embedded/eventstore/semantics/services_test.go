package semantics

import (
	"context"
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func (w *world) supportedMethods() *serverfeatures.SupportedMethods {
	w.t.Helper()
	var resp *serverfeatures.SupportedMethods
	if _, err := w.raw(func(ctx context.Context, conn *grpc.ClientConn) (_ metadata.MD, err error) {
		resp, err = serverfeatures.NewServerFeaturesClient(conn).GetSupportedMethods(ctx, &shared.Empty{})
		return nil, err
	}); err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// Clients ask first what a server can do, and of which version it is: three
// integers, and methods and services in lower case.
func TestSupportedMethods(t *testing.T) {
	w := begin(t)
	resp := w.supportedMethods()
	var major, minor, patch int
	if n, err := fmt.Sscanf(resp.GetEventStoreServerVersion(), "%d.%d.%d", &major, &minor, &patch); n != 3 ||
		major < 23 {
		t.Errorf("version %q: %v", resp.GetEventStoreServerVersion(), err)
	}
	if w.target.ours && (major != 24 || minor != 2) {
		t.Errorf("version %s, want 24.2", resp.GetEventStoreServerVersion())
	}
	have := map[string]bool{}
	for _, m := range resp.GetMethods() {
		have[m.GetServiceName()+"/"+m.GetMethodName()] = true
	}
	for _, want := range []string{
		"event_store.client.streams.streams/read", "event_store.client.streams.streams/append",
		"event_store.client.streams.streams/delete", "event_store.client.streams.streams/tombstone",
		"event_store.client.server_features.serverfeatures/getsupportedmethods",
		"event_store.client.gossip.gossip/read",
	} {
		if !have[want] {
			t.Errorf("no %s in %v", want, have)
		}
	}
	var v struct{ major, minor, patch int }
	if err := w.settled(func() error {
		got, err := w.client.GetServerVersion()
		if err == nil {
			v.major, v.minor, v.patch = got.Major, got.Minor, got.Patch
		}
		return err
	}); err != nil || v.major != major || v.minor != minor || v.patch != patch {
		t.Errorf("the client understands %+v, %v", v, err)
	}
}

// Gossip names the members; one that lives is the leader.
func TestGossipNamesALeader(t *testing.T) {
	w := begin(t)
	var resp *gossip.ClusterInfo
	if _, err := w.raw(func(ctx context.Context, conn *grpc.ClientConn) (_ metadata.MD, err error) {
		resp, err = gossip.NewGossipClient(conn).Read(ctx, &shared.Empty{})
		return nil, err
	}); err != nil {
		t.Fatal(err)
	}
	leaders := 0
	for _, m := range resp.GetMembers() {
		if m.GetState() == gossip.MemberInfo_Leader && m.GetIsAlive() {
			leaders++
			if m.GetHttpEndPoint().GetAddress() == "" || m.GetHttpEndPoint().GetPort() == 0 ||
				m.GetInstanceId() == nil || m.GetTimeStamp() <= 0 {
				t.Errorf("the leader is %v", m)
			}
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders among %v", leaders, resp.GetMembers())
	}
}
