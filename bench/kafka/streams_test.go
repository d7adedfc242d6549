package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// streamsStories are what members of a streams group do, each with a group and topics of its own. What they are answered by
// Kafka and by us is compared.
var streamsStories = []struct {
	name string
	tell func(a *streamsAsker)
}{
	{"life", streamsLife},
	{"two", streamsTwo},
	{"epochs", streamsEpochs},
	{"static", streamsStatic},
	{"static-refused", streamsStaticRefused},
	{"wrong", streamsWrong},
	{"topologies", streamsTopologies},
	{"partitions", streamsPartitions},
	{"standbys", streamsStandbys},
	{"threads", streamsThreads},
	{"offsets", streamsOffsets},
	{"kinds", streamsKinds},
	{"told", streamsTold},
}

// streamsDifferences are all that there are, by what was asked.
var streamsDifferences = map[string]difference{
	"life: join": {"missing: app-words, app-counts", "missing: app-counts, app-words", "ours are in the order of their names"},
}

// streamsAsIn checks that requests about streams groups are answered as by the Kafka at addr, but for those differences.
func streamsAsIn(t *testing.T, addr string) {
	asIn(t, addr, streamsDifferences, strings.Contains, round{ask: streamsAnswers})
}

// streamsAnswers plays the stories.
func streamsAnswers(t *testing.T, addr string) (notes []note) {
	for _, s := range streamsStories {
		a := &streamsAsker{asker: dial(t, addr), group: sharded + "streams-" + s.name, members: make(map[string]*streamsMember)}
		a.story, a.names = s.name, strings.NewReplacer(a.group, "app")
		a.create(a.topic("lines"))
		a.config("streams.initial.rebalance.delay.ms", "0")
		a.config("streams.assignment.interval.ms", "0")
		s.tell(a)
		notes = append(notes, a.notes...)
	}
	return notes
}

// streamsAsker is an asker with members of a streams group.
type streamsAsker struct {
	*asker
	group   string
	members map[string]*streamsMember
}

// streamsMember is a member as it knows itself.
type streamsMember struct {
	epoch, endpoints int32
	has              [3][]kmsg.TaskIDs
}

// topic is the name of a topic of the story.
func (a *streamsAsker) topic(name string) string { return a.group + "-" + name }

// config sets a config of the group, and waits until the group goes by it.
func (a *streamsAsker) config(name, value string) {
	a.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r, c := kmsg.NewIncrementalAlterConfigsRequestResource(), kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	r.ResourceType, r.ResourceName, c.Name, c.Value = 32, a.group, name, &value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	if code := ask[*kmsg.IncrementalAlterConfigsResponse](a.asker, 1, req).Resources[0].ErrorCode; code != 0 {
		a.t.Fatalf("%s=%s: %s", name, value, codeName(code))
	}
	a.known(a.group)
}

// topology is two parts, of which the second has a state.
func (a *streamsAsker) topology() *kmsg.StreamsGroupHeartbeatRequestTopology {
	t := kmsg.NewStreamsGroupHeartbeatRequestTopology()
	first, second := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology(), kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	first.SubtopologyID, first.SourceTopics, first.RepartitionSinkTopics = "0", []string{a.topic("lines")}, []string{a.topic("words")}
	words, counts := kmsg.NewTopicInfo(), kmsg.NewTopicInfo()
	words.Topic, counts.Topic = a.topic("words"), a.topic("counts")
	second.SubtopologyID, second.RepartitionSourceTopics, second.StateChangelogTopics = "1", []kmsg.TopicInfo{words}, []kmsg.TopicInfo{counts}
	t.Subtopologies = append(t.Subtopologies, first, second)
	return &t
}

// simple is one part without a state.
func (a *streamsAsker) simple() *kmsg.StreamsGroupHeartbeatRequestTopology {
	t := a.topology()
	t.Subtopologies = t.Subtopologies[:1]
	t.Subtopologies[0].RepartitionSinkTopics = nil
	return t
}

// stateful is one part with a state.
func (a *streamsAsker) stateful() *kmsg.StreamsGroupHeartbeatRequestTopology {
	t := a.simple()
	counts := kmsg.NewTopicInfo()
	counts.Topic = a.topic("counts")
	t.Subtopologies[0].StateChangelogTopics = []kmsg.TopicInfo{counts}
	return t
}

// joining is how a member joins, a process of its own.
func (a *streamsAsker) joining(id string, t *kmsg.StreamsGroupHeartbeatRequestTopology) *kmsg.StreamsGroupHeartbeatRequest {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.Topology = a.group, id, 60_000, t
	process := "of " + id
	req.ProcessID, req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = &process, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	return req
}

// beating is a heartbeat of a member that has what it was told.
func (a *streamsAsker) beating(id string) *kmsg.StreamsGroupHeartbeatRequest {
	m := a.member(id)
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.EndpointInformationEpoch = a.group, id, m.epoch, m.endpoints
	req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = m.has[0], m.has[1], m.has[2]
	return req
}

func (a *streamsAsker) member(id string) *streamsMember {
	if a.members[id] == nil {
		a.members[id] = &streamsMember{has: [3][]kmsg.TaskIDs{{}, {}, {}}}
	}
	return a.members[id]
}

// send sends a heartbeat, and has the member remember the answer.
func (a *streamsAsker) send(req *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse {
	a.t.Helper()
	resp := ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, req)
	if resp.ErrorCode == 0 {
		m := a.member(req.MemberID)
		m.epoch, m.endpoints = resp.MemberEpoch, resp.EndpointInformationEpoch
		if resp.ActiveTasks != nil {
			m.has = [3][]kmsg.TaskIDs{resp.ActiveTasks, resp.StandbyTasks, resp.WarmupTasks}
		}
	}
	return resp
}

// beat notes the answer to a heartbeat.
func (a *streamsAsker) beat(what string, req *kmsg.StreamsGroupHeartbeatRequest) {
	a.t.Helper()
	a.note(what, told(a.send(req)))
}

// refused is told, with the text of what cannot be.
func refused(r *kmsg.StreamsGroupHeartbeatResponse) string {
	text := told(r)
	if r.ErrorCode == kerr.InvalidRequest.Code && r.ErrorMessage != nil {
		text += ": " + *r.ErrorMessage
	}
	return text
}

// settle sends heartbeats of members, in turn and unnoted, until none of them is told anything new by Kafka, which
// makes topics and learns of them in its own time; then it notes what they have.
func (a *streamsAsker) settle(what string, ids ...string) {
	a.t.Helper()
	quiet := 0
	for begun := time.Now(); quiet < 3; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: %s does not settle", a.story, what)
		}
		quiet++
		for _, id := range ids {
			before := a.member(id).epoch
			resp := a.send(a.beating(id))
			if resp.ErrorCode != 0 {
				a.t.Fatalf("%s: %s: %s", a.story, what, told(resp))
			}
			if resp.ActiveTasks != nil || resp.MemberEpoch != before || len(resp.Status) > 0 {
				quiet = 0
			}
		}
	}
	for _, id := range ids {
		m := a.member(id)
		a.note(what+", "+id, "at", m.epoch, tasks(m.has))
	}
}

func told(r *kmsg.StreamsGroupHeartbeatResponse) string {
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	text := fmt.Sprintf("at %d every %d, %d, lag %d", r.MemberEpoch, usual(r.HeartbeatIntervalMillis), r.TaskOffsetIntervalMillis, r.AcceptableRecoveryLag)
	if r.ActiveTasks != nil {
		text += " " + tasks([3][]kmsg.TaskIDs{r.ActiveTasks, r.StandbyTasks, r.WarmupTasks})
	}
	for _, s := range r.Status {
		text += fmt.Sprintf("; status %d: %s", s.StatusCode, s.StatusDetail)
	}
	return text
}

func tasks(of [3][]kmsg.TaskIDs) string {
	var words []string
	for i, role := range []string{"active", "standby", "warmup"} {
		for _, t := range slices.SortedFunc(slices.Values(of[i]), func(a, b kmsg.TaskIDs) int { return strings.Compare(a.SubtopologyID, b.SubtopologyID) }) {
			words = append(words, fmt.Sprint(role, " ", t.SubtopologyID, slices.Sorted(slices.Values(t.Partitions))))
		}
	}
	if len(words) == 0 {
		return "has nothing"
	}
	return "has " + strings.Join(words, ", ")
}

// describe notes what StreamsGroupDescribe says.
func (a *streamsAsker) describe(what string) {
	a.t.Helper()
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{a.group}, true
	g := ask[*kmsg.StreamsGroupDescribeResponse](a.asker, 1, req).Groups[0]
	if g.ErrorCode != 0 {
		a.note(what, g.ErrorCode)
		return
	}
	text := fmt.Sprintf("%s, epoch %d, assignment %d, operations %d, description %d, assignor %s; topology %d", g.State, g.Epoch, g.AssignmentEpoch,
		g.AuthorizedOperations, g.TopologyDescriptionStatus, *g.AssignorName, g.Topology.Epoch)
	for _, s := range g.Topology.Subtopologies {
		text += fmt.Sprintf(" %s: %v > %v", s.SubtopologyID, s.SourceTopics, s.RepartitionSinkTopics)
		for _, t := range slices.Concat(s.RepartitionSourceTopics, s.StateChangelogTopics) {
			text += fmt.Sprintf(" %s %d %d %d", t.Topic, t.NumPartitions, t.ReplicationFactor, len(t.Configs))
		}
	}
	a.note(what, text)
	slices.SortFunc(g.Members, func(a, b kmsg.StreamsGroupDescribeResponseGroupMember) int {
		return strings.Compare(a.MemberID, b.MemberID)
	})
	for _, m := range g.Members {
		instance, rack, endpoint := "none", "none", "none"
		if m.InstanceID != nil {
			instance = *m.InstanceID
		}
		if m.RackID != nil {
			rack = *m.RackID
		}
		if m.UserEndpoint != nil {
			endpoint = fmt.Sprint(m.UserEndpoint.Host, ":", m.UserEndpoint.Port)
		}
		of := func(s kmsg.StreamsAssignment) string {
			return tasks([3][]kmsg.TaskIDs{s.ActiveTasks, s.StandbyTasks, s.WarmupTasks})
		}
		a.note(what+", "+m.MemberID, "at", m.MemberEpoch, instance, rack, m.ClientID, m.ClientHost, m.TopologyEpoch, m.ProcessID, endpoint, len(m.ClientTags),
			m.TaskOffsets, m.TaskEndOffsets, of(m.Assignment), "and is to have", of(m.TargetAssignment), m.IsClassic)
	}
}

// leave has a member leave; -1 for good, -2 to come back.
func (a *streamsAsker) leave(id string, epoch int32) *kmsg.StreamsGroupHeartbeatRequest {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = a.group, id, epoch
	return req
}

func streamsLife(a *streamsAsker) {
	a.describe("before")
	a.beat("join", a.joining("a", a.topology()))
	a.settle("topics are made", "a")
	a.describe("stable")
	a.beat("beat", a.beating("a"))
	a.beat("beat of nothing new", &kmsg.StreamsGroupHeartbeatRequest{Group: a.group, MemberID: "a", MemberEpoch: a.member("a").epoch, RebalanceTimeoutMillis: -1})
	a.beat("join again", a.joining("a", a.topology()))
	offsets := a.beating("a")
	offsets.TaskOffsets = []kmsg.TaskOffset{{SubtopologyID: "1", Partition: 1, Offset: 7}, {SubtopologyID: "1", Partition: 0, Offset: 5}}
	offsets.TaskEndOffsets = []kmsg.TaskOffset{{SubtopologyID: "1", Partition: 1, Offset: 70}}
	a.beat("offsets", offsets)
	a.describe("with offsets")
	a.beat("leave", a.leave("a", -1))
	a.beat("leave again", a.leave("a", -1))
	a.describe("empty")
	a.beat("beat after", a.beating("a"))
	a.member("a").has = [3][]kmsg.TaskIDs{{}, {}, {}}
	a.beat("join after", a.joining("a", a.topology()))
	a.settle("after", "a")
}

func streamsTwo(a *streamsAsker) {
	a.beat("a joins", a.joining("a", a.simple()))
	a.settle("a", "a")
	a.beat("b joins", a.joining("b", a.simple()))
	silent := a.beating("a")
	silent.ActiveTasks, silent.StandbyTasks, silent.WarmupTasks = nil, nil, nil
	a.note("a says nothing", told(a.send(silent)))
	a.describe("amid")
	a.beat("b waits", a.beating("b"))
	a.beat("a has given up", a.beating("a"))
	a.beat("b gets it", a.beating("b"))
	a.describe("stable")
	a.beat("a leaves", a.leave("a", -1))
	a.describe("assigning")
	a.beat("b gets all", a.beating("b"))
	a.describe("b has all")
}

func streamsEpochs(a *streamsAsker) {
	a.beat("beat of no group", a.leave("a", 3))
	a.beat("leave of no group", a.leave("a", -1))
	a.beat("a joins", a.joining("a", a.simple()))
	a.settle("a", "a")
	a.beat("b joins", a.joining("b", a.simple()))
	a.settle("both", "a", "b")
	for _, by := range []int32{-2, -1, 1, 100} {
		req := a.beating("a")
		req.MemberEpoch += by
		a.note(fmt.Sprint("epoch ", by), told(ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, req)))
		req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = nil, nil, nil
		a.note(fmt.Sprint("epoch ", by, " without tasks"), told(ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, req)))
	}
	a.beat("of nobody", a.leave("nobody", 1))
	a.beat("leave of nobody", a.leave("nobody", -1))
	bad := a.beating("a")
	bad.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{7}}}
	a.note("a task that there is not", ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, bad).ErrorCode)
	bad.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: "7", Partitions: []int32{0}}}
	a.note("a subtopology that there is not", ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, bad).ErrorCode)
	a.settle("after", "a", "b")
}

// static gives a request an instance id.
func static(req *kmsg.StreamsGroupHeartbeatRequest, instance string) *kmsg.StreamsGroupHeartbeatRequest {
	req.InstanceID = &instance
	return req
}

func streamsStatic(a *streamsAsker) {
	a.beat("a joins", static(a.joining("a", a.simple()), "A"))
	a.beat("a", static(a.beating("a"), "A"))
	a.beat("without its instance", a.beating("a"))
	a.beat("an instance that nobody has", static(a.beating("a"), "B"))
	a.beat("goes away", static(a.leave("a", -2), "A"))
	a.describe("away")
	back := static(a.joining("c", a.simple()), "A")
	process := "of a"
	back.ProcessID = &process
	a.beat("comes back", back)
	a.beat("the new one", static(a.beating("c"), "A"))
	a.beat("the old one", static(a.beating("a"), "A"))
	a.beat("the old one leaves", static(a.leave("a", -1), "A"))
	a.beat("goes away without an instance", a.leave("c", -2))
	a.describe("back")
	a.beat("leaves", static(a.leave("c", -1), "A"))
	a.describe("empty")
}

func streamsStaticRefused(a *streamsAsker) {
	a.beat("a joins", static(a.joining("a", a.simple()), "A"))
	a.beat("another one with the instance", static(a.joining("b", a.simple()), "A"))
	a.beat("joins again", static(a.joining("a", a.simple()), "A"))
	a.beat("goes away", static(a.leave("a", -2), "A"))
	a.member("c").has = a.member("a").has
	a.beat("comes back", static(a.joining("c", a.simple()), "A"))
	a.settle("back", "c")
}

func streamsWrong(a *streamsAsker) {
	task := []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{0}}}
	none := ""
	for _, c := range []struct {
		what   string
		change func(*kmsg.StreamsGroupHeartbeatRequest)
	}{
		{"no member", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberID = "" }},
		{"no group", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Group = "" }},
		{"empty instance", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.InstanceID = &none }},
		{"empty rack", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.RackID = &none }},
		{"no rebalance timeout", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }},
		{"active tasks", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.ActiveTasks = task }},
		{"standby tasks", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.StandbyTasks = task }},
		{"no warm-up tasks", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.WarmupTasks = nil }},
		{"no topology", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Topology = nil }},
		{"away without an instance", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology = -2, nil }},
		{"epoch -3", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology = -3, nil }},
		{"some tasks", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch, r.Topology, r.WarmupTasks = 1, nil, nil }},
		{"a topology later", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch = 1 }},
		{"a regular expression", func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[0].SourceTopicRegex = []string{"l.*"}
		}},
		{"offsets twice", func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.TaskOffsets = []kmsg.TaskOffset{{SubtopologyID: "0", Partition: 1}, {SubtopologyID: "0", Partition: 1}}
		}},
		{"a topic of Kafka's", func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[0].SourceTopics = []string{"__consumer_offsets"}
		}},
		{"a name that is none", func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[0].SourceTopics = []string{"a b"}
		}},
		{"nobody writes", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Topology.Subtopologies[0].RepartitionSinkTopics = nil }},
		{"a changelog with partitions", func(r *kmsg.StreamsGroupHeartbeatRequest) {
			r.Topology.Subtopologies[1].StateChangelogTopics[0].NumPartitions = 3
		}},
		{"no source topics", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Topology.Subtopologies[0].SourceTopics = nil }},
	} {
		req := a.joining("a", a.topology())
		c.change(req)
		a.note(c.what, refused(ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, req)))
	}
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{"", a.group}
	for _, g := range ask[*kmsg.StreamsGroupDescribeResponse](a.asker, 1, req).Groups {
		a.note("describe "+g.Group, g.ErrorCode)
	}
}

func streamsTopologies(a *streamsAsker) {
	newer := func(epoch int32) *kmsg.StreamsGroupHeartbeatRequestTopology {
		t := a.simple()
		t.Epoch = epoch
		return t
	}
	a.beat("a joins", a.joining("a", newer(1)))
	a.settle("a", "a")
	a.beat("an older one", a.joining("b", newer(0)))
	a.beat("the older one", a.beating("b"))
	a.describe("with an older one")
	a.beat("a newer one", a.joining("c", newer(2)))
	other := newer(1)
	other.Subtopologies[0].SourceTopics = []string{a.topic("others")}
	a.beat("another one of the same epoch", a.joining("c", other))
	a.beat("b leaves", a.leave("b", -1))
	a.beat("a leaves", a.leave("a", -1))
	a.beat("another one when it is empty", a.joining("c", other))
}

func streamsPartitions(a *streamsAsker) {
	missing := a.stateful()
	missing.Subtopologies[0].SourceTopics = []string{a.topic("e"), a.topic("d"), a.topic("c"), a.topic("b")}
	a.beat("no source topics", a.joining("a", missing))
	a.describe("not ready")
	a.beat("a", a.beating("a"))
	a.beat("a leaves", a.leave("a", -1))

	a.group += "-2"
	a.names = strings.NewReplacer(a.group, "app2", strings.TrimSuffix(a.group, "-2"), "app")
	a.config("streams.initial.rebalance.delay.ms", "0")
	a.create(a.topic("lines"), a.topic("counts"), a.topic("words"))
	a.known(a.group)
	fixed := a.topology()
	fixed.Subtopologies[1].RepartitionSourceTopics[0].NumPartitions = 3
	a.beat("existing topics do not fit", a.joining("a", fixed))
	a.beat("a leaves", a.leave("a", -1))
}

func streamsStandbys(a *streamsAsker) {
	a.config("streams.num.standby.replicas", "1")
	a.beat("a joins", a.joining("a", a.stateful()))
	a.settle("a", "a")
	a.beat("b joins", a.joining("b", a.stateful()))
	a.settle("both", "a", "b")
	a.describe("both")
	a.config("streams.num.standby.replicas", "0")
	a.beat("fewer standbys", a.beating("a"))
	a.settle("fewer", "a", "b")
	a.config("streams.num.standby.replicas", "1")
	a.settle("more", "a", "b")
	a.beat("b leaves", a.leave("b", -1))
	a.beat("a has all", a.beating("a"))
}

func streamsThreads(a *streamsAsker) {
	process := "one"
	for _, id := range []string{"a", "b"} {
		req := a.joining(id, a.stateful())
		req.ProcessID = &process
		a.beat(id+" joins", req)
		if id == "a" {
			a.settle("a", "a")
		}
	}
	a.settle("both", "a", "b")
	a.describe("both")
}

func streamsOffsets(a *streamsAsker) {
	commit := func(version int16, member string, epoch int32, topic string) int16 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = a.group, member, epoch
		t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
		t.Topic, p.Offset = a.topic(topic), 1
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return ask[*kmsg.OffsetCommitResponse](a.asker, version, req).Topics[0].Partitions[0].ErrorCode
	}
	fetch := func(member string, epoch int32) int16 {
		req, g := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = a.group, epoch
		if member != "" {
			g.MemberID = &member
		}
		req.Groups = append(req.Groups, g)
		return ask[*kmsg.OffsetFetchResponse](a.asker, 9, req).Groups[0].ErrorCode
	}
	a.beat("a joins", a.joining("a", a.simple()))
	a.settle("a", "a")
	a.beat("b joins", a.joining("b", a.simple()))
	a.settle("both", "a", "b")
	now := a.member("a").epoch
	for _, by := range []int32{0, -1, -2, 1} {
		a.note(fmt.Sprint("commit ", by), commit(9, "a", now+by, "lines"))
		a.note(fmt.Sprint("fetch ", by), fetch("a", now+by))
	}
	a.note("commit of the other", commit(9, "b", a.member("b").epoch-1, "lines"))
	a.note("commit 8", commit(8, "a", now, "lines"))
	a.note("commit of nobody", commit(9, "", -1, "lines"))
	a.note("commit of a stranger", commit(9, "c", 1, "lines"))
	a.note("fetch of nobody", fetch("", -1))
	a.note("fetch of a stranger", fetch("c", 1))
	a.offsetsInTransaction(now)
	remove := kmsg.NewPtrOffsetDeleteRequest()
	t := kmsg.NewOffsetDeleteRequestTopic()
	t.Topic, t.Partitions = a.topic("lines"), []kmsg.OffsetDeleteRequestTopicPartition{{}}
	remove.Group, remove.Topics = a.group, append(remove.Topics, t)
	gone := ask[*kmsg.OffsetDeleteResponse](a.asker, 0, remove)
	a.note("delete an offset", gone.ErrorCode)
	for _, t := range gone.Topics {
		a.note("delete an offset of the topic", t.Partitions[0].ErrorCode)
	}
	a.beat("a leaves", a.leave("a", -1))
	a.beat("b leaves", a.leave("b", -1))
	a.note("commit of nobody when it is empty", commit(9, "", -1, "lines"))
}

// offsetsInTransaction notes who may commit offsets in a transaction, where a is at that epoch.
func (a *streamsAsker) offsetsInTransaction(now int32) {
	a.t.Helper()
	id := a.group
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = 1, []string{id}
	a.soon(func() int16 { return ask[*kmsg.FindCoordinatorResponse](a.asker, 4, find).Coordinators[0].ErrorCode })
	var p producer
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 60_000
	a.note("init", a.soon(func() int16 {
		resp := ask[*kmsg.InitProducerIDResponse](a.asker, 4, init)
		p = producer{resp.ProducerID, resp.ProducerEpoch}
		return resp.ErrorCode
	}))
	commit := func(member string, epoch int32) int16 {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.MemberID, req.Generation = id, a.group, p.ID, p.Epoch, member, epoch
		t, tp := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
		t.Topic, tp.Offset = a.topic("lines"), 2
		t.Partitions = append(t.Partitions, tp)
		req.Topics = append(req.Topics, t)
		return a.soon(func() int16 {
			return ask[*kmsg.TxnOffsetCommitResponse](a.asker, 5, req).Topics[0].Partitions[0].ErrorCode
		})
	}
	a.note("in a transaction", commit("a", now))
	for _, by := range []int32{-1, -2, 1} {
		a.note(fmt.Sprint("in a transaction, ", by), commit("a", now+by))
	}
	a.note("in a transaction, of nobody", commit("", -1))
	a.note("in a transaction, of a stranger", commit("c", 1))
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = id, p.ID, p.Epoch, true
	a.note("the end", a.soon(func() int16 { return ask[*kmsg.EndTxnResponse](a.asker, 5, end).ErrorCode }))
}

func streamsKinds(a *streamsAsker) {
	del := func() int16 {
		return ask[*kmsg.DeleteGroupsResponse](a.asker, 2, &kmsg.DeleteGroupsRequest{Groups: []string{a.group}}).Groups[0].ErrorCode
	}
	list := func(what string) {
		req := kmsg.NewPtrListGroupsRequest()
		req.TypesFilter = []string{"streams"}
		for _, g := range ask[*kmsg.ListGroupsResponse](a.asker, 5, req).Groups {
			if g.Group == a.group {
				a.note(what, g.ProtocolType, g.GroupState, g.GroupType)
			}
		}
	}
	join := func() int16 {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = a.group, "", 10_000, 10_000, "consumer"
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = "range"
		req.Protocols = append(req.Protocols, p)
		return ask[*kmsg.JoinGroupResponse](a.asker, 5, req).ErrorCode
	}
	a.beat("a joins", a.joining("a", a.simple()))
	a.settle("a", "a")
	list("listed")
	a.note("a classic member", join())
	d := kmsg.NewPtrDescribeGroupsRequest()
	d.Groups = []string{a.group}
	a.note("described as classic", ask[*kmsg.DescribeGroupsResponse](a.asker, 6, d).Groups[0].ErrorCode)
	c := kmsg.NewPtrConsumerGroupDescribeRequest()
	c.Groups = []string{a.group}
	a.note("described as a consumer group", ask[*kmsg.ConsumerGroupDescribeResponse](a.asker, 0, c).Groups[0].ErrorCode)
	a.note("deleted with members", del())
	a.beat("a leaves", a.leave("a", -1))
	list("listed empty")
	a.note("deleted", del())
	a.note("deleted again", del())
	a.describe("deleted")
}

func streamsTold(a *streamsAsker) {
	endpoints := func(r *kmsg.StreamsGroupHeartbeatResponse) string {
		text := fmt.Sprint("told ", r.PartitionsByUserEndpoint != nil)
		for _, e := range slices.SortedFunc(slices.Values(r.PartitionsByUserEndpoint), func(a, b kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint) int {
			return strings.Compare(a.UserEndpoint.Host, b.UserEndpoint.Host)
		}) {
			text += fmt.Sprintf("; %s:%d", e.UserEndpoint.Host, e.UserEndpoint.Port)
			for _, p := range e.ActivePartitions {
				text += fmt.Sprint(" ", p.Topic, p.Partitions)
			}
			for _, p := range e.StandbyPartitions {
				text += fmt.Sprint(" / ", p.Topic, p.Partitions)
			}
		}
		return text
	}
	for _, id := range []string{"a", "b"} {
		req := a.joining(id, a.simple())
		req.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "host-" + id, Port: 80}
		a.note(id+" joins", told(a.send(req)))
	}
	a.settle("both", "a", "b")
	req := a.beating("a")
	req.EndpointInformationEpoch = -1
	a.note("endpoints", endpoints(ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 1, req)))
	a.note("endpoints again", endpoints(a.send(a.beating("a"))))
	a.config("streams.rack.aware.assignment.tags", "zone,rack")
	req = a.beating("a")
	req.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{{Key: "zone", Value: "z"}}
	a.note("tags", told(a.send(req)))
	a.note("tags in version 0", len(ask[*kmsg.StreamsGroupHeartbeatResponse](a.asker, 0, a.beating("a")).Status))
	a.describe("tags")
	req = a.beating("b")
	req.ShutdownApplication = true
	a.note("b has all end", told(a.send(req)))
	a.note("a is told", told(a.send(a.beating("a"))))
	a.beat("b leaves", a.leave("b", -1))
	a.note("a is told after", told(a.send(a.beating("a"))))
	a.beat("a leaves", a.leave("a", -1))
	a.beat("a joins again", a.joining("a", a.simple()))
}
