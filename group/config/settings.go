package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// Setting is a config of a group.
type Setting struct {
	Name string
	Type Type
	// Default is the value where there is no Broker config.
	Default string
	// Broker is the broker config that is the default, or of whose list the first item is; "" for none.
	Broker string
	// Hidden ones are internal to Kafka: they can be set, and are told only when they are.
	Hidden bool
	Doc    string

	least, most string // broker configs that bound it, "" for none
	check       func(string) error
}

// Settings is all of them, by name.
var Settings = settingTable()

func settingTable() []Setting {
	var t []Setting
	bounded := func(kind, name, doc string, from int64) {
		t = append(t, Setting{Name: kind + "." + name, Type: Int, Broker: "group." + kind + "." + name, Doc: doc,
			least: "group." + kind + ".min." + name, most: "group." + kind + ".max." + name, check: whole(from)})
	}
	for _, k := range kinds {
		bounded(k.name, "session.timeout.ms", "How long a member may be silent.", 1)
		bounded(k.name, "heartbeat.interval.ms", "How often members are to be heard of.", 1)
		bounded(k.name, "assignment.interval.ms", "The least time between two assignments.", 0)
		t = append(t, Setting{Name: k.name + ".assignor.offload.enable", Type: Bool, Broker: "group." + k.name + ".assignor.offload.enable", Hidden: true,
			Doc: "Without effect: assignments hold nobody up.", check: boolean})
	}
	bounded("share", "record.lock.duration.ms", "How long a member has a record to itself.", 1000)
	bounded("share", "delivery.count.limit", "How often a record is delivered.", 2)
	bounded("share", "partition.max.record.locks", "How many records of a partition are locked at a time.", 100)
	t = append(t,
		Setting{Name: "share.auto.offset.reset", Type: String, Default: "latest", check: reset,
			Doc: "Where the group begins in a partition that is new to it: latest, earliest, or by_duration: with an age, as in by_duration:P1D."},
		Setting{Name: "share.isolation.level", Type: String, Default: "read_uncommitted", check: oneOf("read_committed", "read_uncommitted"),
			Doc: "Whether records of transactions are delivered once they are committed, or all of them at once."},
		Setting{Name: "share.renew.acknowledge.enable", Type: Bool, Default: "true", check: boolean,
			Doc: "Whether members may keep a record for another period of its lock."},
		Setting{Name: "share.retry.backoff.ms", Type: Int, Default: "0", check: whole(0),
			Doc: "How long a record that was released rests before it is delivered again, twice as long after each delivery, and at random up to a fifth less. 0 is not at all, as in Kafka, which has no such config."},
		Setting{Name: "share.retry.backoff.max.ms", Type: Int, Default: "60000", check: whole(0),
			Doc: "The longest that share.retry.backoff.ms becomes."},
		Setting{Name: "errors.deadletterqueue.topic.name", Type: String, check: deadLetterTopic,
			Doc: "The topic that gets the records that a share group rejects, or has delivered too often; \"\" for none."},
		Setting{Name: "errors.deadletterqueue.copy.record.enable", Type: Bool, Default: "false", check: boolean,
			Doc: "Whether dead letters have the key, the value and the headers of their records, or only tell which they are."},
		Setting{Name: "streams.num.standby.replicas", Type: Int, Broker: "group.streams.num.standby.replicas", most: "group.streams.max.standby.replicas", check: whole(0),
			Doc: "The standby replicas of each task."},
		Setting{Name: "streams.initial.rebalance.delay.ms", Type: Int, Broker: "group.streams.initial.rebalance.delay.ms", check: whole(0),
			Doc: "How long the group waits for more members when it was empty."},
		Setting{Name: "streams.num.warmup.replicas", Type: Int, Broker: "group.streams.num.warmup.replicas", most: "group.streams.max.warmup.replicas", Hidden: true, check: whole(0),
			Doc: "The most warm-up replicas."},
		Setting{Name: "streams.task.offset.interval.ms", Type: Int, Broker: "group.streams.task.offset.interval.ms", least: "group.streams.min.task.offset.interval.ms", Hidden: true, check: whole(1),
			Doc: "How often members tell the offsets of tasks."},
		Setting{Name: "streams.acceptable.recovery.lag", Type: Long, Broker: "group.streams.acceptable.recovery.lag", Hidden: true, check: number(0, maxLong),
			Doc: "How many records behind a member may be to get a task."},
		Setting{Name: "streams.rack.aware.assignment.tags", Type: List, Broker: "group.streams.rack.aware.assignment.tags", check: listOf(0),
			Doc: "The tags of clients over which standby replicas are spread."},
		Setting{Name: "streams.assignor.name", Type: String, Broker: "group.streams.assignors", check: anything,
			Doc: "The assignor of tasks, one of the broker's group.streams.assignors; by default the first of them."},
	)
	slices.SortFunc(t, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return t
}

func deadLetterTopic(v string) error {
	if strings.HasPrefix(v, "__") {
		return errors.New("the name of a topic for dead letters must not begin with __")
	}
	return nil
}

// Find returns the config of that name, nil if there is none.
func Find(name string) *Setting {
	i, ok := slices.BinarySearchFunc(Settings, name, func(s Setting, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return nil
	}
	return &Settings[i]
}

// Check returns the configs of a group, trimmed, and true and false in lower case. Unknown names and values that they cannot have, or not within the
// bounds of the broker, are ErrInvalidConfig, which names all that is wrong.
func (b Broker) Check(own map[string]string) (map[string]string, error) {
	trimmed := make(map[string]string, len(own))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(own)) {
		value := strings.TrimSpace(own[name])
		if s := Find(name); s != nil && s.Type == Bool {
			value = strings.ToLower(value)
		}
		trimmed[name] = value
		if err := b.checkOne(name, value); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s=%q: %w", log.ErrInvalidConfig, name, value, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v := Values{b, trimmed}
	for _, k := range kinds {
		beat, session := k.name+".heartbeat.interval.ms", k.name+".session.timeout.ms"
		if trimmed[beat]+trimmed[session] != "" && v.number(beat) >= v.number(session) {
			errs = append(errs, fmt.Errorf("%w: %s is %d, want less than %s, %d", log.ErrInvalidConfig, beat, v.number(beat), session, v.number(session)))
		}
	}
	return trimmed, errors.Join(errs...)
}

var errUnknown = errors.New("groups have no config of that name")

func (b Broker) checkOne(name, value string) error {
	s := Find(name)
	if s == nil {
		return errUnknown
	}
	if err := s.check(value); err != nil {
		return err
	}
	if name == "streams.assignor.name" && !slices.Contains(items(b.Value("group.streams.assignors")), value) {
		return fmt.Errorf("want one of the broker's group.streams.assignors, %s", b.Value("group.streams.assignors"))
	}
	if s.least == "" && s.most == "" {
		return nil
	}
	n := Values{b, map[string]string{name: value}}.own(name)
	if s.least != "" && n < b.number(s.least) {
		return fmt.Errorf("want at least %d, the broker's %s", b.number(s.least), s.least)
	}
	if s.most != "" && n > b.number(s.most) {
		return fmt.Errorf("want at most %d, the broker's %s", b.number(s.most), s.most)
	}
	return nil
}
