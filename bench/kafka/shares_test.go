package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareDifferences are all differences in the answers about share groups (KIP-932) and configs of groups.
var shareDifferences = map[string]difference{
	"bad heartbeats: no member": {"INVALID_REQUEST 0 false false", "INVALID_REQUEST 0 false true", "we say why"},
	"bad heartbeats: a long id": {"INVALID_REQUEST 0 false false", "INVALID_REQUEST 0 false true", "the same"},
	"acknowledgements: bad: ":   {"ok; lock 30000", "ok; lock 30000; 0: ok", "each partition that is asked for is answered for"},
}

// sharesAsIn checks that requests about share groups are answered as by the Kafka at addr, but for those differences.
func sharesAsIn(t *testing.T, addr string) {
	asIn(t, addr, shareDifferences, whole, round{ask: shareAnswers})
}

// shareAsker asks about one share group.
type shareAsker struct {
	*groupAsker
	sessions map[string]int32 // the epoch of a member's next request
	limit    bool             // share.acquire.mode is record_limit
	max      int32
	wait     int32 // for records, in milliseconds: see gets
	renews   bool
	version  int16
}

func shareAnswers(t *testing.T, addr string) []note {
	a := dial(t, addr)
	for i, story := range []struct {
		name string
		ask  func(*shareAsker)
	}{
		{"configs", (*shareAsker).configs},
		{"bad heartbeats", (*shareAsker).badHeartbeats},
		{"two members", (*shareAsker).twoMembers},
		{"sessions", (*shareAsker).theSessions},
		{"deliveries", (*shareAsker).deliveries},
		{"acknowledgements", (*shareAsker).acknowledgements},
		{"offsets", (*shareAsker).theOffsets},
		{"kinds", (*shareAsker).kinds},
	} {
		g := &groupAsker{asker: a, group: fmt.Sprint(sharded, "share-", i), topic: fmt.Sprintf("share-topic-%d", i), epochs: map[string]int32{}, has: map[string][]int32{}}
		s := &shareAsker{groupAsker: g, sessions: map[string]int32{}, max: 100, wait: 1000, version: 2}
		s.story = story.name
		s.coordinated()
		s.create(s.topic)
		s.known(s.group)
		s.findTopic()
		story.ask(s)
	}
	return a.notes
}

// earliest has the group begin with the first record.
func (a *shareAsker) earliest() {
	a.t.Helper()
	if code := a.alter("share.auto.offset.reset=earliest"); code != 0 {
		a.t.Fatal(codeName(code))
	}
	a.known(a.group)
}

func (a *shareAsker) configs() {
	describe := func(what string) {
		a.t.Helper()
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms = true
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, a.group
		req.Resources = append(req.Resources, rr)
		resp := ask[*kmsg.DescribeConfigsResponse](a.asker, 4, req).Resources[0]
		slices.SortFunc(resp.Configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
		a.note(what, resp.ErrorCode)
		for _, c := range resp.Configs {
			if strings.HasPrefix(c.Name, "share.retry.") {
				continue // ours
			}
			text := fmt.Sprintf("%q %d %d", *c.Value, c.Source, c.ConfigType)
			for _, s := range c.ConfigSynonyms {
				text += fmt.Sprintf(", %s %q %d", s.Name, *s.Value, s.Source)
			}
			a.note(what+" "+c.Name, text)
		}
	}
	describe("unset")
	for _, edit := range []string{
		"share.record.lock.duration.ms=14999", "share.record.lock.duration.ms=15000", "share.record.lock.duration.ms=60001", "share.record.lock.duration.ms=x",
		"share.delivery.count.limit=1", "share.delivery.count.limit=11", "share.delivery.count.limit=10", "share.partition.max.record.locks=99",
		"share.partition.max.record.locks=4001", "share.auto.offset.reset=none", "share.auto.offset.reset=by_duration:PT1H", "share.auto.offset.reset=by_duration:-PT1H",
		"share.auto.offset.reset=BY_DURATION:pt1h", "share.isolation.level=READ_COMMITTED", "share.isolation.level=read_committed", "share.renew.acknowledge.enable=yes",
		"share.heartbeat.interval.ms=4999", "share.session.timeout.ms=60001", "share.moon=full", "-share.moon", "-share.isolation.level",
		"errors.deadletterqueue.topic.name=__dead", "errors.deadletterqueue.topic.name=dlq.a", "errors.deadletterqueue.copy.record.enable=TRUE",
		"consumer.session.timeout.ms=44999", "consumer.heartbeat.interval.ms=5001", "streams.num.standby.replicas=3", "streams.num.standby.replicas=2",
		"streams.assignor.name=moon", "streams.rack.aware.assignment.tags=a,a", "streams.rack.aware.assignment.tags=a,b",
	} {
		a.note("set "+edit, a.alter(edit))
	}
	a.known(a.group)
	describe("set")
}

// meet says what a member says, and what it is answered.
func (a *shareAsker) meet(what, member string, epoch int32, edit func(*kmsg.ShareGroupHeartbeatRequest)) *kmsg.ShareGroupHeartbeatResponse {
	a.t.Helper()
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = a.group, member, epoch
	if epoch == 0 {
		req.SubscribedTopicNames = []string{a.topic}
	}
	if edit != nil {
		edit(req)
	}
	resp := ask[*kmsg.ShareGroupHeartbeatResponse](a.asker, 1, req)
	if what != "" {
		a.note(what, resp.ErrorCode, usual(resp.HeartbeatIntervalMillis), resp.MemberID != nil && *resp.MemberID == member, resp.ErrorMessage != nil)
	}
	if resp.ErrorCode == 0 {
		a.epochs[member] = resp.MemberEpoch
		if resp.Assignment != nil {
			a.has[member] = nil
			for _, t := range resp.Assignment.TopicPartitions {
				a.has[member] = append(a.has[member], t.Partitions...)
			}
		}
	}
	return resp
}

// settle has members go on until they have so many partitions each.
func (a *shareAsker) settle(what string, want map[string]int) {
	a.t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		done := true
		for member, n := range want {
			a.meet("", member, a.epochs[member], nil)
			done = done && len(a.has[member]) == n
		}
		if done {
			a.note(what)
			return
		}
		if time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: they have %v, want %v", what, a.has, want)
		}
	}
}

func (a *shareAsker) badHeartbeats() {
	a.meet("no member", "", 0, nil)
	a.meet("a long id", strings.Repeat("x", 37), 0, nil)
	a.meet("no group", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.GroupID = "" })
	a.meet("no topics", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.SubscribedTopicNames = nil })
	a.meet("topics that are none", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{} })
	a.meet("an empty rack", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.RackID = new(string) })
	a.meet("epoch -2", "m", -2, nil)
	a.meet("an epoch in no group", "m", 1, nil)
	a.meet("leaves no group", "m", -1, nil)
	a.meet("joins", "m", 0, nil)
	a.meet("a stranger", "other", 1, nil)
	a.meet("a stranger leaves", "other", -1, nil)
	a.meet("from the future", "m", 99, nil)
	a.meet("joins again", "m", 0, nil)
	a.meet("a topic that is not there", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{"nowhere"} })
	a.meet("leaves", "m", -1, nil)
	a.meet("is gone", "m", 1, nil)
}

func (a *shareAsker) describe(what string) {
	a.t.Helper()
	req := kmsg.NewPtrShareGroupDescribeRequest()
	req.GroupIDs = []string{a.group}
	g := ask[*kmsg.ShareGroupDescribeResponse](a.asker, 1, req).Groups[0]
	text := fmt.Sprintf("%s %q %q, same epoch %v", codeName(g.ErrorCode), g.GroupState, g.Assignor, g.GroupEpoch == g.AssignmentEpoch)
	slices.SortFunc(g.Members, func(a, b kmsg.ShareGroupDescribeResponseGroupMember) int {
		return strings.Compare(a.MemberID, b.MemberID)
	})
	for _, m := range g.Members {
		n := 0
		for _, t := range m.Assignment.TopicPartitions {
			n += len(t.Partitions)
		}
		text += fmt.Sprintf(", %s of %s at %s, rack %v, %d topics, %d partitions", m.MemberID, m.ClientID, m.ClientHost, m.RackID != nil, len(m.SubscribedTopicNames), n)
	}
	a.note(what, text)
}

func (a *shareAsker) twoMembers() {
	a.describe("no group")
	a.meet("a joins", "a", 0, nil)
	a.settle("a has all", map[string]int{"a": topicPartitions})
	a.describe("a alone")
	rack := "r"
	a.meet("b joins", "b", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.RackID = &rack })
	a.settle("each has one", map[string]int{"a": 1, "b": 1})
	a.describe("both")
	a.meet("c joins", "c", 0, nil)
	a.settle("three have one or two", map[string]int{"a": 2, "b": 1, "c": 1})
	a.meet("a leaves", "a", -1, nil)
	a.meet("b leaves", "b", -1, nil)
	a.meet("c leaves", "c", -1, nil)
	a.describe("nobody")
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{a.group}
	a.note("delete", ask[*kmsg.DeleteGroupsResponse](a.asker, 2, req).Groups[0].ErrorCode)
	a.describe("deleted")
}

// join has a member be in the group with all partitions.
func (a *shareAsker) join(member string) {
	a.t.Helper()
	a.meet("", member, 0, nil)
	a.settle("joined", map[string]int{member: topicPartitions})
}

// produce stores a batch of so many records in partition 0.
func (a *shareAsker) produce(n int) {
	a.t.Helper()
	for range n {
		if code := a.store(0, a.batch(0, producer{-1, -1}, -1, "v")); code != 0 {
			a.t.Fatal(codeName(code))
		}
	}
}

// store appends a batch to a partition of the topic.
func (a *shareAsker) store(partition int32, batch []byte) int16 {
	a.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = a.topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return ask[*kmsg.ProduceResponse](a.asker, 9, req).Topics[0].Partitions[0].ErrorCode
}

// acks reads acknowledgements: 0-4:1 or 0-1:1,2.
func acks(texts []string) (all []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch) {
	for _, text := range texts {
		b := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
		offsets, types, _ := strings.Cut(text, ":")
		if _, err := fmt.Sscanf(offsets, "%d-%d", &b.FirstOffset, &b.LastOffset); err != nil {
			panic(text)
		}
		for t := range strings.SplitSeq(types, ",") {
			var n int8
			if _, err := fmt.Sscan(t, &n); err == nil {
				b.AcknowledgeTypes = append(b.AcknowledgeTypes, n)
			}
		}
		all = append(all, b)
	}
	return all
}

// gets is a fetch of a member that is to get records: Kafka may take a while to begin with a partition, or to release what others had.
func (a *shareAsker) gets(what, member string, epoch int32) {
	a.t.Helper()
	before := a.wait
	a.wait = 30_000
	a.fetchAs(what, member, epoch, nil)
	a.wait = before
}

// fetch is a ShareFetch of partition 0, in the next epoch of the member's session, with acknowledgements.
func (a *shareAsker) fetch(what, member string, texts ...string) {
	a.t.Helper()
	a.fetchAs(what, member, a.sessions[member], nil, texts...)
}

func (a *shareAsker) fetchAs(what, member string, epoch int32, edit func(*kmsg.ShareFetchRequest), texts ...string) {
	a.t.Helper()
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &a.group, &member, epoch
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords, req.BatchSize = a.wait, 1, 1<<20, a.max, a.max
	if req.IsRenewAck = a.renews; a.renews {
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords, req.BatchSize = 0, 0, 0, 0, 0
	}
	if a.limit {
		req.ShareAcquireMode = 1
	}
	if epoch == 0 || len(texts) > 0 {
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = a.topicID
		p := kmsg.NewShareFetchRequestTopicPartition()
		p.AcknowledgementBatches = acks(texts)
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	if edit != nil {
		edit(req)
	}
	resp := ask[*kmsg.ShareFetchResponse](a.asker, a.version, req)
	if resp.ErrorCode == 0 {
		a.sessions[member] = epoch + 1
	}
	words := []string{codeName(resp.ErrorCode), fmt.Sprint("lock ", resp.AcquisitionLockTimeoutMillis)}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			text := fmt.Sprintf("%d: %s, ack %s", p.Partition, codeName(p.ErrorCode), codeName(p.AcknowledgeErrorCode))
			for _, r := range together(p.AcquiredRecords) {
				text += fmt.Sprintf(" %d-%dx%d", r.FirstOffset, r.LastOffset, r.DeliveryCount)
			}
			words = append(words, fmt.Sprintf("%s, records %v", text, len(p.Records) > 0))
		}
	}
	slices.Sort(words[2:])
	a.note(what, strings.Join(words, "; "))
}

// together joins ranges that adjoin: a broker may tell them in pieces.
func together(all []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) (joined []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) {
	for _, r := range all {
		if n := len(joined); n > 0 && joined[n-1].LastOffset+1 == r.FirstOffset && joined[n-1].DeliveryCount == r.DeliveryCount {
			joined[n-1].LastOffset = r.LastOffset
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// ack is a ShareAcknowledge of partition 0.
func (a *shareAsker) ack(what, member string, texts ...string) {
	a.t.Helper()
	a.ackAs(what, member, a.sessions[member], nil, texts...)
}

func (a *shareAsker) ackAs(what, member string, epoch int32, edit func(*kmsg.ShareAcknowledgeRequest), texts ...string) {
	a.t.Helper()
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.IsRenewAck = &a.group, &member, epoch, a.renews
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = a.topicID
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	for _, b := range acks(texts) {
		p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
			FirstOffset: b.FirstOffset, LastOffset: b.LastOffset, AcknowledgeTypes: b.AcknowledgeTypes})
	}
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	if edit != nil {
		edit(req)
	}
	resp := ask[*kmsg.ShareAcknowledgeResponse](a.asker, a.version, req)
	if resp.ErrorCode == 0 {
		a.sessions[member] = epoch + 1
	}
	words := []string{codeName(resp.ErrorCode), fmt.Sprint("lock ", resp.AcquisitionLockTimeoutMillis)}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			words = append(words, fmt.Sprintf("%d: %s", p.Partition, codeName(p.ErrorCode)))
		}
	}
	a.note(what, strings.Join(words, "; "))
}

func (a *shareAsker) theSessions() {
	a.earliest()
	a.join("m")
	a.fetchAs("go on without", "m", 1, nil)
	a.fetchAs("end without", "m", -1, nil)
	a.ackAs("acknowledge without", "m", 1, nil, "0-0:1")
	a.ackAs("end without, acknowledging", "m", -1, nil, "0-0:1")
	a.ackAs("begin with an acknowledgement", "m", 0, nil, "0-0:1")
	a.fetchAs("begin with acknowledgements", "m", 0, nil, "0-0:1")
	a.fetchAs("without a group", "m", 0, func(r *kmsg.ShareFetchRequest) { r.GroupID = nil })
	a.fetchAs("without a member", "m", 0, func(r *kmsg.ShareFetchRequest) { r.MemberID = nil })
	a.fetchAs("an empty member", "", 0, nil)
	a.fetchAs("a long member", strings.Repeat("x", 37), 0, nil)
	a.fetchAs("begin", "m", 0, nil)
	a.fetchAs("wrong epoch", "m", 7, nil)
	a.ackAs("wrong epoch, acknowledging", "m", 7, nil, "0-0:1")
	a.fetch("nothing new", "m")
	a.fetchAs("a topic that is not there", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) {
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = [16]byte{1, 2, 3}
		t.Partitions = append(t.Partitions, kmsg.NewShareFetchRequestTopicPartition())
		r.Topics = append(r.Topics, t)
	})
	a.fetch("it is still not there", "m")
	a.fetchAs("forgotten", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) {
		f := kmsg.NewShareFetchRequestForgottenTopicsData()
		f.TopicID, f.Partitions = [16]byte{1, 2, 3}, []int32{0}
		r.ForgottenTopicsData = append(r.ForgottenTopicsData, f)
	})
	a.fetchAs("a partition that is not there", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) {
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = a.topicID
		p := kmsg.NewShareFetchRequestTopicPartition()
		p.Partition = 77
		t.Partitions = append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
	})
	a.fetchAs("no records at all", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 0 })
	a.fetchAs("no bytes at all", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) { r.MaxBytes = 0 })
	a.fetchAs("the end", "m", -1, nil)
	a.fetchAs("after it", "m", 1, nil)
}

func (a *shareAsker) deliveries() {
	a.earliest()
	a.join("m")
	a.produce(5)
	a.gets("all", "m", a.sessions["m"])
	a.fetch("no more", "m")
	a.ack("release one, accept one, reject one", "m", "0-0:2", "1-1:1", "2-2:3")
	a.gets("the one again", "m", a.sessions["m"])
	a.fetch("a gap, and release", "m", "0-0:2", "3-3:0")
	a.ack("accept", "m", "0-0:1", "4-4:1")
	a.fetch("nothing", "m")
	a.limit, a.max = true, 2
	a.produce(3)
	a.gets("two", "m", a.sessions["m"])
	a.gets("the third", "m", a.sessions["m"])
	a.limit = false
	a.ackAs("release with the end of the session", "m", -1, nil, "5-7:2")
	a.gets("begin anew", "m", 0)
	a.fetchAs("end, and all is released", "m", -1, nil)
	time.Sleep(500 * time.Millisecond) // Kafka answers before all is released
	a.gets("begin once more", "m", 0)
	a.version = 1
	a.fetch("version 1", "m")
	a.ack("version 1, accept", "m", "5-7:1")
}

func (a *shareAsker) acknowledgements() {
	a.earliest()
	a.join("m")
	a.produce(6)
	a.fetchAs("other begins", "other", 0, func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 0 })
	a.gets("all", "m", a.sessions["m"])
	for _, texts := range [][]string{
		{"1-0:1"}, {"0-1:"}, {"0-2:1,1"}, {"0-0:5"}, {"0-0:-1"}, {"0-0:4"}, {"2-2:1", "0-0:1"}, {"6-6:1"}, {"0-0:1", "99-99:1"}, {"0-3:1", "3-4:1"}, {},
	} {
		a.ack("bad: "+strings.Join(texts, " "), "m", texts...)
	}
	a.ack("another's", "other", "0-0:1")
	a.ack("nothing was done", "m", "0-0:2")
	a.gets("so that it comes again", "m", a.sessions["m"])
	a.renews = true
	a.ack("renew", "m", "0-5:4")
	a.fetch("renew and fetch", "m", "0-5:4")
	a.fetchAs("renew and want records", "m", a.sessions["m"], func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 1 }, "0-5:4")
	a.ack("renew and accept", "m", "0-0:1", "1-1:4")
	a.renews = false
	a.ackAs("a topic that is not there", "m", a.sessions["m"], func(r *kmsg.ShareAcknowledgeRequest) { r.Topics[0].TopicID = [16]byte{1, 2, 3} }, "0-0:1")
	a.ackAs("a partition that is not there", "m", a.sessions["m"], func(r *kmsg.ShareAcknowledgeRequest) { r.Topics[0].Partitions[0].Partition = 77 }, "0-0:1")
	a.ack("the rest", "m", "1-5:1,1,3,1,1")
	a.ack("once more", "m", "1-5:1")
	a.version = 1
	a.ack("renew in version 1", "m", "0-0:4")
}

func (a *shareAsker) theOffsets() {
	described := func(version int16, all bool) kmsg.DescribeShareGroupOffsetsResponseGroup {
		a.t.Helper()
		req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		g.GroupID = a.group
		if !all {
			g.Topics = []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: a.topic, Partitions: []int32{0}}, {Topic: "nowhere", Partitions: []int32{0}}}
		}
		req.Groups = append(req.Groups, g)
		return ask[*kmsg.DescribeShareGroupOffsetsResponse](a.asker, version, req).Groups[0]
	}
	start := func(want int64) { // Kafka writes it after it has answered
		a.t.Helper()
		for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			g := described(1, false)
			for _, t := range g.Topics {
				if t.Topic == a.topic && t.Partitions[0].StartOffset == want {
					return
				}
			}
			if time.Since(begun) > time.Minute {
				a.t.Fatalf("%s: want a start at %d: %+v", a.story, want, g)
			}
		}
	}
	describe := func(what string, version int16, all bool) {
		a.t.Helper()
		r := described(version, all)
		words := []string{codeName(r.ErrorCode)}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				words = append(words, fmt.Sprintf("%v/%d %d lag %d code %s", t.Topic == a.topic, p.Partition, p.StartOffset, p.Lag, codeName(p.ErrorCode)))
			}
		}
		slices.Sort(words[1:])
		a.note(what, strings.Join(words, ", "))
	}
	alter := func(what, topic string, partition int32, start int64) {
		a.t.Helper()
		req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		req.GroupID = a.group
		req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: partition, StartOffset: start}}}}
		r := ask[*kmsg.AlterShareGroupOffsetsResponse](a.asker, 0, req)
		words := []any{r.ErrorCode}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				words = append(words, p.ErrorCode)
			}
		}
		a.note(what, words...)
	}
	remove := func(what, topic string) {
		a.t.Helper()
		req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		req.GroupID, req.Topics = a.group, []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: topic}}
		r := ask[*kmsg.DeleteShareGroupOffsetsResponse](a.asker, 0, req)
		words := []any{r.ErrorCode}
		for _, t := range r.Topics {
			words = append(words, t.ErrorCode)
		}
		a.note(what, words...)
	}
	a.produce(3)
	describe("no group", 1, false)
	describe("no group, all", 1, true)
	remove("delete of no group", a.topic)
	alter("alter", a.topic, 0, 1)
	alter("a partition that is not there", a.topic, 77, 1)
	alter("a topic that is not there", "nowhere", 0, 1)
	start(1)
	describe("altered", 1, false)
	describe("altered, all", 1, true)
	describe("altered, version 0", 0, false)
	a.meet("join", "m", 0, nil)
	alter("alter with a member", a.topic, 0, 2)
	remove("delete with a member", a.topic)
	a.settle("assigned", map[string]int{"m": topicPartitions})
	a.gets("from there", "m", a.sessions["m"])
	a.meet("leave", "m", -1, nil)
	remove("delete of what is not there", "nowhere")
	remove("delete", a.topic)
	start(-1)
	describe("deleted", 1, false)
	remove("delete again", a.topic)
}

func (a *shareAsker) kinds() {
	a.meet("join", "m", 0, nil)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = a.group, -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: a.topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
	a.note("commit", ask[*kmsg.OffsetCommitResponse](a.asker, 8, commit).Topics[0].Partitions[0].ErrorCode)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Group = a.group
	fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: a.topic, Partitions: []int32{0}}}
	a.note("fetch offsets", ask[*kmsg.OffsetFetchResponse](a.asker, 5, fetch).ErrorCode)
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{a.group}
	g := ask[*kmsg.DescribeGroupsResponse](a.asker, 6, describe).Groups[0]
	a.note("describe as a classic group", g.ErrorCode, g.State)
	consumer := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	consumer.Group, consumer.MemberID, consumer.RebalanceTimeoutMillis, consumer.SubscribedTopicNames = a.group, "c", 1000, []string{a.topic}
	consumer.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	a.note("a consumer joins", ask[*kmsg.ConsumerGroupHeartbeatResponse](a.asker, 1, consumer).ErrorCode)
	other := a.group + "-classic"
	commit.Group = other
	a.note("commit for another", ask[*kmsg.OffsetCommitResponse](a.asker, 8, commit).Topics[0].Partitions[0].ErrorCode)
	a.meet("share member of that", "m", 0, func(r *kmsg.ShareGroupHeartbeatRequest) { r.GroupID = other })
	list := kmsg.NewPtrListGroupsRequest()
	list.TypesFilter = []string{"SHARE"}
	for _, l := range ask[*kmsg.ListGroupsResponse](a.asker, 5, list).Groups {
		if l.Group == a.group {
			a.note("listed", l.ProtocolType, l.GroupState, l.GroupType)
		}
	}
}
