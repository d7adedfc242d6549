package group

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/log"
)

// TestProperties plays random sequences of calls, among them wrong ones, and checks after
// each what must hold always.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.Repeat()
		w.drain()
	})
}

// world is a group under test, and what has been seen of it.
type world struct {
	*rapid.T
	group      *Group
	rules      Rules
	now        time.Time
	tickets    Ticket
	ids        int
	waiting    map[Ticket]bool
	known      []string             // all ids ever told, and one that never was
	generation int32                // the highest seen
	told       map[int32]generation // what the first answer of each said
	lasts      map[string]int32     // the generation that a member id was told last
	identity   map[string]string    // of a static member id: its instance
	stored     Snapshot
}

// generation is what all of one generation are told alike.
type generation struct{ protocolType, protocolName, leader string }

func newWorld(t *rapid.T) *world {
	w := &world{
		T:        t,
		now:      time.Unix(1000, 0),
		known:    []string{"stranger"},
		waiting:  make(map[Ticket]bool),
		told:     make(map[int32]generation),
		lasts:    make(map[string]int32),
		identity: make(map[string]string),
		rules: Rules{
			MaxMembers:   rapid.SampledFrom([]int{0, 3}).Draw(t, "members"),
			InitialDelay: rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "delay"),
		},
	}
	w.group = NewGroup("g", w.rules)
	return w
}

// Repeat draws the calls.
func (w *world) Repeat() {
	w.T.Repeat(map[string]func(*rapid.T){
		"":          func(*rapid.T) { w.check() },
		"join new":  func(*rapid.T) { w.join("", w.instance()) },
		"join old":  func(*rapid.T) { w.join(w.id(), w.instance()) },
		"join same": func(*rapid.T) { id := w.id(); w.join(id, w.identity[id]) },
		"sync":      func(*rapid.T) { w.sync() },
		"heartbeat": func(*rapid.T) { _ = w.group.Heartbeat(w.now, w.id(), "", w.anyGeneration()) },
		"commit":    func(*rapid.T) { w.commit() },
		"leave":     func(*rapid.T) { w.leave() },
		"time":      func(*rapid.T) { w.pass(time.Duration(rapid.IntRange(0, 8).Draw(w.T, "seconds")) * time.Second) },
		"cancel":    func(*rapid.T) { w.cancel() },
		"restart":   func(*rapid.T) { w.restart() },
	})
}

func (w *world) id() string { return rapid.SampledFrom(w.known).Draw(w.T, "id") }
func (w *world) instance() string {
	return rapid.SampledFrom([]string{"", "", "A", "B"}).Draw(w.T, "instance")
}

func (w *world) anyGeneration() int32 {
	return max(-1, w.group.Generation()-rapid.SampledFrom([]int32{0, 0, 0, 1, -1}).Draw(w.T, "behind"))
}

func (w *world) call() Ticket {
	w.tickets++
	w.waiting[w.tickets] = true
	return w.tickets
}

func (w *world) join(id, instance string) {
	w.ids++
	// a handful of subscriptions: names that all share, and one that not all do
	ps := rapid.SampledFrom([][]Protocol{
		{{"range", []byte("x")}}, {{"range", []byte("y")}},
		{{"sticky", []byte("x")}, {"range", []byte("x")}}, {{"sticky", []byte("x")}},
	}).Draw(w.T, "protocols")
	req := JoinRequest{
		Ticket:             w.call(),
		MemberID:           id,
		InstanceID:         instance,
		NewMemberID:        fmt.Sprintf("m%d", w.ids),
		RequireKnownMember: rapid.Bool().Draw(w.T, "twostep"),
		SkipAssignment:     rapid.Bool().Draw(w.T, "skip"),
		SessionTimeout:     time.Duration(rapid.IntRange(0, 10).Draw(w.T, "session")) * time.Second,
		RebalanceTimeout:   time.Duration(rapid.IntRange(0, 20).Draw(w.T, "rebalance")) * time.Second,
		ProtocolType:       "test",
		Protocols:          ps,
	}
	w.identity[req.NewMemberID] = instance
	w.apply(w.group.Join(w.now, req))
}

func (w *world) sync() {
	d := w.group.Describe()
	id := d.Leader
	if id == "" || rapid.Bool().Draw(w.T, "anybody") {
		id = w.id()
	}
	assignments := make(map[string][]byte)
	for _, m := range d.Members {
		assignments[m.ID] = fmt.Appendf(nil, "%s of %d", m.ID, d.Generation)
	}
	w.apply(w.group.Sync(w.now, SyncRequest{Ticket: w.call(), MemberID: id, Generation: w.anyGeneration(), Assignments: assignments}))
}

// commit: what the group lets through comes from a member, of this generation.
func (w *world) commit() {
	id, generation := w.id(), w.anyGeneration()
	if rapid.Bool().Draw(w.T, "as told") {
		generation = w.lasts[id]
	}
	d := w.group.Describe()
	err := w.group.CheckCommit(w.now, id, "", generation)
	isMember := slices.ContainsFunc(d.Members, func(m MemberDescription) bool { return m.ID == id })
	switch {
	case err == nil && d.State == Empty && generation < 0:
	case err == nil && (!isMember || generation != d.Generation || d.State == CompletingRebalance):
		w.Fatalf("%s of generation %d may commit: %+v", id, generation, d)
	case err != nil && isMember && generation == d.Generation && d.State != CompletingRebalance:
		w.Fatalf("%s of generation %d may not commit: %v", id, generation, err)
	}
}

func (w *world) leave() {
	id, instance := w.id(), w.instance()
	if instance != "" && rapid.Bool().Draw(w.T, "by instance") {
		id = ""
	}
	errs, e := w.group.Leave(w.now, []LeaveMember{{id, instance}})
	w.apply(e)
	if errs[0] == nil && id != "" {
		if err := w.group.Heartbeat(w.now, id, "", w.group.Generation()); !errors.Is(err, log.ErrUnknownMember) {
			w.Fatalf("%s has left, heartbeat: %v", id, err)
		}
	}
}

func (w *world) cancel() {
	for ticket := range w.waiting {
		if rapid.Bool().Draw(w.T, "this one") {
			delete(w.waiting, ticket)
			w.apply(w.group.Cancel(w.now, ticket))
			return
		}
	}
}

// pass is the coordinator's timer.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for steps := 0; ; steps++ {
		next, ok := w.group.NextDeadline()
		if !ok || next.After(w.now) {
			return
		}
		if steps > 100 {
			w.Fatalf("the deadline stays at %s", next)
		}
		w.apply(w.group.Expire(w.now))
	}
}

func (w *world) restart() {
	clear(w.waiting)
	s, err := DecodeSnapshot(w.stored.Encode())
	if err != nil {
		w.Fatal(err)
	}
	before := w.group.Describe()
	w.group = Restore(w.now, "g", w.rules, s)
	after := w.group.Describe()
	if after.State != Stable {
		return
	}
	// The rebalance that was under way is forgotten, if there was one; what it was to end is not.
	if before.Generation != after.Generation || before.State == CompletingRebalance {
		w.Fatalf("restored %+v from %+v", after, before)
	}
	for i, m := range after.Members {
		if before.State == Stable && !reflect.DeepEqual(m, before.Members[i]) {
			w.Fatalf("restored %+v from %+v", m, before.Members[i])
		}
	}
}

func (w *world) apply(e Effects) {
	if e.Persist != nil {
		w.stored = *e.Persist
	}
	for _, r := range e.Joins {
		w.answered(r.Ticket)
		if r.Err == nil {
			w.joined(r)
		}
		if r.Err == nil || errors.Is(r.Err, log.ErrMemberIDRequired) {
			w.known = append(w.known, r.MemberID)
		}
	}
	for _, r := range e.Syncs {
		w.answered(r.Ticket)
		if r.Err == nil && w.group.State() != Stable {
			w.Fatalf("synced in %s", w.group.State())
		}
	}
}

func (w *world) answered(ticket Ticket) {
	if !w.waiting[ticket] {
		w.Fatalf("ticket %d was answered before, or cancelled", ticket)
	}
	delete(w.waiting, ticket)
}

// joined: all that a generation's members are told agrees, the leader's id but for static
// members, which get new ones. One is the leader, who alone gets the members.
func (w *world) joined(r JoinResponse) {
	if r.Generation != w.stored.Generation {
		w.Fatalf("generation %d was told, %d is stored", r.Generation, w.stored.Generation)
	}
	w.lasts[r.MemberID] = r.Generation
	leader := r.Leader
	if instance := w.identity[leader]; instance != "" {
		leader = "instance " + instance
	}
	now := generation{r.ProtocolType, r.ProtocolName, leader}
	if first, ok := w.told[r.Generation]; ok && first != now {
		w.Fatalf("generation %d: told %+v, then %+v", r.Generation, first, now)
	}
	w.told[r.Generation] = now
	if leads := r.Leader == r.MemberID; leads != (r.Members != nil) {
		w.Fatalf("%s, led by %s, got %d members", r.MemberID, r.Leader, len(r.Members))
	}
	for _, m := range r.Members {
		if m.Metadata == nil {
			w.Fatalf("%s does not support %s", m.ID, r.ProtocolName)
		}
	}
}

// check is what holds between calls.
func (w *world) check() {
	g, d := w.group, w.group.Describe()
	if d.Generation < w.generation {
		w.Fatalf("generation %d after %d", d.Generation, w.generation)
	}
	w.generation = d.Generation
	if empty := d.State == Empty; empty != (len(d.Members) == 0) || empty != (d.Leader == "") {
		w.Fatalf("%s with %d members, leader %q", d.State, len(d.Members), d.Leader)
	}
	if len(g.byID) != len(g.members) || w.rules.MaxMembers > 0 && len(g.members) > w.rules.MaxMembers {
		w.Fatalf("%d members, %d by id", len(g.members), len(g.byID))
	}
	if g.joinDeadline.IsZero() == (d.State == PreparingRebalance) {
		w.Fatalf("%s with join deadline %s", d.State, g.joinDeadline)
	}
	calls, due, static := 0, false, 0
	for _, m := range g.members {
		if m.join != 0 && d.State != PreparingRebalance || m.sync != 0 && d.State != CompletingRebalance || m.join != 0 && m.sync != 0 {
			w.Fatalf("%s waits with %d and %d in %s", m.id, m.join, m.sync, d.State)
		}
		if m.waiting() {
			calls++
		}
		if m.static() {
			static++
		}
		due = due || m.due && (d.State == CompletingRebalance || d.State == Stable)
		if g.byID[m.id] != m || m.static() && g.byInstance[m.instance] != m {
			w.Fatalf("%s is not found", m.id)
		}
	}
	if calls != len(w.waiting) || static != len(g.byInstance) {
		w.Fatalf("%d calls wait, %d are held; %d static members, %d by instance", len(w.waiting), calls, static, len(g.byInstance))
	}
	if due == g.syncDeadline.IsZero() {
		w.Fatalf("%s, who is due: %t, sync deadline %s", d.State, due, g.syncDeadline)
	}
	if err := g.Snapshot().validate(); err != nil {
		w.Fatal(err)
	}
}

// drain lets all time pass: everybody is answered, and nobody stays.
func (w *world) drain() {
	for range 20 {
		w.pass(10 * time.Second)
		w.check()
	}
	if len(w.waiting) > 0 {
		w.Fatalf("%d calls were never answered", len(w.waiting))
	}
	if next, ok := w.group.NextDeadline(); ok || w.group.State() != Empty {
		w.Fatalf("%s, next deadline %s", w.group.State(), next)
	}
}
