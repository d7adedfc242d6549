package cluster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/kafka"
)

// checked is a broker with ACLs, as one sees it who may do everything, and as its client does.
type checked struct {
	t             *testing.T
	name          string
	admin, client *kgo.Client
	principal     string // of the client
}

func (c *checked) connect(admin, client []string, opts ...kgo.Opt) {
	for _, one := range []struct {
		to    **kgo.Client
		seeds []string
		opts  []kgo.Opt
	}{{&c.admin, admin, nil}, {&c.client, client, opts}} {
		cl, err := kgo.NewClient(append(one.opts, kgo.SeedBrokers(one.seeds...), kgo.MetadataMinAge(10*time.Millisecond), kgo.RequestRetries(0))...)
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(cl.Close)
		*one.to = cl
	}
}

// checkedKafka is Apache Kafka, whose client is alice.
func checkedKafka(t *testing.T) *checked {
	k := kafkatest.New(t, kafkatest.Options{Secure: kafkatest.Secure{ACLs: true, SASL: []string{"PLAIN"}, Users: map[string]string{"alice": "right"}}})
	c := &checked{t: t, name: "Kafka", principal: "User:alice"}
	c.connect(k.Inside(), k.Seeds(), kgo.SASL(plain.Auth{User: "alice", Pass: "right"}.AsMechanism()))
	return c
}

// checkedSamsa is a broker of Samsa with two doors, of which one is for those who may do everything.
func checkedSamsa(t *testing.T) *checked {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	users, err := kafka.UsersOf(b)
	if err == nil {
		err = users.Set(t.Context(), "alice", "right")
	}
	if err != nil {
		t.Fatal(err)
	}
	var addrs [2][]string
	for i, o := range []kafka.Options{
		{ACLs: &kafka.ACLs{SuperUsers: []kafka.Principal{kafka.Anonymous}}},
		{ACLs: &kafka.ACLs{}, Security: kafka.Security{SASL: &kafka.SASL{Mechanisms: []string{"PLAIN"}}}},
	} {
		srv, err := kafka.Listen(b, "127.0.0.1:0", o)
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = []string{srv.Addr().String()}
	}
	c := &checked{t: t, name: "Samsa", principal: "User:alice"}
	c.connect(addrs[0], addrs[1], kgo.SASL(plain.Auth{User: "alice", Pass: "right"}.AsMechanism()))
	return c
}

// allow has the ACLs of the client be these, each "OPERATION RESOURCE NAME", with "deny " before it, or with a "*" at the end of the
// name for a prefix.
func (c *checked) allow(ctx context.Context, acls ...string) {
	c.t.Helper()
	all := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	all.Filters = append(all.Filters, f)
	if _, err := all.RequestWith(ctx, c.admin); err != nil {
		c.t.Fatal(err)
	}
	req := kmsg.NewPtrCreateACLsRequest()
	for _, text := range acls {
		var op, resource, name string
		text, denied := strings.CutPrefix(text, "deny ")
		if _, err := fmt.Sscan(text, &op, &resource, &name); err != nil {
			c.t.Fatal(text, err)
		}
		a := kmsg.NewCreateACLsRequestCreation()
		a.Principal, a.Host, a.ResourceName = c.principal, "*", name
		a.ResourcePatternType, a.PermissionType = kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLPermissionTypeAllow
		if prefix, ok := strings.CutSuffix(name, "*"); ok && prefix != "" {
			a.ResourceName, a.ResourcePatternType = prefix, kmsg.ACLResourcePatternTypePrefixed
		}
		if denied {
			a.PermissionType = kmsg.ACLPermissionTypeDeny
		}
		var err, err2 error
		a.Operation, err = kmsg.ParseACLOperation(op)
		a.ResourceType, err2 = kmsg.ParseACLResourceType(resource)
		if err != nil || err2 != nil {
			c.t.Fatal(text, err, err2)
		}
		req.Creations = append(req.Creations, a)
	}
	if len(req.Creations) > 0 {
		resp, err := req.RequestWith(ctx, c.admin)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, r := range resp.Results {
			if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
				c.t.Fatal(err, r.ErrorMessage)
			}
		}
	}
	var want []string
	for _, a := range req.Creations {
		want = append(want, aclLine(a.ResourceType, a.ResourceName, a.ResourcePatternType, a.Principal, a.Host, a.Operation, a.PermissionType))
	}
	slices.Sort(want)
	for !slices.Equal(c.acls(ctx, f), want) { // the controller says so before the authorizer knows, which may have as many others
		if ctx.Err() != nil {
			c.t.Fatal(ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func aclLine(r kmsg.ACLResourceType, name string, p kmsg.ACLResourcePatternType, principal, host string, op kmsg.ACLOperation, may kmsg.ACLPermissionType) string {
	return fmt.Sprint(r, name, p, principal, host, op, may)
}

// ask sends a request as the client does, and returns what of the answer tells who may what: codes, names and operations.
func (c *checked) ask(ctx context.Context, req kmsg.Request) []string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	resp, err := c.client.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return []string{"no answer"}
	}
	return told(reflect.ValueOf(resp).Elem(), "")
}

// tellers are the fields of answers that are compared, besides codes.
var tellers = []string{
	"Type", "Topic", "Group", "GroupID", "TransactionalID", "ResourceName", "Name", "AuthorizedOperations", "ClusterAuthorizedOperations", "Partition",
}

// told returns the fields of an answer that are compared, each list in order, without Kafka's own topics.
func told(v reflect.Value, at string) (lines []string) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && name != "Brokers" && name != "Configs" && name != "Members" && name != "ApiKeys":
			var all []string
			for j := range f.Len() {
				if one := strings.Join(told(f.Index(j), ""), " "); !strings.Contains(one, "=__") {
					all = append(all, name+"{"+one+"}")
				}
			}
			slices.Sort(all)
			lines = append(lines, all...)
		case strings.HasSuffix(name, "ErrorCode"):
			text := "0"
			var err *kerr.Error
			if errors.As(kerr.ErrorForCode(int16(f.Int())), &err) {
				text = err.Message
			}
			lines = append(lines, name+"="+text)
		case slices.Contains(tellers, name):
			if f.Kind() == reflect.Pointer {
				if f.IsNil() {
					continue
				}
				f = f.Elem()
			}
			lines = append(lines, fmt.Sprintf("%s=%v", name, f.Interface()))
		}
	}
	return lines
}

// world makes what the requests name.
func (c *checked) world(ctx context.Context) {
	adm := kadm.NewClient(c.admin)
	if _, err := adm.CreateTopics(ctx, 1, 1, nil, "t", "other"); err != nil {
		c.t.Fatal(err)
	}
	var offsets kadm.Offsets
	offsets.AddOffset("t", 0, 0, -1)
	offsets.AddOffset("other", 0, 0, -1)
	for _, group := range []string{"g", "hidden"} {
		for {
			err := adm.CommitAllOffsets(ctx, group, offsets)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				c.t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	for _, id := range []string{"x", "hidden"} {
		for {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &id, 60000, -1, -1
			resp, err := req.RequestWith(ctx, c.admin)
			if err == nil && resp.ErrorCode == 0 {
				break
			}
			if ctx.Err() != nil {
				c.t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// join has a group of each of the newer kinds have a member that topic t is assigned to. One who does it again stays for another session.
func (c *checked) join(ctx context.Context) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	member := "AAAAAAAAAAAAAAAAAAAAAQ"
	consumer := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	consumer.Group, consumer.MemberID, consumer.RebalanceTimeoutMillis, consumer.SubscribedTopicNames = "cl", member, 60000, []string{"t"}
	consumer.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	share := kmsg.NewPtrShareGroupHeartbeatRequest()
	share.GroupID, share.MemberID, share.SubscribedTopicNames = "sl", member, []string{"t"}
	streams := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	streams.Group, streams.MemberID, streams.RebalanceTimeoutMillis, streams.ProcessID = "wl", member, 60000, &member
	streams.ActiveTasks, streams.StandbyTasks, streams.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	streams.Topology = new(kmsg.StreamsGroupHeartbeatRequestTopology)
	sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	sub.SubtopologyID, sub.SourceTopics = "0", []string{"t"}
	streams.Topology.Subtopologies = append(streams.Topology.Subtopologies, sub)
	for _, req := range []kmsg.Request{consumer, share, streams} {
		for joined, said := false, any(nil); !joined; {
			resp, err := c.admin.SeedBrokers()[0].Request(context.WithoutCancel(ctx), req)
			switch r := resp.(type) {
			case *kmsg.ConsumerGroupHeartbeatResponse:
				joined, said = r.ErrorCode == 0 && r.Assignment != nil && len(r.Assignment.Topics) > 0, r
			case *kmsg.ShareGroupHeartbeatResponse:
				joined, said = r.ErrorCode == 0 && r.Assignment != nil && len(r.Assignment.TopicPartitions) > 0, r
			case *kmsg.StreamsGroupHeartbeatResponse:
				joined, said = r.ErrorCode == 0 && len(r.ActiveTasks) > 0, r
			}
			if ctx.Err() != nil {
				c.t.Fatalf("%s: %v, %+v", c.name, err, said)
			}
			if !joined {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

var aclRequests = flag.String("acl-requests", "", "only those requests whose names have this in them")

// Of each request, with all that it needs, without each of it, and with nothing, Samsa says who may what as Kafka does.
func TestACLsAreKafkas(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	both := []*checked{checkedKafka(t), checkedSamsa(t)}
	for _, c := range both {
		c.world(ctx)
	}
	ids := make([][16]byte, len(both))
	for i, c := range both {
		topics, err := kadm.NewClient(c.admin).ListTopics(ctx, "t")
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = topics["t"].ID
	}
	n := 0
	for _, a := range asked {
		if !strings.Contains(a.what, *aclRequests) {
			continue
		}
		cases := map[string][]string{"everything": a.needs, "nothing": nil}
		for i, one := range a.needs {
			cases["no "+one] = slices.Concat(a.needs[:i], a.needs[i+1:])
			cases["denied "+one] = append(slices.Clone(a.needs), "deny "+one)
		}
		for _, more := range a.also {
			cases["also "+more] = append(slices.Clone(a.needs), more)
			cases["only "+more] = []string{more}
		}
		for what, acls := range cases {
			n++
			var got [2]string
			for i, c := range both {
				c.allow(ctx, acls...)
				if strings.HasSuffix(a.what, "live") {
					c.join(ctx)
				}
				req := a.request(ids[i], fmt.Sprint("new-", n))
				got[i] = strings.Join(c.ask(ctx, req), "\n")
			}
			if a.what == "ShareFetch" { // Samsa tells of a partition that is new in a session; Kafka does not where it has no records
				for i := range got {
					got[i] = strings.Join(slices.DeleteFunc(strings.Split(got[i], "\n"), func(line string) bool {
						return strings.HasPrefix(line, "Topics{") && !strings.Contains(line, "FAILED")
					}), "\n")
				}
			}
			if got[0] != got[1] {
				t.Errorf("%s, %s:\nKafka says\n%s\nSamsa says\n%s", a.what, what, got[0], got[1])
			}
			if testing.Verbose() {
				t.Logf("%s, %s: %s", a.what, what, strings.ReplaceAll(got[0], "\n", " "))
			}
		}
	}
}
