package conform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
)

var errMine = errors.New("the function's own error")

// describe returns what is known of a topic.
func (k *kit) describe(topic string) samsa.TopicInfo {
	info, err := k.Topics().Describe(k.ctx, topic)
	k.must(err)
	return info
}

var topics = []promise{
	{"create", "When Create returns the topic is there, with its config and empty partitions.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Partitions: 3, Retention: time.Hour, MaxMessageBytes: 100_000})
		info := k.describe(name)
		k.equal("name", info.Name, name)
		k.equal("id is zero", info.ID == samsa.TopicID{}, false)
		k.equal("partitions", info.Partitions, []samsa.PartitionInfo{{Partition: 0}, {Partition: 1}, {Partition: 2}})
		c := info.Config
		k.equal("config", []any{c.Partitions, c.Retention, c.MaxMessageBytes}, []any{3, time.Hour, 100_000})
		k.equal("default", c.CleanupPolicy, samsa.CleanupDelete)
	}},
	{"create-taken", "A name that is taken is ErrTopicExists, and its topic stays as it is.", func(k *kit) {
		name := k.topic(2)
		before := k.describe(name)
		k.is(k.Topics().Create(k.ctx, name, samsa.TopicConfig{Partitions: 5}), samsa.ErrTopicExists)
		k.equal("topic", k.describe(name), before)
	}},
	{"create-bad-name", "A name that breaks Kafka's rules is ErrInvalidTopic.", func(k *kit) {
		for _, name := range []string{"", ".", "..", "a/b", "a b", "ä", strings.Repeat("x", 250)} {
			k.is(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}), samsa.ErrInvalidTopic, samsa.ErrInvalid)
		}
	}},
	{"create-bad-config", "A config that cannot be is refused, and no topic is there.", func(k *kit) {
		for _, tt := range []struct {
			config samsa.TopicConfig
			want   error
		}{
			{samsa.TopicConfig{Partitions: -1}, samsa.ErrInvalidPartitions},
			{samsa.TopicConfig{MaxMessageBytes: -1}, samsa.ErrInvalidConfig},
			{samsa.TopicConfig{Retention: -7 * time.Second}, samsa.ErrInvalidConfig},
		} {
			name := k.freshTopic()
			k.is(k.Topics().Create(k.ctx, name, tt.config), tt.want, samsa.ErrInvalid)
			_, err := k.Topics().Describe(k.ctx, name)
			k.is(err, samsa.ErrUnknownTopic)
		}
	}},
	{"ensure", "Ensure creates a topic once, whoever else does, and takes one that is there.", func(k *kit) {
		name := k.freshTopic()
		var created atomic.Int32
		for range 4 {
			k.goes(func() {
				did, err := k.Topics().Ensure(k.ctx, name, samsa.TopicConfig{Partitions: 2})
				k.must(err)
				if did {
					created.Add(1)
				}
			})
		}
		k.group.Wait()
		k.equal("created", created.Load(), int32(1))
		did, err := k.Topics().Ensure(k.ctx, name, samsa.TopicConfig{Partitions: 1})
		k.must(err)
		k.equal("created", did, false)
		k.equal("partitions", len(k.describe(name).Partitions), 2)
	}},
	{"ensure-different", "Ensure of a topic that is there with another config is ErrTopicExists, and changes nothing.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Retention: time.Hour})
		before := k.describe(name)
		_, err := k.Topics().Ensure(k.ctx, name, samsa.TopicConfig{Retention: 2 * time.Hour})
		k.is(err, samsa.ErrTopicExists)
		_, err = k.Topics().Ensure(k.ctx, name, samsa.TopicConfig{Partitions: 2})
		k.is(err, samsa.ErrTopicExists)
		k.equal("topic", k.describe(name), before)
	}},
	{"list", "List returns the names of all topics, sorted.", func(k *kit) {
		a, b := k.topic(1), k.topic(1)
		names, err := k.Topics().List(k.ctx)
		k.must(err)
		k.equal("sorted", slices.IsSorted(names), true)
		k.equal("listed", slices.Contains(names, a) && slices.Contains(names, b), true)
		k.must(k.Topics().Delete(k.ctx, a))
		names, err = k.Topics().List(k.ctx)
		k.must(err)
		k.equal("listed when it is deleted", slices.Contains(names, a), false)
	}},
	{"unknown", "What is asked of a topic that is not there is ErrUnknownTopic.", func(k *kit) {
		name := k.fresh("t")
		_, described := k.Topics().Describe(k.ctx, name)
		_, listed := k.ListOffsets(k.ctx, name, samsa.Latest())
		_, produced := k.Produce(k.ctx, samsa.Record{Topic: name})
		_, read := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{name}})
		_, queued := k.NewQueue(k.ctx, samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}})
		for what, err := range map[string]error{
			"Describe":      described,
			"ListOffsets":   listed,
			"Produce":       produced,
			"NewConsumer":   read,
			"NewQueue":      queued,
			"Alter":         k.Topics().Alter(k.ctx, name, func(*samsa.TopicConfig) error { return nil }),
			"AddPartitions": k.Topics().AddPartitions(k.ctx, name, 2),
			"DeleteRecords": k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 1}),
			"Delete":        k.Topics().Delete(k.ctx, name),
		} {
			if !errors.Is(err, samsa.ErrUnknownTopic) || !errors.Is(err, samsa.ErrUnknown) {
				k.Errorf("%s: %v", what, err)
			}
		}
	}},
	{"alter", "Alter gives the present config, every field filled in, and changes what the function has changed.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Partitions: 2, Retention: time.Hour})
		k.must(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error {
			k.equal("present", []any{c.Partitions, c.Retention, c.CleanupPolicy}, []any{2, time.Hour, samsa.CleanupDelete})
			c.Retention = 3 * time.Hour
			return c.SetConfig("max.message.bytes", "50000")
		}))
		c := k.describe(name).Config
		k.equal("altered", []any{c.Partitions, c.Retention, c.MaxMessageBytes}, []any{2, 3 * time.Hour, 50000})
	}},
	{"alter-default", "A field that Alter sets to zero goes back to its default.", func(k *kit) {
		before := k.describe(k.topic(1)).Config.Retention
		name := k.topicWith(samsa.TopicConfig{Retention: time.Hour})
		k.must(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error { c.Retention = 0; return nil }))
		k.equal("retention", k.describe(name).Config.Retention, before)
	}},
	{"alter-fails", "An error of Alter's function is returned, and a config that cannot be refused: nothing is changed.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Partitions: 2, Retention: time.Hour})
		before := k.describe(name)
		k.is(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error { c.Retention = 1; return errMine }), errMine)
		k.is(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error {
			return c.SetConfig("no.such.config", "1")
		}), samsa.ErrInvalidConfig)
		k.is(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error {
			c.Retention, c.MaxMessageBytes = time.Minute, -1
			return nil
		}), samsa.ErrInvalidConfig)
		k.is(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error {
			c.Retention, c.Partitions = time.Minute, 1
			return nil
		}), samsa.ErrInvalidPartitions)
		k.equal("topic", k.describe(name), before)
	}},
	{"alter-partitions", "Alter adds partitions with the rest.", func(k *kit) {
		name := k.topic(1)
		k.must(k.Topics().Alter(k.ctx, name, func(c *samsa.TopicConfig) error {
			c.Partitions, c.Retention = 3, time.Hour
			return nil
		}))
		info := k.describe(name)
		k.equal("partitions and retention", fmt.Sprint(len(info.Partitions), info.Config.Retention), "3 1h0m0s")
	}},
	{"delete", "When Delete returns the name is free, and a topic made again is another one, without records.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b")
		before := k.describe(name)
		k.must(k.Topics().Delete(k.ctx, name))
		_, err := k.Topics().Describe(k.ctx, name)
		k.is(err, samsa.ErrUnknownTopic)
		k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}))
		after := k.describe(name)
		k.equal("has the same id", before.ID == after.ID, false)
		k.equal("partitions", after.Partitions, []samsa.PartitionInfo{{}})
		k.equal("offset", k.write(name, "c")[0].Offset, int64(0))
		k.has([]string{"c"}, name)
	}},
	{"auto-create", "With AutoCreateTopics to produce to a topic creates it, and so does to consume from one.", func(k *kit) {
		produced, read := k.fresh("t"), k.fresh("t")
		b := k.open(Options{Data: k.name + "-auto", AutoCreateTopics: true})
		k.atEnd(func() {
			k.must(b.Topics().Delete(k.ctx, produced))
			k.must(b.Topics().Delete(k.ctx, read))
		})
		out, err := b.Produce(k.ctx, samsa.Record{Topic: produced})
		k.must(err)
		k.equal("offset", out[0].Offset, int64(0))
		c, err := b.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{read}})
		k.must(err)
		defer k.closes(c)
		_, err = b.Topics().Describe(k.ctx, read)
		k.must(err)
	}},
}

var partitions = []promise{
	{"add", "AddPartitions raises their number, and what is stored stays.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		k.must(k.Topics().AddPartitions(k.ctx, name, 3))
		k.equal("ends", k.offsets(name, samsa.Latest()), []int64{1, 0, 0})
		k.put(name, 2, "b")
		k.has([]string{"a", "b"}, name)
	}},
	{"add-fewer", "Partitions cannot be taken away: ErrInvalidPartitions.", func(k *kit) {
		name := k.topic(3)
		k.is(k.Topics().AddPartitions(k.ctx, name, 2), samsa.ErrInvalidPartitions)
		k.equal("partitions", len(k.describe(name).Partitions), 3)
	}},
	{"list-offsets", "ListOffsets tells of each partition the first offset, the next one, and where a time or an offset is.", func(k *kit) {
		name := k.topic(2)
		began := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		k.stamped(name, began, began.Add(time.Second), began.Add(2*time.Second))
		k.equal("earliest", k.offsets(name, samsa.Earliest()), []int64{0, 0})
		k.equal("latest", k.offsets(name, samsa.Latest()), []int64{3, 0})
		k.equal("at a time", k.offsets(name, samsa.AtTime(began.Add(time.Second))), []int64{1, 0})
		k.equal("between", k.offsets(name, samsa.AtTime(began.Add(1500*time.Millisecond))), []int64{2, 0})
		k.equal("behind all", k.offsets(name, samsa.AtTime(began.Add(time.Hour))), []int64{3, 0})
		k.equal("at 0", k.offsets(name, samsa.AtOffset(0)), []int64{0, 0})
		_, err := k.ListOffsets(k.ctx, name, samsa.AtOffset(4))
		k.is(err, samsa.ErrOffsetOutOfRange)
	}},
	{"delete-records", "DeleteRecords removes what is before an offset, and -1 all there is.", func(k *kit) {
		name := k.topic(2)
		k.put(name, 0, "a", "b", "c")
		k.put(name, 1, "d", "e")
		k.must(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 1, 1: -1}))
		k.equal("partitions", k.describe(name).Partitions, []samsa.PartitionInfo{
			{Partition: 0, LogStart: 1, LastStable: 3, HighWatermark: 3}, {Partition: 1, LogStart: 2, LastStable: 2, HighWatermark: 2},
		})
		k.equal("earliest", k.offsets(name, samsa.Earliest()), []int64{1, 2})
		k.has([]string{"b", "c"}, name)
		k.must(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 0})) // changes nothing
		k.has([]string{"b", "c"}, name)
	}},
	{"delete-records-beyond", "DeleteRecords behind the last record is ErrOffsetOutOfRange, and removes nothing there.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b")
		k.is(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 3}), samsa.ErrOffsetOutOfRange)
		k.is(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{1: 0}), samsa.ErrUnknownPartition)
		k.has([]string{"a", "b"}, name)
	}},
	{"delete-records-none", "DeleteRecords of several partitions of which one is refused removes nothing of any.", func(k *kit) {
		name := k.topic(3)
		for p := range int32(3) {
			k.put(name, p, "a", "b")
		}
		k.is(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 1, 1: 3, 2: 1}), samsa.ErrOffsetOutOfRange)
		k.equal("earliest", k.offsets(name, samsa.Earliest()), []int64{0, 0, 0})
	}},
}
