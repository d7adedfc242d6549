package txn

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

var update = flag.Bool("update", false, "write the stories' outcomes; read each of them before you commit it")

// TestStories plays testdata/*.txt. A story is a list of what clients do with one transactional id, each line
// followed by what came of it, behind "->". Its first words are the time, then the client:
//
//	at 3s a add orders/0
//	-> ok
//
// A client acts as the producer that it was told last; as=7/3 overrides that. "epoch 32766" makes whoever has the id
// have that epoch. New producer ids are 1, 2 and so on. "at 3s" alone lets time pass. What time brings happens by
// itself on the way, and is told with its hour. "begin" begins anew.
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
	s := newStage()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "->") {
			continue
		}
		s.out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "begin" {
			s.begin()
			continue
		}
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s.passTime(d)
		switch {
		case len(words) == 3:
			s.happen(words[2])
		case len(words) > 3:
			s.act(words[2], words[3], words[4:])
		}
	}
	return s.out.String()
}

// stage is one transactional id, its clients, and the coordinator's part as far as a story needs it.
type stage struct {
	out     strings.Builder
	txn     *Transaction
	now     time.Duration
	ids     int64
	clients map[string]Producer
	stored  []byte // the last Persist
	before  string // as told last
}

func newStage() *stage {
	s := &stage{}
	s.begin()
	return s
}

func (s *stage) begin() {
	s.txn, s.now, s.ids, s.stored = NewTransaction("t"), 0, 0, nil
	s.clients = make(map[string]Producer)
	s.before = s.standing()
}

func (s *stage) at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func (s *stage) tell(format string, args ...any) { fmt.Fprintf(&s.out, "-> "+format+"\n", args...) }

func (s *stage) standing() string { return fmt.Sprintf("%s, %s", s.txn.State(), s.txn.Producer()) }

// passTime is the coordinator's timer.
func (s *stage) passTime(to time.Duration) {
	if end, ok := s.txn.Deadline(); ok && !end.After(s.at(to)) {
		s.now = end.Sub(s.at(0))
		s.tell("at %s: it takes too long", s.now)
		s.carryOut(s.txn.TimeOut(end))
	}
	s.now = to
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
		s.tell("%s", text)
	}
	if e.Persist != nil {
		s.stored = e.Persist.Encode()
	}
	if now := s.standing(); now != s.before {
		s.tell("%s", now)
		s.before = now
	}
}

// happen is what no client does.
func (s *stage) happen(what string) {
	switch what {
	case "fence":
		s.carryOut(s.txn.Fence(s.at(s.now)))
	case "describe":
		snap := s.txn.Snapshot()
		s.tell("%s, %s, before it epoch %d, id %d, time-out %s, partitions %v, groups %v", snap.State, snap.Producer,
			snap.LastEpoch, snap.Previous, snap.Timeout, snap.Partitions, snap.Groups)
	case "restart":
		snap, err := DecodeSnapshot(s.stored)
		if err != nil {
			s.tell("%v", err)
			return
		}
		s.txn = Restore("t", snap)
	default:
		s.tell("no such verb")
	}
}

func (s *stage) act(client, verb string, words []string) {
	o, rest := make(map[string]string), []string(nil)
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok {
			o[name] = value
		} else {
			rest = append(rest, w)
		}
	}
	p, known := s.clients[client]
	if o["as"] != "" {
		p, known = readProducer(o["as"]), true
	}
	now := s.at(s.now)
	switch verb {
	case "init":
		s.init(client, p, known && o["new"] == "", o)
	case "end":
		s.end(client, p, rest)
	case "add":
		var tps []log.TopicPartition
		for _, w := range rest {
			tps = append(tps, readTP(w))
		}
		e, err := s.txn.Add(now, p, tps...)
		s.answer(e, err)
	case "group":
		e, err := s.txn.AddGroup(now, p, rest[0])
		s.answer(e, err)
	case "verify":
		s.tell("%s", short(s.txn.Verify(p, readTP(rest[0]))))
	case "verify-group":
		s.tell("%s", short(s.txn.VerifyGroup(p, rest[0])))
	case "epoch":
		n, _ := strconv.Atoi(rest[0])
		s.txn.producer.Epoch = int16(n)
		s.clients[client] = s.txn.producer
		s.before = s.standing()
	default:
		s.tell("no such verb")
	}
}

func (s *stage) answer(e Effects, err error) {
	s.tell("%s", short(err))
	s.carryOut(e)
}

func (s *stage) init(client string, p Producer, goesOn bool, o map[string]string) {
	req := InitRequest{Timeout: time.Minute, Fresh: -1}
	if d, err := time.ParseDuration(o["timeout"]); err == nil {
		req.Timeout = d
	}
	if goesOn {
		req.Expected = &p
	}
	e, err := s.txn.Init(s.at(s.now), req)
	if errors.Is(err, errNeedsID) {
		s.ids++
		req.Fresh = s.ids
		e, err = s.txn.Init(s.at(s.now), req)
	}
	if err != nil {
		s.tell("%s", short(err))
		return
	}
	s.clients[client] = s.txn.Producer()
	s.tell("%s is %s", client, s.txn.Producer())
	s.carryOut(e)
}

// end is followed by commit or abort, and by v2 for transaction.version 2.
func (s *stage) end(client string, p Producer, words []string) {
	req := EndRequest{Producer: p, Commit: words[0] == "commit", Bump: len(words) > 1, Fresh: -1}
	e, err := s.txn.End(s.at(s.now), req)
	if errors.Is(err, errNeedsID) {
		s.ids++
		req.Fresh = s.ids
		e, err = s.txn.End(s.at(s.now), req)
	}
	if err != nil {
		s.tell("%s", short(err))
		return
	}
	if req.Bump {
		s.clients[client] = s.txn.Producer()
		s.tell("%s goes on as %s", client, s.txn.Producer())
	} else {
		s.tell("ok")
	}
	s.carryOut(e)
}

func readProducer(text string) (p Producer) {
	if _, err := fmt.Sscanf(text, "%d/%d", &p.ID, &p.Epoch); err != nil {
		panic(err)
	}
	return p
}

func readTP(text string) log.TopicPartition {
	topic, n, _ := strings.Cut(text, "/")
	i, _ := strconv.Atoi(n)
	return log.TopicPartition{Topic: topic, Partition: int32(i)}
}

// short is an error without the name of the transactional id.
func short(err error) string {
	if err == nil {
		return "ok"
	}
	return strings.TrimPrefix(err.Error(), "transactional id t: ")
}
