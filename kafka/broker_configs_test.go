package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
)

// brokerConfig asks for a config of the broker and returns its value, where each value comes from,
// and whether it is read-only.
func (c *client) brokerConfig(name string) string {
	c.t.Helper()
	return c.configOf("1", name)
}

// configOf is brokerConfig for the broker with the id.
func (c *client) configOf(node, name string) string {
	c.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeBroker, node, []string{name}
	req.Resources = append(req.Resources, rr)
	resp := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]
	if resp.ErrorCode != 0 || len(resp.Configs) != 1 {
		c.t.Fatalf("got %+v", resp)
	}
	e := resp.Configs[0]
	text := fmt.Sprintf("%s %s", *e.Value, e.Source)
	for _, s := range e.ConfigSynonyms {
		text += fmt.Sprintf(", %s %s", *s.Value, s.Source)
	}
	if e.ReadOnly {
		text += ", read-only"
	}
	return text
}

// alterBroker changes configs of the broker, name=value, or -name, and returns the code.
func (c *client) alterBroker(validateOnly bool, edits ...string) int16 {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType = kmsg.ConfigResourceTypeBroker // the name "" stands for all brokers
	for _, edit := range edits {
		name, value, set := strings.Cut(edit, "=")
		e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		e.Name, e.Op = strings.TrimPrefix(name, "-"), kmsg.IncrementalAlterConfigOpDelete
		if set {
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpSet, &value
		}
		rr.Configs = append(rr.Configs, e)
	}
	req.Resources = append(req.Resources, rr)
	return ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, req).Resources[0].ErrorCode
}

// All brokers, which are described without a name, have what was changed, and nothing else.
func TestConfigsOfAllBrokers(t *testing.T) {
	c := start(t, samsa.Options{}, Options{}).dial()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker}}
	if r := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]; r.ErrorCode != 0 || len(r.Configs) != 0 {
		t.Errorf("before a change: %+v", r)
	}
	if code := c.alterBroker(false, "group.max.size=3"); code != 0 {
		t.Fatalf("got %d", code)
	}
	r := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]
	if len(r.Configs) != 1 {
		t.Fatalf("got %+v", r)
	}
	e := r.Configs[0]
	if got := fmt.Sprint(e.Name, "=", *e.Value, " ", e.Source, " ", len(e.ConfigSynonyms)); got != "group.max.size=3 DYNAMIC_DEFAULT_BROKER_CONFIG 1" {
		t.Errorf("got %s", got)
	}
}

// Every broker config has a type and documentation, for whom asks for it.
func TestBrokerConfigsAreDescribed(t *testing.T) {
	c := start(t, samsa.Options{}, Options{}).dial()
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	req.Resources = append(req.Resources, rr)
	told := 0
	for _, bc := range brokerConfigs {
		if !bc.hidden {
			told++
		}
	}
	for _, documented := range []bool{false, true} {
		req.IncludeDocumentation = documented
		configs := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0].Configs
		if len(configs) != told {
			t.Errorf("%d configs, want %d", len(configs), told)
		}
		for _, e := range configs {
			if (e.Documentation != nil) != documented || e.ConfigType == 0 || len(e.ConfigSynonyms) != 0 {
				t.Errorf("%s: %+v", e.Name, e)
			}
		}
	}
	if !slices.IsSortedFunc(brokerConfigs, func(a, b brokerConfig) int { return strings.Compare(a.name, b.name) }) {
		t.Error("not by name")
	}
}

// What limits groups can be changed while the broker runs; it holds at once and is kept, in place of
// what the options say.
func TestBrokerConfigsAreChanged(t *testing.T) {
	dir := t.TempDir()
	var b *samsa.Broker
	open := func() *client {
		var err error
		b, err = samsa.Open(dir, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: -1, MaxSize: 5}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Listen(b, "127.0.0.1:0", Options{})
		if err != nil {
			t.Fatal(err)
		}
		return (&kit{Broker: b, t: t, srv: s}).dial()
	}
	c := open()
	check := func(name, want string) {
		t.Helper()
		if got := c.brokerConfig(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	join := func(session int32) int16 {
		req := (&wireMember{}).joinRequest()
		req.Group, req.SessionTimeoutMillis = fmt.Sprint("g", session), session
		return ask[*kmsg.JoinGroupResponse](c, 3, req).ErrorCode
	}
	const size, minSession = "group.max.size", "group.min.session.timeout.ms"
	check(size, "5 STATIC_BROKER_CONFIG, 5 STATIC_BROKER_CONFIG, 2147483647 DEFAULT_CONFIG")
	check(minSession, "6000 DEFAULT_CONFIG, 6000 DEFAULT_CONFIG")
	check("num.partitions", "1 DEFAULT_CONFIG, 1 DEFAULT_CONFIG, read-only")
	if code := join(5000); code != codeInvalidSessionTimeout {
		t.Errorf("join: %d", code)
	}

	for _, tt := range []struct {
		edits []string
		want  int16
	}{
		{[]string{"num.partitions=3"}, codeInvalidRequest},
		{[]string{"log.moon=full"}, codeInvalidConfig},
		{[]string{size + "=many"}, codeInvalidConfig},
		{[]string{size + "=0"}, codeInvalidConfig},
		{[]string{size + "=2147483648"}, codeInvalidConfig},
		{[]string{size + "=3", size + "=4"}, codeInvalidRequest},
		{[]string{size + "=3", minSession + "=1800001"}, codeInvalidConfig}, // more than the greatest
	} {
		if code := c.alterBroker(false, tt.edits...); code != tt.want {
			t.Errorf("%v: got %d, want %d", tt.edits, code, tt.want)
		}
	}
	if code := c.alterBroker(true, size+"=3"); code != 0 {
		t.Errorf("validate only: %d", code)
	}
	check(size, "5 STATIC_BROKER_CONFIG, 5 STATIC_BROKER_CONFIG, 2147483647 DEFAULT_CONFIG")

	if code := c.alterBroker(false, size+"=3", minSession+"=1000"); code != 0 {
		t.Fatalf("alter: %d", code)
	}
	changed := "3 DYNAMIC_BROKER_CONFIG, 3 DYNAMIC_BROKER_CONFIG, 5 STATIC_BROKER_CONFIG, 2147483647 DEFAULT_CONFIG"
	check(size, changed)
	if code := join(5001); code != 0 {
		t.Errorf("join: %d", code)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	c = open()
	defer func() { _ = b.Close() }()
	check(size, changed)
	if code := join(5002); code != 0 {
		t.Errorf("join after a restart: %d", code)
	}

	if code := c.alterBroker(false, "-"+minSession); code != 0 {
		t.Fatalf("unset: %d", code)
	}
	check(minSession, "6000 DEFAULT_CONFIG, 6000 DEFAULT_CONFIG")
	check(size, changed)
	replace := kmsg.NewPtrAlterConfigsRequest()
	rr := kmsg.NewAlterConfigsRequestResource()
	rr.ResourceType = kmsg.ConfigResourceTypeBroker
	replace.Resources = append(replace.Resources, rr)
	if resp := ask[*kmsg.AlterConfigsResponse](c, 2, replace).Resources[0]; resp.ErrorCode != 0 {
		t.Fatalf("replace: %+v", resp)
	}
	check(size, "5 STATIC_BROKER_CONFIG, 5 STATIC_BROKER_CONFIG, 2147483647 DEFAULT_CONFIG")
}

// What bounds transactions is told, and obeyed.
func TestTransactionConfigs(t *testing.T) {
	c := start(t, samsa.Options{
		Transactions:     samsa.TransactionOptions{MaxTimeout: time.Minute, IDExpiry: time.Hour},
		ProducerIDExpiry: 2 * time.Hour,
	}, Options{}).dial()
	for name, want := range map[string]string{
		"transaction.max.timeout.ms":     "60000 STATIC_BROKER_CONFIG, 60000 STATIC_BROKER_CONFIG, 900000 DEFAULT_CONFIG, read-only",
		"transactional.id.expiration.ms": "3600000 STATIC_BROKER_CONFIG, 3600000 STATIC_BROKER_CONFIG, 604800000 DEFAULT_CONFIG, read-only",
		"producer.id.expiration.ms":      "7200000 STATIC_BROKER_CONFIG, 7200000 STATIC_BROKER_CONFIG, 86400000 DEFAULT_CONFIG, read-only",
	} {
		if got := c.brokerConfig(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for timeout, want := range map[int32]int16{60_000: 0, 60_001: 50} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = kmsg.StringPtr("id"), timeout
		if code := ask[*kmsg.InitProducerIDResponse](c, 4, req).ErrorCode; code != want {
			t.Errorf("time-out %d: got %d, want %d", timeout, code, want)
		}
	}
	defaults := start(t, samsa.Options{}, Options{}).dial()
	if got := defaults.brokerConfig("producer.id.expiration.ms"); got != "86400000 DEFAULT_CONFIG, 86400000 DEFAULT_CONFIG, read-only" {
		t.Errorf("got %s", got)
	}
}

// Each node of a cluster tells its own id and rack, and how many replicas topics get. By the racks a test of librdkafka's sees that it can fetch from followers.
func TestConfigsOfNodes(t *testing.T) {
	s := startCluster(t, ClusterOptions{Racks: []string{"a", "b"}, ReplicationFactor: 2})
	for name, want := range map[string]string{
		"node.id":                    "2 STATIC_BROKER_CONFIG, 2 STATIC_BROKER_CONFIG, 1 DEFAULT_CONFIG, read-only",
		"broker.rack":                "b STATIC_BROKER_CONFIG, b STATIC_BROKER_CONFIG,  DEFAULT_CONFIG, read-only",
		"default.replication.factor": "2 STATIC_BROKER_CONFIG, 2 STATIC_BROKER_CONFIG, 1 DEFAULT_CONFIG, read-only",
	} {
		if got := s.at(2).configOf("2", name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// A client of librdkafka's suite sees by a config how long a login holds.
func TestConfigsOfSecurity(t *testing.T) {
	plain := start(t, samsa.Options{}, Options{}).dial()
	bound := start(t, samsa.Options{}, Options{MaxConnectionsPerAddress: 7, Security: Security{SASL: &SASL{MaxReauth: time.Minute}}})
	bound.user("alice", "right")
	asked := bound.dial()
	asked.login(2, sasl.Plain, "alice", "right")
	for name, want := range map[string][2]string{
		"connections.max.reauth.ms": {"0 DEFAULT_CONFIG, 0 DEFAULT_CONFIG, read-only", "60000 STATIC_BROKER_CONFIG, 60000 STATIC_BROKER_CONFIG, 0 DEFAULT_CONFIG, read-only"},
		"max.connections.per.ip":    {"2147483647 DEFAULT_CONFIG, 2147483647 DEFAULT_CONFIG, read-only", "7 STATIC_BROKER_CONFIG, 7 STATIC_BROKER_CONFIG, 2147483647 DEFAULT_CONFIG, read-only"},
	} {
		if got := plain.brokerConfig(name); got != want[0] {
			t.Errorf("%s is %q, want %q", name, got, want[0])
		}
		if got := asked.brokerConfig(name); got != want[1] {
			t.Errorf("%s is %q, want %q", name, got, want[1])
		}
	}
}
