package kafka

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// configEntry is a topic config as answers show it.
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
