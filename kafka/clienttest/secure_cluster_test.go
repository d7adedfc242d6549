package clienttest

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// guarded is a cluster of three brokers that ask: admin may do everything, alice may use the topic t, groups and transactions, and bob may do nothing.
type guarded struct {
	*kit
	s *samsatest.Secured
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	k := inMemory(t, samsa.Options{})
	k.create("t", 3)
	acls, err := kafka.ACLsOf(k.Broker)
	must(t, err)
	for _, a := range []kafka.ACL{
		{Operation: "READ", Resource: "TOPIC", Name: "t"}, {Operation: "WRITE", Resource: "TOPIC", Name: "t"},
		{Operation: "READ", Resource: "GROUP", Name: "*"}, {Operation: "WRITE", Resource: "TRANSACTIONAL_ID", Name: "*"},
	} {
		a.Principal = "User:alice"
		must(t, acls.Create(k.ctx, a))
	}
	return guarded{k, samsatest.SecureCluster(t, k.Broker, 3, samsatest.Guard{
		Users:     map[string]string{"admin": "admin", "alice": "right", "bob": "hop"},
		MaxReauth: time.Hour,
		Options:   kafka.Options{ACLs: &kafka.ACLs{SuperUsers: []kafka.Principal{{Type: kafka.UserType, Name: "admin"}}}},
	})}
}

// at connects somebody to a node. What is heard of that is on the connection.
func (g guarded) at(node int32, user, password string) *raw {
	g.t.Helper()
	nc, err := net.Dial("tcp", g.s.Cluster.Addr(node))
	must(g.t, err)
	g.t.Cleanup(func() { _ = nc.Close() })
	r := &raw{nc: nc}
	r.handshake(1, "PLAIN")
	r.token(2, "\x00"+user+"\x00"+password)
	return r
}

// each calls f for each node, and returns what it says of it.
func (g guarded) each(f func(node int32) string) (all []string) {
	for _, node := range g.s.Cluster.Nodes() {
		all = append(all, f(node))
	}
	return all
}

// alike fails unless all nodes say what is wanted.
func (g guarded) alike(what, want string, f func(node int32) string) {
	g.t.Helper()
	if all := g.each(f); slices.ContainsFunc(all, func(said string) bool { return said != want }) {
		g.t.Errorf("%s: the nodes say\n%s\nwant each\n%s", what, strings.Join(all, "\n"), want)
	}
}

// code calls, and returns what the answer says first is wrong.
func code[R kmsg.Response](r *raw, version int16, req kmsg.Request, of func(R) int16) string {
	resp, ok := r.call(version, req).(R)
	if !ok {
		return "the end"
	}
	return fmt.Sprint(of(resp))
}

// fetchCode returns the code of a Fetch of t/0.
func fetchCode(r *raw) string {
	req := kmsg.NewPtrFetchRequest()
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = "t", []kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}
	req.Topics = append(req.Topics, topic)
	return code(r, 12, req, func(resp *kmsg.FetchResponse) int16 { return resp.Topics[0].Partitions[0].ErrorCode })
}

// asksAll returns what somebody hears to requests of each kind.
func asksAll(r *raw) string {
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks = -1
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic, pt.Partitions = "t", []kmsg.ProduceRequestTopicPartition{kmsg.NewProduceRequestTopicPartition()}
	produce.Topics = append(produce.Topics, pt)
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("t")}}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey = "g"
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis = "g", "consumer", 10_000
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group = "g"
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{kmsg.NewOffsetCommitRequestTopicPartition()}}}
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g"}
	id := kmsg.NewPtrInitProducerIDRequest()
	id.TransactionalID = kmsg.StringPtr("id")
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "new", NumPartitions: 1, ReplicationFactor: 1}}
	return strings.Join([]string{
		"fetch " + fetchCode(r),
		"produce " + code(r, 9, produce, func(resp *kmsg.ProduceResponse) int16 { return resp.Topics[0].Partitions[0].ErrorCode }),
		"metadata " + code(r, 9, metadata, func(resp *kmsg.MetadataResponse) int16 { return resp.Topics[0].ErrorCode }),
		"coordinator " + code(r, 3, find, func(resp *kmsg.FindCoordinatorResponse) int16 { return resp.ErrorCode }),
		"join " + code(r, 5, join, func(resp *kmsg.JoinGroupResponse) int16 { return resp.ErrorCode }),
		"commit " + code(r, 8, commit, func(resp *kmsg.OffsetCommitResponse) int16 { return resp.Topics[0].Partitions[0].ErrorCode }),
		"describe " + code(r, 5, describe, func(resp *kmsg.DescribeGroupsResponse) int16 { return resp.Groups[0].ErrorCode }),
		"id " + code(r, 4, id, func(resp *kmsg.InitProducerIDResponse) int16 { return resp.ErrorCode }),
		"create " + code(r, 5, create, func(resp *kmsg.CreateTopicsResponse) int16 { return resp.Topics[0].ErrorCode }),
		"acls " + code(r, 2, anyACL(kmsg.NewPtrDescribeACLsRequest()), func(resp *kmsg.DescribeACLsResponse) int16 { return resp.ErrorCode }),
	}, ", ")
}

func anyACL(req *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsRequest {
	req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
	return req
}

// Who may do nothing hears the same at every node, whoever leads and coordinates; and what is changed at one node counts at once at all, on connections that
// there are already too.
func TestSecuredCluster(t *testing.T) {
	g := newGuarded(t)
	const nothing = "fetch 29, produce 29, metadata 29, coordinator 30, join 30, commit 30, describe 30, id 53, create 29, acls 31"
	bobs := make(map[int32]*raw)
	g.alike("bob", nothing, func(node int32) string {
		bobs[node] = g.at(node, "bob", "hop")
		return asksAll(bobs[node])
	})
	for _, node := range g.s.Cluster.Nodes() {
		admin, next := g.at(node, "admin", "admin"), g.at(node%3+1, "admin", "admin")

		create := kmsg.NewPtrCreateACLsRequest()
		create.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: 2, ResourceName: "t", ResourcePatternType: 3, Principal: "User:bob", Host: "*", Operation: 3, PermissionType: 3}}
		if got := code(admin, 3, create, func(resp *kmsg.CreateACLsResponse) int16 { return resp.Results[0].ErrorCode }); got != "0" {
			t.Fatalf("node %d, to allow: %s", node, got)
		}
		g.alike("bob, allowed", "0", func(node int32) string { return fetchCode(bobs[node]) }) // of replicas that follow too (KIP-392)
		remove := kmsg.NewPtrDeleteACLsRequest()
		remove.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 2, ResourcePatternType: 1, Principal: kmsg.StringPtr("User:bob"), Operation: 1, PermissionType: 1}}
		if got := code(next, 3, remove, func(resp *kmsg.DeleteACLsResponse) int16 { return resp.Results[0].ErrorCode }); got != "0" {
			t.Fatalf("to refuse: %s", got)
		}
		g.alike("bob, refused again", nothing, func(node int32) string { return asksAll(bobs[node]) })

		const in, out = "handshake 0 [PLAIN SCRAM-SHA-256 SCRAM-SHA-512]\nauthenticate 0  false 3600000", "handshake 0 [PLAIN SCRAM-SHA-256 SCRAM-SHA-512]\nauthenticate 58 Authentication failed: Invalid username or password false 0"
		carol := func(node int32) string { return strings.Join(g.at(node, "carol", "song").heard, "\n") }
		g.alike("carol, before", out, carol)
		salted, err := pbkdf2.Key(sha256.New, "song", []byte("salt"), 4096, sha256.Size)
		must(t, err)
		alter := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		alter.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: "carol", Mechanism: 1, Iterations: 4096, Salt: []byte("salt"), SaltedPassword: salted}}
		first := func(resp *kmsg.AlterUserSCRAMCredentialsResponse) int16 { return resp.Results[0].ErrorCode }
		if got := code(admin, 0, alter, first); got != "0" {
			t.Fatalf("node %d, to let carol in: %s", node, got)
		}
		g.alike("carol", in, carol)
		gone := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		gone.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "carol", Mechanism: 1}}
		if got := code(next, 0, gone, first); got != "0" {
			t.Fatalf("to let carol go: %s", got)
		}
		g.alike("carol, afterwards", out, carol)
	}
	// Each connection logs in again for itself (KIP-368).
	g.alike("alice, again", "handshake 0 [PLAIN SCRAM-SHA-256 SCRAM-SHA-512]\nauthenticate 0  false 3600000\nhandshake 0 [PLAIN SCRAM-SHA-256 SCRAM-SHA-512]\nauthenticate 0  false 3600000",
		func(node int32) string {
			r := g.at(node, "alice", "right")
			r.alice()
			return strings.Join(r.heard, "\n")
		})
}

// Groups and transactions of who has to log in go on when their coordinators move, and when nodes die and come back: at each new one the client logs in.
func TestSecuredCoordinatorsMove(t *testing.T) {
	g := newGuarded(t)
	c := g.s.Cluster
	alice := func(opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Addrs()...), kgo.SASL(scram.Auth{User: "alice", Pass: "right"}.AsSha512Mechanism()), kgo.DefaultProduceTopic("t"),
			kgo.MetadataMinAge(metadataMinAge), kgo.RequestRetries(1<<20), kgo.AlwaysRetryEOF(), kgo.RetryBackoffFn(func(int) time.Duration { return 4 * soon }))...)
		must(t, err)
		t.Cleanup(cl.Close)
		return cl
	}
	p := alice(kgo.TransactionalID("id"))
	m := alice(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	n := 0
	through := func(when string) {
		t.Helper()
		n++
		for committed := false; !committed; {
			must(t, p.BeginTransaction())
			err := errors.Join(p.ProduceSync(g.ctx, &kgo.Record{Value: fmt.Append(nil, n)}).FirstErr(), p.EndTransaction(g.ctx, kgo.TryCommit))
			for committed = err == nil; err != nil && g.ctx.Err() == nil; { // its coordinator was dead when it was dialed
				err = p.EndTransaction(g.ctx, kgo.TryAbort)
			}
		}
		for got := ""; got != fmt.Sprint(n); {
			m.PollFetches(g.ctx).EachRecord(func(r *kgo.Record) { got = string(r.Value) })
			if g.ctx.Err() != nil {
				t.Fatalf("%s: record %d does not come", when, n)
			}
		}
		must(t, m.CommitUncommittedOffsets(g.ctx))
	}
	through("at first")
	for _, node := range c.Nodes() {
		must(t, errors.Join(c.MoveGroup("g", node), c.MoveTransaction("id", node)))
		through("moved")
		must(t, c.Kill(node))
		through("killed")
		must(t, c.Start(node))
		through("started")
	}
}
