package txn

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestStories plays stories of one transactional id. The first words of a line are the time, then the client:
//
//	at 3s a add orders/0
//	-> ok
//
// A client acts as the producer that it was told last; as=7/3 overrides that. "epoch 32766" makes whoever has the id
// have that epoch. New producer ids are 1, 2 and so on.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is one transactional id, its clients, and the coordinator's part as far as a story needs it.
type stage struct {
	*story.Teller
	txn     *Transaction
	ids     int64
	clients map[string]Producer
	stored  []byte // the last Persist
	before  string // as told last
}

// Begin implements story.Machine.
func (s *stage) Begin([]string) {
	s.txn, s.ids, s.stored = NewTransaction("t"), 0, nil
	s.clients = make(map[string]Producer)
	s.before = s.standing()
}

// Check implements story.Machine.
func (s *stage) Check() error { return nil }

func (s *stage) standing() string { return fmt.Sprintf("%s, %s", s.txn.State(), s.txn.Producer()) }

// PassTime is the coordinator's timer.
func (s *stage) PassTime(to time.Duration) {
	if end, ok := s.txn.Deadline(); ok && !end.After(s.At(to)) {
		s.Tell("at %s: it takes too long", s.Since(end))
		s.carryOut(s.txn.TimeOut(end))
	}
}

func (s *stage) carryOut(e Effects) {
	if e.End != nil {
		text := fmt.Sprintf("%s by %s", outcome(e.End.Commit), e.End.Marker)
		for _, tp := range e.End.Partitions {
			text += " " + tp.String()
		}
		for _, g := range e.End.Groups {
			text += " group " + g
		}
		s.Tell("%s", text)
	}
	if e.Persist != nil {
		s.stored = e.Persist.Encode()
	}
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
}

// happen is what no client does.
func (s *stage) happen(what string) {
	switch what {
	case "fence":
		s.carryOut(s.txn.Fence(s.Time()))
	case "describe":
		snap := s.txn.Snapshot()
		s.Tell("%s, %s, before it epoch %d, id %d, time-out %s, partitions %v, groups %v", snap.State, snap.Producer,
			snap.LastEpoch, snap.Previous, snap.Timeout, snap.Partitions, snap.Groups)
	case "restart":
		snap, err := DecodeSnapshot(s.stored)
		if err != nil {
			s.Tell("%v", err)
			return
		}
		s.txn = Restore("t", snap)
	default:
		s.Tell("no such verb")
	}
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	if len(words) == 1 {
		s.happen(words[0])
		return
	}
	client, verb := words[0], words[1]
	o, rest := story.Read(words[2:])
	p, known := s.clients[client]
	if o["as"] != "" {
		p, known = readProducer(o["as"]), true
	}
	now := s.Time()
	switch verb {
	case "init":
		s.init(client, p, known && o["new"] == "", o)
	case "end":
		s.end(client, p, rest)
	case "add":
		var tps []log.TopicPartition
		for _, w := range rest {
			tps = append(tps, story.Partitions(w)...)
		}
		e, err := s.txn.Add(now, p, tps...)
		s.answer(e, err)
	case "group":
		e, err := s.txn.AddGroup(now, p, rest[0])
		s.answer(e, err)
	case "verify":
		s.Tell("%s", short(s.txn.Verify(p, story.Partitions(rest[0])[0])))
	case "verify-group":
		s.Tell("%s", short(s.txn.VerifyGroup(p, rest[0])))
	case "epoch":
		n, _ := strconv.Atoi(rest[0])
		s.txn.producer.Epoch = int16(n)
		s.clients[client] = s.txn.producer
		s.before = s.standing()
	default:
		s.Tell("no such verb")
	}
}

func (s *stage) answer(e Effects, err error) {
	s.Tell("%s", short(err))
	s.carryOut(e)
}

func (s *stage) init(client string, p Producer, goesOn bool, o story.Options) {
	req := InitRequest{Timeout: o.Duration("timeout", time.Minute), Fresh: -1}
	if goesOn {
		req.Expected = &p
	}
	e, err := s.txn.Init(s.Time(), req)
	if errors.Is(err, errNeedsID) {
		s.ids++
		req.Fresh = s.ids
		e, err = s.txn.Init(s.Time(), req)
	}
	if err != nil {
		s.Tell("%s", short(err))
		return
	}
	s.clients[client] = s.txn.Producer()
	s.Tell("%s is %s", client, s.txn.Producer())
	s.carryOut(e)
}

// end is followed by commit or abort, and by v2 for transaction.version 2.
func (s *stage) end(client string, p Producer, words []string) {
	req := EndRequest{Producer: p, Commit: words[0] == "commit", Bump: len(words) > 1, Fresh: -1}
	e, err := s.txn.End(s.Time(), req)
	if errors.Is(err, errNeedsID) {
		s.ids++
		req.Fresh = s.ids
		e, err = s.txn.End(s.Time(), req)
	}
	if err != nil {
		s.Tell("%s", short(err))
		return
	}
	if req.Bump {
		s.clients[client] = s.txn.Producer()
		s.Tell("%s goes on as %s", client, s.txn.Producer())
	} else {
		s.Tell("ok")
	}
	s.carryOut(e)
}

func readProducer(text string) (p Producer) {
	if _, err := fmt.Sscanf(text, "%d/%d", &p.ID, &p.Epoch); err != nil {
		panic(err)
	}
	return p
}

// short is an error without the name of the transactional id.
func short(err error) string { return story.Short(err, "transactional id t: ") }
