package group

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/story"
	"github.com/samsa-go/samsa/log"
)

// TestStories plays stories of one group. The first words of a line are the time, then what a client does:
//
//	at 3s join a protocols=range:orders
//	-> a waits
//
// A client joins with the id that it knows, a-1, then a-2 and so on, and names the generation
// that it was told; as= and gen= override these.
func TestStories(t *testing.T) {
	story.Play(t, func(teller *story.Teller) story.Machine { return &stage{Teller: teller} })
}

// stage is one group, its clients, and the coordinator's part as far as a story needs it.
type stage struct {
	*story.Teller
	group   *Group
	rules   Rules
	clients map[string]*client
	calls   map[Ticket]string // who waits
	ticket  Ticket
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

// Begin implements story.Machine. The words are rules.
func (s *stage) Begin(words []string) {
	s.clients, s.calls = make(map[string]*client), make(map[Ticket]string)
	s.stored = nil
	s.rules = readRules(words)
	s.group = NewGroup("g", s.rules)
	s.before = s.standing()
}

// Check implements story.Machine.
func (s *stage) Check() error { return nil }

func readRules(words []string) Rules {
	o, _ := story.Read(words)
	return Rules{
		InitialDelay: o.Duration("delay", 0), MinSessionTimeout: o.Duration("min", 0), MaxSessionTimeout: o.Duration("max", 0),
		MaxMembers: o.Int("members", 0),
	}
}

// PassTime is the coordinator's timer.
func (s *stage) PassTime(to time.Duration) {
	for range 1000 { // a machine whose deadline stays must not hang the test
		next, ok := s.group.NextDeadline()
		if !ok || next.After(s.At(to)) {
			break
		}
		s.Now = s.Since(next)
		members := s.group.Describe().Members
		e := s.group.Expire(next)
		var events []string
		for _, m := range members {
			if s.group.byID[m.ID] == nil {
				events = append(events, m.ID+" is out")
			}
		}
		if len(events)+len(e.Joins)+len(e.Syncs) > 0 || s.standing() != s.before {
			s.Tell("%s", strings.Join(append([]string{"at " + s.Now.String() + ":"}, events...), " "))
		}
		s.carryOut(e)
	}
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
			s.Tell("%s sync: %s", c.name, short(r.Err))
			continue
		}
		s.Tell("%s is assigned %q under %s", c.name, r.Assignment, r.ProtocolName)
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
		s.Tell("%s", text)
	}
	if now := s.standing(); now != s.before {
		s.Tell("%s", now)
		s.before = now
	}
}

func (s *stage) joined(r JoinResponse) {
	c := s.clients[s.calls[r.Ticket]]
	delete(s.calls, r.Ticket)
	if r.Err != nil {
		s.Tell("%s join: %s", c.name, short(r.Err))
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
	s.Tell("%s joined as %s in generation %d under %s, %s", c.name, r.MemberID, r.Generation, r.ProtocolName, role)
}

// Act implements story.Machine.
func (s *stage) Act(words []string) {
	verb, words := words[0], words[1:]
	now := s.Time()
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
	o, _ := story.Read(words)
	switch verb {
	case "join":
		s.join(c, o)
	case "sync":
		req := SyncRequest{Ticket: s.call(c), MemberID: o.Or("as", c.id), InstanceID: o["instance"],
			Generation: int32(o.Int("gen", int(c.generation))), ProtocolType: o["type"], ProtocolName: o["protocol"]}
		req.Assignments = make(map[string][]byte)
		for name, v := range o {
			if other := s.clients[name]; other != nil {
				req.Assignments[other.id] = []byte(v)
			}
		}
		s.carryOut(s.group.Sync(now, req))
		s.tellWaiting(c)
	case "heartbeat":
		err := s.group.Heartbeat(now, o.Or("as", c.id), o["instance"], int32(o.Int("gen", int(c.generation))))
		s.Tell("%s", short(err))
	case "commit":
		err := s.group.CheckCommit(now, o.Or("as", c.id), o["instance"], int32(o.Int("gen", int(c.generation))))
		s.Tell("%s", short(err))
	case "txn-commit":
		err := s.group.CheckTxnCommit(o.Or("as", c.id), o["instance"], int32(o.Int("gen", int(c.generation))))
		s.Tell("%s", short(err))
	case "leave":
		errs, e := s.group.Leave(now, []LeaveMember{{o.Or("as", c.id), o["instance"]}})
		s.Tell("%s", short(errs[0]))
		s.carryOut(e)
	case "cancel":
		delete(s.calls, c.call)
		s.carryOut(s.group.Cancel(now, c.call))
	case "delete":
		s.Tell("%s", short(s.group.Delete()))
		s.carryOut(Effects{})
	case "subscribed":
		s.subscribed(c.name)
	case "describe":
		s.describe()
	case "restart":
		s.restart()
	default:
		s.Tell("no such verb")
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
		s.Tell("%s waits", c.name)
	}
}

// join remembers what the client asked for: the next Join says the same unless told otherwise.
func (s *stage) join(c *client, o story.Options) {
	req := &c.join
	req.Ticket, req.MemberID = s.call(c), o.Or("as", c.id)
	c.ids++
	req.NewMemberID = fmt.Sprintf("%s-%d", c.name, c.ids)
	if req.MemberID != "" {
		c.ids--
	}
	req.InstanceID = o.Or("instance", req.InstanceID)
	req.RequireKnownMember = o["twostep"] != ""
	req.SkipAssignment = o["skip"] != ""
	req.Local = o["local"] != ""
	req.ClientID, req.ClientHost = c.name, "localhost"
	req.SessionTimeout = o.Duration("session", cmp.Or(req.SessionTimeout, 10*time.Second))
	req.RebalanceTimeout = o.Duration("rebalance", cmp.Or(req.RebalanceTimeout, time.Minute))
	req.ProtocolType = o.Or("type", consumerType)
	if o["protocols"] != "" || req.Protocols == nil {
		req.Protocols = protocols(o.Or("protocols", "range:orders"))
	}
	s.carryOut(s.group.Join(s.Time(), *req))
	s.tellWaiting(c)
}

func (s *stage) subscribed(topic string) {
	subscribed, err := s.group.Subscribed()
	switch {
	case err != nil:
		s.Tell("%s", short(err))
	case subscribed(topic):
		s.Tell("yes")
	default:
		s.Tell("no")
	}
}

func (s *stage) describe() {
	d := s.group.Describe()
	s.Tell("%s, generation %d, type %q, protocol %q, leader %q", d.State, d.Generation, d.ProtocolType, d.ProtocolName, d.Leader)
	for _, m := range d.Members {
		s.Tell("%s instance %q client %s@%s wants %s has %q", m.ID, m.InstanceID, m.ClientID, m.ClientHost, readMetadata(m.Metadata), m.Assignment)
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
			s.Tell("%v", err)
			return
		}
		s.group = Restore(s.Time(), "g", s.rules, snapshot)
	}
	s.before = ""
	s.carryOut(Effects{})
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
	text := story.Short(err, "group g: ")
	if rest, ok := strings.CutPrefix(text, "member "); ok {
		_, text, _ = strings.Cut(rest, ": ")
	}
	return text
}
