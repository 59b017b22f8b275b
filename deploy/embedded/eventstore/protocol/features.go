package protocol

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// ServerVersion is the EventStoreDB version whose semantics this node follows.
// Clients require three integers.
const ServerVersion = "24.2.0"

// Features tells clients what this node implements.
type Features struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods lists what this node implements and nothing else: clients
// choose between ways of doing a thing by it.
func (Features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const streamsService = "event_store.client.streams.streams"
	resp := &serverfeatures.SupportedMethods{EventStoreServerVersion: ServerVersion}
	for _, m := range []string{"append", "delete", "tombstone"} {
		resp.Methods = append(resp.Methods, &serverfeatures.SupportedMethod{MethodName: m,
			ServiceName: streamsService})
	}
	resp.Methods = append(resp.Methods,
		&serverfeatures.SupportedMethod{MethodName: "read", ServiceName: streamsService,
			Features: []string{"position", "events"}},
		&serverfeatures.SupportedMethod{MethodName: "batchappend", ServiceName: streamsService,
			Features: []string{"deadline_duration"}},
		&serverfeatures.SupportedMethod{MethodName: "getsupportedmethods",
			ServiceName: "event_store.client.server_features.serverfeatures"},
		&serverfeatures.SupportedMethod{MethodName: "read", ServiceName: "event_store.client.gossip.gossip"},
	)
	return resp, nil
}

// Gossip tells clients where the node is.
type Gossip struct {
	gossip.UnimplementedGossipServer
	ID  [16]byte // of the store
	Now func() time.Time
	// ReachedBy is the address by which the client of a call reaches the server.
	ReachedBy func(ctx context.Context) (host string, port uint16, err error)
}

// Read answers with the one member there is, so that discovery ends here.
func (g *Gossip) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	host, port, err := g.ReachedBy(ctx)
	if err != nil {
		return nil, err
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   structuredUUID(g.ID),
		TimeStamp:    layout.Ticks(g.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
	}}}, nil
}

func structuredUUID(id [16]byte) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}
