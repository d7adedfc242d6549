package kafka

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
)

// denials are the codes of who may not.
var denials = []int16{codeTopicAuthorizationFailed, codeGroupAuthorizationFailed, codeClusterAuthorizationFailed, codeTransactionalIDAuthorizationFailed}

// openToAll are the requests that nobody is refused.
var openToAll = []kmsg.Key{
	kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.DescribeCluster, kmsg.ListGroups, kmsg.ListTransactions,
	kmsg.CreateDelegationToken, kmsg.RenewDelegationToken, kmsg.ExpireDelegationToken, kmsg.DescribeDelegationToken,
}

// Each request that there is has a check.
func TestEveryRequestIsChecked(t *testing.T) {
	for _, e := range table {
		if checks[e.key] == nil {
			t.Errorf("nobody says what %s needs", e.key.Name())
		}
	}
}

// namer fills in requests: each thing that one names is one that there is.
type namer struct {
	topic topicRef
	batch []byte
}

func (n namer) fill(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				n.fill(v.Field(i), name)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		n.fill(v.Elem(), field)
	case reflect.Slice:
		switch {
		case v.Type() == reflect.TypeOf([]byte(nil)):
			v.SetBytes(n.batch)
		case field == "StatesFilter" || field == "TypesFilter" || field == "StateFilters" || field == "ProducerIDFilters" || field == "ReplicaAssignment" || field == "ForgottenTopics":
		default:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			n.fill(v.Index(0), strings.TrimSuffix(field, "s"))
		}
	case reflect.String:
		v.SetString(n.name(field))
	case reflect.Array:
		if field == "TopicID" {
			v.Set(reflect.ValueOf(n.topic.id))
		}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.number(v, field)
	case reflect.Bool:
		v.SetBool(false)
	}
}

func (n namer) name(field string) string {
	switch field {
	case "Topic", "TopicName", "ResourceName", "SubscribedTopicName", "SourceTopic", "RepartitionSinkTopic", "Cursor":
		return n.topic.name
	case "Group", "GroupID", "CoordinatorKey":
		return "billing"
	case "TransactionalID", "TransactionID":
		return "shop"
	case "Principal":
		return "User:mallory"
	case "Host":
		return "*"
	}
	return "m"
}

func (n namer) number(v reflect.Value, field string) {
	switch field {
	case "ResourceType":
		v.SetInt(2)
	case "ResourcePatternType", "Operation", "PermissionType":
		v.SetInt(3)
	case "NumPartitions", "ReplicationFactor", "Acks", "MemberEpoch", "TransactionTimeoutMillis", "Count":
		v.SetInt(1)
	case "SessionEpoch", "ReplicaID", "ProducerID", "ProducerEpoch", "CurrentLeaderEpoch", "Generation":
		v.SetInt(-1)
	case "MaxBytes", "PartitionMaxBytes":
		v.SetInt(1 << 20)
	}
}

// request is the request of an entry, all filled in.
func (n namer) request(e entry, version int16) kmsg.Request {
	req := e.key.Request()
	n.fill(reflect.ValueOf(req).Elem(), "")
	req.SetVersion(version)
	switch r := req.(type) {
	case *kmsg.MetadataRequest:
		r.Topics = r.Topics[:1]
		if r.Topics[0].TopicID = noTopic; version >= 12 {
			r.Topics[0].TopicID = n.topic.id
		}
	case *kmsg.DeleteTopicsRequest:
		r.Topics[0].Topic = nil
	case *kmsg.DescribeTopicPartitionsRequest:
		r.Cursor = nil
	case *kmsg.ConsumerGroupHeartbeatRequest:
		r.SubscribedTopicRegex = nil
	}
	return req
}

// codesIn returns the error codes in an answer.
func codesIn(v reflect.Value) (codes []int16) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return codesIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			codes = append(codes, codesIn(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if strings.HasSuffix(v.Type().Field(i).Name, "ErrorCode") && v.Field(i).Kind() == reflect.Int16 {
				codes = append(codes, int16(v.Field(i).Int()))
				continue
			}
			codes = append(codes, codesIn(v.Field(i))...)
		}
	}
	return codes
}

// startACLs is start with a topic, a group and a transactional id, and ACLs on.
func startACLs(t *testing.T, opts ACLs) (*kit, namer) {
	t.Helper()
	k := start(t, samsa.Options{}, Options{ACLs: &opts})
	k.create("orders", samsa.TopicConfig{})
	if err := k.Groups().SetOffsets(k.ctx, "billing", map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "orders"}: {}}); err != nil {
		t.Fatal(err)
	}
	topic, err := k.srv.in.Catalogue.Get("orders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.srv.in.Txns.Init(k.ctx, "shop", 1e9, nil); err != nil {
		t.Fatal(err)
	}
	return k, namer{topicRef{"orders", topic.ID()}, batch(t, log.CodecNone, record{1, "k", "v"})}
}

// Who has no ACL is refused each request, in each version, by a code of its own, and nothing comes of it; what is open to all tells
// nothing of what there is.
func TestNobodyMayAnything(t *testing.T) {
	k, n := startACLs(t, ACLs{SuperUsers: []Principal{{UserType, "admin"}}})
	before := k.world()
	for _, e := range table {
		for version := e.min; version <= e.max; version++ {
			if e.key == kmsg.SASLHandshake || e.key == kmsg.SASLAuthenticate {
				continue
			}
			c := k.dial()
			req := n.request(e, version)
			c.send(version, req)
			resp := c.receive()
			codes := codesIn(reflect.ValueOf(resp))
			refused := slices.ContainsFunc(codes, func(code int16) bool { return slices.Contains(denials, code) })
			if dirs, ok := resp.(*kmsg.DescribeLogDirsResponse); ok && version < 3 { // has no code for the whole
				refused = len(dirs.Dirs) == 0
			}
			if open := slices.Contains(openToAll, e.key); refused == open {
				t.Errorf("%s %d: codes %v", e.key.Name(), version, codes)
			}
			if !refused && strings.Contains(string(resp.AppendTo(nil)), "billing") {
				t.Errorf("%s %d tells of what is there: %+v", e.key.Name(), version, resp)
			}
		}
	}
	if after := k.world(); after != before {
		t.Errorf("the world was\n%s\nand is\n%s", before, after)
	}
}

// world is what requests may have changed.
func (k *kit) world() string {
	var b strings.Builder
	for _, t := range k.srv.in.Catalogue.List() {
		b.WriteString(t.Name() + " " + reflect.ValueOf(t.Config()).String())
		for _, p := range t.Partitions() {
			b.WriteString(p.TopicPartition().String() + " ends at " + string(rune('0'+p.HighWatermark())) + "\n")
		}
	}
	for _, l := range k.srv.in.Groups.List() {
		b.WriteString(l.Name + " " + l.State.String() + "\n")
	}
	for _, l := range k.srv.in.Txns.List() {
		b.WriteString(l.ID + " " + l.State.String() + "\n")
	}
	for _, r := range k.srv.in.ACLs.Now().Rules(acl.Filter{}) {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// Where no ACL is about anything and that means yes, nobody is refused; nor are super users.
func TestEverybodyMayEverything(t *testing.T) {
	for what, opts := range map[string]ACLs{"no ACL": {AllowIfNone: true}, "super": {SuperUsers: []Principal{Anonymous}}} {
		t.Run(what, func(t *testing.T) {
			k, n := startACLs(t, opts)
			for _, e := range table {
				switch e.key {
				case kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.WriteTxnMarkers, kmsg.DeleteTopics, kmsg.CreateACLs, kmsg.JoinGroup, kmsg.SyncGroup:
					continue // wait, take it all away, or refuse for other reasons
				}
				c := k.dial()
				c.send(e.max, n.request(e, e.max))
				if codes := codesIn(reflect.ValueOf(c.receive())); slices.ContainsFunc(codes, func(code int16) bool { return slices.Contains(denials, code) }) {
					t.Errorf("%s: codes %v", e.key.Name(), codes)
				}
			}
		})
	}
}

// A regular expression finds what its member may describe, and no more; nor are topics made for a member that may not create them.
func TestMembersSeeWhatTheyMayDescribe(t *testing.T) {
	k, _ := startACLs(t, ACLs{})
	k.create("orders.secret", samsa.TopicConfig{})
	allow := func(op acl.Operation, r acl.Resource, name string) {
		t.Helper()
		if err := k.srv.in.ACLs.Create(k.ctx, acl.Rule{Resource: r, Name: name, Pattern: acl.Literal, Principal: Anonymous.String(), Host: acl.Wildcard, Operation: op, Permission: acl.Allow}); err != nil {
			t.Fatal(err)
		}
	}
	allow(acl.Read, acl.Group, "g")
	allow(acl.Describe, acl.Topic, "orders")
	c := k.dial()
	join := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	join.Group, join.MemberID, join.RebalanceTimeoutMillis = "g", "m", 1000
	join.SubscribedTopicRegex, join.Topics = kmsgString("orders.*"), []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, join)
	orders, _ := k.srv.in.Catalogue.Get("orders")
	if resp.ErrorCode != codeNone || resp.Assignment == nil || len(resp.Assignment.Topics) != 1 || resp.Assignment.Topics[0].TopicID != orders.ID() {
		t.Errorf("got %+v, %+v", resp, resp.Assignment)
	}

	for _, name := range []string{"s-log", "s-more"} {
		allow(acl.Describe, acl.Topic, name)
	}
	allow(acl.Read, acl.Group, "s")
	allow(acl.Create, acl.Topic, "s-more")
	beat := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	beat.Group, beat.MemberID, beat.ProcessID, beat.RebalanceTimeoutMillis = "s", "m", kmsgString("p"), 1000
	beat.ActiveTasks, beat.StandbyTasks, beat.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	beat.ClientTags, beat.TaskOffsets, beat.TaskEndOffsets = nil, nil, nil
	beat.Topology = new(kmsg.StreamsGroupHeartbeatRequestTopology)
	sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	sub.SubtopologyID, sub.SourceTopics = "0", []string{"orders"}
	for _, name := range []string{"s-log", "s-more"} {
		info := kmsg.NewTopicInfo()
		info.Topic = name
		sub.StateChangelogTopics = append(sub.StateChangelogTopics, info)
	}
	beat.Topology.Subtopologies = append(beat.Topology.Subtopologies, sub)
	told := ask[*kmsg.StreamsGroupHeartbeatResponse](c, 0, beat)
	if !slices.ContainsFunc(told.Status, func(s kmsg.StreamsGroupHeartbeatResponseStatus) bool {
		return strings.HasSuffix(s.StatusDetail, "; Unauthorized to CREATE on topics s-log.")
	}) {
		t.Errorf("got %+v, %v", told, orNone(told.ErrorMessage))
	}
	if _, err := k.srv.in.Catalogue.Get("s-log"); err == nil {
		t.Error("the topic is there")
	}
	if _, err := k.srv.in.Catalogue.Get("s-more"); err != nil {
		t.Error(err)
	}
}

// What is made by the Go API counts at once over the wire, and the other way round.
func TestACLsOf(t *testing.T) {
	k, n := startACLs(t, ACLs{})
	acls, err := ACLsOf(k.Broker)
	if err != nil {
		t.Fatal(err)
	}
	read := ACL{Principal: Anonymous.String(), Operation: "read", Resource: "topic", Name: "ord", Prefixed: true}
	cluster := ACL{Principal: "User:*", Host: "127.0.0.0/8", Operation: "ALTER", Resource: "CLUSTER"}
	if err := acls.Create(k.ctx, read, cluster); err != nil {
		t.Fatal(err)
	}
	c := k.dial()
	fetch := fetchRequest("orders", 0)
	fetch.MaxWaitMillis = 0
	if resp := ask[*kmsg.FetchResponse](c, 11, fetch); resp.Topics[0].Partitions[0].ErrorCode == codeTopicAuthorizationFailed {
		t.Error("may not read")
	}
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: 2, ResourceName: "orders", ResourcePatternType: 3, Principal: "User:*", Host: "*", Operation: 3, PermissionType: 2}}
	ask[*kmsg.CreateACLsResponse](c, 3, create)
	if resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", n.batch)); resp.Topics[0].Partitions[0].ErrorCode != codeTopicAuthorizationFailed {
		t.Errorf("may write: %+v", resp)
	}
	if all := acls.List(); len(all) != 3 || all[0].Name != "ord" || all[0].Host != "" || !all[1].Deny || all[2].Host != "127.0.0.0/8" {
		t.Errorf("%v", all)
	}
	if n, err := acls.Delete(k.ctx, read, read, ACL{Principal: "User:x", Operation: "ALL", Resource: "GROUP", Name: "*"}); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err) // it was asked for twice
	}
	for _, bad := range []ACL{{}, {Operation: "ANY", Resource: "TOPIC", Name: "a", Principal: "User:a"}, {Operation: "READ", Resource: "TABLE", Name: "a", Principal: "User:a"}, {Operation: "READ", Resource: "TOPIC", Name: "a", Principal: "alice"}} {
		if err := acls.Create(k.ctx, bad); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, err := acls.Delete(k.ctx, bad); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if n, err := acls.DeleteAll(k.ctx); err != nil || n != 2 || len(acls.List()) > 0 {
		t.Errorf("%d, %v", n, err)
	}
	if p, err := ParsePrincipal("User:a:b"); err != nil || p != (Principal{"User", "a:b"}) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := ParsePrincipal("alice"); !errors.Is(err, samsa.ErrInvalid) {
		t.Error(err)
	}
}
