package group

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestModernStories plays testdata/modern/*.txt. A client is in the group, or says on its heartbeat ("hb") how it joins; it does
// as it is told, and says with the next heartbeat what it has, unless mute. "join", "sync" and "beat" are those of clients of the
// classic protocol. What the store has is compared with the group after each event.
func TestModernStories(t *testing.T) {
	story.PlayIn(t, "testdata/modern", func(t *story.Teller) story.Machine { return &modernStage{Teller: t} })
}

// modernStage is one group, its topics and its clients.
type modernStage struct {
	*story.Teller
	group   *Modern
	classic *Group // once it has become one
	rules   ModernRules
	world   atlas
	clients map[string]*modernClient
	stored  map[string][]byte // by member, and "" for the group
	before  string
}

// modernClient is what a client remembers of its group.
type modernClient struct {
	name, id, instance string
	ids                int
	epoch              int32
	has                epochs.Set[PartitionID]
}

// atlas is topics.
type atlas struct {
	ids     map[string][16]byte
	n       map[string]int32
	version uint64
}

func newAtlas() atlas { return atlas{ids: make(map[string][16]byte), n: make(map[string]int32)} }

func (w *atlas) set(name string, n int32) {
	w.version++
	if _, ok := w.ids[name]; !ok {
		id := [16]byte{byte(w.version), byte(w.version >> 8)}
		copy(id[2:], name)
		w.ids[name] = id
	}
	if w.n[name] = n; n == 0 {
		delete(w.ids, name)
		delete(w.n, name)
	}
}

func (w *atlas) TopicID(name string) (id [16]byte, n int32, err error) {
	if w.n[name] == 0 {
		return id, 0, log.ErrUnknownTopic
	}
	return w.ids[name], w.n[name], nil
}

func (w *atlas) TopicName(id [16]byte) (string, bool) {
	for name, have := range w.ids {
		if have == id {
			return name, true
		}
	}
	return "", false
}

func (w *atlas) TopicNames() []string { return slices.Sorted(maps.Keys(w.n)) }
func (w *atlas) Version() uint64      { return w.version }

// name prints partitions as orders/0,1+users/2, none as "nothing".
func (w *atlas) name(ps []PartitionID) string {
	byTopic := make(map[string][]string)
	for _, p := range ps {
		name, ok := w.TopicName(p.Topic)
		if !ok {
			name = "gone"
		}
		byTopic[name] = append(byTopic[name], strconv.Itoa(int(p.Index)))
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		words = append(words, name+"/"+strings.Join(byTopic[name], ","))
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "+")
}

func (s *modernStage) Begin(words []string) {
	o, _ := story.Read(words)
	s.rules = DefaultModernRules()
	s.rules.MaxMembers, s.rules.AssignmentInterval = o.Int("max", 0), o.Duration("interval", 0)
	s.rules.Upgrade, s.rules.Downgrade = o.Or("upgrade", "yes") == "yes", o.Or("downgrade", "yes") == "yes"
	s.group, s.classic = NewModern("g", s.rules), nil
	s.world, s.clients, s.stored = newAtlas(), make(map[string]*modernClient), make(map[string][]byte)
	for name, n := range map[string]int32{"orders": 4, "users": 2} {
		s.world.ids[name], s.world.n[name] = [16]byte{name[0]}, n
	}
	s.before = s.standing()
}

func (s *modernStage) standing() string {
	if s.classic != nil {
		return fmt.Sprintf("a classic group, %s, generation %d", s.classic.State(), s.classic.Generation())
	}
	return fmt.Sprintf("%s, epoch %d, target of %d", s.group.State(), s.group.epoch, s.group.targetOf)
}

func (s *modernStage) PassTime(to time.Duration) {
	for s.classic == nil {
		next, ok := s.group.NextDeadline()
		if !ok || s.Since(next) > to {
			break
		}
		s.Now = s.Since(next)
		before := s.group.MemberIDs()
		e := s.group.Expire(next, &s.world)
		for _, id := range before {
			if !slices.Contains(s.group.MemberIDs(), id) {
				s.Tell("at %s: %s is out", s.Now, id)
			}
		}
		s.effects(e)
	}
}

func (s *modernStage) Act(words []string) {
	o, rest := story.Read(words)
	switch verb := rest[0]; verb {
	case "topic":
		n, _ := strconv.Atoi(rest[2])
		s.world.set(rest[1], int32(n))
	case "restart":
		s.restart()
	case "commit":
		s.commit(rest[1], o)
	default:
		c := s.clients[rest[1]]
		if c == nil {
			c = &modernClient{name: rest[1]}
			s.clients[c.name] = c
		}
		c.instance = o.Or("instance", c.instance)
		map[string]func(*modernClient, story.Options, []string){
			"hb": s.heartbeat, "leave": s.leave, "away": s.leave, "join": s.join, "sync": s.sync, "beat": s.beat, "part": s.part,
		}[verb](c, o, rest)
	}
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
}

func (s *modernStage) heartbeat(c *modernClient, o story.Options, rest []string) {
	h := MemberHeartbeat{
		MemberID: o.Or("id", c.id), InstanceID: c.instance, Epoch: int32(o.Int("epoch", int(c.epoch))), ClientID: c.name, RebalanceTimeout: -1,
		Owned: c.has,
	}
	if h.MemberID == "" {
		c.ids++
		h.MemberID = fmt.Sprintf("%s-%d", c.name, c.ids)
	}
	if h.Epoch == 0 {
		c.id, c.has = h.MemberID, epochs.SetOf[PartitionID]()
		h.Owned, h.RebalanceTimeout, h.Topics = c.has, 60*time.Second, []string{}
	}
	h.RebalanceTimeout = o.Duration("rebalance", h.RebalanceTimeout)
	if topics, ok := o["topics"]; ok {
		h.Topics = strings.FieldsFunc(topics, func(r rune) bool { return r == '+' })
	}
	if regex, ok := o["regex"]; ok {
		h.Regex = &regex
	}
	if assignor, ok := o["assignor"]; ok {
		h.Assignor = &assignor
	}
	if owned, ok := o["owned"]; ok {
		h.Owned = s.partitions(owned)
	}
	if slices.Contains(rest, "mute") {
		h.Owned = nil
	}
	a, e := s.group.Heartbeat(s.Time(), h, &s.world)
	if a.Err != nil {
		s.Tell("%s", story.Short(a.Err, "group g: member "+h.MemberID+": ", "group g: "))
		s.effects(e)
		return
	}
	text := fmt.Sprintf("%s in %d", a.MemberID, a.Epoch)
	if a.Interval != s.rules.HeartbeatInterval {
		text += fmt.Sprintf(", again in %s", a.Interval)
	}
	if a.Told {
		text += ", to have " + s.world.name(a.Assigned)
		if !slices.Contains(rest, "lost") {
			c.has = epochs.SetOf(a.Assigned...)
		}
	}
	if !slices.Contains(rest, "lost") {
		c.epoch = a.Epoch
	}
	s.Tell("%s", text)
	s.effects(e)
}

func (s *modernStage) partitions(text string) epochs.Set[PartitionID] {
	set := epochs.SetOf[PartitionID]()
	if text != "nothing" {
		for _, tp := range story.Partitions(text) {
			set[PartitionID{s.world.ids[tp.Topic], tp.Partition}] = struct{}{}
		}
	}
	return set
}

func (s *modernStage) leave(c *modernClient, o story.Options, rest []string) {
	epoch := int32(LeaveEpoch)
	if rest[0] == "away" {
		epoch = epochs.AwayEpoch
	}
	a, e := s.group.Heartbeat(s.Time(), MemberHeartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: epoch}, &s.world)
	s.Tell("%s", story.Short(a.Err, "group g: member "+c.id+": ", "group g: "))
	c.epoch, c.id = 0, ""
	s.effects(e)
}

// join is of a client of the classic protocol: protocols=range:orders+users,sticky:orders, and owned.
func (s *modernStage) join(c *modernClient, o story.Options, _ []string) {
	c.ids++
	req := JoinRequest{
		Ticket: 1, MemberID: o.Or("as", c.id), InstanceID: c.instance, NewMemberID: fmt.Sprintf("%s-%d", c.name, c.ids), ClientID: c.name,
		SessionTimeout: o.Duration("session", 10*time.Second), RebalanceTimeout: o.Duration("rebalance", 30*time.Second),
		ProtocolType: o.Or("type", consumerType), RequireKnownMember: o.Or("known", "no") == "yes",
	}
	owned := make(map[string][]int32)
	for p := range c.has {
		if name, ok := s.world.TopicName(p.Topic); ok {
			owned[name] = append(owned[name], p.Index)
		}
	}
	for p := range strings.SplitSeq(o.Or("protocols", "range:orders"), ",") {
		name, topics, _ := strings.Cut(p, ":")
		sub := Subscription{Topics: strings.Split(topics, "+"), Owned: owned}
		req.Protocols = append(req.Protocols, Protocol{name, EncodeSubscription(sub)})
	}
	e := s.group.Join(s.Time(), req, &s.world)
	for _, j := range e.Joins {
		if c.id = j.MemberID; j.Err != nil {
			s.Tell("%s", story.Short(j.Err, "group g: member "+j.MemberID+": ", "group g: "))
			continue
		}
		c.epoch = j.Generation
		s.Tell("%s joined in %d under %s", j.MemberID, j.Generation, j.ProtocolName)
	}
	if len(e.Joins) == 0 {
		s.Tell("%s waits", c.name)
	}
	s.effects(e)
}

func (s *modernStage) sync(c *modernClient, o story.Options, _ []string) {
	e := s.group.Sync(s.Time(), SyncRequest{
		Ticket: 1, MemberID: c.id, InstanceID: c.instance, Generation: int32(o.Int("gen", int(c.epoch))), ProtocolName: o.Or("protocol", ""),
	}, &s.world)
	r := e.Syncs[0]
	if r.Err != nil {
		s.Tell("%s", story.Short(r.Err, "group g: member "+c.id+": ", "group g: "))
	} else {
		a, err := DecodeAssignment(r.Assignment)
		if err != nil {
			panic(err)
		}
		c.has = s.group.identify(a, &s.world)
		s.Tell("assigned %s", s.world.name(sortPartitions(c.has)))
	}
	s.effects(e)
}

func (s *modernStage) beat(c *modernClient, o story.Options, _ []string) {
	err := s.group.HeartbeatClassic(s.Time(), c.id, c.instance, int32(o.Int("gen", int(c.epoch))))
	s.Tell("%s", story.Short(err, "group g: member "+c.id+": ", "group g: "))
}

// part is LeaveGroup.
func (s *modernStage) part(c *modernClient, o story.Options, _ []string) {
	errs, e := s.group.Leave(s.Time(), []LeaveMember{{MemberID: o.Or("as", c.id), InstanceID: c.instance}}, &s.world)
	s.Tell("%s", story.Short(errs[0], "group g: member "+c.id+": ", "group g: "))
	c.id, c.epoch, c.has = "", 0, nil
	s.effects(e)
}

func (s *modernStage) commit(who string, o story.Options) {
	req := CommitRequest{Generation: -1, Epochless: o.Or("old", "no") == "yes", Offsets: make(map[log.TopicPartition]Offset)}
	if c := s.clients[who]; c != nil {
		req.MemberID, req.Generation = c.id, c.epoch
	}
	req.Generation = int32(o.Int("epoch", int(req.Generation)))
	for _, tp := range story.Partitions(o.Or("of", "orders/0")) {
		req.Offsets[tp] = Offset{TopicID: s.world.ids[tp.Topic]}
	}
	check := s.group.CheckCommit
	if o.Or("tx", "no") == "yes" {
		req.owner, check = "tx", s.group.CheckTxnCommit
	}
	s.Tell("%s", story.Short(check(req), "group g: member "+req.MemberID+": ", "group g: "))
}

// effects stores what is to be stored.
func (s *modernStage) effects(e Effects) {
	if e.Change != nil {
		if e.Change.Group != nil {
			s.stored[""] = e.Change.Group
		}
		for id, v := range e.Change.Members {
			if s.stored[id] = v; v == nil {
				delete(s.stored, id)
			}
		}
	}
	s.classic = e.Classic
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
}

// restart has the group come back as it was stored.
func (s *modernStage) restart() {
	g, err := RestoreModern("g", s.rules, s.stored[""])
	if err != nil {
		panic(err)
	}
	for _, id := range slices.Sorted(maps.Keys(s.stored)) {
		if id != "" {
			if err := g.RestoreMember(s.Time(), id, s.stored[id]); err != nil {
				panic(err)
			}
		}
	}
	s.group = g
}

// Check compares the group with the store.
func (s *modernStage) Check() error {
	if s.classic != nil {
		if len(s.stored) > 1 {
			return fmt.Errorf("a classic group, and there is stored %v", slices.Collect(maps.Keys(s.stored)))
		}
		return nil
	}
	return checkModern(s.group, s.stored)
}

// checkModern says what is not as it must always be of a group, and of what is stored of it.
func checkModern(g *Modern, stored map[string][]byte) error {
	owners, targets := make(map[PartitionID]string), make(map[PartitionID]string)
	for id, m := range g.members {
		for _, some := range []map[PartitionID]int32{m.Assigned, m.Revoking} {
			for p := range some {
				if other := owners[p]; other != "" {
					return fmt.Errorf("%s and %s have %v", other, id, p)
				}
				owners[p] = id
			}
		}
		for p := range g.target[id] {
			if other := targets[p]; other != "" {
				return fmt.Errorf("%s and %s should have %v", other, id, p)
			}
			targets[p] = id
		}
		if m.Epoch > g.epoch || m.instance != "" && g.byInstance[m.instance] != m || (m.State == epochs.Unrevoked) != (len(m.Revoking) > 0) {
			return fmt.Errorf("%s is %+v", id, m)
		}
		if !bytes.Equal(stored[id], g.encodeMember(m)) {
			return fmt.Errorf("stored of %s is %s, want %s", id, stored[id], g.encodeMember(m))
		}
	}
	for id := range g.target {
		if g.members[id] == nil {
			return fmt.Errorf("%s has a target, and is gone", id)
		}
	}
	if !maps.Equal(owners, g.owners) {
		return fmt.Errorf("owners %v, want %v", g.owners, owners)
	}
	if len(stored) > 0 && (len(stored) != len(g.members)+1 || !bytes.Equal(stored[""], g.encode(g.epoch, g.targetOf))) {
		return fmt.Errorf("stored are %d, of the group %s, want %s", len(stored), stored[""], g.encode(g.epoch, g.targetOf))
	}
	return nil
}
