package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
)

// The group property test lets members of two groups come, go, stall, and commit at
// random, while records, partitions and topics are added. Time is virtual.

func TestGroupProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() { runGroups(rt) })
	})
}

// inBubble runs fn under synctest. What it panics with, as rapid does to end a run, goes on
// outside: nobody would catch it in the bubble.
func inBubble(t *testing.T, fn func()) {
	var thrown any
	synctest.Test(t, func(*testing.T) {
		defer func() { thrown = recover() }()
		fn()
	})
	if thrown != nil {
		panic(thrown)
	}
}

const (
	crowdTopics     = 4
	crowdPartitions = 6 // of a topic, at most
	crowdMembers    = 8

	crowdSession  = 6 * time.Second
	crowdMaxPoll  = 20 * time.Second // between two polls, else a member is out
	crowdPollTime = 7 * time.Second  // that a call of Poll may take
	crowdSlow     = 15 * time.Second // processing, at most: longer than a session, shorter than crowdMaxPoll
	crowdTired    = 4                // batches in a row, at most
	crowdQuiet    = 2 * time.Minute  // after which nothing that was begun is still going on
)

func runGroups(t *rapid.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &crowd{b: b, ctx: context.Background(), topics: make(map[string]int)}
	defer w.shut()
	for _, name := range []string{"left", "right"} {
		w.groups = append(w.groups, &crowdGroup{
			name: name, w: w, assignor: drawAssignor(t),
			owner: make(map[samsa.TopicPartition]*crowdMember), processed: make(map[samsa.TopicPartition][]int),
			committed: make(map[samsa.TopicPartition]int64),
		})
	}
	w.createTopic(t)
	t.Repeat(map[string]func(*rapid.T){
		"":               w.check,
		"join":           w.join,
		"join more":      w.join,
		"leave":          w.leave,
		"close":          w.closeConsumer,
		"stall":          w.stall,
		"resume":         w.resume,
		"be slow":        w.beSlow,
		"produce":        w.produce,
		"produce more":   w.produce,
		"add partitions": w.addPartitions,
		"create topic":   w.createTopic,
		"alter":          w.alter,
		"wait":           func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 9000).Draw(t, "ms")) * time.Millisecond) },
		"be quiet":       w.beQuiet,
	})
	w.finish(t)
}

var crowdAssignors = []samsa.Assignor{samsa.RangeAssignor(), samsa.RoundRobinAssignor(), samsa.StickyAssignor(), samsa.CooperativeStickyAssignor()}

func drawAssignor(t *rapid.T) samsa.Assignor {
	return crowdAssignors[rapid.IntRange(0, len(crowdAssignors)-1).Draw(t, "assignor")]
}

// crowd is a broker, its groups, and what they must have seen.
type crowd struct {
	b       *samsa.Broker
	ctx     context.Context
	names   int // of workers
	topics  map[string]int
	groups  []*crowdGroup
	workers []*crowdMember // that have not left

	mu       sync.Mutex // guards what follows, and the same of groups and workers
	problems []string
}

// crowdGroup is a group and what is known of it.
type crowdGroup struct {
	w        *crowd
	name     string
	assignor samsa.Assignor // that all members offer

	crashed   bool // records may come twice: a member had stalled, or was closed over its work
	owner     map[samsa.TopicPartition]*crowdMember
	processed map[samsa.TopicPartition][]int // how often, by offset
	committed map[samsa.TopicPartition]int64 // the highest seen
}

// crowdMember is a consumer of a group and the goroutine that polls it.
type crowdMember struct {
	w        *crowd
	g        *crowdGroup
	c        *samsa.Consumer
	name     string
	instance string
	manual   bool // commits by hand
	wants    *regexp.Regexp
	ctx      context.Context // ends when the worker is to leave
	cancel   context.CancelFunc
	done     chan struct{} // closed when it has left

	slow    time.Duration // that the next batches take
	tired   int           // how many these are
	stalled chan struct{} // closed by resume; nil while it works
	unfit   bool          // it had stalled: may be out without knowing
	closing bool
}

func (w *crowd) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// run is the worker's goroutine: an ordinary consumer's loop, which ends when Poll tells of the
// end of the context.
func (m *crowdMember) run() {
	defer close(m.done)
	for left := false; !left; {
		ctx, cancel := context.WithTimeout(m.ctx, crowdPollTime)
		records, err := m.c.Poll(ctx)
		left = err != nil && m.ctx.Err() != nil
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		case err != nil && !errors.Is(err, samsa.ErrClosed):
			m.w.mu.Lock()
			m.w.problem("%s: poll: %v", m.name, err)
			m.w.mu.Unlock()
			return
		}
		m.work(records)
	}
	_ = m.c.Close()
}

// work processes what a poll has returned, and commits it.
func (m *crowdMember) work(records []samsa.Record) {
	m.w.mu.Lock()
	stalled, slow := m.stalled, time.Duration(0)
	if len(records) > 0 && m.tired > 0 {
		m.tired--
		slow = m.slow
	}
	m.w.mu.Unlock()
	time.Sleep(slow)
	if stalled != nil {
		<-stalled
	}
	m.w.mu.Lock()
	for _, r := range records {
		m.g.process(r)
	}
	m.w.mu.Unlock()
	if len(records) > 0 && m.manual {
		var err error
		if len(records)%2 == 0 {
			err = m.c.Commit(context.Background())
		} else {
			err = m.c.CommitRecords(context.Background(), records...)
		}
		m.w.mu.Lock()
		if err != nil && !m.mayFail(err) {
			m.w.problem("%s: commit: %v", m.name, err)
		}
		m.w.mu.Unlock()
	}
	m.w.mu.Lock()
	m.g.checkCommitted()
	m.w.mu.Unlock()
}

func (m *crowdMember) mayFail(err error) bool {
	return m.closing || m.unfit && (errors.Is(err, samsa.ErrUnknownMember) || errors.Is(err, samsa.ErrIllegalGeneration))
}

func (g *crowdGroup) process(r samsa.Record) {
	tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	for int64(len(g.processed[tp])) <= r.Offset {
		g.processed[tp] = append(g.processed[tp], 0)
	}
	g.processed[tp][r.Offset]++
	if g.processed[tp][r.Offset] > 1 && !g.crashed {
		g.w.problem("%s: %s: record %d came twice without need", g.name, tp, r.Offset)
	}
}

// checkCommitted compares the committed offsets with those seen before.
func (g *crowdGroup) checkCommitted() map[samsa.TopicPartition]samsa.CommittedOffset {
	now, err := g.w.b.Groups().Committed(g.w.ctx, g.name)
	if err != nil {
		g.w.problem("%s: committed: %v", g.name, err)
	}
	for tp, last := range g.committed {
		if o, ok := now[tp]; !ok || o.Offset < last {
			g.w.problem("%s: %s: committed offset went from %d to %d (there: %t)", g.name, tp, last, o.Offset, ok)
		}
	}
	for tp, o := range now {
		g.committed[tp] = o.Offset
	}
	return now
}

// The callbacks tell who owns what.

func (m *crowdMember) assigned(_ context.Context, _ *samsa.Consumer, tps []samsa.TopicPartition) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	for _, tp := range tps {
		if o := m.g.owner[tp]; o != nil && (o == m || !o.unfit) {
			m.w.problem("%s: %s is assigned to %s, and %s owns it", m.g.name, tp, m.name, o.name)
		}
		m.g.owner[tp] = m
	}
}

func (m *crowdMember) revoked(_ context.Context, _ *samsa.Consumer, tps []samsa.TopicPartition) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.disown(tps, "revoked from")
}

func (m *crowdMember) lost(_ context.Context, _ *samsa.Consumer, tps []samsa.TopicPartition) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if !m.unfit {
		m.w.problem("%s: %s has lost %v without reason", m.g.name, m.name, tps)
	}
	m.disown(tps, "lost by")
}

func (m *crowdMember) disown(tps []samsa.TopicPartition, how string) {
	for _, tp := range tps {
		switch o := m.g.owner[tp]; {
		case o == m:
			delete(m.g.owner, tp)
		case !m.unfit:
			m.w.problem("%s: %s was %s %s, which did not own it", m.g.name, tp, how, m.name)
		}
	}
}

// choose draws one of the workers that satisfy fit, and skips the step if there is none.
func (w *crowd) choose(t *rapid.T, fit func(*crowdMember) bool) *crowdMember {
	var fits []*crowdMember
	for _, m := range w.workers {
		if fit(m) {
			fits = append(fits, m)
		}
	}
	if len(fits) == 0 {
		t.Skip("nobody")
	}
	return fits[rapid.IntRange(0, len(fits)-1).Draw(t, "worker")]
}

func working(m *crowdMember) bool { return m.stalled == nil }

func (w *crowd) join(t *rapid.T) {
	if len(w.workers) == crowdMembers {
		t.Skip("full")
	}
	g := w.groups[rapid.IntRange(0, 1).Draw(t, "group")]
	subscribe := rapid.SampledFrom([]string{"^t", "^t", "^t[01]$", "^t0$", "0", "0,1,2,3"}).Draw(t, "topics")
	assignors := []samsa.Assignor{g.assignor}
	if other := drawAssignor(t); other.Name() != g.assignor.Name() {
		assignors = append(assignors, other)
	}
	instance := rapid.SampledFrom([]string{"", "", "i0", "i1"}).Draw(t, "instance")
	for _, m := range w.workers {
		if m.g == g && m.instance == instance {
			instance = "" // another would fence it
		}
	}
	w.add(t, g, subscribe, instance, rapid.Bool().Draw(t, "manual"), assignors...)
}

// add starts a worker. subscribe is a pattern, or the numbers of topics, of which those
// count that exist.
func (w *crowd) add(t *rapid.T, g *crowdGroup, subscribe, instance string, manual bool, assignors ...samsa.Assignor) {
	m := &crowdMember{
		w: w, g: g, name: fmt.Sprintf("%s-%d", g.name, w.names), instance: instance, manual: manual,
		wants: regexp.MustCompile(subscribe), done: make(chan struct{}),
	}
	opts := samsa.ConsumerOptions{Group: g.name, ClientID: m.name, MaxPollRecords: 5, Member: samsa.MemberOptions{
		InstanceID: instance, Assignors: assignors, ManualCommit: manual,
		SessionTimeout: crowdSession, HeartbeatInterval: time.Second, MaxPollInterval: crowdMaxPoll, AutoCommitInterval: 2 * time.Second,
		OnAssigned: m.assigned, OnRevoked: m.revoked, OnLost: m.lost,
	}}
	if subscribe[0] == '^' {
		opts.TopicPattern = m.wants
	} else {
		m.wants = regexp.MustCompile("^t[" + subscribe + "]$")
		for name := range w.topics {
			if m.wants.MatchString(name) {
				opts.Topics = append(opts.Topics, name)
			}
		}
		m.wants = regexp.MustCompile("^(" + strings.Join(opts.Topics, "|") + ")$")
	}
	var err error
	if m.c, err = w.b.NewConsumer(w.ctx, opts); err != nil {
		t.Fatal(err)
	}
	w.names++
	m.ctx, m.cancel = context.WithCancel(w.ctx)
	w.workers = append(w.workers, m)
	go m.run()
}

// leave lets a worker finish what it has, and close its consumer.
func (w *crowd) leave(t *rapid.T) {
	m := w.choose(t, working)
	m.cancel()
	w.remove(m)
}

// closeConsumer closes a consumer while it polls, or while its worker is busy.
func (w *crowd) closeConsumer(t *rapid.T) {
	m := w.choose(t, working)
	w.mu.Lock()
	m.closing = true
	m.g.crashed = true // what it is busy with comes again
	w.mu.Unlock()
	if err := m.c.Close(); err != nil {
		t.Fatal(err)
	}
	m.cancel()
	w.remove(m)
}

func (w *crowd) remove(m *crowdMember) {
	<-m.done
	w.workers = slices.DeleteFunc(w.workers, func(other *crowdMember) bool { return other == m })
}

// stall is a crash as far as the group can see: the worker stops between Poll and Commit.
func (w *crowd) stall(t *rapid.T) {
	m := w.choose(t, working)
	w.mu.Lock()
	defer w.mu.Unlock()
	m.stalled, m.unfit, m.g.crashed = make(chan struct{}), true, true
}

// resume lets a stalled worker go on as if nothing had happened.
func (w *crowd) resume(t *rapid.T) {
	m := w.choose(t, func(m *crowdMember) bool { return !working(m) })
	w.mu.Lock()
	defer w.mu.Unlock()
	close(m.stalled)
	m.stalled = nil
}

func (w *crowd) beSlow(t *rapid.T) {
	m := w.choose(t, working)
	w.mu.Lock()
	defer w.mu.Unlock()
	m.tired = rapid.IntRange(1, crowdTired).Draw(t, "batches")
	m.slow = crowdSlow / time.Duration(rapid.IntRange(1, 8).Draw(t, "slow"))
}

func (w *crowd) produce(t *rapid.T) {
	topics := slices.Sorted(maps.Keys(w.topics))
	n := rapid.IntRange(1, 20).Draw(t, "records")
	records := make([]samsa.Record, n)
	start, step := rapid.IntRange(0, 255).Draw(t, "key"), rapid.IntRange(0, 3).Draw(t, "step")
	for i := range records {
		records[i].Topic = topics[(start+i*step)%len(topics)]
		records[i].Key = []byte{byte(start + i)}
	}
	if _, err := w.b.Produce(w.ctx, records...); err != nil {
		t.Fatal(err)
	}
}

func (w *crowd) createTopic(t *rapid.T) {
	if len(w.topics) == crowdTopics {
		t.Skip("enough topics")
	}
	name := fmt.Sprint("t", len(w.topics))
	n := rapid.IntRange(1, crowdPartitions).Draw(t, "partitions")
	if err := w.b.Topics().Create(w.ctx, name, samsa.TopicConfig{Partitions: n}); err != nil {
		t.Fatal(err)
	}
	w.topics[name] = n
}

func (w *crowd) addPartitions(t *rapid.T) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(w.topics))).Draw(t, "topic")
	if w.topics[name] == crowdPartitions {
		t.Skip("enough partitions")
	}
	w.topics[name] = rapid.IntRange(w.topics[name]+1, crowdPartitions).Draw(t, "partitions")
	if err := w.b.Topics().AddPartitions(w.ctx, name, w.topics[name]); err != nil {
		t.Fatal(err)
	}
}

// alter moves a group without members back a little: it then reads some records again.
func (w *crowd) alter(t *rapid.T) {
	g := w.groups[rapid.IntRange(0, 1).Draw(t, "group")]
	if slices.ContainsFunc(w.workers, func(m *crowdMember) bool { return m.g == g }) || len(g.committed) == 0 {
		t.Skip("busy, or new")
	}
	time.Sleep(2 * crowdSession) // for static members
	if err := w.b.Groups().AlterOffsets(w.ctx, g.name, samsa.Shift(-2)); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := w.b.Groups().Committed(w.ctx, g.name)
	if err != nil {
		t.Fatal(err)
	}
	for tp, was := range g.committed {
		if want := max(0, was-2); now[tp].Offset != want {
			t.Fatalf("%s: %s was reset from %d to %d, want %d", g.name, tp, was, now[tp].Offset, want)
		}
		g.committed[tp] = now[tp].Offset
		for offset := now[tp].Offset; offset < was; offset++ {
			g.processed[tp][offset] = 0 // once more
		}
	}
}

// check is what holds at any moment.
func (w *crowd) check(t *rapid.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		g.checkCommitted()
		info, err := w.b.Groups().Describe(w.ctx, g.name)
		if errors.Is(err, samsa.ErrUnknownGroup) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		has := make(map[samsa.TopicPartition]string)
		for _, member := range info.Members {
			for _, tp := range member.Assigned {
				if has[tp] != "" {
					w.problem("%s: generation %d: %s belongs to %s and %s", g.name, info.Generation, tp, has[tp], member.ClientID)
				}
				has[tp] = member.ClientID
			}
		}
	}
	w.report(t)
}

func (w *crowd) report(t *rapid.T) {
	if len(w.problems) > 0 {
		t.Fatalf("%d problems: %q", len(w.problems), w.problems[:min(len(w.problems), 5)])
	}
}

// beQuiet waits until all is done that is to be done, and looks.
func (w *crowd) beQuiet(t *rapid.T) {
	time.Sleep(crowdQuiet)
	synctest.Wait()
	w.check(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.workers {
		m.unfit = !working(m)
	}
	for _, g := range w.groups {
		g.checkOwners(t)
		g.checkWork(t)
	}
	w.report(t)
}

func (g *crowdGroup) live() []*crowdMember {
	var live []*crowdMember
	for _, m := range g.w.workers {
		if m.g == g && working(m) {
			live = append(live, m)
		}
	}
	return live
}

// wanted returns the partitions that somebody is subscribed to.
func (g *crowdGroup) wanted() []samsa.TopicPartition {
	var tps []samsa.TopicPartition
	for name, n := range g.w.topics {
		if slices.ContainsFunc(g.live(), func(m *crowdMember) bool { return m.wants.MatchString(name) }) {
			for p := range n {
				tps = append(tps, samsa.TopicPartition{Topic: name, Partition: int32(p)})
			}
		}
	}
	return tps
}

// checkOwners compares what the consumers have, what the callbacks said, and what the group
// thinks.
func (g *crowdGroup) checkOwners(t *rapid.T) {
	live := g.live()
	has := make(map[samsa.TopicPartition]*crowdMember)
	for _, m := range live {
		for _, tp := range m.c.Assigned() {
			switch {
			case has[tp] != nil:
				t.Fatalf("%s: %s belongs to %s and %s", g.name, tp, has[tp].name, m.name)
			case g.owner[tp] != m:
				t.Fatalf("%s: %s belongs to %s, and the callbacks did not tell", g.name, tp, m.name)
			case !m.wants.MatchString(tp.Topic):
				t.Fatalf("%s: %s belongs to %s, who wants %s", g.name, tp, m.name, m.wants)
			}
			has[tp] = m
		}
	}
	wanted := g.wanted()
	for _, tp := range wanted {
		if has[tp] == nil {
			t.Fatalf("%s: %s belongs to nobody", g.name, tp)
		}
	}
	if len(has) != len(wanted) {
		t.Fatalf("%s: %d partitions have owners, %d are wanted", g.name, len(has), len(wanted))
	}
	info, err := g.w.b.Groups().Describe(g.w.ctx, g.name)
	if errors.Is(err, samsa.ErrUnknownGroup) && len(live) == 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	state := samsa.GroupStable
	if len(live) == 0 {
		state = samsa.GroupEmpty
	}
	if info.State != state || len(info.Members) != len(live) {
		t.Fatalf("%s: is %s with %d members, want %s with %d", g.name, info.State, len(info.Members), state, len(live))
	}
	for _, member := range info.Members {
		for _, tp := range member.Assigned {
			if has[tp] == nil || has[tp].name != member.ClientID {
				t.Fatalf("%s: the group thinks that %s belongs to %s", g.name, tp, member.ClientID)
			}
			delete(has, tp)
		}
	}
	if len(has) > 0 {
		t.Fatalf("%s: the group knows nothing of the owners of %v", g.name, slices.Collect(maps.Keys(has)))
	}
}

// checkWork compares what was processed with what there is and with what was committed.
func (g *crowdGroup) checkWork(t *rapid.T) {
	for _, tp := range g.wanted() {
		if done, end := g.done(tp), g.w.end(t, tp); done != end {
			t.Fatalf("%s: %s: record %d of %d was not processed", g.name, tp, done, end)
		}
	}
	for tp, offset := range g.committed {
		if done := g.done(tp); done < offset {
			t.Fatalf("%s: %s: record %d was not processed, and %d is committed", g.name, tp, done, offset)
		}
	}
}

// done returns the offset of the first record that was not processed.
func (g *crowdGroup) done(tp samsa.TopicPartition) int64 {
	if i := slices.Index(g.processed[tp], 0); i >= 0 {
		return int64(i)
	}
	return int64(len(g.processed[tp]))
}

func (w *crowd) end(t *rapid.T, tp samsa.TopicPartition) int64 {
	offsets, err := w.b.ListOffsets(w.ctx, tp.Topic, samsa.Latest())
	if err != nil {
		t.Fatal(err)
	}
	return offsets[tp.Partition].Offset
}

// finish has each group read everything, and leave.
func (w *crowd) finish(t *rapid.T) {
	for _, g := range w.groups {
		w.add(t, g, "^t", "", true, g.assignor)
	}
	w.beQuiet(t)
	for _, m := range slices.Clone(w.workers) {
		if working(m) {
			m.cancel()
			w.remove(m)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		for tp, o := range g.checkCommitted() {
			if end := w.end(t, tp); o.Offset != end {
				t.Fatalf("%s: %s: %d is committed, all %d records are processed", g.name, tp, o.Offset, end)
			}
		}
	}
	w.report(t)
}

// shut ends everything.
func (w *crowd) shut() {
	for _, m := range w.workers {
		m.cancel()
		w.mu.Lock()
		if m.stalled != nil {
			close(m.stalled)
		}
		w.mu.Unlock()
	}
	_ = w.b.Close()
	for _, m := range w.workers {
		<-m.done
	}
}
