package kafka

import (
	"maps"
	"slices"
	"strconv"

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
	case "cleanup.policy":
		return kmsg.ConfigTypeList
	case "message.timestamp.type":
		return kmsg.ConfigTypeString
	case "auto.create.topics.enable":
		return kmsg.ConfigTypeBoolean
	case "delete.retention.ms", "min.compaction.lag.ms", "retention.bytes", "retention.ms":
		return kmsg.ConfigTypeLong
	}
	return kmsg.ConfigTypeInt
}
