package streams

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/log"
)

// Group is the state machine of a group of one application. The zero value is none: use NewGroup.
//
// The group has an epoch, which rises whenever its members are to have other tasks: one comes, changes or goes, the
// topics are others, the configs are. The target says what each is to have in the epoch in which it was made.
// A member has an epoch of its own, and comes to that of the target by giving up what it has too much of, and then
// being given what nobody else has:
//
//	assignmentEpoch <= epoch
//	members[i].epoch <= assignmentEpoch, but for a member that another one is to replace
//	no task is active with two members, those that it gives up included
type Group struct {
	name            string
	epoch           int32
	assignmentEpoch int32     // that of the target
	assignedAt      time.Time // zero when the next target may be made at once
	topology        *Topology // nil before the first member
	validated       int32     // epoch of the topology for which all topics were there, or -1
	fingerprint     uint64    // of the topics that the topology needs, as they were at the last epoch
	standbys        int       // as the config was at the last epoch
	tags            []string  // likewise
	emptySince      time.Time // zero if there are members, or never were any
	members         map[string]*member
	static          map[string]string // ids of members by instance

	// What follows is forgotten with the process.
	live          map[string]*liveness // by member
	configured    *Configured          // nil before the first heartbeat
	delayUntil    time.Time            // when the first target is made; zero if that is not to be waited for
	shutdown      string               // the member that has asked all to end
	endpointEpoch int32                // rises with each change of what is told of endpoints
}

// memberState is how far a member is on its way to the target.
type memberState int8

const (
	stable     memberState = iota // it has what the target of its epoch gives it
	unrevoked                     // it has to give up tasks first
	unreleased                    // it waits for tasks that others have still
)

var memberStates = []string{"stable", "unrevoked", "unreleased"}

// String is the state's name.
func (s memberState) String() string { return memberStates[s] }

// member is one member as it is stored. It is not changed but replaced.
type member struct {
	id, instance, rack   string // instance and rack are "" for none
	clientID, clientHost string
	process              string
	rebalance            time.Duration // how long it may take to give up tasks
	topologyEpoch        int32
	endpoint             Endpoint // zero for none
	tags                 map[string]string

	epoch, previous int32 // the epoch is leftEpoch for a static member that will come back
	state           memberState
	has             Tasks // the epoch in which it was given each counts
	revoking        Tasks // what it has been told to give up and may still have
	target          Tasks
}

// The epochs of members that are not in the group.
const (
	joinEpoch  = 0  // it joins
	leaveEpoch = -1 // it leaves
	leftForNow = -2 // a static member leaves and will come back
	firstEpoch = 1  // of a group without members
	noTopology = -1
)

// Endpoint is where a member answers questions about its state.
type Endpoint struct {
	Host string
	Port uint16
}

// liveness is what of a member is not stored.
type liveness struct {
	expires  time.Time // its session
	revokeBy time.Time // when it has given up tasks; zero if it has none to give up
	offsets  map[TaskID]int64
	ends     map[TaskID]int64
}

// NewGroup returns a group without members.
func NewGroup(name string) *Group {
	return &Group{
		name: name, epoch: firstEpoch, assignmentEpoch: firstEpoch, validated: noTopology,
		members: make(map[string]*member), static: make(map[string]string), live: make(map[string]*liveness),
	}
}

// Name returns the name of the group.
func (g *Group) Name() string { return g.name }

// State is where a group stands.
type State int

// The states.
const (
	Empty       State = iota // no members
	NotReady                 // topics are missing
	Assigning                // the target is not made yet
	Reconciling              // members are on their way to it
	Stable                   // all have what they are to have
)

// String is the state's name, as Kafka's.
func (s State) String() string {
	return [...]string{"Empty", "NotReady", "Assigning", "Reconciling", "Stable"}[s]
}

// State returns where the group stands.
func (g *Group) State() State {
	switch {
	case len(g.members) == 0:
		return Empty
	case g.topology == nil || g.topology.Epoch != g.validated:
		return NotReady
	case g.epoch > g.assignmentEpoch:
		return Assigning
	}
	for _, m := range g.members {
		if !m.reconciled(g.assignmentEpoch) {
			return Reconciling
		}
	}
	return Stable
}

// reconciled reports whether the member has what a target gives it.
func (m *member) reconciled(epoch int32) bool { return m.state == stable && m.epoch == epoch }

// Topic is a topic that there is.
type Topic struct {
	ID         [16]byte
	Partitions int32
}

// Surroundings is what a group has to know at the time of a heartbeat.
type Surroundings struct {
	Topic  func(name string) (Topic, bool)
	Config Config
}

// Config is the configs of a group.
type Config struct {
	MaxMembers         int // 0 for any number
	SessionTimeout     time.Duration
	HeartbeatInterval  time.Duration
	InitialDelay       time.Duration // before the first target of a group that was empty
	AssignmentInterval time.Duration // between two targets, at least
	TaskOffsetInterval time.Duration // in which members tell the offsets of their tasks
	AcceptableLag      int64         // records of a state that may be lacking when a task moves to it
	Standbys           int
	RackAwareTags      []string // that members must have
}

// DefaultConfig is Kafka's.
func DefaultConfig() Config { return ConfigOf(config.Values{}) }

// ConfigOf returns the configs of a group, as they are set.
func ConfigOf(v config.Values) Config {
	c := Config{
		MaxMembers: v.Broker().MaxSize("streams"), SessionTimeout: v.StreamsSession(), HeartbeatInterval: v.StreamsHeartbeat(),
		InitialDelay: v.StreamsInitialDelay(), AssignmentInterval: v.StreamsAssignmentInterval(), TaskOffsetInterval: v.StreamsTaskOffsets(),
		AcceptableLag: v.StreamsRecoveryLag(), Standbys: v.StreamsStandbys(),
	}
	for _, tag := range v.StreamsTags() {
		if tag != "" {
			c.RackAwareTags = append(c.RackAwareTags, tag)
		}
	}
	return c
}

// topics is the function that Configure asks.
func (s Surroundings) topics(name string) (int32, bool) {
	t, ok := s.Topic(name)
	return t.Partitions, ok
}

// print returns a number that changes whenever one of the topics comes, goes or grows.
func (s Surroundings) print(names []string) uint64 {
	h := fnv.New64a()
	for _, name := range names {
		if t, ok := s.Topic(name); ok {
			_, _ = fmt.Fprintf(h, "%s\x00%x\x00%d\x00", name, t.ID, t.Partitions) // never fails
		}
	}
	return h.Sum64()
}

// Heartbeat is what a member says. What is nil or zero is as it was.
type Heartbeat struct {
	MemberID         string
	InstanceID       string // "" for a member that is not static
	Epoch            int32  // 0 to join, -1 to leave, -2 of a static member that leaves and will come back
	RackID           string
	ClientID         string
	ClientHost       string
	ProcessID        string
	RebalanceTimeout time.Duration
	Topology         *Topology // normal; of who joins
	Owned            *Tasks
	Endpoint         *Endpoint
	EndpointEpoch    int32 // of what it knows of endpoints
	Tags             map[string]string
	Offsets, Ends    map[TaskID]int64        // how far its copies of states are, and could be
	Shutdown         bool                    // it asks all members to end
	CheckTags        bool                    // it knows MissingClientTags
	MayCreate        func(topic string) bool // says which internal topics may be made for it; nil for all
}

// Answer is what a member is told.
type Answer struct {
	MemberID      string
	Epoch         int32
	Tasks         *Tasks // nil when they are as they were
	Statuses      []Status
	EndpointEpoch int32
	Endpoints     []EndpointTasks // if TellEndpoints
	TellEndpoints bool
	Create        []InternalTopic // what is to be made, which may be somebody's job already
	Due           time.Duration   // until an assignment may be made that waits; 0 if none does
}

// EndpointTasks is what a member has whose state can be asked for.
type EndpointTasks struct {
	Endpoint        Endpoint
	Active, Standby []log.TopicPartition // by topic and partition
}

// Effects is what a call brings about.
type Effects struct {
	Persist    *Snapshot // to be stored before anybody is told; nil when nothing has changed
	Rebalanced string    // why there is a new target, for the log; "" when there is none
}

// wrap adds the group and the member to an error.
func (g *Group) wrap(id string, err error) error {
	return fmt.Errorf("group %s: member %q: %w", g.name, id, err)
}

// put adds a member, or replaces it.
func (g *Group) put(m *member) {
	if old := g.members[m.id]; old != nil && old.instance != "" {
		delete(g.static, old.instance)
	}
	g.members[m.id] = m
	if m.instance != "" {
		g.static[m.instance] = m.id
	}
	if g.live[m.id] == nil {
		g.live[m.id] = &liveness{}
	}
}

// drop takes a member away.
func (g *Group) drop(id string) {
	if m := g.members[id]; m != nil && g.static[m.instance] == id {
		delete(g.static, m.instance)
	}
	delete(g.members, id)
	delete(g.live, id)
	if len(g.members) == 0 {
		g.shutdown = ""
	}
}

// retarget makes a target for members, for the epoch of the group.
func (g *Group) retarget(now time.Time, offsets func(id string) map[TaskID]int64) {
	var given map[string]Tasks
	if g.configured != nil && g.configured.Problem == nil {
		members := make([]assignMember, 0, len(g.members))
		for id, m := range g.members {
			members = append(members, assignMember{id: id, process: m.process, has: m.has, offsets: offsets(id)})
		}
		given = assign(members, g.configured.Subtopologies, g.standbys)
	}
	for id, m := range g.members {
		target := given[id]
		if given == nil {
			target = newTasks()
		}
		if !target.equal(m.target) {
			next := *m
			next.target = target
			g.members[id] = &next
		}
	}
	g.assignmentEpoch, g.assignedAt = g.epoch, now
}

// offsets returns what a member has told of its copies of states.
func (g *Group) offsets(id string) map[TaskID]int64 { return g.live[id].offsets }

// holders returns the processes that have tasks, those that they give up included.
func (g *Group) holders() (h [roles]map[TaskID][]string) {
	for r := range h {
		h[r] = make(map[TaskID][]string)
	}
	for _, id := range sortedMembers(g.members) {
		m := g.members[id]
		for _, tasks := range []Tasks{m.has, m.revoking} {
			for r, s := range tasks {
				for t := range s {
					h[r][t] = append(h[r][t], m.process)
				}
			}
		}
	}
	return h
}

// endpoints tells which partitions members with an endpoint have.
func (g *Group) endpoints(topics Topics) []EndpointTasks {
	var all []EndpointTasks
	for _, id := range sortedMembers(g.members) {
		m := g.members[id]
		if m.endpoint == (Endpoint{}) {
			continue
		}
		copies := newTasks()
		copies.add(Tasks{Standby: m.has[Standby]})
		for t := range m.has[Warmup] {
			copies[Standby][t] = 0
		}
		all = append(all, EndpointTasks{
			Endpoint: m.endpoint, Active: g.topology.inputsOf(m.has[Active], topics), Standby: g.topology.inputsOf(copies[Standby], topics),
		})
	}
	return all
}

// inputsOf returns the partitions that tasks read, by topic and partition.
func (t *Topology) inputsOf(tasks TaskSet, topics Topics) []log.TopicPartition {
	var tps []log.TopicPartition
	for id := range tasks {
		i := slices.IndexFunc(t.Subtopologies, func(s Subtopology) bool { return s.ID == id.Subtopology })
		if i < 0 {
			continue
		}
		for _, name := range t.Subtopologies[i].inputs() {
			if n, ok := topics(name); ok && id.Partition < n {
				tps = append(tps, log.TopicPartition{Topic: name, Partition: id.Partition})
			}
		}
	}
	slices.SortFunc(tps, func(a, b log.TopicPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return slices.Compact(tps)
}
