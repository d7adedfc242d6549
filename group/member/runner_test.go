package member

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

type partitionSet map[log.TopicPartition]bool

func setOf(tps ...[]log.TopicPartition) partitionSet {
	set := make(partitionSet)
	for _, tp := range slices.Concat(tps...) {
		set[tp] = true
	}
	return set
}

// runner does a member's steps. Of the consumer it has the partitions that are read.
type runner struct {
	Member
	reading partitionSet
	step    Step                 // under way
	done    bool                 // what the step asks for was done, and not told yet
	refused []log.TopicPartition // by the step, if it is Assign
	ticked  time.Time
}

func newRunner(now time.Time, o Options) runner {
	return runner{Member: New(now, o), reading: make(partitionSet), ticked: now}
}

// do does what the step asks for.
func (r *runner) do(refused []log.TopicPartition) {
	r.done = true
	switch r.step.Kind {
	case Lose, Revoke:
		for _, tp := range r.step.Partitions {
			delete(r.reading, tp)
		}
	case Assign:
		r.refused = refused
		maps.Copy(r.reading, setOf(without(r.step.Partitions, refused)))
	}
}

// finish does what the step asks for, unless that is done, tells, and returns the partitions that the
// program hears of.
func (r *runner) finish(dead, refused []log.TopicPartition) []log.TopicPartition {
	if !r.done {
		r.do(refused)
	}
	s := r.step
	r.step, r.done = Step{}, false
	switch s.Kind {
	case Lose, Revoke:
		r.Released(s.Partitions)
	case Examine:
		r.Examined(dead)
	case Assign:
		return r.Assigned(s.Partitions, r.refused)
	case Rejoin:
		r.Begin([]string{"orders"})
	}
	return s.Partitions
}

// Tick is the keeper's.
func (r *runner) Tick(now time.Time, returns uint64) Actions {
	r.ticked = now
	return r.Member.Tick(now, returns)
}

// check is what holds after each event: the formulas at the fields of Member, and those of what the
// consumer does.
func (r *runner) check() error {
	copied := r.Member // a value: what it would do next changes nothing
	next := copied.Next()
	free := r.life == open && r.step.Kind == Nothing
	holding := setOf(r.owned, r.lost) // what the consumer is to read
	if r.done && (r.step.Kind == Lose || r.step.Kind == Revoke) {
		for _, tp := range r.step.Partitions {
			delete(holding, tp)
		}
	}
	if r.done && r.step.Kind == Assign {
		maps.Copy(holding, setOf(without(r.step.Partitions, r.refused)))
	}
	claim, claimed := r.Claim()
	for _, formula := range []struct {
		holds bool
		text  string
	}{
		{r.generation >= 0 || len(r.owned) == 0, "nobody owns outside the group"},
		{r.generation < 0 || r.id != "", "who is in the group has an id"},
		{len(setOf(r.owned, r.lost)) == len(r.owned)+len(r.lost), "nothing is owned or lost twice"},
		{maps.Equal(r.reading, holding), "owned and lost is what is read"},
		{r.phase == idle || r.round > 0, "a phase is one of a round"},
		{r.phase != synced && r.phase != adopting || r.generation >= 0, "an assignment belongs to a generation"},
		{r.assigned == nil || r.phase == synced || r.phase == adopting, "an assignment is adopted once"},
		{r.phase != failed || r.err != nil, "a round fails with an error"},
		{r.generation >= 0 || r.phase != idle || r.rejoin, "who is out comes back"},
		{r.cooperative || !r.Running(r.round) || len(r.owned) == 0, "an eager member joins with nothing"},
		{r.Due() == (r.life == open && next.Kind != Nothing), "Poll is due when there is a step"},
		{!free || next.Kind != Nothing || maps.Equal(r.reading, setOf(r.owned)), "records are handed out of what is owned only"},
		{claimed != nil || claim.Generation >= 0 && claim.Generation == r.generation && len(r.lost) == 0, "a commit is of this generation, and of nothing that is lost"},
		{r.NextDeadline().After(r.ticked), "time goes on"},
	} {
		if !formula.holds {
			return fmt.Errorf("%s, but: %+v, reads %v, is in %+v (done %t)", formula.text, r.Member, r.reading, r.step, r.done)
		}
	}
	return nil
}
