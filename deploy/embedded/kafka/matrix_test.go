package kafka

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// row is one thing that an account may try, and which may.
type row struct {
	what string
	key  kmsg.Key
	// request makes the request, codes the error codes of its answer. version -1 is the newest
	// served.
	request func() kmsg.Request
	version int16
	codes   func(kmsg.Response) []int16
	allowed string // the initials of writer, consumer, reader
}

func isDenied(code int16) bool {
	switch kerr.ErrorForCode(code) {
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed:
		return true
	}
	return false
}

// batch is one record in the form in which it is produced.
func batch() []byte {
	rec := kmsg.Record{Key: []byte("k"), Value: []byte("forged")}
	raw := rec.AppendTo(nil)
	rec.Length = int32(len(raw) - 1)
	raw = rec.AppendTo(nil)
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: 1, Records: raw}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	out := b.AppendTo(nil)
	crc := crc32.Checksum(out[21:], castagnoli)
	out[17], out[18], out[19], out[20] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
	return out
}

func produceTo(topic string, acks int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 5000
	rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func fetchFrom(topic string, id [16]byte) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MaxBytes, req.SessionEpoch = 1, 1<<20, -1
	rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes = 1 << 20
	rt.Topic, rt.TopicID, rt.Partitions = topic, id, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// rows needs the ids of topics "ledger.a" and "other".
func rows(ids map[string][16]byte) []row {
	everybody, nobody := "wcr", ""
	produced := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode}
	}
	fetched := func(res kmsg.Response) []int16 {
		p := res.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if p.ErrorCode != 0 && len(p.RecordBatches) > 0 {
			return nil // an error that comes with what it denies
		}
		return []int16{p.ErrorCode}
	}
	offsets := func(topic string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrListOffsetsRequest()
			rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
			rp.Timestamp = -1
			rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	listed := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode}
	}
	metadata := func(topic string, id [16]byte) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.TopicID = id
			if topic != "" {
				rt.Topic = kmsg.StringPtr(topic)
			}
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	described := func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.MetadataResponse).Topics[0].ErrorCode} }
	commit := func(group, topic string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group, req.Generation = group, -1
			rt, rp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
			rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	committed := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode}
	}
	find := func(kind int8) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKeys = kind, []string{"g"}
			return req
		}
	}
	found := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode}
	}
	create := func(topic string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrCreateTopicsRequest()
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 1, 1
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	created := func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode} }
	del := func(topic string, id [16]byte) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			rt := kmsg.NewDeleteTopicsRequestTopic()
			rt.TopicID = id
			if topic != "" {
				rt.Topic = kmsg.StringPtr(topic)
			}
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	deleted := func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode} }
	producer := func(txn *string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID, req.TransactionTimeoutMillis = txn, 1000
			return req
		}
	}
	inited := func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.InitProducerIDResponse).ErrorCode} }
	epoch := func(topic string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			req.ReplicaID = -1
			rt, rp := kmsg.NewOffsetForLeaderEpochRequestTopic(), kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	epoched := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0].ErrorCode}
	}
	configs := func(kind kmsg.ConfigResourceType, name string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrDescribeConfigsRequest()
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kind, name
			req.Resources = append(req.Resources, r)
			return req
		}
	}
	configured := func(res kmsg.Response) []int16 {
		return []int16{res.(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode}
	}
	topic := kmsg.ConfigResourceTypeTopic

	join := func(group string) func() kmsg.Request {
		return func() kmsg.Request {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group,
				"consumer", 6000, 6000
			req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range"})
			return req
		}
	}
	joined := func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.JoinGroupResponse).ErrorCode} }

	return []row{
		{"produce", kmsg.Produce, func() kmsg.Request { return produceTo("ledger.a", -1) }, -1, produced, "w"},
		{"produce, oldest", kmsg.Produce, func() kmsg.Request { return produceTo("ledger.a", 1) }, 3, produced, "w"},
		{"produce to dead letters", kmsg.Produce, func() kmsg.Request { return produceTo("ledger.dead-letter", -1) },
			-1, produced, "wc"},
		{"produce elsewhere", kmsg.Produce, func() kmsg.Request { return produceTo("other", -1) }, -1,
			produced, nobody},
		{"fetch", kmsg.Fetch, func() kmsg.Request { return fetchFrom("ledger.a", ids["ledger.a"]) }, -1,
			fetched, everybody},
		{"fetch by name", kmsg.Fetch, func() kmsg.Request { return fetchFrom("ledger.a", [16]byte{}) }, 12,
			fetched, everybody},
		{"fetch elsewhere", kmsg.Fetch, func() kmsg.Request { return fetchFrom("other", ids["other"]) }, -1,
			fetched, nobody},
		{"fetch elsewhere by name", kmsg.Fetch, func() kmsg.Request { return fetchFrom("other", [16]byte{}) }, 4,
			fetched, nobody},
		{"list offsets", kmsg.ListOffsets, offsets("ledger.a"), -1, listed, everybody},
		{"list offsets elsewhere", kmsg.ListOffsets, offsets("other"), -1, listed, nobody},
		{"list offsets elsewhere, oldest", kmsg.ListOffsets, offsets("other"), 1, listed, nobody},
		{"metadata", kmsg.Metadata, metadata("ledger.a", [16]byte{}), -1, described, everybody},
		{"metadata elsewhere", kmsg.Metadata, metadata("other", [16]byte{}), -1, described, nobody},
		{"metadata elsewhere by id", kmsg.Metadata, metadata("", ids["other"]), -1, described, nobody},
		{"metadata elsewhere, oldest", kmsg.Metadata, metadata("other", [16]byte{}), 0, described, nobody},
		{"metadata of all topics", kmsg.Metadata, func() kmsg.Request { return kmsg.NewPtrMetadataRequest() }, -1,
			func(res kmsg.Response) []int16 {
				for _, t := range res.(*kmsg.MetadataResponse).Topics {
					if *t.Topic == "other" {
						return []int16{0}
					}
				}
				return []int16{kerr.TopicAuthorizationFailed.Code}
			}, nobody},
		{"commit", kmsg.OffsetCommit, commit("g", "ledger.a"), 9, committed, "c"},
		{"commit in a new group", kmsg.OffsetCommit, commit("fresh", "ledger.a"), 9, committed, "c"},
		{"commit elsewhere", kmsg.OffsetCommit, commit("g", "other"), 9, committed, nobody},
		{"fetch offsets", kmsg.OffsetFetch, func() kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.MemberEpoch = "g", -1
			req.Groups = append(req.Groups, g)
			return req
		}, 8, func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.OffsetFetchResponse).Groups[0].ErrorCode} },
			"c"},
		{"find a group", kmsg.FindCoordinator, find(0), 4, found, "c"},
		{"find a transaction", kmsg.FindCoordinator, find(1), 4, found, nobody},
		{"join", kmsg.JoinGroup, join("g"), -1, joined, "c"},
		{"join a new group", kmsg.JoinGroup, join("fresher"), -1, joined, "c"},
		{"heartbeat", kmsg.Heartbeat, func() kmsg.Request {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group = "g"
			return req
		}, -1, func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.HeartbeatResponse).ErrorCode} }, "c"},
		{"leave", kmsg.LeaveGroup, func() kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = "g"
			req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: "x"})
			return req
		}, -1, func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.LeaveGroupResponse).ErrorCode} }, "c"},
		{"sync", kmsg.SyncGroup, func() kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group = "g"
			return req
		}, -1, func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.SyncGroupResponse).ErrorCode} }, "c"},
		{"describe a group", kmsg.DescribeGroups, func() kmsg.Request {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups = []string{"g"}
			return req
		}, -1, func(res kmsg.Response) []int16 {
			return []int16{res.(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode}
		}, "c"},
		{"list groups", kmsg.ListGroups, func() kmsg.Request { return kmsg.NewPtrListGroupsRequest() }, -1,
			func(res kmsg.Response) []int16 {
				if r := res.(*kmsg.ListGroupsResponse); len(r.Groups) > 0 {
					return []int16{r.ErrorCode}
				}
				return []int16{kerr.GroupAuthorizationFailed.Code}
			}, "c"},
		{"create a topic", kmsg.CreateTopics, create("ledger.new"), -1, created, "w"},
		{"create a topic elsewhere", kmsg.CreateTopics, create("others"), -1, created, nobody},
		{"create a topic whose name only begins alike", kmsg.CreateTopics, create("ledgers"), -1, created, nobody},
		{"delete a topic", kmsg.DeleteTopics, del("ledger.new", [16]byte{}), -1, deleted, "w"},
		{"delete a topic elsewhere", kmsg.DeleteTopics, del("other", [16]byte{}), -1, deleted, nobody},
		{"delete a topic elsewhere by id", kmsg.DeleteTopics, del("", ids["other"]), -1, deleted, nobody},
		{"a producer's id", kmsg.InitProducerID, producer(nil), -1, inited, "wc"},
		{"a transaction", kmsg.InitProducerID, producer(kmsg.StringPtr("t")), -1, inited, nobody},
		{"leader epochs", kmsg.OffsetForLeaderEpoch, epoch("ledger.a"), -1, epoched, everybody},
		{"leader epochs elsewhere", kmsg.OffsetForLeaderEpoch, epoch("other"), -1, epoched, nobody},
		{"a topic's configs", kmsg.DescribeConfigs, configs(topic, "ledger.a"), -1, configured, everybody},
		{"a topic's configs elsewhere", kmsg.DescribeConfigs, configs(topic, "other"), -1, configured, nobody},
		{"the broker's configs", kmsg.DescribeConfigs, configs(kmsg.ConfigResourceTypeBroker, "0"), -1,
			configured, nobody},
		{"describe the cluster", kmsg.DescribeCluster, func() kmsg.Request {
			return kmsg.NewPtrDescribeClusterRequest()
		}, 0,
			func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.DescribeClusterResponse).ErrorCode} },
			everybody},
		{"what is served", kmsg.ApiVersions, func() kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }, 0,
			func(res kmsg.Response) []int16 { return []int16{res.(*kmsg.ApiVersionsResponse).ErrorCode} }, everybody},
	}
}

// startWithOther starts a broker that has a topic "ledger.a", dead letters, and one that no
// account may see.
func startWithOther(t *testing.T) (s *Server, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "broker")
	open := startServer(t, dir, "127.0.0.1:0")
	createTopics(t, newClient(t, open.Addr()), ledgerTopic("ledger.a", 1), ledgerTopic("ledger.dead-letter", 1),
		kafkago.TopicConfig{Topic: "other", NumPartitions: 1, ReplicationFactor: 1})
	_, err := produce(t.Context(), newClient(t, open.Addr()), "other", 0, []byte("not for the accounts"))
	must(t, err)
	must(t, open.Stop(t.Context()))
	return startWith(t, dir, three, io.Discard), dir
}

// What each account may do, of every kind of request that there is: a kind that is served must
// have its rows, any other ends the connection.
func TestWhoMayWhat(t *testing.T) {
	s, dir := startWithOther(t)
	ids := topicsOnRecord(t, dir)
	all := rows(ids)
	for _, a := range served {
		if a.key == kmsg.SASLHandshake || a.key == kmsg.SASLAuthenticate {
			continue // TestLoginOutOfOrder
		}
		if !slices.ContainsFunc(all, func(r row) bool { return r.key == a.key }) {
			t.Errorf("%s is served and has no row here", a.key.Name())
		}
	}
	for _, account := range []Account{three[1], three[0], three[2]} { // the consumer's group is there for the others
		conn := dialAs(t, s.Addr(), account)
		for _, r := range all {
			req, version := r.request(), r.version
			if version < 0 {
				version = servedByKey[uint16(r.key)].max
			}
			res, err := roundTrip(conn, req, version)
			if err != nil {
				t.Errorf("%s, %s: %v", account.Name, r.what, err)
				conn = dialAs(t, s.Addr(), account)
				continue
			}
			codes := r.codes(res)
			if len(codes) == 0 {
				t.Errorf("%s, %s: no answer to judge by", account.Name, r.what)
			}
			for _, code := range codes {
				want := !slices.Contains([]byte(r.allowed), account.Name[0])
				if isDenied(code) != want {
					t.Errorf("%s, %s: denied %v, want %v (%v)", account.Name, r.what, isDenied(code), want,
						kerr.ErrorForCode(code))
				}
			}
		}
	}
	// What was denied left no trace.
	on := slices.Sorted(maps.Keys(topicsOnRecord(t, dir)))
	if !slices.Equal(on, []string{"ledger.a", "ledger.dead-letter", "other"}) {
		t.Errorf("topics %v", on)
	}
}

// What is not served ends the connection, for every account.
func TestNotServed(t *testing.T) {
	s, _ := startWithOther(t)
	for key := range int16(kmsg.MaxKey + 1) {
		req := kmsg.RequestForKey(key)
		if _, ok := servedByKey[uint16(key)]; ok || req == nil {
			continue
		}
		for _, account := range three {
			conn := dialAs(t, s.Addr(), account)
			must(t, send(conn, req, req.MaxVersion()))
			if !ended(conn) {
				t.Errorf("%s, %s: the connection goes on", account.Name, kmsg.NameForKey(key))
			}
			conn.Close()
		}
	}
}

// Configs that kfake gives to anybody end the connection.
func TestConfigsOfGroups(t *testing.T) {
	s, _ := startWithOther(t)
	for kind := range kmsg.ConfigResourceType(40) {
		if kind == kmsg.ConfigResourceTypeTopic || kind == kmsg.ConfigResourceTypeBroker {
			continue
		}
		for version := range int16(5) {
			conn := dialAs(t, s.Addr(), three[1])
			req := kmsg.NewPtrDescribeConfigsRequest()
			for _, asked := range []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kind} {
				r := kmsg.NewDescribeConfigsRequestResource()
				r.ResourceType, r.ResourceName = asked, "ledger.a"
				req.Resources = append(req.Resources, r)
			}
			must(t, send(conn, req, version))
			if !ended(conn) {
				t.Errorf("configs of a %v, v%d: the connection goes on", kind, version)
			}
			conn.Close()
		}
	}
}

// A produce without acknowledgement has no answer, and writes no more than another.
func TestProduceWithoutAcks(t *testing.T) {
	s, _ := startWithOther(t)
	for _, account := range []Account{three[2], three[1], three[0]} {
		conn := dialAs(t, s.Addr(), account)
		must(t, send(conn, produceTo("ledger.a", 0), 9))
		offsets := kmsg.NewPtrListOffsetsRequest()
		rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp = -1
		rt.Topic, rt.Partitions = "ledger.a", append(rt.Partitions, rp)
		offsets.Topics = append(offsets.Topics, rt)
		res, err := roundTrip(conn, offsets, 5)
		must(t, err)
		want := int64(0)
		if account.Name == "writer" {
			want = 1
		}
		if end := res.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset; end != want {
			t.Errorf("%s: the end is %d, want %d", account.Name, end, want)
		}
	}
}

// topicsOnRecord reads what kfake keeps of all topics.
func topicsOnRecord(t *testing.T, dir string) map[string][16]byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "data", "topics.json"))
	must(t, err)
	var kept struct {
		Topics []struct {
			Name string
			ID   []byte
		}
	}
	must(t, json.Unmarshal(raw, &kept))
	out := map[string][16]byte{}
	for _, topic := range kept.Topics {
		out[topic.Name] = [16]byte(topic.ID)
	}
	return out
}

// Files that hold other rights, users and configs, as a restored or foreign directory may, count
// for nothing, and nobody else may read them.
func TestConfigurationDecides(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	s := startWith(t, dir, three, io.Discard)
	must(t, s.Stop(t.Context()))
	for name, text := range map[string]string{
		"acls.json": `{"version":1,"acls":[{"principal":"User:*","host":"*","resource_type":2,` +
			`"resource_name":"*","pattern":3,"operation":2,"permission":3}]}`,
		"sasl.json":           `{"version":1,"plain":{"admin":"admin"}}`,
		"broker_configs.json": `{"version":1,"configs":{"connections.max.reauth.ms":"1000"}}`,
	} {
		must(t, os.WriteFile(filepath.Join(dir, "data", name), []byte(text), 0o666))
	}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Join(dir, "data"), 0o777))
	changed := slices.Clone(three)
	changed[1].Password = secret + "-changed"
	s = startWith(t, dir, changed[:2], io.Discard) // the reader is gone
	for _, closed := range []string{dir, filepath.Join(dir, "data")} {
		if info, err := os.Stat(closed); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, %v", closed, info.Mode(), err)
		}
	}
	for _, file := range []string{"acls.json", "sasl.json", "broker_configs.json"} {
		if info, err := os.Stat(filepath.Join(dir, "data", file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
		}
	}
	for _, gone := range []Account{three[1], three[2], {Name: "admin", Password: "admin"}} {
		if err := login(dialRaw(t, s.Addr()), gone.Name, gone.Password); !errors.Is(err,
			kerr.SaslAuthenticationFailed) {
			t.Errorf("%s with an old password: %v", gone.Name, err)
		}
	}
	conn := dialAs(t, s.Addr(), changed[1])
	res, err := roundTrip(conn, produceTo("ledger.a", -1), 9)
	must(t, err)
	if code := res.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; !isDenied(code) {
		t.Errorf("the rights of the file count: %v", kerr.ErrorForCode(code))
	}
	must(t, s.Stop(t.Context()))
	// No file holds what could log in.
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if slices.ContainsFunc(changed, func(a Account) bool { return bytes.Contains(raw, []byte(a.Password)) }) {
			t.Errorf("%s holds a password", d.Name())
		}
		return err
	}))
	var known map[string]json.RawMessage
	raw, err := os.ReadFile(filepath.Join(dir, "data", "sasl.json"))
	must(t, errors.Join(err, json.Unmarshal(raw, &known)))
	if len(known) != 1 {
		t.Errorf("kfake knows users: %s", raw)
	}
}

func TestValidateAccounts(t *testing.T) {
	good := Config{Dir: "d", Addr: "127.0.0.1:0", Accounts: three, Logger: slog.New(slog.DiscardHandler)}
	must(t, good.Validate())
	for want, change := range map[string]func(*Config){
		"name accounts, or set Open":  func(c *Config) { c.Accounts = nil },
		"set one of them":             func(c *Config) { c.Open = true },
		`"*": use lower-case`:         func(c *Config) { c.Accounts[0].Name = "*" },
		`"127.0.0.1": use lower-case`: func(c *Config) { c.Accounts[0].Name = "127.0.0.1" },
		"twice":                       func(c *Config) { c.Accounts[0].Name = "reader" },
		"16 to 128":                   func(c *Config) { c.Accounts[0].Password = "hunter2" },
		"without spaces":              func(c *Config) { c.Accounts[0].Password = "hunter2 hunter2 hunter2" },
		`"topic", "group" or "cluster"`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "table", Name: "x", Operations: []string{"Read"}}}
		},
		`"All" is no operation`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "topic", Name: "x", Operations: []string{"All"}}}
		},
		"allows nothing": func(c *Config) { c.Accounts[0].Allow = []Rule{{Resource: "topic", Name: "x"}} },
		`"*" without prefix`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "topic", Name: "*", Prefix: true, Operations: []string{"Read"}}}
		},
		`has the name "kafka-cluster"`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "cluster", Name: "*", Operations: []string{"Alter"}}}
		},
		"65 of them, at most 64": func(c *Config) { c.Accounts = make([]Account, 65) },
		`"" is no operation; name each`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "topic", Name: "x", Operations: []string{""}}}
		},
		`"Re-ad" is no operation`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "topic", Name: "x", Operations: []string{"Re-ad"}}}
		},
		`a rule for topic ""`: func(c *Config) {
			c.Accounts[0].Allow = []Rule{{Resource: "topic", Operations: []string{"Read"}}}
		},
	} {
		c := good
		c.Accounts = slices.Clone(three)
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no mention of %q in %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a password in an error: %v", err)
		}
	}
}
