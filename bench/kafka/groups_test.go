package kafka

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
)

// groupDifferences are all differences in the answers about groups of the consumer protocol (KIP-848).
var groupDifferences = map[string]difference{
	"described: describe 1 no name": {"INVALID_GROUP_ID false  0 0  -2147483648", "INVALID_GROUP_ID true  0 0  -2147483648", "we say why"},
	"regex: a joins": {"ok epoch 1 every 5000 as itself: true to have 0 of 0", "ok epoch 2 every 5000 as itself: true to have 2 of 1",
		"Kafka finds out later what a regular expression means, and we at once"},
	"regex: a once more": {"ok epoch 2 every 5000 as itself: true to have 2 of 1", "ok epoch 2 every 5000 as itself: true", "the same"},
	"offsets: fetch 9 as nobody, with an epoch": {"UNKNOWN_SERVER_ERROR", "UNKNOWN_MEMBER_ID",
		"Kafka does not expect an epoch of nobody"},
	"offsets: fetch 10 as nobody, with an epoch": {"UNKNOWN_SERVER_ERROR", "UNKNOWN_MEMBER_ID", "the same"},
	"described: describe twice":                  {"2", "1", "a group that is named twice is described once, or a small request had a long answer"},
}

// groupsAsIn checks that requests about groups of the consumer protocol are answered as by the Kafka at addr, but for those
// differences.
func groupsAsIn(t *testing.T, addr string) {
	asIn(t, addr, groupDifferences, whole, round{ask: groupAnswers})
}

// groupAsker asks about one group, whose members have ids of their own.
type groupAsker struct {
	*asker
	group, topic string
	topicID      [16]byte
	epochs       map[string]int32
	has          map[string][]int32
	settled      bool
}

// groupAnswers asks a broker, each story about a group and a topic of its own.
func groupAnswers(t *testing.T, addr string) []note {
	a := dial(t, addr)
	for i, story := range []struct {
		name string
		ask  func(*groupAsker)
	}{
		{"bad heartbeats", (*groupAsker).badHeartbeats},
		{"two members", (*groupAsker).twoMembers},
		{"offsets", (*groupAsker).offsets},
		{"static", (*groupAsker).static},
		{"regex", (*groupAsker).regex},
		{"described", (*groupAsker).described},
		{"wrong kind", (*groupAsker).wrongKind},
		{"classic among them", (*groupAsker).classicAmong},
		{"upgraded", (*groupAsker).upgraded},
	} {
		g := &groupAsker{asker: a, group: fmt.Sprint(sharded, "g", i), topic: fmt.Sprintf("group-topic-%d", i), epochs: map[string]int32{}, has: map[string][]int32{}}
		g.story = story.name
		g.coordinated()
		g.create(g.topic)
		g.interval(longInterval)
		g.findTopic()
		story.ask(g)
	}
	return a.notes
}

// coordinated waits until the coordinator of groups knows that it is.
func (a *groupAsker) coordinated() {
	a.t.Helper()
	a.soon(func() int16 {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey = a.group
		return ask[*kmsg.FindCoordinatorResponse](a.asker, 2, req).ErrorCode
	})
	a.soon(func() int16 {
		req := kmsg.NewPtrListGroupsRequest()
		return ask[*kmsg.ListGroupsResponse](a.asker, 4, req).ErrorCode
	})
}

func (a *groupAsker) findTopic() {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &a.topic
	req.Topics = append(req.Topics, t)
	a.topicID = ask[*kmsg.MetadataResponse](a.asker, 12, req).Topics[0].TopicID
}

// beat is what a member says, and what it is answered.
func (a *groupAsker) beat(what, member string, edit func(*kmsg.ConsumerGroupHeartbeatRequest)) {
	a.t.Helper()
	a.beatAs(1, what, member, edit)
}

func (a *groupAsker) beatAs(version int16, what, member string, edit func(*kmsg.ConsumerGroupHeartbeatRequest)) {
	a.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = a.group, member, a.epochs[member], -1
	owned := kmsg.NewConsumerGroupHeartbeatRequestTopic()
	owned.TopicID, owned.Partitions = a.topicID, a.has[member]
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if len(owned.Partitions) > 0 {
		req.Topics = append(req.Topics, owned)
	}
	if req.MemberEpoch == 0 {
		req.RebalanceTimeoutMillis, req.Topics, req.SubscribedTopicNames = 60_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}, []string{a.topic}
	}
	if edit != nil {
		edit(req)
	}
	resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](a.asker, version, req)
	if a.settled {
		a.settled = false
		a.interval(longInterval)
	}
	if resp.ErrorCode != 0 {
		a.note(what, resp.ErrorCode, "told why:", resp.ErrorMessage != nil, resp.MemberID == nil, resp.MemberEpoch, usual(resp.HeartbeatIntervalMillis))
		return
	}
	words := []any{resp.ErrorCode, "epoch", resp.MemberEpoch, "every", usual(resp.HeartbeatIntervalMillis), "as itself:", resp.MemberID != nil && (*resp.MemberID == req.MemberID)}
	a.epochs[member] = resp.MemberEpoch
	if resp.Assignment != nil {
		n := 0
		a.has[member] = nil
		for _, t := range resp.Assignment.Topics {
			n += len(t.Partitions)
			if t.TopicID == a.topicID {
				a.has[member] = t.Partitions
			}
		}
		words = append(words, "to have", n, "of", len(resp.Assignment.Topics))
	}
	a.note(what, words...)
}

type hb = kmsg.ConsumerGroupHeartbeatRequest

func text(s string) *string { return &s }

// usual is an interval between heartbeats, and the usual one instead of a shorter: a difference is that Kafka leaves a member who
// waits for an assignment to its usual heartbeats, and Samsa has it come when the assignment may be made.
func usual(ms int32) int32 {
	if ms > 0 {
		return max(ms, 5000)
	}
	return ms
}

// alter sets configs of the group, name=value, or unsets one, -name.
func (a *groupAsker) alter(edits ...string) int16 {
	a.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, a.group
	for _, edit := range edits {
		name, value, set := strings.Cut(edit, "=")
		e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		e.Name, e.Op = strings.TrimPrefix(name, "-"), kmsg.IncrementalAlterConfigOpDelete
		if set {
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpSet, &value
		}
		rr.Configs = append(rr.Configs, e)
	}
	req.Resources = append(req.Resources, rr)
	return ask[*kmsg.IncrementalAlterConfigsResponse](a.asker, 1, req).Resources[0].ErrorCode
}

// interval sets the least time between two targets of the group. It is long in these stories, but for settle: a slow machine lets it pass nowhere else.
func (a *groupAsker) interval(ms string) {
	a.t.Helper()
	if code := a.alter("consumer.assignment.interval.ms=" + ms); code != 0 {
		a.t.Fatal(codeName(code))
	}
	a.known(a.group)
}

const (
	noInterval   = "0"
	longInterval = "15000" // the longest
)

// settle has the time between two targets be over, until a member's next heartbeat.
func (a *groupAsker) settle() {
	a.t.Helper()
	a.interval(noInterval)
	a.settled = true
}

func (a *groupAsker) badHeartbeats() {
	a.beat("no member id", "", nil)
	a.beatAs(0, "no member id, leaving", "", func(r *hb) { r.MemberEpoch = -1 })
	a.beatAs(0, "no member id, later", "", func(r *hb) { r.MemberEpoch = 3 })
	a.beat("no group", "m", func(r *hb) { r.Group = "" })
	a.beat("empty instance", "m", func(r *hb) { r.InstanceID = text("") })
	a.beat("empty rack", "m", func(r *hb) { r.RackID = text("") })
	a.beat("no time-out", "m", func(r *hb) { r.RebalanceTimeoutMillis = -1 })
	a.beat("owns something", "m", func(r *hb) {
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: a.topicID, Partitions: []int32{0}}}
	})
	a.beat("says nothing of what it owns", "m", func(r *hb) { r.Topics = nil })
	a.beat("subscribes to nothing", "m", func(r *hb) { r.SubscribedTopicNames = nil })
	a.beat("leaves to come back, without an instance", "m", func(r *hb) { r.MemberEpoch = -2 })
	a.beat("epoch -3", "m", func(r *hb) { r.MemberEpoch = -3 })
	a.beat("unknown assignor", "m", func(r *hb) { r.ServerAssignor = text("best") })
	a.beat("no regular expression", "m", func(r *hb) { r.SubscribedTopicRegex = text("(") })
	a.beat("unknown group", "m", func(r *hb) { r.MemberEpoch = 3 })
	a.beat("leaves an unknown group", "m", func(r *hb) { r.MemberEpoch = -1 })
	a.beat("unknown group and instance", "m", func(r *hb) { r.MemberEpoch, r.InstanceID = 3, text("I") })
	a.beatAs(0, "an id from the broker", "", nil)
	a.beat("unknown member", "m", func(r *hb) { r.MemberEpoch = 3 })
	a.beat("unknown instance", "m", func(r *hb) { r.MemberEpoch, r.InstanceID = 3, text("I") })
	a.beat("unknown member leaves", "m", func(r *hb) { r.MemberEpoch = -1 })
	a.beat("unknown instance leaves", "m", func(r *hb) { r.MemberEpoch, r.InstanceID = -2, text("I") })
	a.beat("to an empty list", "n", func(r *hb) { r.SubscribedTopicNames = []string{} })
	a.beat("to what is not there", "o", func(r *hb) { r.SubscribedTopicNames = []string{"not there"} })
	a.beat("time-out 0", "p", func(r *hb) { r.RebalanceTimeoutMillis = 0 })
}

func (a *groupAsker) twoMembers() {
	a.beat("a joins", "a", nil)
	a.beat("a again", "a", nil)
	a.beat("a says nothing", "a", func(r *hb) { r.Topics = nil })
	a.settle()
	a.beat("b joins", "b", nil)
	a.beat("b again", "b", nil)
	a.beat("a is to give up, says nothing", "a", func(r *hb) { r.Topics = nil })
	a.beat("a has given up", "a", nil)
	a.beat("b gets it", "b", nil)
	a.beat("a with an old epoch", "a", func(r *hb) { r.MemberEpoch-- })
	a.beat("a with an old epoch, saying nothing", "a", func(r *hb) { r.MemberEpoch, r.Topics = r.MemberEpoch-1, nil })
	a.beat("a with an old epoch, and too much", "a", func(r *hb) {
		r.MemberEpoch--
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: a.topicID, Partitions: []int32{0, 1}}}
	})
	a.beat("a with a new epoch", "a", func(r *hb) { r.MemberEpoch = 9 })
	a.beat("a all of it", "a", func(r *hb) { r.RebalanceTimeoutMillis, r.SubscribedTopicNames = 60_000, []string{a.topic} })
	a.beat("a joins anew", "a", func(r *hb) {
		r.MemberEpoch, r.RebalanceTimeoutMillis, r.SubscribedTopicNames, r.Topics = 0, 60_000, []string{a.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	})
	a.beat("b wants another assignor", "b", func(r *hb) { r.ServerAssignor = text("range") })
	a.beat("c joins at once", "c", nil)
	a.settle()
	a.beat("c later", "c", nil)
	a.beat("b leaves", "b", func(r *hb) { r.MemberEpoch = -1 })
	a.beat("b is unknown", "b", func(r *hb) { r.MemberEpoch = 2 })
	a.settle()
	a.beat("a after that", "a", nil)
	a.beat("c after that", "c", nil)
	a.beat("a wants nothing any more", "a", func(r *hb) { r.SubscribedTopicNames = []string{} })
	a.beat("a has nothing", "a", nil)
}

// commit commits an offset of partition 0, or another.
func (a *groupAsker) commit(version int16, what, member string, epoch, partition int32) {
	a.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = a.group, member, epoch
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: a.topic, TopicID: a.topicID, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: partition, Offset: 1, LeaderEpoch: -1}}}}
	a.note(fmt.Sprintf("commit %d %s", version, what), ask[*kmsg.OffsetCommitResponse](a.asker, version, req).Topics[0].Partitions[0].ErrorCode)
}

func (a *groupAsker) fetch(version int16, what string, member *string, epoch int32) {
	a.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.MemberID, g.MemberEpoch = a.group, member, epoch
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: a.topic, TopicID: a.topicID, Partitions: []int32{0}}}
	req.Groups = append(req.Groups, g)
	r := ask[*kmsg.OffsetFetchResponse](a.asker, version, req).Groups[0]
	words := []any{r.ErrorCode}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			words = append(words, p.Offset, p.ErrorCode)
		}
	}
	a.note(fmt.Sprintf("fetch %d %s", version, what), words...)
}

func (a *groupAsker) offsets() {
	a.commit(9, "an epoch of no group", "a", 3, 0)
	a.commit(8, "a generation of no group", "a", 3, 0)
	a.fetch(9, "of no group, as a member", text("a"), 3)
	a.beat("a joins", "a", nil)
	now := a.epochs["a"]
	for _, version := range []int16{2, 8, 9, 10} {
		a.commit(version, "as a", "a", now, 0)
		a.commit(version, "as a, of the past", "a", now-1, 0)
		a.commit(version, "as a, of the future", "a", now+1, 0)
		a.commit(version, "as somebody", "z", now, 0)
		a.commit(version, "as nobody", "", -1, 0)
		a.commit(version, "as a, without an epoch", "a", -1, 0)
	}
	for _, version := range []int16{9, 10} {
		a.fetch(version, "as a", text("a"), now)
		a.fetch(version, "as a, of the past", text("a"), now-1)
		a.fetch(version, "as a, of the future", text("a"), now+1)
		a.fetch(version, "as somebody", text("z"), 1)
		a.fetch(version, "as nobody", nil, -1)
		a.fetch(version, "as nobody, with an epoch", nil, 1)
		a.fetch(version, "as a, without an epoch", text("a"), -1)
	}
	a.transactions(now)
	a.settle()
	a.beat("b joins", "b", nil)
	a.beat("a is to give up", "a", nil)
	gone := int32(1)
	if slices.Contains(a.has["a"], 1) {
		gone = 0
	}
	a.commit(9, "of what it is to give up", "a", now, gone)
	a.beat("a has given up", "a", nil)
	a.commit(9, "an older epoch, of what it has kept", "a", now, 1-gone)
	a.commit(9, "an older epoch, of what it has no more", "a", now, gone)
	a.commit(9, "the present epoch, of what it has no more", "a", now+1, gone)
	a.beat("b gets it", "b", nil)
	a.commit(9, "an older epoch than it has it", "b", now, gone)
	a.deleteOffset("of a member's topic")
	a.beat("a leaves", "a", func(r *hb) { r.MemberEpoch = -1 })
	a.beat("b leaves", "b", func(r *hb) { r.MemberEpoch = -1 })
	a.commit(9, "when it is empty, as nobody", "", -1, 0)
	a.commit(9, "when it is empty, as somebody", "a", 1, 0)
	a.commit(9, "when it is empty, as somebody without an epoch", "a", -1, 0)
	a.deleteOffset("when it is empty")
}

// transactions commits offsets in transactions, as members in epochs of theirs.
func (a *groupAsker) transactions(now int32) {
	a.t.Helper()
	id := a.group + "-tx"
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 60_000
	var p *kmsg.InitProducerIDResponse
	a.soon(func() int16 {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorType, find.CoordinatorKey = 1, id
		return ask[*kmsg.FindCoordinatorResponse](a.asker, 2, find).ErrorCode
	})
	a.soon(func() int16 {
		p = ask[*kmsg.InitProducerIDResponse](a.asker, 4, init)
		return p.ErrorCode
	})
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, p.ProducerID, p.ProducerEpoch, a.group
	a.note("add offsets", a.soon(func() int16 { return ask[*kmsg.AddOffsetsToTxnResponse](a.asker, 3, add).ErrorCode }))
	for _, version := range []int16{3, 4, 6} {
		for _, c := range []struct {
			what, member string
			epoch        int32
		}{
			{"as a", "a", now}, {"as a, of the past", "a", now - 1}, {"as a, of the future", "a", now + 1}, {"as somebody", "z", now},
			{"as nobody", "", -1}, {"as a, without an epoch", "a", -1},
		} {
			req := kmsg.NewPtrTxnOffsetCommitRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = id, p.ProducerID, p.ProducerEpoch, a.group
			req.MemberID, req.Generation = c.member, c.epoch
			req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: a.topic, TopicID: a.topicID, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 0, Offset: 1, LeaderEpoch: -1}}}}
			resp := ask[*kmsg.TxnOffsetCommitResponse](a.asker, version, req)
			a.note(fmt.Sprintf("commit in a transaction %d %s", version, c.what), resp.Topics[0].Partitions[0].ErrorCode)
		}
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch = id, p.ProducerID, p.ProducerEpoch
	a.note("abort", a.soon(func() int16 { return ask[*kmsg.EndTxnResponse](a.asker, 3, end).ErrorCode }))
}

func (a *groupAsker) deleteOffset(what string) {
	a.t.Helper()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = a.group
	req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: a.topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	r := ask[*kmsg.OffsetDeleteResponse](a.asker, 0, req)
	words := []any{r.ErrorCode}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			words = append(words, p.ErrorCode)
		}
	}
	a.note("delete offset "+what, words...)
}

func (a *groupAsker) static() {
	as := func(instance string, edit func(*hb)) func(*hb) {
		return func(r *hb) {
			r.InstanceID = &instance
			if edit != nil {
				edit(r)
			}
		}
	}
	a.beat("a joins", "a", as("A", nil))
	a.beat("a again, without its instance", "a", nil)
	a.beat("another with its instance", "x", as("A", nil))
	a.beat("another with its instance, later", "x", as("A", func(r *hb) { r.MemberEpoch = 2 }))
	a.beat("a joins while it is there", "a", as("A", func(r *hb) {
		r.MemberEpoch, r.RebalanceTimeoutMillis, r.SubscribedTopicNames, r.Topics = 0, 60_000, []string{a.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}))
	a.beat("another leaves for it", "x", as("A", func(r *hb) { r.MemberEpoch = -2 }))
	a.beat("a leaves to come back", "a", as("A", func(r *hb) { r.MemberEpoch = -2 }))
	a.commit(9, "while it is away", "a", 2, 0)
	a.commit(9, "while it is away, in that epoch", "a", -2, 0)
	a.beat("a as if it were there", "a", as("A", func(r *hb) { r.MemberEpoch = 2 }))
	a.beat("a comes back as b", "b", as("A", nil))
	a.beat("b again", "b", as("A", nil))
	a.beat("a is gone", "a", as("A", func(r *hb) { r.MemberEpoch = 2 }))
	a.beat("b leaves for good", "b", as("A", func(r *hb) { r.MemberEpoch = -1 }))
	a.beat("b joins", "b", func(r *hb) {
		r.InstanceID, r.MemberEpoch, r.RebalanceTimeoutMillis, r.SubscribedTopicNames, r.Topics = text("A"), 0, 60_000, []string{a.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	})
	a.beat("b wants other topics when it comes back", "b", as("A", func(r *hb) { r.MemberEpoch = -2 }))
	a.beat("c in its place", "c", as("A", func(r *hb) { r.SubscribedTopicNames = []string{"others"} }))
}

func (a *groupAsker) regex() {
	a.interval(noInterval)
	a.beat("a joins", "a", func(r *hb) {
		r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, text("group-.*-"+a.topic[len("group-topic-"):])
	})
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		before := len(a.notes)
		a.beat("a once more", "a", nil)
		if len(a.has["a"]) > 0 {
			break
		}
		if time.Since(begun) > time.Minute {
			a.t.Fatal("it never finds out")
		}
		a.notes = a.notes[:before] // Kafka has not found out
	}
	a.beat("a changes to nonsense", "a", func(r *hb) { r.SubscribedTopicRegex = text("[") })
	a.beat("a changes to a look-ahead", "a", func(r *hb) { r.SubscribedTopicRegex = text("a(?=b)") })
	a.beat("a changes to a back reference", "a", func(r *hb) { r.SubscribedTopicRegex = text(`(a)\1`) })
}

func (a *groupAsker) describe(version int16, what string, names ...string) {
	a.t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups, req.IncludeAuthorizedOperations = names, true
	for _, g := range ask[*kmsg.ConsumerGroupDescribeResponse](a.asker, version, req).Groups {
		words := []any{g.ErrorCode, g.ErrorMessage != nil, g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName, g.AuthorizedOperations}
		slices.SortFunc(g.Members, func(a, b kmsg.ConsumerGroupDescribeResponseGroupMember) int {
			return cmp.Or(len(a.MemberID)-len(b.MemberID), strings.Compare(a.MemberID, b.MemberID)) // those that a broker has made are longer
		})
		for _, m := range g.Members {
			id := m.MemberID
			if len(id) > 3 {
				id = "an id"
			}
			words = append(words, "|", id, m.InstanceID != nil, m.RackID != nil, m.MemberEpoch, m.ClientID, m.ClientHost, m.SubscribedTopics)
			if m.SubscribedTopicRegex != nil {
				words = append(words, fmt.Sprintf("%q", *m.SubscribedTopicRegex))
			}
			for _, as := range []kmsg.Assignment{m.Assignment, m.TargetAssignment} {
				n := 0
				for _, t := range as.TopicPartitions {
					n += len(t.Partitions)
				}
				words = append(words, n, "of", len(as.TopicPartitions))
			}
			words = append(words, m.MemberType)
		}
		a.note(fmt.Sprintf("describe %d %s", version, what), words...)
	}
}

// list lists the group, if it passes the filters.
func (a *groupAsker) list(what string, states, types []string) {
	a.t.Helper()
	a.note("list "+what, a.listed(states, types)...)
}

// listed returns what the list of groups says of the group.
func (a *groupAsker) listed(states, types []string) []any {
	a.t.Helper()
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	r := ask[*kmsg.ListGroupsResponse](a.asker, 5, req)
	words := []any{r.ErrorCode}
	for _, g := range r.Groups {
		if g.Group == a.group {
			words = append(words, g.ProtocolType, g.GroupState, g.GroupType)
		}
	}
	return words
}

func (a *groupAsker) described() {
	a.describe(1, "no name", "")
	a.describe(1, "none", "none")
	a.beat("a joins", "a", func(r *hb) { r.RackID = text("r") })
	a.describe(0, "a", a.group)
	a.describe(1, "a", a.group)
	a.settle()
	a.beat("b joins", "b", func(r *hb) { r.InstanceID = text("B") })
	a.describe(1, "two", a.group)
	a.list("all", nil, nil)
	a.list("by type", nil, []string{"consumer"})
	a.list("by type, in capitals", nil, []string{"CONSUMER"})
	a.list("by another type", nil, []string{"classic"})
	a.list("by a type that is none", nil, []string{"moon"})
	a.list("by types", nil, []string{"moon", "consumer"})
	a.list("by state", []string{"reconciling"}, nil)
	a.list("by another state", []string{"Stable"}, nil)
	twice := kmsg.NewPtrConsumerGroupDescribeRequest()
	twice.Groups = []string{a.group, a.group}
	a.note("describe twice", len(ask[*kmsg.ConsumerGroupDescribeResponse](a.asker, 1, twice).Groups))
	a.beat("b leaves", "b", func(r *hb) { r.InstanceID, r.MemberEpoch = text("B"), -1 })
	a.describe(1, "one", a.group)
	a.deleteGroup("with a member")
	a.beat("a leaves", "a", func(r *hb) { r.MemberEpoch = -1 })
	a.describe(1, "empty", a.group)
	a.list("empty", nil, nil)
	a.deleteGroup("empty")
	a.describe(1, "deleted", a.group)
	a.deleteGroup("deleted")
}

func (a *groupAsker) deleteGroup(what string) {
	a.t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{a.group}
	a.note("delete "+what, ask[*kmsg.DeleteGroupsResponse](a.asker, 2, req).Groups[0].ErrorCode)
}

// classicMember is a client of the classic protocol.
type classicMember struct {
	id         string
	generation int32
}

func (a *groupAsker) join(what string, m *classicMember, edit func(*kmsg.JoinGroupRequest)) {
	a.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = a.group, m.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 20_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: group.EncodeSubscription(group.Subscription{Topics: []string{a.topic}, Generation: -1})}}
	if edit != nil {
		edit(req)
	}
	r := ask[*kmsg.JoinGroupResponse](a.asker, 9, req)
	before := m.id
	if m.id, m.generation = r.MemberID, r.Generation; r.ErrorCode != 0 && r.MemberID == "" {
		m.id = before
	}
	protocol := "none"
	if r.Protocol != nil {
		protocol = *r.Protocol
	}
	a.note("join "+what, r.ErrorCode, r.Generation, protocol, r.LeaderID == "", len(r.Members), r.SkipAssignment, r.MemberID == "")
}

func (a *groupAsker) sync(what string, m *classicMember, edit func(*kmsg.SyncGroupRequest)) {
	a.t.Helper()
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = a.group, m.id, m.generation
	req.ProtocolType, req.Protocol = text("consumer"), text("range")
	if edit != nil {
		edit(req)
	}
	r := ask[*kmsg.SyncGroupResponse](a.asker, 5, req)
	as, err := group.DecodeAssignment(bytes.Clone(r.MemberAssignment))
	a.note("sync "+what, r.ErrorCode, len(as[a.topic]), err == nil)
}

func (a *groupAsker) heartbeat(what string, m *classicMember) {
	a.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = a.group, m.id, m.generation
	a.note("classic heartbeat "+what, ask[*kmsg.HeartbeatResponse](a.asker, 4, req).ErrorCode)
}

func (a *groupAsker) leave(what string, m *classicMember) {
	a.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = a.group
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id}}
	r := ask[*kmsg.LeaveGroupResponse](a.asker, 5, req)
	words := []any{r.ErrorCode}
	for _, m := range r.Members {
		words = append(words, m.ErrorCode)
	}
	a.note("leave "+what, words...)
}

func (a *groupAsker) describeClassic(version int16, what string) {
	a.t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{a.group}
	g := ask[*kmsg.DescribeGroupsResponse](a.asker, version, req).Groups[0]
	a.note(fmt.Sprintf("describe as classic %d %s", version, what), g.ErrorCode, g.State, g.ProtocolType, len(g.Members))
}

func (a *groupAsker) wrongKind() {
	c := &classicMember{}
	a.join("first", c, nil)
	a.join("known", c, nil)
	a.describe(1, "a classic group", a.group)
	a.beat("later, of a classic group", "m", func(r *hb) { r.MemberEpoch = 3 })
	a.beat("leave a classic group", "m", func(r *hb) { r.MemberEpoch = -1 })
	a.leave("it", c)
	a.beat("a joins the empty one", "a", nil)
	a.describeClassic(5, "a consumer group")
	a.describeClassic(6, "a consumer group")
	a.sync("as somebody", &classicMember{"z", 1}, nil)
	a.heartbeat("as somebody", &classicMember{"z", 1})
	a.leave("as somebody", &classicMember{"z", 1})
	a.sync("as a", &classicMember{"a", 2}, nil)
	a.heartbeat("as a", &classicMember{"a", 2})
	a.join("as somebody", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	a.join("without protocols", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })
	a.join("with bytes that are nothing", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = []byte{0} })
	a.join("as an unknown instance", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.InstanceID = text("Z") })
	a.join("with a time-out of nothing", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 0 })
	a.leave("as a", &classicMember{"a", 2})
	a.describe(1, "empty", a.group)
	a.join("of the empty one", &classicMember{}, nil)
	// Kafka gives a member its id before the new kind is stored, and lists what is stored.
	for begun := time.Now(); !slices.Contains(a.listed(nil, nil), any("classic")) && time.Since(begun) < time.Minute; {
		time.Sleep(5 * time.Millisecond)
	}
	a.list("what it has become", nil, nil)
}

func (a *groupAsker) classicAmong() {
	a.beat("a joins", "a", nil)
	a.settle()
	c := &classicMember{}
	a.join("first", c, nil)
	a.join("known", c, nil)
	a.sync("nothing yet", c, nil)
	a.heartbeat("nothing yet", c)
	a.describe(1, "both", a.group)
	a.beat("a is to give up", "a", nil)
	a.heartbeat("it is not free yet", c)
	a.beat("a has given up", "a", nil)
	a.heartbeat("it is free", c)
	a.sync("once more", c, nil)
	a.sync("of the past", c, func(r *kmsg.SyncGroupRequest) { r.Generation-- })
	a.sync("by another protocol", c, func(r *kmsg.SyncGroupRequest) { r.Protocol = text("sticky") })
	a.sync("of another type", c, func(r *kmsg.SyncGroupRequest) { r.ProtocolType = text("connect") })
	a.join("again", c, nil)
	a.sync("again", c, nil)
	a.heartbeat("and it is well", c)
	a.commit(8, "as it", c.id, c.generation, 0)
	a.commit(9, "as it, of the future", c.id, c.generation+1, 0)
	a.fetch(9, "as it", &c.id, c.generation)
	a.fetch(9, "as it, of the past", &c.id, 0)
	a.join("other protocols", &classicMember{id: "z"}, func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "sticky" })
	a.beat("a leaves", "a", func(r *hb) { r.MemberEpoch = -1 })
	a.list("what it has become", nil, nil)
	a.heartbeat("in the classic group", c)
	a.join("in the classic group", c, nil)
	a.describeClassic(6, "what it has become")
}

func (a *groupAsker) upgraded() {
	c := &classicMember{}
	a.join("first", c, nil)
	a.join("known", c, nil)
	as := group.EncodeAssignment(group.Assignment{a.topic: {0, 1}})
	a.sync("leads", c, func(r *kmsg.SyncGroupRequest) {
		r.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: c.id, MemberAssignment: as}}
	})
	a.beat("a joins", "a", nil)
	a.list("what it has become", nil, nil)
	a.commit(8, "as c", c.id, c.generation, 0)
	a.heartbeat("c", c)
	a.join("c again", c, func(r *kmsg.JoinGroupRequest) {
		sub := group.Subscription{Topics: []string{a.topic}, Owned: map[string][]int32{a.topic: {0, 1}}, Generation: c.generation}
		r.Protocols[0].Metadata = group.EncodeSubscription(sub)
	})
	a.sync("c", c, nil)
	a.heartbeat("c, that has not given up", c)
	a.join("c, that has given up", c, func(r *kmsg.JoinGroupRequest) {
		sub := group.Subscription{Topics: []string{a.topic}, Owned: map[string][]int32{}, Generation: c.generation}
		r.Protocols[0].Metadata = group.EncodeSubscription(sub)
	})
	a.sync("c, that has given up", c, nil)
	a.heartbeat("c, at last", c)
	a.beat("a gets it", "a", nil)
	a.leave("c", c)
	a.settle()
	a.beat("a gets all", "a", nil)
}
