package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// An api is a kind of request that the broker serves, in these versions. ApiVersions names these
// and no others.
type api struct {
	key      kmsg.Key
	min, max int16
}

// served is everything that programs need which read, write, use groups, and make topics. What is
// not here ends its connection, as a request does that Apache Kafka has not enabled: rights,
// passwords and quotas are this process's, configs are fixed, transactions and share groups serve
// nobody here, deleting records would be a hole that no right describes, and kfake answers
// DescribeTopicPartitions with null lists, of which Java's clients die; without it they ask
// Metadata.
var served = []api{
	{kmsg.Produce, 3, 11}, // 12 and above add partitions to transactions unasked
	{kmsg.Fetch, 4, 18},
	{kmsg.ListOffsets, 0, 10},
	{kmsg.Metadata, 0, 13},
	{kmsg.OffsetCommit, 0, 10},
	{kmsg.OffsetFetch, 0, 10},
	{kmsg.FindCoordinator, 0, 5}, // 6 is for share groups
	{kmsg.JoinGroup, 0, 9},
	{kmsg.Heartbeat, 0, 4},
	{kmsg.LeaveGroup, 0, 5},
	{kmsg.SyncGroup, 0, 5},
	{kmsg.DescribeGroups, 0, 6},
	{kmsg.ListGroups, 0, 5},
	{kmsg.SASLHandshake, 0, 1}, // librdkafka takes a broker without 0 for one without logins; it then sends 1
	{kmsg.ApiVersions, 0, 4},
	{kmsg.CreateTopics, 0, 7},
	{kmsg.DeleteTopics, 0, 6},
	{kmsg.InitProducerID, 0, 4}, // idempotent producers, which is what Java's and franz-go's are by default
	{kmsg.OffsetForLeaderEpoch, 3, 4},
	{kmsg.DescribeConfigs, 0, 4},
	{kmsg.SASLAuthenticate, 0, 2},
	{kmsg.DescribeCluster, 0, 2},
}

var servedByKey = func() map[uint16]api {
	m := make(map[uint16]api, len(served))
	for _, a := range served {
		m[uint16(a.key)] = a
	}
	return m
}()

// maxVersions makes kfake serve, and say that it serves, no more than that.
func maxVersions() *kversion.Versions {
	v := new(kversion.Versions)
	for _, a := range served {
		v.SetMaxKeyVersion(int16(a.key), a.max)
	}
	return v
}

// apiVersions answers a client that has not logged in.
func apiVersions(req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	res := kmsg.NewPtrApiVersionsResponse()
	res.SetVersion(req.Version)
	own := servedByKey[uint16(kmsg.ApiVersions)]
	tooNew := req.Version > own.max
	if tooNew {
		// The client learns the versions of this one request, in its oldest form, and asks again
		// (KIP-511).
		res.SetVersion(0)
		res.ErrorCode = 35 // UNSUPPORTED_VERSION
	}
	for _, a := range served {
		if tooNew && a != own {
			continue
		}
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(a.key), a.min, a.max
		res.ApiKeys = append(res.ApiKeys, k)
	}
	return res
}
