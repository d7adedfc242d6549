package group

import (
	"bytes"
	"cmp"
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

// TestStories plays testdata/*.txt. A story is a list of what clients do, each line followed
// by what came of it, behind "->". Its first words are the time, then the client:
//
//	at 3s join a protocols=range:orders
//	-> a waits
//
// A client joins with the id that it knows, a-1, then a-2 and so on, and names the generation
// that it was told; as= and gen= override these. "at 3s" alone lets time pass. Whatever time
// brings happens by itself on the way, and is told with its hour.
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
		if words[0] != "at" {
			s.setRules(words[1:])
			continue
		}
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s.passTime(d)
		if len(words) > 2 {
			s.act(words[2], words[3:])
		}
	}
	return s.out.String()
}

// stage is one group, its clients, and the coordinator's part as far as a story needs it.
type stage struct {
	out     strings.Builder
	group   *Group
	rules   Rules
	clients map[string]*client
	calls   map[Ticket]string // who waits
	ticket  Ticket
	now     time.Duration
	stored  []byte // the last Persist
	before  string // state and generation as told last
}

// client is what a client remembers of its group.
type client struct {
	name, id   string
	ids        int // how many it was given
	generation int32
	call       Ticket // the last
	join       JoinRequest
}

func newStage() *stage {
	s := &stage{}
	s.setRules(nil)
	return s
}

// setRules begins anew.
func (s *stage) setRules(words []string) {
	s.clients, s.calls = make(map[string]*client), make(map[Ticket]string)
	s.now, s.stored = 0, nil
	s.rules = readRules(words)
	s.group = NewGroup("g", s.rules)
	s.before = s.standing()
}

func readRules(words []string) Rules {
	o := options(words)
	r := Rules{InitialDelay: o.duration("delay", 0), MinSessionTimeout: o.duration("min", 0), MaxSessionTimeout: o.duration("max", 0)}
	r.MaxMembers, _ = strconv.Atoi(o["members"])
	return r
}

func (s *stage) at(d time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(d) }

func (s *stage) tell(format string, args ...any) { fmt.Fprintf(&s.out, "-> "+format+"\n", args...) }

// passTime is the coordinator's timer.
func (s *stage) passTime(to time.Duration) {
	for range 1000 { // a machine whose deadline stays must not hang the test
		next, ok := s.group.NextDeadline()
		if !ok || next.After(s.at(to)) {
			break
		}
		s.now = next.Sub(s.at(0))
		members := s.group.Describe().Members
		e := s.group.Expire(next)
		var events []string
		for _, m := range members {
			if s.group.byID[m.ID] == nil {
				events = append(events, m.ID+" is out")
			}
		}
		if len(events)+len(e.Joins)+len(e.Syncs) > 0 || s.standing() != s.before {
			s.tell("%s", strings.Join(append([]string{"at " + s.now.String() + ":"}, events...), " "))
		}
		s.carryOut(e)
	}
	s.now = to
}

func (s *stage) standing() string {
	return fmt.Sprintf("%s, generation %d", s.group.State(), s.group.Generation())
}

// carryOut tells the effects, and gives the clients their answers.
func (s *stage) carryOut(e Effects) {
	for _, r := range e.Joins {
		s.joined(r)
	}
	for _, r := range e.Syncs {
		c := s.clients[s.calls[r.Ticket]]
		delete(s.calls, r.Ticket)
		if r.Err != nil {
			s.tell("%s sync: %s", c.name, short(r.Err))
			continue
		}
		s.tell("%s is assigned %q under %s", c.name, r.Assignment, r.ProtocolName)
	}
	if e.Persist != nil {
		s.stored = e.Persist.Encode()
		text := fmt.Sprintf("stored: generation %d", e.Persist.Generation)
		for _, m := range e.Persist.Members {
			text += fmt.Sprintf(" %s=%q", m.ID, m.Assignment)
		}
		if e.Persist.Stable {
			text += " stable"
		}
		s.tell("%s", text)
	}
	if now := s.standing(); now != s.before {
		s.tell("%s", now)
		s.before = now
	}
}

func (s *stage) joined(r JoinResponse) {
	c := s.clients[s.calls[r.Ticket]]
	delete(s.calls, r.Ticket)
	if r.Err != nil {
		s.tell("%s join: %s", c.name, short(r.Err))
		if errors.Is(r.Err, log.ErrMemberIDRequired) {
			c.id = r.MemberID
		}
		return
	}
	c.id, c.generation = r.MemberID, r.Generation
	role := "follows " + r.Leader
	if r.Leader == r.MemberID {
		role = "leads"
		for _, m := range r.Members {
			role += fmt.Sprintf(" %s=%s", m.ID, readMetadata(m.Metadata))
		}
	}
	if r.SkipAssignment {
		role += ", assignments stand"
	}
	s.tell("%s joined as %s in generation %d under %s, %s", c.name, r.MemberID, r.Generation, r.ProtocolName, role)
}

func (s *stage) act(verb string, words []string) {
	now := s.at(s.now)
	if verb == "rules" {
		s.rules = readRules(words)
		s.group.SetRules(s.rules)
		return
	}
	var c *client
	if len(words) > 0 {
		c = s.client(words[0])
		words = words[1:]
	}
	o := options(words)
	switch verb {
	case "join":
		s.join(c, o)
	case "sync":
		req := SyncRequest{Ticket: s.call(c), MemberID: o.or("as", c.id), InstanceID: o["instance"],
			Generation: o.generation(c), ProtocolType: o["type"], ProtocolName: o["protocol"]}
		req.Assignments = make(map[string][]byte)
		for name, v := range o {
			if other := s.clients[name]; other != nil {
				req.Assignments[other.id] = []byte(v)
			}
		}
		s.carryOut(s.group.Sync(now, req))
		s.tellWaiting(c)
	case "heartbeat":
		err := s.group.Heartbeat(now, o.or("as", c.id), o["instance"], o.generation(c))
		s.tell("%s", short(err))
	case "commit":
		err := s.group.CheckCommit(now, o.or("as", c.id), o["instance"], o.generation(c))
		s.tell("%s", short(err))
	case "txn-commit":
		err := s.group.CheckTxnCommit(o.or("as", c.id), o["instance"], o.generation(c))
		s.tell("%s", short(err))
	case "leave":
		errs, e := s.group.Leave(now, []LeaveMember{{o.or("as", c.id), o["instance"]}})
		s.tell("%s", short(errs[0]))
		s.carryOut(e)
	case "cancel":
		delete(s.calls, c.call)
		s.carryOut(s.group.Cancel(now, c.call))
	case "delete":
		s.tell("%s", short(s.group.Delete()))
		s.carryOut(Effects{})
	case "subscribed":
		s.subscribed(c.name)
	case "describe":
		s.describe()
	case "restart":
		s.restart()
	default:
		s.tell("no such verb")
	}
}

func (s *stage) client(name string) *client {
	c := s.clients[name]
	if c == nil {
		c = &client{name: name, generation: -1}
		s.clients[name] = c
	}
	return c
}

func (s *stage) call(c *client) Ticket {
	s.ticket++
	s.calls[s.ticket], c.call = c.name, s.ticket
	return s.ticket
}

func (s *stage) tellWaiting(c *client) {
	if s.calls[c.call] != "" {
		s.tell("%s waits", c.name)
	}
}

// join remembers what the client asked for: the next Join says the same unless told otherwise.
func (s *stage) join(c *client, o opts) {
	req := &c.join
	req.Ticket, req.MemberID = s.call(c), o.or("as", c.id)
	c.ids++
	req.NewMemberID = fmt.Sprintf("%s-%d", c.name, c.ids)
	if req.MemberID != "" {
		c.ids--
	}
	req.InstanceID = o.or("instance", req.InstanceID)
	req.RequireKnownMember = o["twostep"] != ""
	req.SkipAssignment = o["skip"] != ""
	req.Local = o["local"] != ""
	req.ClientID, req.ClientHost = c.name, "localhost"
	req.SessionTimeout = o.duration("session", cmp.Or(req.SessionTimeout, 10*time.Second))
	req.RebalanceTimeout = o.duration("rebalance", cmp.Or(req.RebalanceTimeout, time.Minute))
	req.ProtocolType = o.or("type", consumerType)
	if o["protocols"] != "" || req.Protocols == nil {
		req.Protocols = protocols(o.or("protocols", "range:orders"))
	}
	s.carryOut(s.group.Join(s.at(s.now), *req))
	s.tellWaiting(c)
}

func (s *stage) subscribed(topic string) {
	subscribed, err := s.group.Subscribed()
	switch {
	case err != nil:
		s.tell("%s", short(err))
	case subscribed(topic):
		s.tell("yes")
	default:
		s.tell("no")
	}
}

func (s *stage) describe() {
	d := s.group.Describe()
	s.tell("%s, generation %d, type %q, protocol %q, leader %q", d.State, d.Generation, d.ProtocolType, d.ProtocolName, d.Leader)
	for _, m := range d.Members {
		s.tell("%s instance %q client %s@%s wants %s has %q", m.ID, m.InstanceID, m.ClientID, m.ClientHost, readMetadata(m.Metadata), m.Assignment)
	}
}

// restart kills the broker: whoever waits is cut off, and all but the last Persist is lost.
func (s *stage) restart() {
	clear(s.calls)
	if s.stored == nil {
		s.group = NewGroup("g", s.rules)
	} else {
		snapshot, err := DecodeSnapshot(s.stored)
		if err != nil {
			s.tell("%v", err)
			return
		}
		s.group = Restore(s.at(s.now), "g", s.rules, snapshot)
	}
	s.before = ""
	s.carryOut(Effects{})
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

func (o opts) generation(c *client) int32 {
	if n, err := strconv.Atoi(o["gen"]); err == nil {
		return int32(n)
	}
	return c.generation
}

// protocols reads range:orders,sticky:orders/0-3: names, topics, and user data, which
// stands for what a consumer owns.
func protocols(text string) []Protocol {
	var ps []Protocol
	for p := range strings.SplitSeq(text, ",") {
		name, meta, _ := strings.Cut(p, ":")
		topics, own, _ := strings.Cut(meta, "/")
		var sub Subscription
		if topics != "" {
			sub.Topics = strings.Split(topics, "+")
		}
		sub.UserData = []byte(own)
		ps = append(ps, Protocol{name, EncodeSubscription(sub)})
	}
	return ps
}

func readMetadata(b []byte) string {
	sub, err := DecodeSubscription(b)
	if err != nil {
		return strconv.Quote(string(b))
	}
	text := strings.Join(sub.Topics, "+")
	if len(bytes.TrimSpace(sub.UserData)) > 0 {
		text += "/" + string(sub.UserData)
	}
	return text
}

// short is an error without the names of the group and the member.
func short(err error) string {
	if err == nil {
		return "ok"
	}
	text := strings.TrimPrefix(err.Error(), "group g: ")
	if rest, ok := strings.CutPrefix(text, "member "); ok {
		_, text, _ = strings.Cut(rest, ": ")
	}
	return text
}
