package kafka

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// brokerConfig is a config of the broker as clients see it.
type brokerConfig struct {
	name string
	kind kmsg.ConfigType
	// byDefault is its value when the options say nothing, and options the one that they give.
	byDefault string
	options   func(*Server) string // nil: always byDefault
	limit     bool                 // a limit on groups, which can be changed while the broker runs
	hidden    bool                 // told only when it is set
	doc       string
}

// brokerConfigs is all of them, by name.
var brokerConfigs = slices.SortedFunc(slices.Values(slices.Concat(ownBrokerConfigs, transactionConfigs, groupBrokerConfigs())),
	func(a, b brokerConfig) int { return strings.Compare(a.name, b.name) })

// groupBrokerConfigs is those that concern groups of the newer kinds.
func groupBrokerConfigs() []brokerConfig {
	var all []brokerConfig
	for _, s := range config.Brokers {
		all = append(all, brokerConfig{name: s.Name, kind: groupConfigKind(s.Type), byDefault: s.Default, limit: true, hidden: s.Hidden, doc: s.Doc})
	}
	return all
}

// ownBrokerConfigs is the others. Documentation is in the words of the options.
var ownBrokerConfigs = []brokerConfig{
	{name: "auto.create.topics.enable", kind: kmsg.ConfigTypeBoolean, byDefault: "false",
		options: func(s *Server) string { return strconv.FormatBool(s.in.AutoCreateTopics) },
		doc:     "Topics are created when clients name them. The option is AutoCreateTopics; of samsa serve, where it is on unless turned off, --auto-create."},
	{name: "broker.id", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(defaultNodeID), options: nodeID,
		doc: "The same as node.id."},
	{name: "broker.rack", kind: kmsg.ConfigTypeString, options: rack, hidden: true,
		doc: "The rack of the node. The option is ClusterOptions.Racks; of samsa serve --racks."},
	{name: "connections.max.idle.ms", kind: kmsg.ConfigTypeLong, byDefault: strconv.FormatInt(defaultIdleTimeout.Milliseconds(), 10),
		options: func(s *Server) string { return strconv.FormatInt(s.opts.IdleTimeout.Milliseconds(), 10) },
		doc:     "How long a connection may be silent before it is closed."},
	{name: "connections.max.reauth.ms", kind: kmsg.ConfigTypeLong, byDefault: "0", options: maxReauth,
		doc: "How long after a login by SASL a client has to log in again; 0 is never. The option is SASL.MaxReauth."},
	{name: "default.replication.factor", kind: kmsg.ConfigTypeInt, byDefault: "1", options: replicationFactor,
		doc: "How many replicas a topic has for which nobody says it. The option is ClusterOptions.ReplicationFactor; without a cluster there is one node."},
	{name: "fetch.max.bytes", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(defaultMaxFetchBytes),
		options: func(s *Server) string { return strconv.Itoa(s.opts.MaxFetchBytes) },
		doc:     "The most bytes of records in the answer to a Fetch, unless its first batch has more."},
	{name: "group.initial.rebalance.delay.ms", kind: kmsg.ConfigTypeInt, byDefault: "3000", limit: true,
		doc: "How long a group that was empty waits for more members before its first generation, and again after each such time that brought one, up to the rebalance timeout. A group of consumers in the broker's own process does not wait."},
	{name: "group.max.session.timeout.ms", kind: kmsg.ConfigTypeInt, byDefault: "1800000", limit: true,
		doc: "The longest session timeout that a member of a group may ask for."},
	{name: "group.max.size", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(math.MaxInt32), limit: true,
		doc: "The most members that a group may have."},
	{name: "group.min.session.timeout.ms", kind: kmsg.ConfigTypeInt, byDefault: "6000", limit: true,
		doc: "The shortest session timeout that a member of a group may ask for."},
	{name: "max.connections", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(defaultMaxConnections),
		options: func(s *Server) string { return strconv.Itoa(s.opts.MaxConnections) },
		doc:     "The most connections that are served at a time. More are closed at once."},
	{name: "max.connections.per.ip", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(math.MaxInt32), options: maxConnectionsPerAddress,
		doc: "The most connections that are served at a time from one address. The option is MaxConnectionsPerAddress."},
	{name: "message.max.bytes", kind: kmsg.ConfigTypeInt, byDefault: topic.Config{}.Configs()["max.message.bytes"],
		options: func(s *Server) string { return s.in.TopicDefaults.Configs()["max.message.bytes"] },
		doc:     "The largest batch that a topic takes, unless its max.message.bytes says otherwise."},
	{name: "min.insync.replicas", kind: kmsg.ConfigTypeInt, byDefault: "1",
		doc: "All data is in one store, and no write waits for replicas."},
	{name: "node.id", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(defaultNodeID), options: nodeID,
		doc: "The id of the node."},
	{name: "num.partitions", kind: kmsg.ConfigTypeInt, byDefault: "1",
		options: func(s *Server) string { return strconv.Itoa(max(1, s.in.TopicDefaults.Partitions)) },
		doc:     "How many partitions a topic has for which nobody says it."},
	{name: "offset.metadata.max.bytes", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(group.MaxMetadata),
		doc: "The longest metadata of a committed offset."},
	{name: "producer.id.expiration.ms", kind: kmsg.ConfigTypeInt, byDefault: "86400000",
		options: func(s *Server) string { return inMillis(s.in.Producers.IDExpiry()) },
		doc:     "How long a partition remembers an idempotent producer after its last batch there. The option is ProducerIDExpiry."},
	{name: "socket.request.max.bytes", kind: kmsg.ConfigTypeInt, byDefault: strconv.Itoa(defaultMaxFrameBytes),
		options: func(s *Server) string { return strconv.Itoa(s.opts.MaxFrameBytes) },
		doc:     "The largest Produce request. Other requests are at most 2 MiB."},
}

// transactionConfigs is those that concern transactions.
var transactionConfigs = []brokerConfig{
	{name: "transaction.max.timeout.ms", kind: kmsg.ConfigTypeInt, byDefault: "900000",
		options: func(s *Server) string { longest, _ := s.in.Txns.Limits(); return inMillis(longest) },
		doc:     "The longest time-out of its transactions that a producer may ask for. The option is Transactions.MaxTimeout."},
	{name: "transactional.id.expiration.ms", kind: kmsg.ConfigTypeInt, byDefault: "604800000",
		options: func(s *Server) string { _, expiry := s.in.Txns.Limits(); return inMillis(expiry) },
		doc:     "How long a transactional id is remembered after its last use. The option is Transactions.IDExpiry."},
}

func inMillis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func nodeID(s *Server) string { return strconv.Itoa(int(s.opts.NodeID)) }

// maxReauth is how long after a login by SASL a client has to log in again, as Kafka writes it.
func maxReauth(s *Server) string {
	if s.opts.Security.SASL == nil {
		return "0"
	}
	return inMillis(s.opts.Security.SASL.MaxReauth)
}

// maxConnectionsPerAddress is the bound as Kafka writes it, for whom none is the largest.
func maxConnectionsPerAddress(s *Server) string {
	return strconv.Itoa(cmp.Or(s.opts.MaxConnectionsPerAddress, math.MaxInt32))
}

// rack is that of the node, or "" if it has none.
func rack(s *Server) string {
	if s.cluster == nil {
		return ""
	}
	return s.cluster.now.Load().nodes[s.node.id].rack
}

// replicationFactor is what a topic has for which nobody says it.
func replicationFactor(s *Server) string {
	if s.cluster == nil {
		return "1"
	}
	return strconv.Itoa(s.cluster.defaultReplicas(s.cluster.now.Load()))
}

// brokerConfigs returns the broker's configs, by name, and where each value comes from.
func (c *call) brokerConfigs() []configEntry {
	limits, changed := c.s.in.Groups.Limits()
	entries := make([]configEntry, 0, len(brokerConfigs))
	for _, bc := range brokerConfigs {
		static := limits[bc.name]
		if !bc.limit {
			static = bc.byDefault
			if bc.options != nil {
				static = bc.options(c.s)
			}
		}
		values := brokerValues(bc.name, bc.byDefault, static, changed)
		if bc.hidden && len(values) == 1 {
			continue
		}
		entries = append(entries, configEntry{
			configValue: values[0], synonyms: values, kind: bc.kind, readOnly: !bc.limit, doc: bc.doc,
		})
	}
	return entries
}

// defaultBrokerConfigs returns the configs of all brokers: what was changed while the broker runs,
// and nothing else, as in Kafka.
func (c *call) defaultBrokerConfigs() []configEntry {
	var entries []configEntry
	for _, e := range c.brokerConfigs() {
		if e.source == kmsg.ConfigSourceDynamicBrokerConfig {
			e.source = kmsg.ConfigSourceDynamicDefaultBrokerConfig
			e.synonyms = []configValue{e.configValue}
			entries = append(entries, e)
		}
	}
	return entries
}

// checkBroker says whether the name of a resource is that of the broker, or stands for all brokers.
func (c *call) checkBroker(name string) error {
	if name != "" && name != nodeID(c.s) {
		return protocolError{codeInvalidRequest, "there is no broker " + strconv.Quote(name)}
	}
	return nil
}

// checkChangeable refuses configs that the broker has not, and those that it cannot change.
func checkChangeable(name string) error {
	i := slices.IndexFunc(brokerConfigs, func(bc brokerConfig) bool { return bc.name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%w: the broker has no config %q", log.ErrInvalidConfig, name)
	case !brokerConfigs[i].limit:
		return protocolError{codeInvalidRequest, name + " is set by the options that the broker is opened with, and cannot be changed while it runs"}
	}
	return nil
}

// configEdit is one edit of a config, in the words of IncrementalAlterConfigs.
type configEdit = kmsg.IncrementalAlterConfigsRequestResourceConfig

// changeBroker changes configs of the broker, or only tells whether that could be done. They are
// set and unset, and with replace all others are unset. No config that can be changed is a list.
func (c *call) changeBroker(name string, validateOnly, replace bool, edits []configEdit) error {
	if err := c.checkBroker(name); err != nil {
		return err
	}
	return c.s.in.Groups.ChangeLimits(c.s.ctx, validateOnly, func(changed map[string]string) error {
		return applyEdits(changed, replace, edits, func(e configEdit) error { return checkChangeable(e.Name) }, func(string) (string, bool) { return "", false })
	})
}

// applyEdits makes the edits in configs that are set, after check has not refused them. With replace all others
// are unset. A config that list knows is a list, of which list tells what is in force.
func applyEdits(set map[string]string, replace bool, edits []configEdit, check func(configEdit) error, list func(name string) (string, bool)) error {
	if replace {
		clear(set)
	}
	done := make(map[string]bool)
	for _, e := range edits {
		if done[e.Name] {
			return protocolError{codeInvalidRequest, fmt.Sprintf("%s is named twice", e.Name)}
		}
		done[e.Name] = true
		if err := check(e); err != nil {
			return err
		}
		if err := applyEdit(set, e, list); err != nil {
			return err
		}
	}
	return nil
}

func applyEdit(set map[string]string, e configEdit, list func(name string) (string, bool)) error {
	value, isList := list(e.Name)
	switch {
	case e.Op == kmsg.IncrementalAlterConfigOpDelete:
		delete(set, e.Name)
	case e.Value == nil:
		return protocolError{codeInvalidRequest, fmt.Sprintf("%s has no value", e.Name)}
	case e.Op == kmsg.IncrementalAlterConfigOpSet:
		set[e.Name] = *e.Value
	case !isList:
		return protocolError{codeInvalidConfig, fmt.Sprintf("%s is no list", e.Name)}
	default:
		set[e.Name] = editedList(value, e)
	}
	return nil
}
