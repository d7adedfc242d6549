package member

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestProperties has anything happen to a member at any moment, in the middle of its steps too, and
// checks after each event what must hold always.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"":             w.hold,
			"step":         w.stepOn,
			"step on":      w.stepOn,
			"answer":       func(t *rapid.T) { w.answer(t, w.number(t)) },
			"answer again": func(t *rapid.T) { w.answer(t, w.number(t)) },
			"calm":         w.calm,
			"calm again":   w.calm,
			"next":         w.next,
			"do":           w.do,
			"finish":       w.finish,
			"poll":         func(*rapid.T) { w.Enter() },
			"return":       func(*rapid.T) { w.Leave(w.now) },
			"refused":      w.retry,
			"failed":       w.fail,
			"heard":        w.heard,
			"pass":         w.pass,
			"topics":       w.topics,
			"deleted":      func(*rapid.T) { w.Forget() },
			"commit":       w.commit,
			"saved":        func(t *rapid.T) { w.Saved(w.err(t)) },
			"die":          func(*rapid.T) { w.lost(); w.Lose() },
			"close":        func(*rapid.T) { w.Close() },
		})
		w.end(t)
	})
}

// world is a member under test, and what is known of it from what has happened.
type world struct {
	runner
	now        time.Time
	eager      bool
	generation int32 // of the group, the highest so far
	current    int32 // that the member is in; -1 when it was told that it is not
	calls      int   // the round that is with the group; 0 for none
	syncing    bool  // in its second call
}

var (
	worldErrors = []error{log.ErrRebalanceInProgress, log.ErrUnknownMember, log.ErrIllegalGeneration, log.ErrFencedInstance,
		log.ErrUnknownGroup, log.ErrMemberIDRequired, log.ErrGroupFull, log.ErrClosed}
	outErrors   = []error{log.ErrUnknownMember, log.ErrIllegalGeneration, log.ErrFencedInstance}
	worldChoice = story.Partitions("orders/0,1,2,3")
)

func newWorld(t *rapid.T) *world {
	w := &world{now: time.Unix(1000, 0), current: -1, eager: rapid.Bool().Draw(t, "eager")}
	o := Options{
		InstanceID: rapid.SampledFrom([]string{"", "i"}).Draw(t, "instance"), Assignors: []group.Assignor{group.CooperativeSticky()},
		SessionTimeout: 10 * time.Second, HeartbeatInterval: 3 * time.Second, MaxPollInterval: 20 * time.Second, AutoCommitInterval: 5 * time.Second,
	}
	if w.eager {
		o.Assignors = []group.Assignor{group.Range()}
	}
	w.runner = newRunner(w.now, o)
	return w
}

func (w *world) err(t *rapid.T) error { return rapid.SampledFrom(worldErrors).Draw(t, "error") }

func (w *world) some(t *rapid.T, of []log.TopicPartition, what string) []log.TopicPartition {
	return slices.DeleteFunc(slices.Clone(of), func(log.TopicPartition) bool { return rapid.Bool().Draw(t, what) })
}

// lost: the generation that the member was in has ended for it.
func (w *world) lost() { w.current = -1 }

// hold is what holds after each event.
func (w *world) hold(t *rapid.T) {
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	if w.runner.generation != w.current {
		t.Fatalf("generation %d, want %d", w.runner.generation, w.current)
	}
	if w.Running(w.round) && (w.phase == syncing) != w.syncing {
		t.Fatalf("phase %d, the group has answered the join: %t", w.phase, w.syncing)
	}
	running := 0
	for round := range w.round + 2 {
		if w.Running(round) {
			running++
		}
	}
	if running > 1 || running == 1 && w.calls != w.round {
		t.Fatalf("%d rounds are running, the last of them is %d, and %d is with the group", running, w.round, w.calls)
	}
}

// stepOn is a piece of what Poll does.
func (w *world) stepOn(t *rapid.T) {
	if w.step.Kind == Nothing {
		w.next(t)
	} else {
		w.finish(t)
	}
}

// answer is what a round waits for.
func (w *world) answer(t *rapid.T, round int) {
	if w.syncing {
		w.synced(t, round)
	} else {
		w.joined(t, round)
	}
}

// calm lets Poll and the round do what they have to, without trouble.
func (w *world) calm(t *rapid.T) {
	for range 20 {
		switch {
		case w.step.Kind != Nothing:
			w.finish(t)
		case w.Running(w.round):
			w.answer(t, w.calls)
		case w.life == open && w.Due():
			w.next(t)
		default:
			return
		}
		w.hold(t)
	}
}

func (w *world) next(t *rapid.T) {
	if w.step.Kind != Nothing || w.life != open {
		t.Skip("busy, or over")
	}
	quits := w.phase == failed && len(w.runner.lost) == 0
	reading := maps.Clone(w.reading)
	s := w.Next()
	switch s.Kind {
	case Lose:
		if len(s.Partitions) == 0 || len(setOf(s.Partitions, w.owned)) != len(s.Partitions)+len(w.owned) {
			t.Fatalf("loses %v of %v", s.Partitions, w.owned)
		}
	case Revoke:
		if len(s.Partitions) == 0 || len(setOf(s.Partitions, w.owned)) != len(w.owned) {
			t.Fatalf("revokes %v of %v", s.Partitions, w.owned)
		}
	case Assign:
		for _, tp := range s.Partitions {
			if reading[tp] {
				t.Fatalf("%s is assigned, and read already", tp)
			}
		}
	case Quit:
		w.lost()
		if w.Member.err == nil {
			t.Fatal("quits, and Poll does not hear why")
		}
	case Fail:
		if again := w.Next(); again.Kind == Fail && !forEver(again.Err) {
			t.Fatalf("%v is told twice", s.Err)
		}
		return
	}
	if quits != (s.Kind == Quit) {
		t.Fatalf("a failed round: %t, step %v", quits, s.Kind)
	}
	w.step = s
}

// do: the step has had its effect, and the state does not know yet.
func (w *world) do(t *rapid.T) {
	if w.step.Kind == Nothing || w.done {
		t.Skip("nothing to do")
	}
	w.runner.do(w.some(t, w.step.Partitions, "is read"))
}

func (w *world) finish(t *rapid.T) {
	if w.step.Kind == Nothing {
		t.Skip("nothing to finish")
	}
	before, open := w.round, w.life == open
	w.runner.finish(w.some(t, w.owned, "lives"), w.some(t, w.step.Partitions, "is read"))
	if w.round != before {
		if !open {
			t.Fatal("a round begins after Close")
		}
		w.calls, w.syncing = w.round, false
		joins := w.Standing()
		told := setOf(Partitions(joins.owned))
		if w.eager && len(w.reading) > 0 || !w.eager && !maps.Equal(told, w.reading) {
			t.Fatalf("joins with %v, and reads %v", told, w.reading)
		}
	}
}

// number draws the round that hears an answer: the last, or one that was given up.
func (w *world) number(t *rapid.T) int {
	if w.calls == 0 {
		t.Skip("no round")
	}
	return w.calls - rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "behind")
}

func (w *world) joined(t *rapid.T, n int) {
	w.generation++
	counts := w.Running(n)
	if w.Joined(n, "m", w.generation) != counts {
		t.Fatalf("round %d, which counts: %t", n, counts)
	}
	if counts {
		w.current, w.syncing = w.generation, true
	}
}

func (w *world) synced(t *rapid.T, n int) {
	before := w.phase
	w.Synced(n, w.some(t, worldChoice, "is another's"))
	if (w.phase != before) != (n == w.calls && before == syncing) {
		t.Fatalf("phase %d after %d, round %d of %d", w.phase, before, n, w.calls)
	}
}

func (w *world) retry(t *rapid.T) {
	n, err := w.number(t), w.err(t)
	counts := w.Running(n)
	again := w.Retry(n, "m", err)
	switch {
	case again && !counts:
		t.Fatalf("round %d starts over", n)
	case again:
		w.syncing = false
		if errors.Is(err, log.ErrUnknownMember) || errors.Is(err, log.ErrUnknownGroup) {
			w.lost()
		}
	case counts:
		w.Fail(n, err)
	}
}

func (w *world) fail(t *rapid.T) { w.Fail(w.number(t), w.err(t)) }

func (w *world) heard(t *rapid.T) {
	generation, err := w.current-rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "behind"), w.err(t)
	w.judged(generation, err)
	w.Heard(generation, err)
}

// judged: what the group says to a member of this generation, outside of a round, counts.
func (w *world) judged(generation int32, err error) {
	if w.current >= 0 && generation == w.current && !w.Running(w.round) && slices.Contains(outErrors, err) {
		w.lost()
	}
}

func (w *world) pass(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 9000).Draw(t, "ms")) * time.Millisecond)
	act := w.Tick(w.now, uint64(rapid.IntRange(0, 1).Draw(t, "returns")))
	if act.Late != "" {
		w.lost()
	}
	if act.Heartbeat && act.Generation != w.current || act.Commit && !act.Heartbeat {
		t.Fatalf("%+v in generation %d", act, w.current)
	}
}

func (w *world) topics(t *rapid.T) {
	settled := w.Settled()
	w.Topics(rapid.SampledFrom([][]string{{"orders"}, {"orders", "payments"}}).Draw(t, "topics"), rapid.Bool().Draw(t, "reshaped"))
	if settled && !w.Settled() && !w.Due() && w.life == open {
		t.Fatal("a round that is wanted, and Poll does not hear of it")
	}
}

// commit is one that the group refuses, after anything may have happened.
func (w *world) commit(t *rapid.T) {
	claim, err := w.Claim()
	switch {
	case err == nil && claim.Generation != w.current:
		t.Fatalf("a commit of generation %d in %d", claim.Generation, w.current)
	case err != nil:
		return
	}
	refusal := w.err(t)
	claim.Generation -= rapid.SampledFrom([]int32{0, 0, 1}).Draw(t, "behind")
	if claim.Round == 0 {
		claim.Round = rapid.IntRange(0, w.round).Draw(t, "under way then")
	}
	switch w.Refused(claim, refusal) {
	case Final:
		w.judged(claim.Generation, refusal) // as after a heartbeat
	case Again:
		if again, err := w.Claim(); err != nil || again == claim {
			t.Fatalf("the same commit again: %+v, %v", again, err)
		}
	case AfterRound:
		if !w.Running(w.round) {
			t.Fatalf("waits for round %d in phase %d", w.round, w.phase)
		}
	}
}

// end closes the member, whatever it does: Close always ends, with nothing that is read.
func (w *world) end(t *rapid.T) {
	w.Close()
	for steps := 0; w.step.Kind != Nothing || w.Last().Kind != Nothing; steps++ {
		if steps > 3 {
			t.Fatalf("Close does not end: %+v", w.Member)
		}
		if w.step.Kind == Nothing {
			w.step = w.Last()
		}
		w.finish(t)
		w.hold(t)
	}
	if len(w.reading) > 0 {
		t.Fatalf("%v is still read", w.reading)
	}
	id := w.Closed()
	if id != "" && (w.opts.InstanceID != "" || id != w.id) {
		t.Fatalf("leaves as %q, it is %q of instance %q", id, w.id, w.opts.InstanceID)
	}
	w.Close()
	if _, err := w.Claim(); !errors.Is(err, log.ErrClosed) {
		t.Fatalf("a commit after the end: %v", err)
	}
	if s := w.Next(); s.Kind != Fail || !errors.Is(s.Err, log.ErrClosed) {
		t.Fatalf("Poll after the end: %+v", s)
	}
}
