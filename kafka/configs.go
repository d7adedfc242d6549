package kafka

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// configEntry is a config as answers show it.
type configEntry struct {
	configValue
	synonyms []configValue // that of the entry first, and those that would be in force without it
	kind     kmsg.ConfigType
	readOnly bool
	doc      string // "" for none
}

// configValue is what a config, under the name that it has there, is set to somewhere.
type configValue struct {
	name, value string
	source      kmsg.ConfigSource
}

// topicConfigs returns the configs of a topic by name, and where each comes from: the topic
// itself when it differs from the broker's default, else the broker's options when they differ from
// Kafka's default.
func (c *call) topicConfigs(config topic.Config) []configEntry {
	own, broker, kafka := config.Configs(), c.s.in.TopicDefaults.Configs(), topic.Config{}.Configs()
	entries := make([]configEntry, 0, len(own))
	for _, name := range slices.Sorted(maps.Keys(own)) {
		values := []configValue{{brokerName(name), kafka[name], kmsg.ConfigSourceDefaultConfig}}
		if broker[name] != kafka[name] {
			values = append(values, configValue{brokerName(name), broker[name], kmsg.ConfigSourceStaticBrokerConfig})
		}
		if own[name] != broker[name] {
			values = append(values, configValue{name, own[name], kmsg.ConfigSourceDynamicTopicConfig})
		}
		slices.Reverse(values)
		entries = append(entries, configEntry{
			configValue: configValue{name, values[0].value, values[0].source}, synonyms: values, kind: configKind(name),
		})
	}
	return entries
}

// brokerNames is the broker configs that are defaults of topic configs, where their name is not
// that of the topic's behind "log." (Kafka's ServerTopicConfigSynonyms). What no broker config is
// the default of has the topic's name.
var brokerNames = map[string]string{
	"compression.gzip.level":                  "compression.gzip.level",
	"compression.lz4.level":                   "compression.lz4.level",
	"compression.type":                        "compression.type",
	"compression.zstd.level":                  "compression.zstd.level",
	"delete.retention.ms":                     "log.cleaner.delete.retention.ms",
	"errors.deadletterqueue.group.enable":     "errors.deadletterqueue.group.enable",
	"file.delete.delay.ms":                    "log.segment.delete.delay.ms",
	"flush.messages":                          "log.flush.interval.messages",
	"flush.ms":                                "log.flush.interval.ms",
	"follower.replication.throttled.replicas": "follower.replication.throttled.replicas",
	"leader.replication.throttled.replicas":   "leader.replication.throttled.replicas",
	"max.compaction.lag.ms":                   "log.cleaner.max.compaction.lag.ms",
	"max.decompressed.message.bytes":          "max.decompressed.message.bytes",
	"max.message.bytes":                       "message.max.bytes",
	"min.cleanable.dirty.ratio":               "log.cleaner.min.cleanable.ratio",
	"min.compaction.lag.ms":                   "log.cleaner.min.compaction.lag.ms",
	"min.insync.replicas":                     "min.insync.replicas",
	"remote.log.copy.disable":                 "remote.log.copy.disable",
	"remote.log.delete.on.disable":            "remote.log.delete.on.disable",
	"remote.storage.enable":                   "remote.storage.enable",
	"segment.index.bytes":                     "log.index.size.max.bytes",
	"segment.jitter.ms":                       "log.roll.jitter.ms",
	"segment.ms":                              "log.roll.ms",
	"unclean.leader.election.enable":          "unclean.leader.election.enable",
}

func brokerName(name string) string { return cmp.Or(brokerNames[name], "log."+name) }

// configKind is the type of a topic config.
func configKind(name string) kmsg.ConfigType {
	switch name {
	case "cleanup.policy", "follower.replication.throttled.replicas", "leader.replication.throttled.replicas":
		return kmsg.ConfigTypeList
	case "compression.type", "message.format.version", "message.timestamp.type":
		return kmsg.ConfigTypeString
	case "errors.deadletterqueue.group.enable", "message.downconversion.enable", "preallocate",
		"remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable",
		"unclean.leader.election.enable":
		return kmsg.ConfigTypeBoolean
	case "min.cleanable.dirty.ratio":
		return kmsg.ConfigTypeDouble
	case "flush.messages", "local.retention.bytes", "remote.copy.lag.bytes", "retention.bytes":
		return kmsg.ConfigTypeLong
	}
	if strings.HasSuffix(name, ".ms") {
		return kmsg.ConfigTypeLong
	}
	return kmsg.ConfigTypeInt
}
