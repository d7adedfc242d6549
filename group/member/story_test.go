package member

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

var update = flag.Bool("update", false, "write the stories' outcomes; read each of them before you commit it")

// TestStories plays testdata/*.txt. A story is what happens to one member, each line followed by what
// it does then, behind "->". A line begins with the time:
//
//	at 3s poll
//	-> revoke orders/1
//
// A call of Poll does its steps, and comes back with "return". With hold= it stays in the first step of
// that kind until "done"; dead= is what Examine finds, and refused= what Assign cannot read. "at 3s"
// alone lets time pass: the ticks on the way are told with their hour. After each line the invariants
// hold, and are part of no story.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			played := play(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(played), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if played != string(text) {
				t.Errorf("the story goes otherwise:\n%s", played)
			}
		})
	}
}

func play(t *testing.T, text string) string {
	s := &stage{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "->") {
			continue
		}
		s.out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "options" {
			s.begin(words[1:])
			continue
		}
		d, err := time.ParseDuration(words[1])
		if err != nil || words[0] != "at" {
			t.Fatalf("%q: %v", line, err)
		}
		s.passTime(d)
		if len(words) > 2 {
			s.act(words[2], words[3:])
		}
		if err := s.check(); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
	return s.out.String()
}

// stage is a member, and who runs it as far as a story needs that.
type stage struct {
	runner
	out          strings.Builder
	now          time.Duration
	generations  int32  // of the group
	records      uint64 // that a loop has come back for
	due, running bool   // as told last
}

func (s *stage) begin(words []string) {
	o := options(words)
	s.now, s.generations, s.records, s.due, s.running = 0, 0, 0, true, false
	s.runner = newRunner(s.at(0), Options{
		InstanceID: o["instance"], Assignors: []group.Assignor{assignors[o.or("assignor", "cooperative-sticky")]}, SessionTimeout: 10 * time.Second,
		HeartbeatInterval: 3 * time.Second, MaxPollInterval: o.duration("maxpoll", 5*time.Minute), AutoCommitInterval: o.duration("commit", 0),
	})
}

func (s *stage) at(d time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(d) }

func (s *stage) tell(format string, args ...any) {
	s.out.WriteString(strings.TrimRight(fmt.Sprintf("-> "+format, args...), " ") + "\n")
}

func (s *stage) passTime(to time.Duration) {
	for next := s.NextDeadline(); !next.After(s.at(to)); next = s.NextDeadline() {
		s.now = next.Sub(s.at(0))
		s.tick(fmt.Sprintf("at %s: ", s.now))
	}
	s.now = to
}

func (s *stage) tick(when string) {
	act := s.Tick(s.at(s.now), s.records)
	if act.Late != "" {
		s.tell("%sis late, leaves as %s", when, act.Late)
	}
	if act.Heartbeat {
		s.tell("%sheartbeat of %s in generation %d", when, act.MemberID, act.Generation)
	}
	if act.Commit {
		s.tell("%sauto-commit", when)
	}
	s.follow()
}

// follow tells what comes of an event: a round that is given up, and a step for Poll, which sleeps
// perhaps.
func (s *stage) follow() {
	if s.running && !s.Running(s.round) && s.phase == idle {
		s.tell("cancels round %d", s.round)
	}
	if s.Due() && !s.due && s.step.Kind == Nothing {
		s.tell("wakes Poll")
	}
	s.due, s.running = s.Due(), s.Running(s.round)
}

func (s *stage) act(verb string, words []string) {
	o := options(words)
	round := s.round
	if n, err := strconv.Atoi(o["round"]); err == nil {
		round = n
	}
	switch verb {
	case "poll", "done":
		if verb == "poll" {
			s.Enter()
		}
		s.steps(o, s.Next)
	case "return":
		s.Leave(s.at(s.now))
	case "more": // a loop over records goes on
		s.records++
	case "over":
		s.tell("%t", s.Over())
	case "join": // what the round tells the group
		j := s.Standing()
		s.tell("joins as %q of generation %d for %v, owns %v, had %v in %d", j.memberID, j.generation, j.topics, Partitions(j.owned), Partitions(j.last), j.lastGeneration)
	case "joined":
		s.generations++
		if !s.Joined(round, words[0], s.generations) {
			s.tell("nobody hears")
		}
	case "synced":
		s.Synced(round, partitions(o["assigned"]))
	case "refused":
		s.tell("starts over: %t", s.Retry(round, o["id"], errorOf(words[0])))
	case "failed":
		s.Fail(round, errorOf(words[0]))
	case "heard":
		s.Heard(o.generation(s.generation), errorOf(words[0]))
	case "wake":
		s.tick("")
	case "topics":
		s.Topics(strings.Split(words[0], "+"), o["reshaped"] != "")
	case "deleted":
		s.Forget()
	case "claim":
		id, generation, err := s.Claim()
		s.tell("commits as %q in generation %d, %s", id, generation, short(err))
	case "commit": // was refused
		waited, _ := strconv.Atoi(o["waited"])
		s.tell("%s", [...]string{"final", "again", "after the round"}[s.Refused(o.generation(s.generation), errorOf(words[0]), waited)])
	case "saved":
		failures, told := s.Saved(errorOf(words[0]))
		s.tell("%d failures, told: %t", failures, told)
	case "close":
		s.Close()
		s.steps(o, s.Last)
	case "end":
		s.tell("leaves as %q", s.Closed())
	default:
		s.tell("no such verb")
	}
	s.follow()
}

// steps does steps until there is none, or one is to be held.
func (s *stage) steps(o opts, next func() Step) {
	for range 20 {
		if s.step.Kind == Nothing {
			s.step = next()
			if s.step.Kind == Nothing || s.step.Kind == Fail {
				if s.step.Kind == Fail {
					s.tell("poll: %s", short(s.step.Err))
				}
				s.step = Step{}
				return
			}
			if kinds[s.step.Kind] == o["hold"] {
				s.tell("is in %s %s", o["hold"], names(s.step.Partitions))
				return
			}
		}
		done := s.step
		about := s.finish(partitions(o["dead"]), partitions(o["refused"]))
		switch done.Kind {
		case Rejoin:
			s.tell("begins round %d", s.round)
		case Quit:
			s.tell("leaves as %q", done.MemberID)
		case Examine:
		default:
			s.tell("%s %s", kinds[done.Kind], names(about))
		}
	}
	s.tell("there is no end to it")
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

func short(err error) string {
	if err == nil {
		return "ok"
	}
	return strings.TrimPrefix(err.Error(), "group g: ")
}

// partitions reads orders/0,1+payments/0.
func partitions(text string) (tps []log.TopicPartition) {
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, "+") {
		topic, indexes, _ := strings.Cut(part, "/")
		for index := range strings.SplitSeq(indexes, ",") {
			p, _ := strconv.Atoi(index)
			tps = append(tps, log.TopicPartition{Topic: topic, Partition: int32(p)})
		}
	}
	return tps
}

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

type opts map[string]string

func options(words []string) opts {
	o := make(opts)
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		o[name] = value
	}
	return o
}

func (o opts) or(name, otherwise string) string {
	if v, ok := o[name]; ok {
		return v
	}
	return otherwise
}

func (o opts) duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(o[name]); err == nil {
		return d
	}
	return otherwise
}

func (o opts) generation(otherwise int32) int32 {
	if n, err := strconv.Atoi(o["gen"]); err == nil {
		return int32(n)
	}
	return otherwise
}
