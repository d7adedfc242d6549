package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Requests about what there is nothing of are answered as Kafka 4.4.0 without it answers.
func TestAskedForWhatIsNotThere(t *testing.T) {
	k := start(t, samsa.Options{}, Options{NodeID: 7, Advertise: "kafka.local:9092"})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	c := k.dial()
	check := func(what string, got any, want string) {
		t.Helper()
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s: got %s, want %s", what, s, want)
		}
	}

	acls := ask[*kmsg.DescribeACLsResponse](c, 3, kmsg.NewPtrDescribeACLsRequest())
	check("describe ACLs", acls.ErrorCode, "54")
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = make([]kmsg.CreateACLsRequestCreation, 2)
	created := ask[*kmsg.CreateACLsResponse](c, 3, create).Results
	check("create ACLs", fmt.Sprint(len(created), created[0].ErrorCode, created[1].ErrorCode), "2 54 54")
	del := kmsg.NewPtrDeleteACLsRequest()
	del.Filters = make([]kmsg.DeleteACLsRequestFilter, 1)
	check("delete ACLs", ask[*kmsg.DeleteACLsResponse](c, 3, del).Results[0].ErrorCode, "54")

	token := ask[*kmsg.CreateDelegationTokenResponse](c, 3, kmsg.NewPtrCreateDelegationTokenRequest())
	check("create a token", fmt.Sprintf("%d %s %d", token.ErrorCode, token.PrincipalName, token.IssueTimestamp), "64 ANONYMOUS -1")
	owned := kmsg.NewPtrCreateDelegationTokenRequest()
	owned.OwnerPrincipalType, owned.OwnerPrincipalName = kmsgString("User"), kmsgString("gregor")
	token = ask[*kmsg.CreateDelegationTokenResponse](c, 3, owned)
	check("create a token for another", fmt.Sprint(token.ErrorCode, " ", token.PrincipalName, " ", token.TokenRequesterPrincipalName), "64 gregor ANONYMOUS")
	renewed := ask[*kmsg.RenewDelegationTokenResponse](c, 2, kmsg.NewPtrRenewDelegationTokenRequest())
	check("renew a token", fmt.Sprint(renewed.ErrorCode, renewed.ExpiryTimestamp), "64 -1")
	expired := ask[*kmsg.ExpireDelegationTokenResponse](c, 2, kmsg.NewPtrExpireDelegationTokenRequest())
	check("expire a token", fmt.Sprint(expired.ErrorCode, expired.ExpiryTimestamp), "64 -1")
	check("describe tokens", ask[*kmsg.DescribeDelegationTokenResponse](c, 3, kmsg.NewPtrDescribeDelegationTokenRequest()).ErrorCode, "64")

	reassignments := ask[*kmsg.ListPartitionReassignmentsResponse](c, 0, kmsg.NewPtrListPartitionReassignmentsRequest())
	check("list reassignments", fmt.Sprint(reassignments.ErrorCode, len(reassignments.Topics)), "0 0")

	users := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	check("all users", ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, 0, users).Results, "[]")
	for _, name := range []string{"gregor", "grete", "grete"} {
		users.Users = append(users.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: name})
	}
	var codes []string
	for _, r := range ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, 0, users).Results {
		codes = append(codes, fmt.Sprint(r.User, " ", r.ErrorCode))
	}
	check("some users", codes, "[gregor 91 grete 92]")
}

func TestElectLeaders(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	c := k.dial()
	for election, want := range map[int8]int16{0: codeNone, 1: codeNone, 2: codeInvalidRequest, -1: codeInvalidRequest} {
		req := kmsg.NewPtrElectLeadersRequest()
		req.ElectionType = election
		if resp := ask[*kmsg.ElectLeadersResponse](c, 2, req); resp.ErrorCode != want {
			t.Errorf("election of type %d: got %d, want %d", election, resp.ErrorCode, want)
		}
	}
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrElectLeadersRequest()
		if resp := ask[*kmsg.ElectLeadersResponse](c, version, req); resp.ErrorCode != 0 || len(resp.Topics) != 0 {
			t.Errorf("version %d, all: %+v", version, resp)
		}
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "web_log", Partitions: []int32{1, 2}}, {Topic: "nothing", Partitions: []int32{0}}}
		resp := ask[*kmsg.ElectLeadersResponse](c, version, req)
		got := fmt.Sprint(resp.ErrorCode, resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[0].Partitions[1].ErrorCode, resp.Topics[1].Partitions[0].ErrorCode)
		if got != "0 84 3 3" {
			t.Errorf("version %d: %s", version, got)
		}
	}
}

func TestAlterPartitionReassignments(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 1})
	c := k.dial()
	for _, tt := range []struct {
		topic    string
		replicas []int32
		want     int16
	}{
		{"web_log", []int32{1}, 0},
		{"web_log", nil, codeNoReassignmentInProgress},
		{"web_log", []int32{2}, codeInvalidReplicaAssignment},
		{"web_log", []int32{1, 1}, codeInvalidReplicaAssignment},
		{"web_log", []int32{}, codeInvalidReplicaAssignment},
		{"nothing", []int32{1}, codeUnknownTopicOrPartition},
	} {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{
			Topic: tt.topic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: tt.replicas}},
		}}
		resp := ask[*kmsg.AlterPartitionAssignmentsResponse](c, 1, req)
		if got := resp.Topics[0].Partitions[0].ErrorCode; resp.ErrorCode != 0 || got != tt.want {
			t.Errorf("%s %v: got %d, want %d", tt.topic, tt.replicas, got, tt.want)
		}
	}
}

func TestDescribeClientQuotas(t *testing.T) {
	c := start(t, samsa.Options{}, Options{}).dial()
	text := kmsgString("x")
	for name, tt := range map[string]struct {
		filter []kmsg.DescribeClientQuotasRequestComponent
		want   int16
	}{
		"all":                 {nil, 0},
		"some":                {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", Match: text}, {EntityType: "client-id", MatchType: 2}}, 0},
		"an unknown type":     {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "moon", MatchType: 2}}, codeUnsupportedVersion},
		"an empty type":       {[]kmsg.DescribeClientQuotasRequestComponent{{MatchType: 2}}, codeInvalidRequest},
		"an unknown match":    {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 3}}, codeInvalidRequest},
		"a match without one": {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user"}}, codeInvalidRequest},
		"any that is named":   {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 2, Match: text}}, codeInvalidRequest},
		"twice":               {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 2}, {EntityType: "user", MatchType: 1}}, codeInvalidRequest},
		"ip and more":         {[]kmsg.DescribeClientQuotasRequestComponent{{EntityType: "user", MatchType: 2}, {EntityType: "ip", MatchType: 2}}, codeInvalidRequest},
	} {
		for version := int16(0); version <= 1; version++ {
			req := kmsg.NewPtrDescribeClientQuotasRequest()
			req.Components = tt.filter
			resp := ask[*kmsg.DescribeClientQuotasResponse](c, version, req)
			if resp.ErrorCode != tt.want || (resp.Entries == nil) != (tt.want != 0) || len(resp.Entries) != 0 {
				t.Errorf("%s, version %d: %+v", name, version, resp)
			}
		}
	}
}

func TestDescribeQuorum(t *testing.T) {
	c := start(t, samsa.Options{}, Options{NodeID: 7, Advertise: "kafka.local:9092"}).dial()
	request := func(topic string, partition int32) *kmsg.DescribeQuorumRequest {
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: topic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: partition}}}}
		return req
	}
	resp := ask[*kmsg.DescribeQuorumResponse](c, 2, request("__cluster_metadata", 0))
	p := resp.Topics[0].Partitions[0]
	if resp.ErrorCode != 0 || p.ErrorCode != 0 || p.LeaderID != 7 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].ReplicaID != 7 || len(p.Observers) != 0 {
		t.Errorf("got %+v", resp)
	}
	if l := resp.Nodes[0].Listeners[0]; resp.Nodes[0].NodeID != 7 || l.Host != "kafka.local" || l.Port != 9092 {
		t.Errorf("nodes %+v", resp.Nodes)
	}
	for _, req := range []*kmsg.DescribeQuorumRequest{request("web_log", 0), request("__cluster_metadata", 1)} {
		if p := ask[*kmsg.DescribeQuorumResponse](c, 1, req).Topics[0].Partitions[0]; p.ErrorCode != codeUnknownTopicOrPartition {
			t.Errorf("got %+v", p)
		}
	}
}

func TestListTransactions(t *testing.T) {
	c := start(t, samsa.Options{}, Options{}).dial()
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters = []string{"Ongoing", "Dreaming", "CompleteAbort"}
	for version := int16(0); version <= 2; version++ {
		resp := ask[*kmsg.ListTransactionsResponse](c, version, req)
		if got := fmt.Sprint(resp.ErrorCode, resp.UnknownStateFilters, resp.TransactionStates); got != "0 [Dreaming] []" {
			t.Errorf("version %d: %s", version, got)
		}
	}
	for _, bad := range []string{"payments-(", "a)|(b", strings.Repeat("(", 999) + strings.Repeat(")", 999), strings.Repeat("(a{1000})", 10_000)} {
		req.TransactionalIDPattern = &bad
		if resp := ask[*kmsg.ListTransactionsResponse](c, 2, req); resp.ErrorCode != codeInvalidRegularExpression {
			t.Errorf("a bad pattern, %.20s: %+v", bad, resp)
		}
	}
}

// What a request names again and again, in some bytes each, is told once: an answer of any length it would be.
func TestToldOnce(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	txns := kmsg.NewPtrDescribeTransactionsRequest()
	txns.TransactionalIDs = []string{"a", "b", "a"}
	if got := ask[*kmsg.DescribeTransactionsResponse](c, 0, txns).TransactionStates; len(got) != 2 || got[0].TransactionalID != "a" || got[1].TransactionalID != "b" {
		t.Errorf("transactions: %+v", got)
	}
	producers := kmsg.NewPtrDescribeProducersRequest()
	topic := kmsg.DescribeProducersRequestTopic{Topic: "web_log", Partitions: []int32{0, 7, 0}}
	producers.Topics = []kmsg.DescribeProducersRequestTopic{topic, topic}
	if got := ask[*kmsg.DescribeProducersResponse](c, 0, producers).Topics; len(got) != 2 || len(got[0].Partitions) != 2 || len(got[1].Partitions) != 0 {
		t.Errorf("producers: %+v", got)
	}
	offsets := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	all, one := kmsg.NewDescribeShareGroupOffsetsRequestGroup(), kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	all.GroupID, one.GroupID = "g", "g"
	one.Topics = []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: "web_log", Partitions: []int32{0}}}
	offsets.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{all, one, all}
	if got := ask[*kmsg.DescribeShareGroupOffsetsResponse](c, 0, offsets).Groups; len(got) != 2 || len(got[0].Topics) != 0 || len(got[1].Topics) != 1 {
		t.Errorf("share groups: %+v", got)
	}
}

// A member has so many protocols that they can be compared with each other.
func TestManyProtocols(t *testing.T) {
	c := start(t, samsa.Options{}, Options{}).dial()
	for n, code := range map[int]int16{100: 79, 101: 23, 100_000: 23} { // MEMBER_ID_REQUIRED, INCONSISTENT_GROUP_PROTOCOL
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.ProtocolType, req.SessionTimeoutMillis = "g", "consumer", 10_000
		for i := range n {
			req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: fmt.Sprint(i)})
		}
		if got := ask[*kmsg.JoinGroupResponse](c, 9, req).ErrorCode; got != code {
			t.Errorf("%d protocols: %d, want %d", n, got, code)
		}
	}
}

// Lists are edited as if one item came after the other.
func TestEditedList(t *testing.T) {
	for _, c := range []struct {
		list, value string
		op          kmsg.IncrementalAlterConfigOp
		want        string
	}{
		{"a,b,c", "b,d,b", kmsg.IncrementalAlterConfigOpAppend, "a,c,d,b"},
		{"a,b,a", "a", kmsg.IncrementalAlterConfigOpSubtract, "b"},
		{"", "a,a", kmsg.IncrementalAlterConfigOpAppend, "a"},
		{"a,b", "", kmsg.IncrementalAlterConfigOpAppend, "a,b"},
	} {
		if got := editedList(c.list, configEdit{Op: c.op, Value: &c.value}); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

// Other resources than topics and the broker can be described, and have no configs.
func TestResourcesWithoutConfigs(t *testing.T) {
	c := start(t, samsa.Options{}, Options{NodeID: 7}).dial()
	for _, tt := range []struct {
		kind kmsg.ConfigResourceType
		name string
		want int16
	}{
		{kmsg.ConfigResourceTypeBrokerLogger, "7", codeNone},
		{kmsg.ConfigResourceTypeBrokerLogger, "8", codeInvalidRequest},
		{kmsg.ConfigResourceTypeClientMetrics, "slow", codeNone},
		{kmsg.ConfigResourceTypeClientMetrics, "", codeInvalidRequest},
		{kmsg.ConfigResourceTypeGroupConfig, "", codeInvalidRequest},
		{99, "x", codeInvalidRequest},
	} {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: tt.kind, ResourceName: tt.name}}
		r := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]
		if r.ErrorCode != tt.want || len(r.Configs) > 0 {
			t.Errorf("%v %q: got %d, %v, want %d and nothing", tt.kind, tt.name, r.ErrorCode, r.Configs, tt.want)
		}
	}
}

func TestListConfigResources(t *testing.T) {
	k := start(t, samsa.Options{}, Options{NodeID: 7})
	k.create("bills", samsa.TopicConfig{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	for _, tt := range []struct {
		version int16
		types   []int8
		want    string
	}{
		{0, nil, "0 []"},
		{1, nil, "0 [{7 4} {7 8} {bills 2} {web_log 2}]"},
		{1, []int8{2}, "0 [{bills 2} {web_log 2}]"},
		{1, []int8{8, 32}, "0 [{7 8}]"},
		{1, []int8{2, 99}, "35 []"},
	} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = tt.types
		resp := ask[*kmsg.ListConfigResourcesResponse](c, tt.version, req)
		var got []struct {
			name string
			kind int8
		}
		for _, r := range resp.ConfigResources {
			got = append(got, struct {
				name string
				kind int8
			}{r.Name, r.Type})
		}
		if s := fmt.Sprint(resp.ErrorCode, " ", got); s != tt.want {
			t.Errorf("version %d, types %v: got %s, want %s", tt.version, tt.types, s, tt.want)
		}
	}
}
