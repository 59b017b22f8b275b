package eventstore

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/metadata"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// serverVersion is the EventStoreDB version whose semantics this node follows.
// Clients require three integers.
const serverVersion = "24.2.0"

type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods lists what this node implements and nothing else: clients
// choose between ways of doing a thing by it.
func (featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const streamsService = "event_store.client.streams.streams"
	resp := &serverfeatures.SupportedMethods{EventStoreServerVersion: serverVersion}
	for _, m := range []string{"append", "delete", "tombstone"} {
		resp.Methods = append(resp.Methods, &serverfeatures.SupportedMethod{MethodName: m, ServiceName: streamsService})
	}
	resp.Methods = append(resp.Methods,
		&serverfeatures.SupportedMethod{MethodName: "read", ServiceName: streamsService, Features: []string{"position", "events"}},
		&serverfeatures.SupportedMethod{MethodName: "batchappend", ServiceName: streamsService, Features: []string{"deadline_duration"}},
		&serverfeatures.SupportedMethod{MethodName: "getsupportedmethods", ServiceName: "event_store.client.server_features.serverfeatures"},
		&serverfeatures.SupportedMethod{MethodName: "read", ServiceName: "event_store.client.gossip.gossip"},
	)
	return resp, nil
}

type gossipService struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read answers with the one member there is, so that discovery ends here.
func (g *gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	host, port, err := net.SplitHostPort(g.server.Addr())
	if err != nil {
		return nil, err
	}
	if isWildcard(host) {
		host = hostDialled(ctx, host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   structuredUUID(g.server.store.ID()),
		TimeStamp:    eventlog.Ticks(g.server.cfg.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(n)},
	}}}, nil
}

// hostDialled is the host by which the client came here: of all the machine's
// names the one that works for it, and the one that it looks for in the certificate.
func hostDialled(ctx context.Context, fallback string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, authority := range md.Get(":authority") {
		if host, _, err := net.SplitHostPort(authority); err == nil && host != "" {
			return host
		}
	}
	return fallback
}

func structuredUUID(id [16]byte) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}
