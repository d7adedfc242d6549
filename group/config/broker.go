package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/log"
)

// BrokerSetting is a config of the broker that concerns groups: a bound of their configs, a default of one, or a limit
// on all of them.
type BrokerSetting struct {
	Name    string
	Type    Type
	Default string // Kafka's
	// Hidden ones are internal to Kafka: they can be set, and are told only when they are.
	Hidden bool
	Doc    string
	check  func(string) error
}

const maxInt = "2147483647"

// The groups of the newer kinds, as they are in names.
var kinds = []struct{ name, of string }{{"consumer", "consumer groups"}, {"share", "share groups"}, {"streams", "streams groups"}}

// Brokers is all of them, by name.
var Brokers = slices.SortedFunc(slices.Values(slices.Concat(sessionRows(), shareRows(), otherRows(), hiddenRows())),
	func(a, b BrokerSetting) int { return strings.Compare(a.Name, b.Name) })

// bounds returns the rows of a config of groups: the default, and the least and the most that a group may have.
func bounds(kind, name, doc, def, least, most string, check, checkLeast, checkMost func(string) error) []BrokerSetting {
	return []BrokerSetting{
		{Name: "group." + kind + "." + name, Type: Int, Default: def, Doc: doc + ", unless the group's config says otherwise.", check: check},
		{Name: "group." + kind + ".min." + name, Type: Int, Default: least, Doc: doc + ": the least that a config of a group may say.", check: checkLeast},
		{Name: "group." + kind + ".max." + name, Type: Int, Default: most, Doc: doc + ": the most that a config of a group may say.", check: checkMost},
	}
}

func sessionRows() (rows []BrokerSetting) {
	for _, k := range kinds {
		for _, s := range []struct {
			name, def, least, most string
			from                   int64
			doc                    string
		}{
			{"session.timeout.ms", "45000", "45000", "60000", 1, "How long a member of one of the " + k.of + " may be silent"},
			{"heartbeat.interval.ms", "5000", "5000", "15000", 1, "How often members of " + k.of + " are to be heard of"},
			{"assignment.interval.ms", "1000", "0", "15000", 0, "The least time between two assignments of one of the " + k.of},
		} {
			rows = append(rows, bounds(k.name, s.name, s.doc, s.def, s.least, s.most, whole(s.from), whole(s.from), whole(s.from))...)
		}
	}
	return rows
}

func shareRows() []BrokerSetting {
	return slices.Concat(
		bounds("share", "delivery.count.limit", "How often a record is delivered by a share group", "5", "2", "10",
			number(2, 10), number(2, 5), number(5, 25)),
		bounds("share", "partition.max.record.locks", "How many records of a partition are locked at a time by a share group", "2000", "100", "4000",
			number(100, 10000), number(100, 2000), number(2000, 10000)),
		bounds("share", "record.lock.duration.ms", "How long a member of a share group has a record to itself", "30000", "15000", "60000",
			number(1000, 3600000), number(1000, 30000), number(30000, 3600000)),
		[]BrokerSetting{
			{Name: "group.share.assignors", Type: List, Default: "simple", check: listOf(1, "simple"),
				Doc: "The assignor of share groups."},
			{Name: "group.share.max.share.sessions", Type: Int, Default: "2000", check: whole(1),
				Doc: "The most share sessions, each of a member and its connection, that there may be at a time."},
			{Name: "group.share.max.size", Type: Int, Default: "200", check: number(1, 1000),
				Doc: "The most members that a share group may have."},
			{Name: "errors.deadletterqueue.auto.create.topics.enable", Type: Bool, Default: "false", check: boolean,
				Doc: "Topics for dead letters of share groups are created when the first one comes."},
			{Name: "errors.deadletterqueue.topic.name.prefix", Type: String, Default: "dlq.", check: anything,
				Doc: "What the names of topics for dead letters that are created begin with; \"\" for anything."},
		})
}

func otherRows() []BrokerSetting {
	return []BrokerSetting{
		{Name: "group.consumer.assignors", Type: List, Default: "uniform,range", check: listOf(1, "uniform", "range"),
			Doc: "The assignors of consumer groups of the new protocol; the first is that of members that name none."},
		{Name: "group.consumer.max.size", Type: Int, Default: maxInt, check: whole(1),
			Doc: "The most members that a consumer group of the new protocol may have."},
		{Name: "group.consumer.migration.policy", Type: String, Default: "bidirectional", check: migration,
			Doc: "Which way a consumer group may change between the protocols while it has members."},
		{Name: "group.streams.assignors", Type: List, Default: "sticky", check: listOf(1, "sticky"),
			Doc: "The assignors of streams groups; the first is that of groups that name none."},
		{Name: "group.streams.initial.rebalance.delay.ms", Type: Int, Default: "3000", check: whole(0),
			Doc: "How long a streams group that was empty waits for more members, unless the group's config says otherwise."},
		{Name: "group.streams.max.size", Type: Int, Default: maxInt, check: whole(1),
			Doc: "The most members that a streams group may have."},
		{Name: "group.streams.max.standby.replicas", Type: Int, Default: "2", check: whole(0),
			Doc: "The most standby replicas that a config of a streams group may ask for."},
		{Name: "group.streams.num.standby.replicas", Type: Int, Default: "0", check: whole(0),
			Doc: "The standby replicas of a task, unless the group's config says otherwise."},
		{Name: "group.streams.rack.aware.assignment.tags", Type: List, check: listOf(0),
			Doc: "The tags of clients over which standby replicas are spread, unless the group's config says otherwise."},
	}
}

func migration(v string) error {
	return oneOf("bidirectional", "upgrade", "downgrade", "disabled")(strings.ToLower(v))
}

func hiddenRows() []BrokerSetting {
	rows := []BrokerSetting{
		{Name: "group.consumer.regex.refresh.interval.ms", Type: Int, Default: "600000", check: whole(10000),
			Doc: "How often regular expressions of consumer groups are matched again, besides when topics come."},
		{Name: "group.streams.acceptable.recovery.lag", Type: Long, Default: "10000", check: number(0, maxLong),
			Doc: "How many records behind a member of a streams group may be to get a task, unless the group's config says otherwise."},
		{Name: "group.streams.max.warmup.replicas", Type: Int, Default: "20", check: whole(0),
			Doc: "The most warm-up replicas that a config of a streams group may ask for."},
		{Name: "group.streams.min.task.offset.interval.ms", Type: Int, Default: "15000", check: whole(1),
			Doc: "The shortest interval of task offsets that a config of a streams group may ask for."},
		{Name: "group.streams.num.warmup.replicas", Type: Int, Default: "2", check: whole(0),
			Doc: "The most warm-up replicas of a streams group, unless its config says otherwise."},
		{Name: "group.streams.task.offset.interval.ms", Type: Int, Default: "60000", check: whole(1),
			Doc: "How often members of streams groups tell the offsets of tasks, unless the group's config says otherwise."},
	}
	for _, k := range kinds {
		rows = append(rows, BrokerSetting{Name: "group." + k.name + ".assignor.offload.enable", Type: Bool, Default: "true", check: boolean,
			Doc: "Without effect: assignments of " + k.of + " hold nobody up."})
	}
	for i := range rows {
		rows[i].Hidden = true
	}
	return rows
}

const maxLong = 1<<63 - 1

// FindBroker returns the broker config of that name, nil if there is none.
func FindBroker(name string) *BrokerSetting {
	i, ok := slices.BinarySearchFunc(Brokers, name, func(s BrokerSetting, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return nil
	}
	return &Brokers[i]
}

// Broker is the broker configs that concern groups. The zero value has Kafka's defaults. It does not change.
type Broker struct {
	set map[string]string // by name, trimmed and checked
}

// With returns b with some of them set. What cannot be is ErrInvalidConfig, which names all that is wrong.
func (b Broker) With(configs map[string]string) (Broker, error) {
	if len(configs) == 0 {
		return b, nil
	}
	next := Broker{maps.Clone(b.set)}
	if next.set == nil {
		next.set = make(map[string]string)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		value := strings.TrimSpace(configs[name])
		s := FindBroker(name)
		if s == nil {
			errs = append(errs, fmt.Errorf("%w: there is no config %q of groups that is the broker's", log.ErrInvalidConfig, name))
		} else if err := s.check(value); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s=%q: %w", log.ErrInvalidConfig, name, value, err))
		} else {
			next.set[name] = value
		}
	}
	if len(errs) == 0 {
		errs = append(errs, next.checkOrder())
	}
	return next, errors.Join(errs...)
}

// ordered is pairs of configs of which the first is at most the second.
var ordered = func() (pairs [][2]string) {
	for _, k := range kinds {
		for _, name := range []string{"session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms"} {
			pairs = append(pairs, within("group."+k.name+".", name)...)
		}
	}
	for _, name := range []string{"delivery.count.limit", "partition.max.record.locks", "record.lock.duration.ms"} {
		pairs = append(pairs, within("group.share.", name)...)
	}
	return append(pairs,
		[2]string{"group.share.max.size", "group.share.max.share.sessions"},
		[2]string{"group.streams.num.standby.replicas", "group.streams.max.standby.replicas"},
		[2]string{"group.streams.num.warmup.replicas", "group.streams.max.warmup.replicas"},
		[2]string{"group.streams.min.task.offset.interval.ms", "group.streams.task.offset.interval.ms"})
}()

func within(prefix, name string) [][2]string {
	return [][2]string{{prefix + "min." + name, prefix + name}, {prefix + name, prefix + "max." + name}, {prefix + "min." + name, prefix + "max." + name}}
}

// checkOrder refuses bounds and defaults that do not go together.
func (b Broker) checkOrder() error {
	var errs []error
	for _, p := range ordered {
		if b.number(p[0]) > b.number(p[1]) {
			errs = append(errs, fmt.Errorf("%w: %s is %d, want at most %s, %d", log.ErrInvalidConfig, p[0], b.number(p[0]), p[1], b.number(p[1])))
		}
	}
	for _, k := range kinds {
		beat, session := "group."+k.name+".heartbeat.interval.ms", "group."+k.name+".session.timeout.ms"
		if b.number(beat) >= b.number(session) {
			errs = append(errs, fmt.Errorf("%w: %s is %d, want less than %s, %d", log.ErrInvalidConfig, beat, b.number(beat), session, b.number(session)))
		}
	}
	return errors.Join(errs...)
}

// Set returns those that are set, by name. The map is not to be changed.
func (b Broker) Set() map[string]string { return b.set }

// Value returns the value in force of a config that there is.
func (b Broker) Value(name string) string {
	if v, ok := b.set[name]; ok {
		return v
	}
	return FindBroker(name).Default
}

// number returns the value of a config that is a number.
func (b Broker) number(name string) int64 {
	n, err := strconv.ParseInt(b.Value(name), 10, 64)
	if err != nil {
		panic("config: what was checked is no number: " + err.Error())
	}
	return n
}

func (b Broker) ms(name string) time.Duration {
	return time.Duration(b.number(name)) * time.Millisecond
}

// MaxSize is the most members that a group of a kind may have, which is consumer, share or streams.
func (b Broker) MaxSize(kind string) int { return int(b.number("group." + kind + ".max.size")) }

// MaxShareSessions is the most share sessions at a time.
func (b Broker) MaxShareSessions() int { return int(b.number("group.share.max.share.sessions")) }

// ConsumerAssignors are the names of the assignors of consumer groups. The first is the default.
func (b Broker) ConsumerAssignors() []string { return items(b.Value("group.consumer.assignors")) }

// ConsumerMigration says which ways a live group may change: up to the new protocol, and down to the classic one.
func (b Broker) ConsumerMigration() (up, down bool) {
	switch strings.ToLower(b.Value("group.consumer.migration.policy")) {
	case "bidirectional":
		return true, true
	case "upgrade":
		return true, false
	case "downgrade":
		return false, true
	}
	return false, false
}

// RegexRefresh is how often regular expressions are matched again.
func (b Broker) RegexRefresh() time.Duration { return b.ms("group.consumer.regex.refresh.interval.ms") }

// DeadLetterTopics says whether topics for dead letters are created, and with which prefix of their names.
func (b Broker) DeadLetterTopics() (create bool, prefix string) {
	return strings.EqualFold(b.Value("errors.deadletterqueue.auto.create.topics.enable"), "true"), b.Value("errors.deadletterqueue.topic.name.prefix")
}
