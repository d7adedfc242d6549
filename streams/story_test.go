package streams

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestStories plays stories of one group. A line that begins them anew has the topology, as readTopology reads it. Events
// are what a member says, with its name first, or what happens around the group:
//
//	begin 0: lines ~counts
//	at 0s topics lines=2
//	at 0s a join
//	-> a at 1, nothing; MISSING_INTERNAL_TOPICS: Internal topics are missing: counts
//
// A member says the epoch that it was told last, and with "owned" the tasks; epoch= and owned=0-1+/0-0 override these.
// Each member is a process of its own unless process= says otherwise. "make" makes the topics that were asked for.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is one group, its members, and the coordinator's part as far as a story needs it.
type stage struct {
	*story.Teller
	group    *Group
	topology Topology
	topics   map[string]int32
	config   Config
	create   []InternalTopic
	clients  map[string]*client
	stored   stored // the last Persist
	before   string // as told last
}

// client is a member as it knows itself.
type client struct {
	name          string
	epoch         int32
	tasks         Tasks
	endpointEpoch int32
}

// Begin implements story.Machine.
func (s *stage) Begin(words []string) {
	s.group, s.topics, s.clients = NewGroup("g"), make(map[string]int32), make(map[string]*client)
	s.config = DefaultConfig()
	s.config.InitialDelay, s.config.AssignmentInterval = 0, 0
	s.create, s.stored = nil, stored{}
	topology, err := readTopology(strings.Join(words, " ")).Normal()
	if err != nil && len(words) > 0 {
		panic(err)
	}
	s.topology = topology
	s.before = s.standing()
}

// Check implements story.Machine.
func (s *stage) Check() error { return s.group.check() }

// check returns what is not as it must always be.
func (g *Group) check() error {
	if g.assignmentEpoch > g.epoch {
		return fmt.Errorf("epoch %d, assignment epoch %d", g.epoch, g.assignmentEpoch)
	}
	active := make(map[TaskID]string)
	held := make(map[string]map[TaskID]string)
	for _, id := range sortedMembers(g.members) {
		m := g.members[id]
		if held[m.process] == nil {
			held[m.process] = make(map[TaskID]string)
		}
		if m.epoch > g.epoch || g.live[id] == nil || m.instance != "" && g.static[m.instance] != id {
			return fmt.Errorf("member %s of epoch %d, group %d, instances %v", id, m.epoch, g.epoch, g.static)
		}
		for _, tasks := range []Tasks{m.has, m.revoking} {
			for t := range tasks[Active] {
				if active[t] != "" {
					return fmt.Errorf("%s is active with %s and %s", t, active[t], id)
				}
				active[t] = id
			}
			for role := range roles {
				for t := range tasks[role] {
					if other := held[m.process][t]; other != "" && other != id {
						return fmt.Errorf("%s is with %s and %s of process %s", t, other, id, m.process)
					}
					held[m.process][t] = id
				}
			}
		}
	}
	if g.State() != Stable || g.configured == nil {
		return nil
	}
	for i := range g.configured.Subtopologies {
		for n := range g.configured.Subtopologies[i].Tasks {
			if t := (TaskID{g.configured.Subtopologies[i].ID, n}); active[t] == "" {
				return fmt.Errorf("all is calm, and nobody has %s", t)
			}
		}
	}
	return nil
}

func (s *stage) standing() string {
	return fmt.Sprintf("%s, epoch %d", s.group.State(), s.group.epoch)
}

func (s *stage) around() Surroundings {
	return Surroundings{Config: s.config, Topic: func(name string) (Topic, bool) {
		n, ok := s.topics[name]
		return Topic{Partitions: n}, ok
	}}
}

// PassTime is the coordinator's timer.
func (s *stage) PassTime(to time.Duration) {
	for range 1000 { // a machine whose deadline stays must not hang the test
		next, ok := s.group.NextDeadline()
		if !ok || next.After(s.At(to)) {
			break
		}
		gone, e := s.group.Expire(next)
		for _, m := range gone {
			s.Tell("at %s: %s is out: %s", s.Since(next), m.MemberID, m.Reason)
		}
		s.carryOut(e)
	}
}

func (s *stage) carryOut(e Effects) {
	if e.Persist != nil {
		s.stored = keep(*e.Persist)
	}
	if e.Rebalanced != "" {
		s.Tell("a new target: %s", e.Rebalanced)
	}
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
}

// happen is what no member does.
func (s *stage) happen(what string, words []string) {
	o, _ := story.Read(words)
	switch what {
	case "topics":
		for name := range o {
			s.topics[name] = int32(o.Int(name, 0))
		}
	case "config":
		s.config.Standbys = o.Int("standbys", s.config.Standbys)
		s.config.MaxMembers = o.Int("members", s.config.MaxMembers)
		s.config.InitialDelay = o.Duration("delay", s.config.InitialDelay)
		s.config.AssignmentInterval = o.Duration("interval", s.config.AssignmentInterval)
		s.config.SessionTimeout = o.Duration("session", s.config.SessionTimeout)
		if tags, ok := o["tags"]; ok {
			s.config.RackAwareTags = strings.Split(tags, "+")
		}
	case "make":
		for _, t := range s.create {
			s.topics[t.Name] = t.Partitions
		}
	case "restart":
		snap, err := s.stored.decode()
		if err != nil {
			s.Tell("%v", err)
			return
		}
		s.group = Restore(s.Time(), "g", s.config, snap)
		s.carryOut(Effects{})
	case "describe":
		for _, id := range sortedMembers(s.group.members) {
			m := s.group.members[id]
			text := fmt.Sprintf("%s %s at %d, has %s", id, m.state, m.epoch, told(m.has))
			if !m.revoking.empty() {
				text += ", gives up " + told(m.revoking)
			}
			s.Tell("%s, is to have %s", text, told(m.target))
		}
	default:
		s.Tell("no such event: %s", what)
	}
}

func told(t Tasks) string { return cmp.Or(tellTasks(t), "nothing") }

// readTasks reads a0+/b1: active tasks, and then standbys.
func readTasks(text string) Tasks {
	t := newTasks()
	role := Active
	for w := range strings.SplitSeq(text, "+") {
		if rest, ok := strings.CutPrefix(w, "/"); ok {
			role, w = Standby, rest
		}
		if w != "" {
			t[role][readTask(w)] = 0
		}
	}
	return t
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	switch words[0] {
	case "topics", "config", "make", "restart", "describe":
		s.happen(words[0], words[1:])
		return
	}
	o, rest := story.Read(words[2:])
	c := s.clients[words[0]]
	if c == nil {
		c = &client{name: words[0], tasks: newTasks()}
		s.clients[c.name] = c
	}
	if words[1] == "commit" {
		err := s.group.CheckCommit(o.Or("as", c.name), int32(o.Int("epoch", int(c.epoch))), o["txn"] != "", story.Partitions(rest[0]))
		s.Tell("%s", story.Short(err, "group g: "))
		return
	}
	s.beat(c, words[1], o, rest)
}

// beat sends a heartbeat.
func (s *stage) beat(c *client, verb string, o story.Options, rest []string) {
	req := Heartbeat{
		MemberID: o.Or("as", c.name), InstanceID: o["instance"], Epoch: int32(o.Int("epoch", int(c.epoch))), EndpointEpoch: c.endpointEpoch,
		Shutdown: strings.Contains(strings.Join(rest, " "), "shutdown"), RackID: o["rack"], CheckTags: true,
	}
	switch verb {
	case "join":
		topology := s.topology
		topology.Epoch = int32(o.Int("topology", int(topology.Epoch)))
		none := newTasks()
		req.Epoch, req.Topology, req.ProcessID, req.RebalanceTimeout, req.Owned = 0, &topology, o.Or("process", c.name), 10*time.Second, &none
		if host := o["endpoint"]; host != "" {
			req.Endpoint = &Endpoint{host, 80}
		}
		if tags := o["tags"]; tags != "" {
			req.Tags = map[string]string{tags: "x"}
		}
	case "beat":
	case "leave":
		req.Epoch = leaveEpoch
	case "away":
		req.Epoch = leftForNow
	default:
		s.Tell("no such verb: %s", verb)
		return
	}
	for _, w := range rest {
		if w == "owned" {
			owned := c.tasks.clone()
			req.Owned = &owned
		}
	}
	if text, ok := o["owned"]; ok {
		owned := readTasks(text)
		req.Owned = &owned
	}
	if text, ok := o["disk"]; ok {
		req.Offsets = make(map[TaskID]int64)
		for w := range strings.SplitSeq(text, "+") {
			t, n, _ := strings.Cut(w, ":")
			offset, _ := strconv.ParseInt(n, 10, 64)
			req.Offsets[readTask(t)] = offset
		}
	}
	answer, e, err := s.group.Heartbeat(s.Time(), req, s.around())
	if err != nil {
		s.Tell("%s", story.Short(err, fmt.Sprintf("group g: member %q: ", req.MemberID)))
		if errors.Is(err, log.ErrFencedMemberEpoch) || errors.Is(err, log.ErrUnknownMember) {
			c.epoch, c.tasks = 0, newTasks()
		}
		return
	}
	s.answered(c, answer)
	s.carryOut(e)
}

func (s *stage) answered(c *client, a Answer) {
	c.epoch, c.endpointEpoch = max(a.Epoch, 0), a.EndpointEpoch
	text := fmt.Sprintf("%s at %d", a.MemberID, a.Epoch)
	if a.Tasks != nil {
		c.tasks = *a.Tasks
		text += ", has " + told(*a.Tasks)
	}
	if a.Due > 0 {
		text += fmt.Sprintf(", again in %s", a.Due)
	}
	for _, status := range a.Statuses {
		text += "; " + status.String()
	}
	s.create = a.Create
	s.Tell("%s", text)
	if len(a.Endpoints) > 0 {
		for _, e := range a.Endpoints {
			s.Tell("  %s:%d has %v, standbys %v", e.Endpoint.Host, e.Endpoint.Port, e.Active, e.Standby)
		}
	}
}
