package share

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/story"
)

// TestStories plays stories of the records of a group in a partition. Before the first event a line may say what the
// group's rules are, and where it begins:
//
//	begin at=100 lock=10s deliveries=3 letters backoff=1s order
//
// The log gets records with "log", which are taken in at once: a word is a record, "-" is nothing, "@5s" is one that is to
// come at that hour, and "k:" one of the key k. Members acquire and acknowledge: "a get 3", "a accept 100-102",
// "b release 103 after=5s", "a reject 104". "drop a", "cut 105", "bury", "gone 103-104" and "restart" are what they say.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is a Partition, its log and its store.
type stage struct {
	*story.Teller
	p       *Partition
	rules   Rules
	entries []Entry
	end     int64
	stored  map[int64][]byte
	letters []Letter
	before  string
}

func (s *stage) ms(d time.Duration) int64 { return s.At(d).UnixMilli() }

// Begin implements story.Machine.
func (s *stage) Begin(words []string) {
	o, rest := story.Read(words)
	start, _ := strconv.ParseInt(o.Or("at", "0"), 10, 64)
	most, _ := strconv.Atoi(o.Or("deliveries", "5"))
	s.p, s.entries, s.end, s.stored, s.letters = NewPartition(start), nil, start, make(map[int64][]byte), nil
	s.rules = Rules{LockMs: o.Duration("lock", 30*time.Second).Milliseconds(), MaxDeliveries: most}
	if first := o.Duration("backoff", 0); first > 0 {
		s.rules.Delay = func(n int) int64 { return Backoff{Min: first, Factor: 2}.After(n).Milliseconds() }
	}
	for _, w := range rest {
		s.rules.DeadLetters = s.rules.DeadLetters || w == "letters"
		s.p.Reorder(w == "order" || s.p.Ordered())
	}
	s.store()
	s.before = s.standing()
}

// Check implements story.Machine.
func (s *stage) Check() error {
	if s.p.Start() > s.p.Next() || s.p.Acquired() < 0 || s.p.Ready() < 0 || s.p.Waiting() < 0 || s.p.Open() < 0 {
		return fmt.Errorf("%+v", s.p)
	}
	return nil
}

func (s *stage) standing() string {
	return fmt.Sprintf("from %d: %d ready, %d acquired, %d waiting", s.p.Start(), s.p.Ready(), s.p.Acquired(), s.p.Waiting())
}

// tell tells what has come of it, and stores it.
func (s *stage) tell() {
	for _, l := range s.p.Letters() {
		s.letters = append(s.letters, l)
		s.Tell("dead letter: %d after %d deliveries: %s", l.Offset, l.Deliveries, strings.ToLower(l.Reason))
	}
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
	s.store()
}

func (s *stage) store() {
	for _, c := range s.p.Changes(100) {
		if c.Value == nil {
			delete(s.stored, c.Chunk)
		} else {
			s.stored[c.Chunk] = c.Value
		}
	}
}

// PassTime implements story.Machine.
func (s *stage) PassTime(to time.Duration) {
	for {
		at, ok := s.p.Due()
		if !ok || at > s.ms(to) {
			return
		}
		before := s.standing()
		s.p.Expire(at, s.rules)
		if s.standing() != before {
			s.Tell("at %s", s.Since(time.UnixMilli(at)))
			s.tell()
		}
	}
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	o, words := story.Read(words)
	switch words[0] {
	case "log":
		s.log(words[1:])
	case "drop":
		s.p.Drop(s.ms(s.Now), words[1], s.rules)
	case "cut":
		at, _ := span(words[1])
		s.p.Cut(at)
	case "gone":
		s.p.Gone(span(words[1]))
	case "bury":
		for _, l := range s.letters {
			s.p.Bury(l.Offset)
		}
		s.letters = nil
	case "restart":
		s.restart()
	default:
		s.member(words[0], words[1:], o)
	}
	s.tell()
}

func (s *stage) log(words []string) {
	from := s.p.Next()
	for _, w := range words {
		e := Entry{Offset: s.end}
		if key, _, ok := strings.Cut(w, ":"); ok {
			e.Key = keyNumber([]byte(key))
		}
		if _, at, ok := strings.Cut(w, "@"); ok {
			d, _ := time.ParseDuration(at)
			e.DueMs = s.ms(d)
		}
		if w != "-" {
			s.entries = append(s.entries, e)
		}
		s.end++
	}
	s.take(from)
}

func (s *stage) take(from int64) {
	var news []Entry
	for _, e := range s.entries {
		if e.Offset >= from {
			news = append(news, e)
		}
	}
	s.p.Take(s.ms(s.Now), s.end-1, false, news, s.rules)
}

func (s *stage) restart() {
	chunks := maps.Clone(s.stored)
	delete(chunks, -1)
	p, err := Restore(s.stored[-1], chunks, s.end)
	if err != nil {
		s.Tell("%v", err)
		return
	}
	p.Reorder(s.p.Ordered())
	s.p, s.letters = p, nil
	s.take(p.Next())
}

// span reads "3" or "3-5".
func span(word string) (first, last int64) {
	a, b, ok := strings.Cut(word, "-")
	if !ok {
		b = a
	}
	first, _ = strconv.ParseInt(a, 10, 64)
	last, _ = strconv.ParseInt(b, 10, 64)
	return first, last
}

func (s *stage) member(name string, words []string, o story.Options) {
	now := s.ms(s.Now)
	if words[0] == "get" {
		most, _ := strconv.Atoi(words[1])
		got := s.p.Acquire(now, name, 0, s.end, most, s.rules)
		if len(got) == 0 {
			s.Tell("nothing")
		}
		for _, r := range got {
			s.Tell("%d-%d, delivery %d", r.First, r.Last, r.Deliveries)
		}
		return
	}
	a := Ack{Types: []AckType{AckType(len(ackNames))}, AfterMs: o.Duration("after", 0).Milliseconds(), Reason: o.Or("reason", "")}
	for t, n := range ackNames {
		if n == words[0] {
			a.Types[0] = AckType(t)
		}
	}
	if a.Types[0] == Reject {
		a.Reason = o.Or("reason", "rejected")
	}
	a.First, a.Last = span(words[1])
	a.Deliveries, _ = strconv.Atoi(o.Or("delivery", "0"))
	if err := s.p.Check(name, []Ack{a}); err != nil {
		s.Tell("%v", err)
		return
	}
	s.p.Settle(now, []Ack{a}, s.rules)
	s.Tell("ok")
}
