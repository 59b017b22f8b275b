package eventstore

import (
	"context"
	"encoding/binary"
	"net"
	"strings"

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
	host, port, err := g.server.reachedBy(ctx)
	if err != nil {
		return nil, err
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   structuredUUID(g.server.store.ID()),
		TimeStamp:    eventlog.Ticks(g.server.cfg.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
	}}}, nil
}

// reachedBy is the address by which the client of a call reaches this server:
// the one that it dialled, where the host is ours; otherwise the advertised one,
// or the one that this machine's own clients dial.
func (s *Server) reachedBy(ctx context.Context) (host string, port uint16, err error) {
	own, advertised := s.localAddr(), s.cfg.Advertise
	if advertised != "" {
		own = advertised
	}
	if host, port, err = splitAdvertised(own); err != nil {
		return "", 0, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, authority := range md.Get(":authority") {
		dialled, at, err := splitAdvertised(authority)
		if err != nil || !s.answersTo(dialled) || advertised != "" && strings.EqualFold(dialled, host) {
			continue
		}
		return dialled, at, nil // with its port, which may be a tunnel's
	}
	return host, port, nil
}

// answersTo tells whether the server is to be reached under the host: one that
// its certificate names, or without TLS a name of this machine's loopback.
func (s *Server) answersTo(host string) bool {
	if s.certs != nil {
		return s.certs.names(host)
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func structuredUUID(id [16]byte) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}
