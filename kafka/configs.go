package kafka

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// configEntry is a config as answers show it.
type configEntry struct {
	name, value string
	source      kmsg.ConfigSource
}

// configEntries returns the configs of a topic by name, and where each comes from: the topic
// itself when it differs from the default.
func configEntries(config topic.Config) []configEntry {
	values, defaults := config.Configs(), topic.Config{}.Configs()
	entries := make([]configEntry, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		source := kmsg.ConfigSourceDynamicTopicConfig
		if values[name] == defaults[name] {
			source = kmsg.ConfigSourceDefaultConfig
		}
		entries = append(entries, configEntry{name, values[name], source})
	}
	return entries
}

// brokerConfigs returns the broker's configs, by name.
func (c *call) brokerConfigs() []configEntry {
	node := strconv.Itoa(int(c.s.opts.NodeID))
	partitions := max(1, c.s.in.TopicDefaults.Partitions)
	var entries []configEntry
	for _, kv := range [][2]string{
		{"auto.create.topics.enable", strconv.FormatBool(c.s.in.AutoCreateTopics)},
		{"broker.id", node},
		{"default.replication.factor", "1"},
		{"message.max.bytes", c.s.in.TopicDefaults.Configs()["max.message.bytes"]},
		{"min.insync.replicas", "1"},
		{"node.id", node},
		{"num.partitions", strconv.Itoa(partitions)},
		{"socket.request.max.bytes", strconv.Itoa(c.s.opts.MaxFrameBytes)},
	} {
		entries = append(entries, configEntry{kv[0], kv[1], kmsg.ConfigSourceStaticBrokerConfig})
	}
	return entries
}

func (e configEntry) kind() kmsg.ConfigType { return configKind(e.name) }

// configKind is the type of a config.
func configKind(name string) kmsg.ConfigType {
	switch name {
	case "cleanup.policy", "follower.replication.throttled.replicas", "leader.replication.throttled.replicas":
		return kmsg.ConfigTypeList
	case "compression.type", "message.format.version", "message.timestamp.type":
		return kmsg.ConfigTypeString
	case "auto.create.topics.enable", "message.downconversion.enable", "preallocate", "remote.storage.enable",
		"unclean.leader.election.enable":
		return kmsg.ConfigTypeBoolean
	case "min.cleanable.dirty.ratio":
		return kmsg.ConfigTypeDouble
	case "flush.messages", "local.retention.bytes", "retention.bytes":
		return kmsg.ConfigTypeLong
	}
	if strings.HasSuffix(name, ".ms") {
		return kmsg.ConfigTypeLong
	}
	return kmsg.ConfigTypeInt
}
