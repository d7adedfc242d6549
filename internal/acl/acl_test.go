package acl

import (
	"errors"
	"net/netip"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = Subject{"User:alice", netip.MustParseAddr("127.0.0.1")}

func rule(p Permission, op Operation, r Resource, name string, pattern Pattern) Rule {
	return Rule{r, name, pattern, "User:alice", Wildcard, op, p}
}

// Who may write to some topic may be a producer without a transactional id, unless each of these is denied.
func TestAllowsAny(t *testing.T) {
	for what, c := range map[string]struct {
		rules     []Rule
		otherwise bool
		want      bool
	}{
		"no rules":                          {nil, false, false},
		"no rules, and all may":             {nil, true, true},
		"one topic":                         {[]Rule{rule(Allow, Write, Topic, "a", Literal)}, false, true},
		"all topics":                        {[]Rule{rule(Allow, Write, Topic, "*", Literal)}, false, true},
		"some topics":                       {[]Rule{rule(Allow, All, Topic, "a", Prefixed)}, false, true},
		"what implies does not count":       {[]Rule{rule(Allow, Read, Topic, "a", Literal)}, false, false},
		"that one is denied":                {[]Rule{rule(Allow, Write, Topic, "a", Literal), rule(Deny, Write, Topic, "a", Literal)}, false, false},
		"its prefix is denied":              {[]Rule{rule(Allow, Write, Topic, "ab", Literal), rule(Deny, Write, Topic, "a", Prefixed)}, false, false},
		"a prefix, and a longer is denied":  {[]Rule{rule(Allow, Write, Topic, "a", Prefixed), rule(Deny, Write, Topic, "ab", Prefixed)}, false, true},
		"a prefix, and its name is denied":  {[]Rule{rule(Allow, Write, Topic, "a", Prefixed), rule(Deny, Write, Topic, "a", Literal)}, false, true},
		"one, and all are denied":           {[]Rule{rule(Allow, Write, Topic, "a", Literal), rule(Deny, All, Topic, "*", Literal)}, false, false},
		"all, and this very name is denied": {[]Rule{rule(Allow, Write, Topic, "*", Literal), rule(Deny, Write, Topic, "hardcode", Literal)}, false, true},
		"a group":                           {[]Rule{rule(Allow, Write, Group, "a", Literal)}, false, false},
	} {
		if got := NewSet(c.rules).AllowsAny(alice, Write, Topic, c.otherwise); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
	var none *Set
	if none.AllowsAny(alice, Write, Topic, false) || !none.AllowsAny(alice, Write, Topic, true) {
		t.Error("no set")
	}
}

func TestOperations(t *testing.T) {
	s := NewSet([]Rule{rule(Allow, Read, Topic, "a", Literal), rule(Allow, AlterConfigs, Topic, "a", Literal), rule(Deny, DescribeConfigs, Topic, "a", Literal)})
	if got, want := s.Operations(alice, Topic, "a", false), int32(1<<Read|1<<Describe|1<<AlterConfigs); got != want {
		t.Errorf("%b, want %b", got, want)
	}
	if got, want := s.Operations(alice, Topic, "b", false), int32(0); got != want {
		t.Errorf("%b, want %b", got, want)
	}
	if got, want := s.Operations(alice, Group, "b", true), Group.Every(); got != want {
		t.Errorf("%b, want %b", got, want)
	}
}

func TestCheck(t *testing.T) {
	good := rule(Allow, Read, Topic, "a", Literal)
	for what, bad := range map[string]func(*Rule){
		"resource": func(r *Rule) { r.Resource = AnyResource }, "pattern": func(r *Rule) { r.Pattern = Match },
		"operation": func(r *Rule) { r.Operation = AnyOperation }, "permission": func(r *Rule) { r.Permission = 4 },
		"name": func(r *Rule) { r.Name = "" }, "cluster": func(r *Rule) { r.Resource = Cluster }, "principal": func(r *Rule) { r.Principal = "alice" },
		"host": func(r *Rule) { r.Host = "" }, "range": func(r *Rule) { r.Host = "10.0.0.0/33" }, "long": func(r *Rule) { r.Name = string(make([]byte, 1<<10)) },
	} {
		r := good
		if bad(&r); !errors.Is(r.Check(), log.ErrInvalid) {
			t.Errorf("%s: %v", what, r.Check())
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

// An address of IPv4 is the same written as one of IPv6.
func TestMappedHosts(t *testing.T) {
	who := Subject{"User:alice", netip.MustParseAddr("10.1.2.3")}
	for host, is := range map[string]bool{
		"10.0.0.0/8": true, "10.1.2.3": true, "::ffff:10.1.2.3": true, "::ffff:10.0.0.0/104": true, "::ffff:11.0.0.0/104": false, "::ffff:0:0/96": true, "::/0": false,
	} {
		deny := rule(Deny, Read, Topic, "a", Literal)
		deny.Host = host
		if s := NewSet([]Rule{rule(Allow, Read, Topic, "a", Literal), deny}); s.Allows(who, Read, Topic, "a", false) == is {
			t.Errorf("%s: denied %t", host, !is)
		}
	}
}

// Rules that were stored are there when the store is opened again, and damage lets nobody in until it is removed.
func TestRulesAreKept(t *testing.T) {
	st := store.OpenMemory()
	var end func()
	open := func() *Rules {
		c := writer.NewCommitter(st, zap.NewNop())
		end = c.Close
		l, err := Open(st, c, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	a, b := rule(Allow, Read, Topic, "a", Literal), rule(Allow, Write, Topic, "a\xff", Prefixed)
	if err := l.Create(t.Context(), a, b, a); err != nil {
		t.Fatal(err)
	}
	if err := l.Create(t.Context(), b, Rule{}); !errors.Is(err, log.ErrInvalid) {
		t.Errorf("no rule: %v", err)
	}
	end()
	if err := l.Create(t.Context(), rule(Allow, Alter, Topic, "a", Literal)); err == nil || len(l.Now().rules) != 2 {
		t.Errorf("after the end: %v", err)
	}
	l = open()
	if got := l.Now().Rules(Filter{}); len(got) != 2 || got[0] != a || got[1] != b {
		t.Fatalf("%v", got)
	}
	found, err := l.Delete(t.Context(), Filter{Operation: Read}, Filter{Operation: Write, Resource: Group}, Filter{Operation: Read, Resource: Topic})
	if err != nil || len(found[0]) != 1 || len(found[1]) != 0 || len(found[2]) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := l.Delete(t.Context(), Filter{Operation: 99}); !errors.Is(err, log.ErrInvalid) {
		t.Error(err)
	}
	end()
	var damage store.Batch
	damage.Set(store.ACLKey([store.ACLKeyHash]byte{1}), []byte("{damaged"))
	if err := st.Commit(&damage); err != nil {
		t.Fatal(err)
	}
	l = open()
	who := Subject{"User:alice", alice.Host}
	if l.Now().Allows(who, Write, Topic, "a\xff", true) || l.Now().AllowsAny(who, Write, Topic, true) {
		t.Error("who may what is not known any more, and somebody may")
	}
	if err := l.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if l.Now().Allows(who, Read, Topic, "a", false) {
		t.Error("a new rule does not make up for a lost one")
	}
	if _, err := l.Delete(t.Context(), Filter{}); err != nil || !l.Now().Allows(who, Read, Topic, "a", true) {
		t.Error("removed, and nobody may", err)
	}
	end()
	l = open()
	if len(l.lost) > 0 || len(l.Now().rules) > 0 {
		t.Errorf("%d are lost, %v are there", len(l.lost), l.Now().rules)
	}
	end()
}
