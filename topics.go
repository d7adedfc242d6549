package samsa

import (
	"context"
	"fmt"
)

// Topics administers the topics of a broker.
type Topics struct{ b *Broker }

// Topics returns the topic administration.
func (b *Broker) Topics() Topics { return Topics{b} }

// TopicInfo describes a topic.
type TopicInfo struct {
	Name       string
	ID         TopicID
	Config     TopicConfig // every field filled in
	Partitions []PartitionInfo
}

// PartitionInfo describes a partition at one moment.
type PartitionInfo struct {
	Partition     int32
	LogStart      int64 // offset of the first record that can be read
	LastStable    int64 // offset behind what consumers get that read what is committed; transactions are open from there on
	HighWatermark int64 // offset of the next record to be stored
}

// Create adds a topic. Names obey Kafka's rules, else ErrInvalidTopic; a name that is
// taken is ErrTopicExists. Fields of config that are zero come from Options.TopicDefaults.
func (t Topics) Create(ctx context.Context, name string, config TopicConfig) error {
	if err := t.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return t.b.on.TopicAdmin.Create(ctx, name, config)
}

// Ensure returns once the topic is there, and created reports whether it has created it: as Create would. It is what
// a program calls when it starts, in place of a Create whose ErrTopicExists does not matter. Many may call it at
// once, and all succeed; one of them has created the topic.
//
// A topic that is there already is never changed. It has to have what config sets: else the error is ErrTopicExists and
// names what is different. Fields of config that are zero may be anything in it, and its Partitions may be more.
// Who does not mind a difference passes over the error; who wants it gone calls Alter.
func (t Topics) Ensure(ctx context.Context, name string, config TopicConfig) (created bool, err error) {
	if err := t.b.check(ctx); err != nil {
		return false, fmt.Errorf("ensure topic %s: %w", name, err)
	}
	created, err = t.b.on.TopicAdmin.Ensure(ctx, name, config)
	if err != nil {
		return false, fmt.Errorf("ensure topic: %w", err)
	}
	return created, nil
}

// Delete removes a topic with all its records. Producers and consumers of it, those who
// wait too, get ErrUnknownTopic. The name is free when Delete returns; the space is
// given back in the background (Broker.Sweep waits for it).
func (t Topics) Delete(ctx context.Context, name string) error {
	if err := t.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return t.b.on.TopicAdmin.Delete(ctx, name)
}

// List returns the names of all topics, sorted, also of those that are damaged.
func (t Topics) List(ctx context.Context) ([]string, error) {
	if err := t.b.check(ctx); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return t.b.on.TopicAdmin.Names(ctx)
}

// Describe returns what is known about a topic, or ErrUnknownTopic, or ErrCorruptValue for one
// that is damaged.
func (t Topics) Describe(ctx context.Context, name string) (TopicInfo, error) {
	if err := t.b.check(ctx); err != nil {
		return TopicInfo{}, fmt.Errorf("describe topic %s: %w", name, err)
	}
	found, err := t.b.on.TopicAdmin.Describe(ctx, name)
	if err != nil {
		return TopicInfo{}, err
	}
	info := TopicInfo{Name: name, ID: found.ID, Config: found.Config}
	for i, p := range found.Partitions {
		info.Partitions = append(info.Partitions, PartitionInfo{
			Partition: int32(i), LogStart: p.LogStart, LastStable: p.LastStable, HighWatermark: p.HighWatermark,
		})
	}
	return info, nil
}

// AddPartitions raises the number of partitions to total. Consumers of the topic pick
// the new ones up by themselves; keys may move to other partitions. A total below the
// present number is ErrInvalidPartitions: partitions cannot be taken away.
func (t Topics) AddPartitions(ctx context.Context, name string, total int) error {
	return t.Alter(ctx, name, func(c *TopicConfig) error {
		if total < c.Partitions || total < 1 {
			return fmt.Errorf("%w: it has %d, the new total is %d", ErrInvalidPartitions, c.Partitions, total)
		}
		c.Partitions = total
		return nil
	})
}

// Alter changes a topic's config at run time: edit gets the present one, every field
// filled in, and changes it in place, through the fields or by Kafka's names:
//
//	err := b.Topics().Alter(ctx, "web_log", func(c *samsa.TopicConfig) error {
//		return c.SetConfig("retention.ms", "3600000")
//	})
//
// An error of edit changes nothing and is returned. When the config is changed by somebody
// else meanwhile edit is called again. A field set to zero goes back to what
// Options.TopicDefaults says, as a config that is deleted over the wire does. Of LogAppendTime,
// MinCompactionLag and Compression zero is a value like others. Partitions that are zero stay as
// many as they are; more are added, as by AddPartitions, and fewer are ErrInvalidPartitions.
func (t Topics) Alter(ctx context.Context, name string, edit func(*TopicConfig) error) error {
	if edit == nil {
		return fmt.Errorf("alter topic %s: %w", name, errNoFunction)
	}
	if err := t.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("alter topic %s: %w", name, err)
	}
	return t.b.on.TopicAdmin.Alter(ctx, name, edit)
}

// DeleteRecords removes the records before the given offset of each partition, by hand. -1
// stands for the high watermark: everything there is. An offset behind that is
// ErrOffsetOutOfRange, and then nothing is removed; one before the log start changes
// nothing. The removal is stored when DeleteRecords returns, as safe as AckStored is; the space
// comes back with the next sweep. It is one partition after the other: an error behind the first is
// ErrOutcomeUnknown. (Kafka's DeleteRecords.)
func (t Topics) DeleteRecords(ctx context.Context, name string, before map[int32]int64) error {
	if err := t.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("delete records of topic %s: %w", name, err)
	}
	return t.b.on.TopicAdmin.DeleteRecords(ctx, name, before)
}
