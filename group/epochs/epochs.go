// Package epochs is how members come to have what a group wants them to have (KIP-848): one after the other, without a
// moment in which all stop, and without two who have the same.
//
// A group has an epoch, which rises when its members or topics change, and a target, what each member should have as of an
// epoch. A member has an epoch of its own and what it has at the moment. With each heartbeat it goes a step towards the
// target: it gives up what it should not have, and says so; then it is at the epoch of the target; and it gets the rest as
// soon as others have given that up. Consumers have partitions, Streams have tasks: T stands for either.
//
// Users import the module root.
package epochs

import (
	"fmt"
	"maps"

	"github.com/samsa-go/samsa/log"
)

// State is what a member waits for.
type State uint8

// The states of a member.
const (
	Stable     State = iota // nothing: it has what it should have as of its epoch
	Unrevoked               // it has not given up yet what is in Revoking
	Unreleased              // others have not given up yet what it should have
)

// String returns what Kafka calls the state.
func (s State) String() string {
	switch s {
	case Stable:
		return "stable"
	case Unrevoked:
		return "unrevoked"
	case Unreleased:
		return "unreleased"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Set is some partitions, or some tasks.
type Set[T comparable] map[T]struct{}

// SetOf returns a set.
func SetOf[T comparable](of ...T) Set[T] {
	s := make(Set[T], len(of))
	for _, t := range of {
		s[t] = struct{}{}
	}
	return s
}

// Current is what a member has at the moment. It is a value: its maps are not changed, but replaced.
type Current[T comparable] struct {
	Epoch    int32 // of the member; it rises to that of the target
	Previous int32 // the epoch before, which the member may still be in: an answer is lost now and then
	State    State
	Assigned map[T]int32 // what the member has, or is told to have, with the epoch as of which each was given to it
	Revoking map[T]int32 // what it is told to give up, and has; only if Unrevoked
}

// Step is what a heartbeat brings.
type Step[T comparable] struct {
	Target  Set[T] // what the member should have
	AsOf    int32  // the epoch of the target, never less than before
	Changed bool   // the member wants other topics than before

	// Wanted says whether the member still wants t, which may be in the target for what it wanted before; nil for all.
	Wanted func(t T) bool
	// Taken says whether somebody else has t.
	Taken func(t T) bool
	// Owned is what the member says that it has; nil if it says nothing.
	Owned Set[T]
}

// Check says whether a heartbeat of a member in that epoch may come from it, or is ErrFencedMemberEpoch: of 0, which joins,
// of its present epoch, and of the one before if it owns no more than it was assigned since, as of a member that has missed an
// answer. Owned is as in Step.
func (c Current[T]) Check(epoch int32, owned Set[T]) error {
	switch {
	case epoch == 0 || epoch == c.Epoch:
		return nil
	case epoch == c.Previous && epoch < c.Epoch && owned != nil && within(owned, c.Assigned):
		return nil
	}
	return fmt.Errorf("%w: it says %d, and is in %d", log.ErrFencedMemberEpoch, epoch, c.Epoch)
}

func within[T comparable](set Set[T], in map[T]int32) bool {
	for t := range set {
		if _, ok := in[t]; !ok {
			return false
		}
	}
	return true
}

// ReconciledTo reports whether the member has all that it should have as of the epoch.
func (c Current[T]) ReconciledTo(epoch int32) bool { return c.State == Stable && c.Epoch == epoch }

// Next returns what the member has after a step.
func (c Current[T]) Next(s Step[T]) Current[T] {
	switch {
	case c.State == Stable && c.Epoch == s.AsOf, c.State == Unrevoked && s.owns(c.Revoking):
		if s.Changed {
			return c.drop(s)
		}
		return c
	}
	return c.advance(s)
}

// owns reports whether the member has some of it: if it does not say, it does.
func (s Step[T]) owns(some map[T]int32) bool {
	if s.Owned == nil {
		return true
	}
	for t := range s.Owned {
		if _, ok := some[t]; ok {
			return true
		}
	}
	return false
}

func (s Step[T]) wants(t T) bool { return s.Wanted == nil || s.Wanted(t) }

// drop takes away what the member wants no more, before there is a new target.
func (c Current[T]) drop(s Step[T]) Current[T] {
	keep, revoke := make(map[T]int32, len(c.Assigned)), maps.Clone(c.Revoking)
	for t, epoch := range c.Assigned {
		if s.wants(t) {
			keep[t] = epoch
			continue
		}
		if revoke == nil {
			revoke = make(map[T]int32)
		}
		revoke[t] = epoch
	}
	if len(keep) == len(c.Assigned) {
		return c
	}
	next := Current[T]{Epoch: c.Epoch, Previous: c.Epoch, State: c.State, Assigned: keep, Revoking: c.Revoking}
	if s.owns(revoke) {
		next.State, next.Revoking = Unrevoked, revoke
	}
	return next
}

// advance brings the member to the target as far as it goes now.
func (c Current[T]) advance(s Step[T]) Current[T] {
	keep, revoke := make(map[T]int32, len(s.Target)), make(map[T]int32)
	for t, epoch := range c.Assigned {
		if _, ok := s.Target[t]; ok && s.wants(t) {
			keep[t] = epoch
		} else {
			revoke[t] = epoch
		}
	}
	if len(revoke) > 0 && s.owns(revoke) {
		return Current[T]{Epoch: c.Epoch, Previous: c.Epoch, State: Unrevoked, Assigned: keep, Revoking: revoke}
	}
	next := Current[T]{Epoch: s.AsOf, Previous: c.Epoch, State: Stable, Assigned: keep}
	for t := range s.Target {
		if _, has := keep[t]; has || !s.wants(t) {
			continue
		}
		if s.Taken != nil && s.Taken(t) {
			next.State = Unreleased
			continue
		}
		keep[t] = s.AsOf
	}
	return next
}

// Equal reports whether two members have the same.
func (c Current[T]) Equal(d Current[T]) bool {
	return c.Epoch == d.Epoch && c.Previous == d.Previous && c.State == d.State &&
		maps.Equal(c.Assigned, d.Assigned) && maps.Equal(c.Revoking, d.Revoking)
}

// Held returns as of which epoch the member has t, given to it or not yet given up; false if it has not.
func (c Current[T]) Held(t T) (int32, bool) {
	if epoch, ok := c.Assigned[t]; ok {
		return epoch, true
	}
	epoch, ok := c.Revoking[t]
	return epoch, ok
}

// CheckCommit says whether the member may commit for t in that epoch, or is ErrStaleMemberEpoch: in its present one, and in
// an older one that it had t in already (KIP-1251).
func (c Current[T]) CheckCommit(epoch int32, t T) error {
	if epoch == c.Epoch {
		return nil
	}
	since, ok := c.Held(t)
	switch {
	case epoch > c.Epoch:
		return fmt.Errorf("%w: it says %d, and is in %d", log.ErrStaleMemberEpoch, epoch, c.Epoch)
	case !ok:
		return fmt.Errorf("%w: it says %d, is in %d, and has no more of it", log.ErrStaleMemberEpoch, epoch, c.Epoch)
	case epoch < since:
		return fmt.Errorf("%w: it says %d, and has it since %d", log.ErrStaleMemberEpoch, epoch, since)
	}
	return nil
}

// Away returns what a static member has that has left to come back: all that it was assigned, as of no epoch.
func (c Current[T]) Away() Current[T] {
	has := make(map[T]int32, len(c.Assigned))
	for t := range c.Assigned {
		has[t] = 0
	}
	return Current[T]{Epoch: AwayEpoch, Previous: c.Previous, Assigned: has}
}

// AwayEpoch is the epoch of a static member that has left to come back.
const AwayEpoch = -2
