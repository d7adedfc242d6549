package member

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestStories plays stories of one member:
//
//	at 3s poll
//	-> revoke orders/1
//
// A call of Poll does its steps, and comes back with "return". With hold= it stays in the first step of
// that kind until "done"; dead= is what Examine finds, and refused= what Assign cannot read. After each line the
// invariants hold, and are part of no story.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is a member, and who runs it as far as a story needs that.
type stage struct {
	*story.Teller
	runner
	generations  int32  // of the group
	records      uint64 // that a loop has come back for
	due, running bool   // as told last
}

// Begin implements story.Machine. The words are options.
func (s *stage) Begin(words []string) {
	o, _ := story.Read(words)
	s.generations, s.records, s.due, s.running = 0, 0, true, false
	s.runner = newRunner(s.At(0), Options{
		InstanceID: o["instance"], Assignors: []group.Assignor{assignors[o.Or("assignor", "cooperative-sticky")]}, SessionTimeout: 10 * time.Second,
		HeartbeatInterval: 3 * time.Second, MaxPollInterval: o.Duration("maxpoll", 5*time.Minute), AutoCommitInterval: o.Duration("commit", 0),
	})
}

// Check implements story.Machine.
func (s *stage) Check() error { return s.check() }

// PassTime implements story.Machine.
func (s *stage) PassTime(to time.Duration) {
	for next := s.NextDeadline(); !next.After(s.At(to)); next = s.NextDeadline() {
		s.Now = s.Since(next)
		s.tick(fmt.Sprintf("at %s: ", s.Now))
	}
}

func (s *stage) tick(when string) {
	act := s.Tick(s.Time(), s.records)
	if act.Late != "" {
		s.Tell("%sis late, leaves as %s", when, act.Late)
	}
	if act.Heartbeat {
		s.Tell("%sheartbeat of %s in generation %d", when, act.MemberID, act.Generation)
	}
	if act.Commit {
		s.Tell("%sauto-commit", when)
	}
	s.follow()
}

// follow tells what comes of an event: a round that is given up, and a step for Poll, which sleeps
// perhaps.
func (s *stage) follow() {
	if s.running && !s.Running(s.round) && s.phase == idle {
		s.Tell("cancels round %d", s.round)
	}
	if s.Due() && !s.due && s.step.Kind == Nothing {
		s.Tell("wakes Poll")
	}
	s.due, s.running = s.Due(), s.Running(s.round)
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	verb, words := words[0], words[1:]
	o, _ := story.Read(words)
	round := o.Int("round", s.round)
	switch verb {
	case "poll", "done":
		if verb == "poll" {
			s.Enter()
		}
		s.steps(o, s.Next)
	case "return":
		s.Leave(s.Time())
	case "more": // a loop over records goes on
		s.records++
	case "over":
		s.Tell("%t", s.Over())
	case "join": // what the round tells the group
		j := s.Standing()
		s.Tell("joins as %q of generation %d for %v, owns %v, had %v in %d", j.memberID, j.generation, j.topics, Partitions(j.owned), Partitions(j.last), j.lastGeneration)
	case "joined":
		s.generations++
		if !s.Joined(round, words[0], s.generations) {
			s.Tell("nobody hears")
		}
	case "synced":
		s.Synced(round, story.Partitions(o["assigned"]))
	case "refused":
		s.Tell("starts over: %t", s.Retry(round, o["id"], errorOf(words[0])))
	case "failed":
		s.Fail(round, errorOf(words[0]))
	case "heard":
		s.Heard(int32(o.Int("gen", int(s.generation))), errorOf(words[0]))
	case "wake":
		s.tick("")
	case "topics":
		s.Topics(strings.Split(words[0], "+"), o["reshaped"] != "")
	case "deleted":
		s.Forget()
	case "claim":
		c, err := s.Claim()
		s.Tell("commits as %q in generation %d, %s", c.MemberID, c.Generation, short(err))
	case "commit": // was refused
		s.Tell("%s", [...]string{"final", "again", "after the round"}[s.Refused(Claim{Generation: int32(o.Int("gen", int(s.generation))), Round: o.Int("during", 0)}, errorOf(words[0]))])
	case "saved":
		failures, told := s.Saved(errorOf(words[0]))
		s.Tell("%d failures, told: %t", failures, told)
	case "close":
		s.Close()
		s.steps(o, s.Last)
	case "end":
		s.Tell("leaves as %q", s.Closed())
	default:
		s.Tell("no such verb")
	}
	s.follow()
}

// steps does steps until there is none, or one is to be held.
func (s *stage) steps(o story.Options, next func() Step) {
	for range 20 {
		if s.step.Kind == Nothing {
			s.step = next()
			if s.step.Kind == Nothing || s.step.Kind == Fail {
				if s.step.Kind == Fail {
					s.Tell("poll: %s", short(s.step.Err))
				}
				s.step = Step{}
				return
			}
			if kinds[s.step.Kind] == o["hold"] {
				s.Tell("is in %s %s", o["hold"], names(s.step.Partitions))
				return
			}
		}
		done := s.step
		about := s.finish(story.Partitions(o["dead"]), story.Partitions(o["refused"]))
		switch done.Kind {
		case Rejoin:
			s.Tell("begins round %d", s.round)
		case Quit:
			s.Tell("leaves as %q", done.MemberID)
		case Examine:
		default:
			s.Tell("%s %s", kinds[done.Kind], names(about))
		}
	}
	s.Tell("there is no end to it")
}

var kinds = [...]string{"nothing", "fail", "lose", "examine", "revoke", "assign", "rejoin", "quit"}

var assignors = map[string]group.Assignor{"cooperative-sticky": group.CooperativeSticky(), "range": group.Range(), "sticky": group.Sticky()}

var storyErrors = map[string]error{
	"ok": nil, "rebalance": log.ErrRebalanceInProgress, "fenced": log.ErrFencedInstance, "unknown-member": log.ErrUnknownMember,
	"illegal-generation": log.ErrIllegalGeneration, "id-required": log.ErrMemberIDRequired, "unknown-group": log.ErrUnknownGroup,
	"full": log.ErrGroupFull, "closed": log.ErrClosed, "disk-full": log.ErrDiskFull,
}

// errorOf returns the error of that name, wrapped as the coordinator does it.
func errorOf(name string) error {
	err, ok := storyErrors[name]
	if !ok {
		err = errors.New(name)
	}
	if err != nil {
		err = fmt.Errorf("group g: %w", err)
	}
	return err
}

func short(err error) string { return story.Short(err, "group g: ") }

func names(tps []log.TopicPartition) string {
	if len(tps) == 0 {
		return "none"
	}
	var all []string
	for _, tp := range tps {
		all = append(all, tp.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
