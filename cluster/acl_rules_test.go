package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/internal/acl"
)

var (
	aclQuestions = flag.Int("acl-questions", 5000, "how many questions about ACLs are asked of Samsa and of Kafka's authorizer")
	aclSeed      = flag.Uint64("acl-seed", rand.Uint64(), "what the rules and questions are drawn from")
)

// What rules and questions are drawn from: few enough that they meet. Texts of addresses are those that Kafka has: see ADR 31.
var (
	ruleNames      = []string{"a", "ab", "abc", "b", "ba", "*", "*a", "hardcode", "é"}
	askNames       = []string{"a", "ab", "abc", "abcd", "b", "ba", "c", "*", "hardcode", "é"} // of one like *a Kafka misses the rules of all
	rulePrincipals = []string{"User:alice", "User:bob", "User:*", "Role:alice", "User:CN=a,O=b:c"}
	askPrincipals  = []string{"User:alice", "User:bob", "Role:alice", "User:CN=a,O=b:c", "User:nobody", "User:root"} // Kafka fails at one called User:*
	ruleHosts      = []string{"*", "*", "10.0.0.1", "10.0.0.2", "10.0.0.0/8", "10.0.0.0/30", "192.168.0.0/16", "0:0:0:0:0:0:0:1", "fe80::/16", "no.address"}
	ruleAddresses  = []string{"10.0.0.1", "10.0.0.2", "10.9.9.9", "192.168.0.1", "0:0:0:0:0:0:0:1", "fe80:0:0:0:0:0:0:1"}
	ruleResources  = []acl.Resource{acl.Topic, acl.Topic, acl.Topic, acl.Group, acl.Cluster, acl.TransactionalID, acl.DelegationToken, acl.User}
)

func pick[E any](r *rand.Rand, all []E) E { return all[r.IntN(len(all))] }

func drawACL(r *rand.Rand) acl.Rule {
	rule := acl.Rule{
		Resource: pick(r, ruleResources), Name: pick(r, ruleNames), Pattern: pick(r, []acl.Pattern{acl.Literal, acl.Prefixed}),
		Principal: pick(r, rulePrincipals), Host: pick(r, ruleHosts), Operation: acl.All + acl.Operation(r.IntN(int(acl.TwoPhaseCommit-acl.All)+1)),
		Permission: pick(r, []acl.Permission{acl.Allow, acl.Allow, acl.Deny}),
	}
	if rule.Resource == acl.Cluster {
		rule.Name = acl.ClusterName
	}
	return rule
}

// aclQuestion is whether somebody may do something with a resource, or with any of its kind.
type aclQuestion struct {
	Principal string        `json:"principal"`
	Host      string        `json:"host"`
	Operation acl.Operation `json:"operation"`
	Resource  acl.Resource  `json:"resource"`
	Name      string        `json:"name"`
	Any       bool          `json:"any"`
}

// aclCase is rules, and questions to those who know them.
type aclCase struct {
	Rules     []map[string]any `json:"rules"`
	Otherwise bool             `json:"otherwise"`
	Questions []aclQuestion    `json:"questions"`
}

// Of any rules and any question Samsa says what Kafka's StandardAuthorizer does.
func TestRulesAreTheAuthorizers(t *testing.T) {
	program := exec.CommandContext(t.Context(), "java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", kafkatest.ClassPath(t), filepath.Join("testdata", "Authorizer.java"))
	var said strings.Builder
	program.Stderr = &said
	in, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := program.StdoutPipe()
	if err == nil {
		err = program.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	r := rand.New(rand.NewPCG(*aclSeed, 0))
	for asked, yes := 0, 0; asked < *aclQuestions || yes == 0; {
		var rules []acl.Rule
		c := aclCase{Rules: []map[string]any{}, Otherwise: r.IntN(2) == 0}
		for range r.IntN(12) {
			rule := drawACL(r)
			if slices.Contains(rules, rule) {
				continue
			}
			rules = append(rules, rule)
			c.Rules = append(c.Rules, map[string]any{
				"resource": rule.Resource, "name": rule.Name, "pattern": rule.Pattern, "principal": rule.Principal,
				"host": rule.Host, "operation": rule.Operation, "permission": rule.Permission,
			})
		}
		for range 50 {
			q := aclQuestion{
				Principal: pick(r, askPrincipals), Host: pick(r, ruleAddresses), Resource: pick(r, ruleResources),
				Operation: acl.Read + acl.Operation(r.IntN(int(acl.TwoPhaseCommit-acl.Read)+1)), Name: pick(r, askNames),
				Any: r.IntN(10) == 0,
			}
			if q.Resource == acl.Cluster {
				q.Name = acl.ClusterName
			}
			c.Questions = append(c.Questions, q)
		}
		if err := json.NewEncoder(in).Encode(c); err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
		answer, err := answers.ReadString('\n')
		if answer = strings.TrimSpace(answer); err != nil || len(answer) != len(c.Questions) {
			t.Fatalf("%q, %v: %s", answer, err, said.String())
		}
		set := acl.NewSet(rules)
		for i, q := range c.Questions {
			asked++
			who := acl.Subject{Principal: q.Principal, Host: netip.MustParseAddr(q.Host)}
			may := q.Principal == "User:root"
			if q.Any {
				may = may || set.AllowsAny(who, q.Operation, q.Resource, c.Otherwise)
			} else {
				may = may || set.Allows(who, q.Operation, q.Resource, q.Name, c.Otherwise)
			}
			if may {
				yes++
			}
			if may != (answer[i] == '1') {
				t.Fatalf("%+v %s on %s: Samsa says %t, Kafka not; with %v, else %t (-acl-seed %d)", q, q.Operation, q.Resource, may, rules, c.Otherwise, *aclSeed)
			}
		}
	}
	_ = in.Close()
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
}

// drawFilter returns a filter as a client can send it, also for what does not exist.
func drawFilter(r *rand.Rand) kmsg.DeleteACLsRequestFilter {
	f := kmsg.NewDeleteACLsRequestFilter()
	rule := drawACL(r)
	text := func(s string) *string {
		switch r.IntN(4) {
		case 0:
			return &s
		case 1:
			other := pick(r, []string{"abcd", "User:nobody", "", "10.0.0.9", "User:alice"})
			return &other
		}
		return nil
	}
	number := func(is, most int) int {
		switch r.IntN(6) {
		case 0, 1:
			return is
		case 2:
			return 1 + r.IntN(most)
		}
		return 1 // any
	}
	f.ResourceType, f.ResourceName = kmsg.ACLResourceType(number(int(rule.Resource), 7)), text(rule.Name)
	f.ResourcePatternType = kmsg.ACLResourcePatternType(number(int(acl.Match), 4))
	f.Principal, f.Host = text(rule.Principal), text(rule.Host)
	f.Operation, f.PermissionType = kmsg.ACLOperation(number(int(rule.Operation), 15)), kmsg.ACLPermissionType(number(int(rule.Permission), 3))
	return f
}

// found returns what of an answer a filter has found, in order.
func (c *checked) found(ctx context.Context, f kmsg.DeleteACLsRequestFilter) string {
	return strings.Join(c.acls(ctx, f), "\n")
}

// acls returns the ACLs that a filter finds, a line each, in order, or the error.
func (c *checked) acls(ctx context.Context, f kmsg.DeleteACLsRequestFilter) (lines []string) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourceName, req.ResourcePatternType = f.ResourceType, f.ResourceName, f.ResourcePatternType
	req.Principal, req.Host, req.Operation, req.PermissionType = f.Principal, f.Host, f.Operation, f.PermissionType
	resp, err := req.RequestWith(ctx, c.admin)
	switch {
	case err != nil:
		return []string{"no answer"}
	case resp.ErrorCode != 0:
		return []string{kerr.ErrorForCode(resp.ErrorCode).Error()}
	}
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			lines = append(lines, aclLine(r.ResourceType, r.ResourceName, r.ResourcePatternType, a.Principal, a.Host, a.Operation, a.PermissionType))
		}
	}
	slices.Sort(lines)
	return lines
}

// remove deletes what filters find, and returns that, by filter.
func (c *checked) remove(ctx context.Context, filters ...kmsg.DeleteACLsRequestFilter) string {
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = filters
	resp, err := req.RequestWith(ctx, c.admin)
	if err != nil {
		return "no answer"
	}
	var all []string
	for _, r := range resp.Results {
		lines := []string{}
		for _, a := range r.MatchingACLs {
			lines = append(lines, fmt.Sprint(a.ResourceType, a.ResourceName, a.ResourcePatternType, a.Principal, a.Host, a.Operation, a.PermissionType, a.ErrorCode))
		}
		slices.Sort(lines)
		all = append(all, fmt.Sprint(kerr.ErrorForCode(r.ErrorCode), lines))
	}
	return strings.Join(all, "\n")
}

// What filters find, and what they delete, is what they find and delete at Kafka.
func TestACLFiltersAreKafkas(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	kafkas, samsas := checkedKafka(t), checkedSamsa(t)
	r := rand.New(rand.NewPCG(*aclSeed, 1))
	everything := kmsg.NewDeleteACLsRequestFilter()
	everything.ResourceType, everything.ResourcePatternType, everything.Operation, everything.PermissionType = 1, 1, 1, 1
	same := func() { // Kafka's controller answers before its authorizer knows
		for want := samsas.found(ctx, everything); kafkas.found(ctx, everything) != want; {
			if ctx.Err() != nil {
				t.Fatalf("Kafka has\n%s\nSamsa has\n%s", kafkas.found(context.WithoutCancel(ctx), everything), want)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	for range 5 {
		req := kmsg.NewPtrCreateACLsRequest()
		for range 60 {
			rule := drawACL(r)
			if rule.Principal == "Role:alice" {
				continue
			}
			a := kmsg.NewCreateACLsRequestCreation()
			a.ResourceType, a.ResourceName, a.ResourcePatternType = kmsg.ACLResourceType(rule.Resource), rule.Name, kmsg.ACLResourcePatternType(rule.Pattern)
			a.Principal, a.Host, a.Operation, a.PermissionType = rule.Principal, rule.Host, kmsg.ACLOperation(rule.Operation), kmsg.ACLPermissionType(rule.Permission)
			req.Creations = append(req.Creations, a)
		}
		for _, c := range []*checked{kafkas, samsas} {
			resp, err := req.RequestWith(ctx, c.admin)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range resp.Results {
				if r.ErrorCode != 0 {
					t.Fatalf("%s: %+v: %v", c.name, req.Creations[i], kerr.ErrorForCode(r.ErrorCode))
				}
			}
		}
		same()
		for range 100 {
			f := drawFilter(r)
			if k, s := kafkas.found(ctx, f), samsas.found(ctx, f); k != s {
				t.Errorf("-acl-seed %d: %+v:\nKafka finds %s\nSamsa finds %s", *aclSeed, f, k, s)
			}
		}
		for range 10 {
			filters := []kmsg.DeleteACLsRequestFilter{drawFilter(r), drawFilter(r)}
			if k, s := kafkas.remove(ctx, filters...), samsas.remove(ctx, filters...); k != s {
				t.Errorf("-acl-seed %d: %+v:\nKafka removes %s\nSamsa removes %s", *aclSeed, filters, k, s)
			}
			same()
		}
	}
}
