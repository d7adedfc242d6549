package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Values is the configs of a group that are in force: its own, within the bounds of the broker, which may have changed
// since they were set, and for the others the defaults. The zero value has Kafka's defaults. It does not change.
type Values struct {
	broker Broker
	set    map[string]string
}

// Group returns the configs of a group that has set those, which were checked.
func (b Broker) Group(own map[string]string) Values { return Values{b, own} }

// Broker returns the broker configs that they rest on.
func (v Values) Broker() Broker { return v.broker }

// Value returns the value in force of a config, "" of one that there is not.
func (v Values) Value(name string) string {
	own, ok := v.set[name]
	s := Find(name)
	switch {
	case s == nil:
		return ""
	case ok && (s.least != "" || s.most != ""):
		return strconv.FormatInt(v.number(name), 10)
	case ok:
		return own
	case s.Broker == "":
		return s.Default
	case s.Type != List && FindBroker(s.Broker).Type == List:
		return items(v.broker.Value(s.Broker))[0]
	}
	return v.broker.Value(s.Broker)
}

// number returns the value of a config that is a number.
func (v Values) number(name string) int64 {
	s := Find(name)
	if _, ok := v.set[name]; !ok {
		if s.Broker != "" {
			return v.broker.number(s.Broker)
		}
		return parsed(s.Default)
	}
	n := v.own(name)
	if s.least != "" {
		n = max(n, v.broker.number(s.least))
	}
	if s.most != "" {
		n = min(n, v.broker.number(s.most))
	}
	return n
}

// own returns the number that the group has set.
func (v Values) own(name string) int64 { return parsed(v.set[name]) }

func parsed(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic("config: what was checked is no number: " + err.Error())
	}
	return n
}

func (v Values) ms(name string) time.Duration {
	return time.Duration(v.number(name)) * time.Millisecond
}

func (v Values) is(name string) bool { return strings.EqualFold(v.Value(name), "true") }

// ConsumerSession is how long a member of a consumer group may be silent.
func (v Values) ConsumerSession() time.Duration { return v.ms("consumer.session.timeout.ms") }

// ConsumerHeartbeat is how often members of a consumer group are to be heard of.
func (v Values) ConsumerHeartbeat() time.Duration { return v.ms("consumer.heartbeat.interval.ms") }

// ConsumerAssignmentInterval is the least time between two assignments of a consumer group.
func (v Values) ConsumerAssignmentInterval() time.Duration {
	return v.ms("consumer.assignment.interval.ms")
}

// ShareSession is how long a member of a share group may be silent.
func (v Values) ShareSession() time.Duration { return v.ms("share.session.timeout.ms") }

// ShareHeartbeat is how often members of a share group are to be heard of.
func (v Values) ShareHeartbeat() time.Duration { return v.ms("share.heartbeat.interval.ms") }

// ShareAssignmentInterval is the least time between two assignments of a share group.
func (v Values) ShareAssignmentInterval() time.Duration { return v.ms("share.assignment.interval.ms") }

// ShareLock is how long a member has a record to itself.
func (v Values) ShareLock() time.Duration { return v.ms("share.record.lock.duration.ms") }

// ShareDeliveries is how often a record is delivered at most.
func (v Values) ShareDeliveries() int { return int(v.number("share.delivery.count.limit")) }

// ShareMaxLocks is how many records of a partition are locked at a time at most.
func (v Values) ShareMaxLocks() int { return int(v.number("share.partition.max.record.locks")) }

// ShareReset is where a share group begins in a partition that is new to it.
func (v Values) ShareReset() Reset {
	r, err := parseReset(v.Value("share.auto.offset.reset"))
	if err != nil {
		panic("config: what was checked is no reset: " + err.Error())
	}
	return r
}

// ShareIsolation says which records of transactions a share group delivers.
func (v Values) ShareIsolation() log.Isolation {
	if v.Value("share.isolation.level") == "read_committed" {
		return log.ReadCommitted
	}
	return log.ReadUncommitted
}

// ShareRenew reports whether members may keep a record for another period of its lock.
func (v Values) ShareRenew() bool { return v.is("share.renew.acknowledge.enable") }

// ShareBackoff is how long a record rests after its first delivery was in vain, 0 for not at all, and the most that
// becomes when it doubles with each delivery.
func (v Values) ShareBackoff() (first, most time.Duration) {
	return v.ms("share.retry.backoff.ms"), v.ms("share.retry.backoff.max.ms")
}

// DeadLetters is the topic for dead letters of a share group, "" for none, and whether they are copies of their records.
func (v Values) DeadLetters() (topic string, records bool) {
	return v.Value("errors.deadletterqueue.topic.name"), v.is("errors.deadletterqueue.copy.record.enable")
}

// StreamsSession is how long a member of a streams group may be silent.
func (v Values) StreamsSession() time.Duration { return v.ms("streams.session.timeout.ms") }

// StreamsHeartbeat is how often members of a streams group are to be heard of.
func (v Values) StreamsHeartbeat() time.Duration { return v.ms("streams.heartbeat.interval.ms") }

// StreamsAssignmentInterval is the least time between two assignments of a streams group.
func (v Values) StreamsAssignmentInterval() time.Duration {
	return v.ms("streams.assignment.interval.ms")
}

// StreamsInitialDelay is how long a streams group that was empty waits for more members.
func (v Values) StreamsInitialDelay() time.Duration {
	return v.ms("streams.initial.rebalance.delay.ms")
}

// StreamsStandbys is how many standby replicas each task has, and StreamsWarmups how many warm-up replicas a group has.
func (v Values) StreamsStandbys() int { return int(v.number("streams.num.standby.replicas")) }

// StreamsWarmups is the most warm-up replicas of a streams group.
func (v Values) StreamsWarmups() int { return int(v.number("streams.num.warmup.replicas")) }

// StreamsTaskOffsets is how often members of a streams group tell the offsets of tasks.
func (v Values) StreamsTaskOffsets() time.Duration { return v.ms("streams.task.offset.interval.ms") }

// StreamsRecoveryLag is how many records behind a member may be to get a task.
func (v Values) StreamsRecoveryLag() int64 { return v.number("streams.acceptable.recovery.lag") }

// StreamsTags are the tags of clients over which standby replicas are spread.
func (v Values) StreamsTags() []string { return items(v.Value("streams.rack.aware.assignment.tags")) }

// StreamsAssignor is the name of the assignor of tasks.
func (v Values) StreamsAssignor() string { return v.Value("streams.assignor.name") }
