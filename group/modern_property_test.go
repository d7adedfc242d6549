package group

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/log"
)

// Clients of both protocols come, go, crash, miss answers and are late, topics come, grow and go, the broker restarts, and the
// group changes its protocol with its members: no partition is with two who are in the group, what is stored is the group, and when
// all is calm everything that somebody wants is with somebody.
func TestModernProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &modernWorld{t: t, atlas: newAtlas(), stored: make(map[string][]byte), now: time.Unix(1000, 0)}
		w.rules = DefaultModernRules()
		w.rules.AssignmentInterval = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "interval")
		w.modern = NewModern("g", w.rules)
		w.atlas.set("a", 3)
		w.atlas.set("b", 2)
		for i := range 4 {
			c := &worldClient{name: fmt.Sprint("c", i)}
			if rapid.Bool().Draw(t, "static") {
				c.instance = "I" + c.name
			}
			w.clients = append(w.clients, c)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step()
			w.check()
		}
		w.calm()
	})
}

// worldClient is a client, and what it believes.
type worldClient struct {
	name, id, instance string
	ids                int
	in, classic, eager bool
	synced             bool   // of the classic protocol: it has been assigned as of its epoch
	shape              uint64 // of the topics, as of when it joined
	epoch              int32
	has                epochs.Set[PartitionID]
	topics             []string
	regex              string
}

type modernWorld struct {
	t       *rapid.T
	atlas   atlas
	rules   ModernRules
	modern  *Modern // or
	classic *Group
	stored  map[string][]byte
	clients []*worldClient
	now     time.Time
	ticket  Ticket
}

func (w *modernWorld) step() {
	c := rapid.SampledFrom(w.clients).Draw(w.t, "client")
	switch rapid.IntRange(0, 9).Draw(w.t, "what") {
	case 0:
		name := rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(w.t, "topic")
		n := int32(rapid.IntRange(0, 4).Draw(w.t, "partitions"))
		if n > 0 {
			n = max(n, w.atlas.n[name])
		}
		w.atlas.set(name, n)
	case 1:
		w.pass(time.Duration(rapid.IntRange(0, 30).Draw(w.t, "seconds")) * time.Second)
	case 2:
		w.restart()
	case 3:
		w.goAway(c)
	default:
		if !c.in {
			c.classic = rapid.Bool().Draw(w.t, "classic")
			c.eager = rapid.Bool().Draw(w.t, "eager")
		}
		if !c.in || rapid.IntRange(0, 3).Draw(w.t, "other topics") == 0 {
			c.topics = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b"}), 0, 2, rapid.ID).Draw(w.t, "topics")
			c.regex = rapid.SampledFrom([]string{"", "a.*"}).Draw(w.t, "regex")
		}
		w.live(c, rapid.SampledFrom([]string{"", "", "", "mute", "lost"}).Draw(w.t, "how"))
	}
}

// goAway has a client leave, or leave to come back, or crash.
func (w *modernWorld) goAway(c *worldClient) {
	how := rapid.SampledFrom([]string{"leaves", "away", "crashes"}).Draw(w.t, "how")
	switch {
	case !c.in:
	case w.classic != nil:
		if how == "leaves" {
			_, e := w.classic.Leave(w.now, []LeaveMember{{MemberID: c.id, InstanceID: c.instance}})
			w.done(c.id, e)
			w.settle()
		}
	case how == "leaves" && c.classic:
		_, e := w.modern.Leave(w.now, []LeaveMember{{MemberID: c.id, InstanceID: c.instance}}, &w.atlas)
		w.effects(e)
	case how == "leaves" || how == "away" && c.instance != "" && !c.classic:
		epoch := int32(LeaveEpoch)
		if how == "away" {
			epoch = epochs.AwayEpoch
		}
		_, e := w.modern.Heartbeat(w.now, MemberHeartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: epoch}, &w.atlas)
		w.effects(e)
	}
	c.in, c.has, c.epoch, c.id = false, nil, 0, ""
	w.settle()
}

// live is a heartbeat, or whatever it takes to be in the group.
func (w *modernWorld) live(c *worldClient, how string) {
	if c.classic {
		w.liveClassic(c)
	} else {
		w.liveModern(c, how)
	}
	w.settle()
}

func (w *modernWorld) liveModern(c *worldClient, how string) {
	h := MemberHeartbeat{
		MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch, RebalanceTimeout: 20 * time.Second, Topics: append([]string{}, c.topics...),
		Regex: &c.regex, Owned: maps.Clone(c.has),
	}
	if !c.in {
		c.ids++
		h.MemberID, h.Epoch, h.Owned = fmt.Sprintf("%s-%d", c.name, c.ids), 0, epochs.SetOf[PartitionID]()
	}
	if how == "mute" && c.in {
		h.Owned = nil
	}
	if w.classic != nil {
		if h.Epoch != 0 {
			c.in = false
			return
		}
		m, err := w.classic.Upgrade(w.now, w.rules, &w.atlas)
		if err != nil {
			w.t.Fatal(err)
		}
		w.modern, w.classic = m, nil
	}
	a, e := w.modern.Heartbeat(w.now, h, &w.atlas)
	w.effects(e)
	switch {
	case errors.Is(a.Err, log.ErrUnreleasedInstance), errors.Is(a.Err, log.ErrGroupFull):
		return
	case a.Err != nil:
		c.in, c.has, c.epoch = false, nil, 0
		return
	case how == "lost":
		return // a new one comes again under another id, and this one's session ends; a static one is not released
	}
	c.in, c.id, c.epoch = true, a.MemberID, a.Epoch
	if a.Told {
		c.has = epochs.SetOf(a.Assigned...)
	}
}

func (w *modernWorld) joinRequest(c *worldClient) JoinRequest {
	w.ticket++
	c.ids++
	req := JoinRequest{
		Ticket: w.ticket, InstanceID: c.instance, NewMemberID: fmt.Sprintf("%s-%d", c.name, c.ids), SessionTimeout: 30 * time.Second,
		RebalanceTimeout: 20 * time.Second, ProtocolType: consumerType,
	}
	if c.in {
		req.MemberID = c.id
	}
	owned := make(map[string][]int32)
	for p := range c.has {
		if name, ok := w.atlas.TopicName(p.Topic); ok {
			owned[name] = append(owned[name], p.Index)
		}
	}
	req.Protocols = []Protocol{{"range", EncodeSubscription(Subscription{Topics: c.topics, Owned: owned, Generation: c.epoch})}}
	return req
}

func (w *modernWorld) liveClassic(c *worldClient) {
	if w.classic == nil && len(w.modern.members) == 0 {
		w.classic, w.modern = NewGroup("g", Rules{}), nil
	}
	if w.classic != nil {
		if !c.in {
			w.joinAll(c)
		}
		return
	}
	if c.in && c.synced {
		err := w.modern.HeartbeatClassic(w.now, c.id, c.instance, c.epoch)
		switch {
		case err == nil && c.shape == w.atlas.version:
			return
		case err == nil: // it sees by itself that topics have changed
		case !errors.Is(err, log.ErrRebalanceInProgress):
			c.in, c.has = false, nil
			return
		}
	}
	if !c.in || c.synced {
		w.join(c)
		return
	}
	e := w.modern.Sync(w.now, SyncRequest{Ticket: 1, MemberID: c.id, InstanceID: c.instance, Generation: c.epoch}, &w.atlas)
	w.effects(e)
	w.synced(c, e.Syncs[0])
}

func (w *modernWorld) join(c *worldClient) {
	if c.eager || !c.in {
		c.has = epochs.SetOf[PartitionID]()
	}
	e := w.modern.Join(w.now, w.joinRequest(c), &w.atlas)
	w.effects(e)
	w.joined(c, e)
}

func (w *modernWorld) joined(c *worldClient, e Effects) {
	for _, j := range e.Joins {
		if j.Err != nil {
			c.in, c.has = false, nil
			continue
		}
		c.in, c.id, c.epoch, c.synced, c.shape = true, j.MemberID, j.Generation, false, w.atlas.version
	}
}

func (w *modernWorld) synced(c *worldClient, r SyncResponse) {
	switch {
	case errors.Is(r.Err, log.ErrRebalanceInProgress):
		c.synced = true // it joins again
	case r.Err != nil:
		c.in, c.has = false, nil
	default:
		a, err := DecodeAssignment(r.Assignment)
		if err != nil {
			w.t.Fatal(err)
		}
		c.has, c.synced = NewModern("", w.rules).identify(a, &w.atlas), true
	}
}

// settle has the members of a classic group join and sync, until it is stable.
func (w *modernWorld) settle() {
	if w.classic == nil {
		return
	}
	clear(w.stored)
	if w.classic.State() != Stable {
		w.joinAll(nil)
	}
}

// joinAll has all members of the classic group join, and another one.
func (w *modernWorld) joinAll(new *worldClient) {
	g := w.classic
	waiting := make(map[Ticket]*worldClient)
	var joins []JoinResponse
	for _, c := range w.clients {
		if c != new && (!c.in || g.byID[c.id] == nil) {
			c.in, c.has = false, nil
			continue
		}
		c.has = nil
		req := w.joinRequest(c)
		waiting[req.Ticket] = c
		joins = append(joins, g.Join(w.now, req).Joins...)
	}
	for _, m := range slices.Clone(g.members) { // who has crashed
		if m.join == 0 && !slices.ContainsFunc(joins, func(j JoinResponse) bool { return j.MemberID == m.id }) {
			joins = append(joins, g.expireMembers(w.now, []string{m.id}).Joins...)
		}
	}
	var leader JoinResponse
	for _, j := range joins {
		c := waiting[j.Ticket]
		if c == nil {
			continue
		}
		if j.Err != nil {
			c.in = false
			continue
		}
		c.in, c.id, c.epoch, c.shape = true, j.MemberID, j.Generation, w.atlas.version
		if len(j.Members) > 0 {
			leader = j
		}
	}
	if g.State() != CompletingRebalance {
		return
	}
	var members []AssignMember
	for _, m := range leader.Members {
		sub, _ := DecodeSubscription(m.Metadata)
		members = append(members, AssignMember{ID: m.ID, Subscription: sub})
	}
	assignments := make(map[string][]byte)
	for id, a := range Range().Assign(members, w.atlas.n) {
		assignments[id] = EncodeAssignment(a)
	}
	order := slices.Clone(w.clients)
	slices.SortFunc(order, func(a, b *worldClient) int { return map[bool]int{true: -1}[a.id == leader.MemberID] })
	for _, c := range order {
		if c.in {
			e := g.Sync(w.now, SyncRequest{Ticket: 1, MemberID: c.id, InstanceID: c.instance, Generation: c.epoch, Assignments: assignments})
			for _, r := range e.Syncs {
				w.synced(c, r)
			}
		}
	}
}

// pass lets time pass. Who is put out is no more in.
func (w *modernWorld) pass(d time.Duration) {
	end := w.now.Add(d)
	for w.classic == nil {
		next, ok := w.modern.NextDeadline()
		if !ok || next.After(end) {
			break
		}
		w.now = next
		w.effects(w.modern.Expire(next, &w.atlas))
		for _, c := range w.clients {
			if c.in && w.classic == nil && w.modern.members[c.id] == nil || c.in && w.classic != nil && w.classic.byID[c.id] == nil {
				c.in, c.has = false, nil // it learns that with its next heartbeat, and commits nothing any more
			}
		}
	}
	w.now = end
	if w.classic != nil { // nobody is late there
		for _, m := range w.classic.members {
			m.alive(w.now)
		}
		w.classic.joinDeadline, w.classic.syncDeadline = time.Time{}, time.Time{}
	}
	w.settle()
}

func (w *modernWorld) done(id string, e Effects) { w.effects(e) }

func (w *modernWorld) effects(e Effects) {
	if e.Change != nil {
		if e.Change.Group != nil {
			w.stored[""] = e.Change.Group
		}
		for id, v := range e.Change.Members {
			if w.stored[id] = v; v == nil {
				delete(w.stored, id)
			}
		}
	}
	if e.Classic != nil {
		w.classic, w.modern = e.Classic, nil
		if len(w.stored) > 1 {
			w.t.Fatalf("a classic group, and there is stored %v", slices.Collect(maps.Keys(w.stored)))
		}
	}
}

func (w *modernWorld) restart() {
	if w.classic != nil || len(w.stored) == 0 {
		return
	}
	g, err := RestoreModern("g", w.rules, w.stored[""])
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(w.stored)) {
		if id != "" {
			if err := g.RestoreMember(w.now, id, w.stored[id]); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.modern = g
}

func (w *modernWorld) check() {
	if w.classic == nil {
		if err := checkModern(w.modern, w.stored); err != nil {
			w.t.Fatal(err)
		}
	}
	owner := make(map[PartitionID]string)
	for _, c := range w.clients {
		for p := range c.has {
			if other := owner[p]; other != "" && c.in {
				w.t.Fatalf("%s and %s have %v", other, c.name, p)
			}
			if owner[p] = c.name; !c.in {
				delete(owner, p)
			}
		}
	}
}

// calm has all who are in heartbeat until nothing changes: then all that somebody wants is with somebody.
func (w *modernWorld) calm() {
	for range 12 {
		w.pass(5 * time.Second) // who has crashed is out at last
		for _, c := range w.clients {
			if c.in {
				w.live(c, "")
				w.check()
			}
			if c.in && c.classic && !c.synced {
				w.live(c, "")
				w.check()
			}
		}
	}
	if w.classic != nil {
		return
	}
	has := make(map[PartitionID]bool)
	want := make(map[PartitionID]bool)
	for _, c := range w.clients {
		if !c.in {
			continue
		}
		for p := range c.has {
			if _, is := w.atlas.TopicName(p.Topic); is { // a classic member may think for long that it has others
				has[p] = true
			}
		}
		m := w.modern.members[c.id]
		if m == nil {
			w.t.Fatalf("%s is not in the group", c.id)
		}
		for _, name := range w.modern.wanted(m) {
			id, n, err := w.atlas.TopicID(name)
			for i := range n {
				if err == nil {
					want[PartitionID{id, i}] = true
				}
			}
		}
	}
	if !maps.Equal(has, want) || len(w.modern.members) > 0 && w.modern.State() != Stable {
		w.t.Fatalf("it is %s, and the clients have %s, want %s", w.modern.State(), w.atlas.name(sortPartitions(has)), w.atlas.name(sortPartitions(want)))
	}
}
