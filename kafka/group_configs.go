package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/log"
)

// sourceGroup says that a config is a group's own.
const sourceGroup = kmsg.ConfigSource(8)

func groupConfigKind(t config.Type) kmsg.ConfigType {
	switch t {
	case config.Bool:
		return kmsg.ConfigTypeBoolean
	case config.Int:
		return kmsg.ConfigTypeInt
	case config.Long:
		return kmsg.ConfigTypeLong
	case config.List:
		return kmsg.ConfigTypeList
	}
	return kmsg.ConfigTypeString
}

// groupConfigs returns the configs of a group by name, which need not exist, and where each value comes from. As in
// Kafka the group's own are told as they were set, though the broker's bounds may have changed since.
func (c *call) groupConfigs(name string) ([]configEntry, error) {
	if name == "" {
		return nil, protocolError{codeInvalidRequest, "a group's name must not be empty"}
	}
	own, inForce := c.s.in.Configs.Own(name), c.s.in.Configs.Values(name)
	limits, changed := c.s.in.Groups.Limits()
	var entries []configEntry
	for _, s := range config.Settings {
		var values []configValue
		if v, ok := own[s.Name]; ok {
			values = append(values, configValue{s.Name, v, sourceGroup})
		}
		if s.Broker != "" {
			values = append(values, brokerValues(s.Broker, config.FindBroker(s.Broker).Default, limits[s.Broker], changed)...)
		} else {
			values = append(values, configValue{s.Name, s.Default, kmsg.ConfigSourceDefaultConfig})
		}
		if s.Hidden && values[0].source == kmsg.ConfigSourceDefaultConfig {
			continue
		}
		value := values[0].value
		if values[0].source != sourceGroup {
			value = inForce.Value(s.Name)
		}
		entries = append(entries, configEntry{
			configValue: configValue{s.Name, value, values[0].source}, kind: groupConfigKind(s.Type), synonyms: values, doc: s.Doc,
		})
	}
	return entries, nil
}

// brokerValues returns what a broker config is set to, the value in force first.
func brokerValues(name, byDefault, static string, changed map[string]string) []configValue {
	var values []configValue
	if v, ok := changed[name]; ok {
		values = append(values, configValue{name, v, kmsg.ConfigSourceDynamicBrokerConfig})
	}
	if static != byDefault {
		values = append(values, configValue{name, static, kmsg.ConfigSourceStaticBrokerConfig})
	}
	return append(values, configValue{name, byDefault, kmsg.ConfigSourceDefaultConfig})
}

// changeGroup changes the configs of a group, or only tells whether that could be done. With replace all that is not
// set is unset.
func (c *call) changeGroup(name string, validateOnly, replace bool, edits []configEdit) error {
	if name == "" {
		return protocolError{codeInvalidRequest, "a group's name must not be empty"}
	}
	known := func(e configEdit) error {
		if e.Op != kmsg.IncrementalAlterConfigOpDelete && config.Find(e.Name) == nil { // Kafka minds no deletion
			return fmt.Errorf("%w: groups have no config %q", log.ErrInvalidConfig, e.Name)
		}
		return nil
	}
	values := c.s.in.Configs.Values(name)
	list := func(name string) (string, bool) {
		s := config.Find(name)
		return values.Value(name), s != nil && s.Type == config.List
	}
	return c.s.in.Configs.Change(c.s.ctx, name, validateOnly, func(own map[string]string) error {
		return applyEdits(own, replace, edits, known, list)
	})
}
