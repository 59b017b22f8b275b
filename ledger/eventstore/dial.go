package eventstore

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// The client does not lend its connection, so BatchAppend has one of its own, made of the same
// connection string, as the client makes its own.

// dial returns a connection to the leader where it is known, to the configured node, or to the one
// that a node of a cluster names as its leader.
func (s *Store) dial(ctx context.Context, leader string) (*grpc.ClientConn, error) {
	conf, err := esdb.ParseConnectionString(s.cfg.Address)
	if err != nil {
		return nil, err
	}
	opts, err := dialOptions(conf)
	if err != nil {
		return nil, err
	}
	switch {
	case leader != "":
		return grpc.NewClient(leader, opts...)
	case conf.DnsDiscover:
		leader, err = discover(ctx, conf, []string{conf.Address}, opts)
	case len(conf.GossipSeeds) > 0:
		var seeds []string
		for _, seed := range conf.GossipSeeds {
			seeds = append(seeds, seed.String())
		}
		rand.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
		leader, err = discover(ctx, conf, seeds, opts)
	default:
		leader = conf.Address
	}
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(leader, opts...)
}

func dialOptions(conf *esdb.Configuration) ([]grpc.DialOption, error) {
	secure := insecure.NewCredentials()
	if !conf.DisableTLS {
		c := &tls.Config{InsecureSkipVerify: conf.SkipCertificateVerification, RootCAs: conf.RootCAs}
		if conf.UserCertFile != "" {
			cert, err := tls.LoadX509KeyPair(conf.UserCertFile, conf.UserKeyFile)
			if err != nil {
				return nil, fmt.Errorf("load the user certificate: %w", err)
			}
			c.Certificates = []tls.Certificate{cert}
		}
		secure = credentials.NewTLS(c)
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(secure)}
	if conf.Username != "" && conf.Password != "" && !conf.DisableTLS {
		opts = append(opts, grpc.WithPerRPCCredentials(basic("Basic "+
			base64.StdEncoding.EncodeToString([]byte(conf.Username+":"+conf.Password)))))
	}
	if conf.KeepAliveInterval >= 0 {
		opts = append(opts, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: conf.KeepAliveInterval,
			Timeout: conf.KeepAliveTimeout, PermitWithoutStream: true}))
	}
	return opts, nil
}

// basic is the header of a name and a password; it travels over TLS alone.
type basic string

func (b basic) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(b)}, nil
}

func (basic) RequireTransportSecurity() bool { return true }

// discover asks the nodes in turn which of the cluster's leads. A cluster without a leader names
// any that lives: it answers that it does not lead.
func discover(ctx context.Context, conf *esdb.Configuration, nodes []string, opts []grpc.DialOption) (string, error) {
	var failed error
	for _, node := range nodes {
		leader, err := gossips(ctx, conf, node, opts)
		if err == nil {
			return leader, nil
		}
		failed = errors.Join(failed, fmt.Errorf("ask %s for the leader: %w", node, err))
	}
	return "", failed
}

func gossips(ctx context.Context, conf *esdb.Configuration, node string, opts []grpc.DialOption) (string, error) {
	conn, err := grpc.NewClient(node, opts...)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(conf.GossipTimeout)*time.Second)
	defer cancel()
	info, err := gossip.NewGossipClient(conn).Read(ctx, &shared.Empty{})
	if err != nil {
		return "", err
	}
	alive := slices.DeleteFunc(info.GetMembers(), func(m *gossip.MemberInfo) bool { return !m.GetIsAlive() })
	if len(alive) == 0 {
		return "", errors.New("it names no node that lives")
	}
	at := max(0, slices.IndexFunc(alive, func(m *gossip.MemberInfo) bool {
		return m.GetState() == gossip.MemberInfo_Leader
	}))
	end := alive[at].GetHttpEndPoint()
	return net.JoinHostPort(end.GetAddress(), strconv.Itoa(int(end.GetPort()))), nil
}

// elsewhere returns the leader that an answer names, by its trailer, and "" where it names none.
func elsewhere(trailer metadata.MD) string {
	one := func(key string) string {
		if v := trailer.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	host, port := one("leader-endpoint-host"), one("leader-endpoint-port")
	if one("exception") != "not-leader" || host == "" || port == "" {
		return ""
	}
	return net.JoinHostPort(host, port)
}
