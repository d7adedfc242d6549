package streams

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

// TestProperties plays random members of a group: they come, lose answers, give up tasks late or never, go and come back;
// topics grow and configs change; the broker dies and begins again with what was stored. After each call no task is
// active with two members, nor with one that runs it still, and when all is calm all tasks are somewhere and stay there.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { w.check() },
			"join":    func(*rapid.T) { w.join() },
			"beat":    func(*rapid.T) { w.beat(w.one(), true) },
			"lost":    func(*rapid.T) { w.beat(w.one(), false) },
			"silent":  func(*rapid.T) { w.silent() },
			"leave":   func(*rapid.T) { w.leave() },
			"away":    func(*rapid.T) { w.away() },
			"wrong":   func(*rapid.T) { w.wrong() },
			"time":    func(*rapid.T) { w.pass(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second) },
			"grow":    func(*rapid.T) { w.topics["lines"]++; w.topics["log"] = w.topics["lines"] },
			"configs": func(*rapid.T) { w.config.Standbys = rapid.IntRange(0, 2).Draw(t, "standbys") },
			"restart": func(*rapid.T) { w.restart() },
		})
		w.calm()
	})
}

// world is a group under test, and its members as they know themselves.
type world struct {
	*rapid.T
	group    *Group
	now      time.Time
	config   Config
	topology Topology
	topics   map[string]int32
	clients  []*runner
	n        int
	stored   stored
}

// runner is a client. It runs what it was told, until it gives up what it was told to: before it says so.
type runner struct {
	id, instance, process string
	epoch                 int32
	runs                  Tasks
	gone                  bool // it has left, or was told that it is out
}

func newWorld(t *rapid.T) *world {
	w := &world{T: t, group: NewGroup("g"), now: time.Unix(1000, 0), config: DefaultConfig(), topics: map[string]int32{"lines": 3, "log": 3, "more": 2}}
	w.config.InitialDelay = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "delay")
	w.topology, _ = readTopology("a: lines ~log | b: more").Normal()
	return w
}

func (w *world) around() Surroundings {
	return Surroundings{Config: w.config, Topic: func(name string) (Topic, bool) {
		n, ok := w.topics[name]
		return Topic{Partitions: n}, ok
	}}
}

// one draws a client that believes to be a member.
func (w *world) one() *runner {
	w.clients = slices.DeleteFunc(w.clients, func(c *runner) bool { return c.gone })
	for len(w.clients) == 0 {
		w.join() // which is refused to who takes a place that is not free
	}
	return rapid.SampledFrom(w.clients).Draw(w.T, "member")
}

func (w *world) persist(e Effects) {
	if e.Persist != nil {
		w.stored = keep(*e.Persist)
	}
}

func (w *world) join() {
	w.n++
	c := &runner{id: fmt.Sprint("m", w.n), process: rapid.SampledFrom([]string{"p", "q", "r"}).Draw(w.T, "process"), runs: newTasks()}
	if c.instance = rapid.SampledFrom([]string{"", "", "A", "B"}).Draw(w.T, "instance"); c.instance != "" {
		c.process = "of " + c.instance
	}
	topology, none := w.topology, newTasks()
	answer, e, err := w.group.Heartbeat(w.now, Heartbeat{
		MemberID: c.id, InstanceID: c.instance, ProcessID: c.process, Topology: &topology, Owned: &none, RebalanceTimeout: 10 * time.Second,
	}, w.around())
	if errors.Is(err, log.ErrUnreleasedInstance) {
		return
	}
	if err != nil {
		w.Fatalf("join: %v", err)
	}
	w.persist(e)
	w.clients = append(w.clients, c)
	w.learn(c, answer)
}

func (w *world) learn(c *runner, a Answer) {
	c.epoch = a.Epoch
	if a.Tasks != nil {
		c.runs = a.Tasks.clone()
	}
}

// beat is a heartbeat of a client, whose answer it gets or not. One that is lost is asked for again with all that counts,
// as clients do.
func (w *world) beat(c *runner, heard bool) {
	owned := c.runs.clone()
	answer, e, err := w.group.Heartbeat(w.now, Heartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch, Owned: &owned}, w.around())
	switch {
	case errors.Is(err, log.ErrUnknownMember), errors.Is(err, log.ErrFencedMemberEpoch), errors.Is(err, log.ErrFencedInstance):
		c.gone, c.runs = true, newTasks()
		return
	case err != nil:
		w.Fatalf("heartbeat: %v", err)
	}
	w.persist(e)
	if heard {
		w.learn(c, answer)
		return
	}
	w.again(c, answer)
}

// again is the retry of a client that has not heard an answer, which the group has to let pass.
func (w *world) again(c *runner, lost Answer) {
	owned := c.runs.clone()
	answer, e, err := w.group.Heartbeat(w.now, Heartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch, Owned: &owned}, w.around())
	if errors.Is(err, log.ErrFencedMemberEpoch) { // it had more than it has now
		m := w.group.members[c.id]
		if m.has.holds(owned) && m.previous == c.epoch {
			w.Fatalf("retry of epoch %d, told %d: %v", c.epoch, lost.Epoch, err)
		}
		c.gone, c.runs = true, newTasks()
		return
	}
	if err != nil {
		w.Fatalf("retry: %v", err)
	}
	w.persist(e)
	w.learn(c, answer)
	if answer.Tasks == nil { // it asks for all with the next, as it does not know
		c.runs = w.group.members[c.id].has.clone()
	}
}

// silent is a heartbeat without tasks: nothing is given up by it.
func (w *world) silent() {
	c := w.one()
	answer, e, err := w.group.Heartbeat(w.now, Heartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch}, w.around())
	if err != nil {
		c.gone, c.runs = true, newTasks()
		return
	}
	w.persist(e)
	w.learn(c, answer)
}

func (w *world) leave() {
	c := w.one()
	c.gone, c.runs = true, newTasks()
	if _, e, err := w.group.Heartbeat(w.now, Heartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: leaveEpoch}, w.around()); err == nil {
		w.persist(e)
	}
}

func (w *world) away() {
	c := w.one()
	if c.instance == "" {
		return
	}
	c.gone, c.runs = true, newTasks()
	if _, e, err := w.group.Heartbeat(w.now, Heartbeat{MemberID: c.id, InstanceID: c.instance, Epoch: leftForNow}, w.around()); err == nil {
		w.persist(e)
	}
}

// wrong is what nobody says who knows what is so. With an error nothing changes.
func (w *world) wrong() {
	c := w.one()
	before := keep(w.group.Snapshot()).String()
	owned := Tasks{Active: TaskSet{{"nowhere", 1}: 0}, Standby: {}, Warmup: {}}
	req := rapid.SampledFrom([]Heartbeat{
		{MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch + 10, Owned: &owned},
		{MemberID: c.id, InstanceID: c.instance, Epoch: c.epoch, Owned: &owned},
		{MemberID: "nobody", Epoch: c.epoch + 1},
		{MemberID: "nobody", Epoch: leaveEpoch},
		{MemberID: c.id, InstanceID: "nobody", Epoch: leftForNow},
	}).Draw(w.T, "request")
	_, _, err := w.group.Heartbeat(w.now, req, w.around())
	if err == nil {
		w.Fatalf("accepted: %+v", req)
	}
	if after := keep(w.group.Snapshot()).String(); after != before {
		w.Fatalf("refused with %v, but\n%s is now\n%s", err, before, after)
	}
}

func (w *world) pass(d time.Duration) {
	to := w.now.Add(d)
	for range 1000 {
		next, ok := w.group.NextDeadline()
		if !ok || next.After(to) {
			w.now = to
			return
		}
		w.now = next
		gone, e := w.group.Expire(next)
		w.persist(e)
		for _, m := range gone { // who is not heard of for so long has ended itself
			for _, c := range w.clients {
				if c.id == m.MemberID {
					c.runs = newTasks()
				}
			}
		}
	}
	w.Fatalf("a deadline that stays")
}

func (w *world) restart() {
	if w.stored.head == nil {
		return
	}
	before := keep(w.group.Snapshot()).String()
	s, err := w.stored.decode()
	if err != nil {
		w.Fatalf("%v: %s", err, w.stored)
	}
	w.group = Restore(w.now, "g", w.config, s)
	if after := keep(w.group.Snapshot()).String(); after != before {
		w.Fatalf("restored is %s, was %s", after, before)
	}
}

func (w *world) check() {
	if err := w.group.check(); err != nil {
		w.Fatalf("%v", err)
	}
	running := make(map[TaskID]string)
	for _, c := range w.clients {
		for t := range c.runs[Active] {
			if other := running[t]; other != "" {
				w.Fatalf("%s runs with %s and %s", t, other, c.id)
			}
			running[t] = c.id
		}
	}
}

// calm lets all that live do what they are told, until nothing changes: all tasks are somewhere then, as the target says,
// and stay there.
func (w *world) calm() {
	w.one()
	w.pass(3 * time.Second)
	for range 50 {
		w.pass(2 * time.Second)
		w.clients = slices.DeleteFunc(w.clients, func(c *runner) bool { return c.gone })
		for _, c := range w.clients {
			w.beat(c, true)
			w.check()
		}
	}
	if len(w.clients) == 0 {
		return
	}
	if w.group.State() != Stable {
		w.Fatalf("it is %s when all is calm: %s", w.group.State(), keep(w.group.Snapshot()))
	}
	before := keep(w.group.Snapshot()).String()
	for _, c := range w.clients {
		w.beat(c, true)
		if !c.runs.equal(w.group.members[c.id].target.withEpochsOf(c.runs)) {
			w.Fatalf("%s runs %s and is to run %s", c.id, tellTasks(c.runs), tellTasks(w.group.members[c.id].target))
		}
	}
	if after := keep(w.group.Snapshot()).String(); after != before {
		w.Fatalf("%s\nbecomes without a reason\n%s", before, after)
	}
}

// withEpochsOf returns t with the epochs that the tasks have in other.
func (t Tasks) withEpochsOf(other Tasks) Tasks {
	c := t.clone()
	for r := range c {
		for id := range c[r] {
			c[r][id] = other[r][id]
		}
	}
	return c
}
