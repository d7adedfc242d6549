package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
)

// page returns the names behind after that have the prefix and are wanted, at most limit, and the After of the next page. names are sorted.
func page(names []string, after, with string, limit int, wanted func(string) bool) (some []string, next string) {
	i, found := slices.BinarySearch(names, max(after, with))
	if found && after >= with && after != "" {
		i++
	}
	for _, name := range names[i:] {
		if !strings.HasPrefix(name, with) {
			break
		}
		if !wanted(name) {
			continue
		}
		if len(some) == limit {
			return some, some[limit-1]
		}
		some = append(some, name)
	}
	return some, ""
}

// internal reports whether a topic is one that people do not make: two underscores, as Kafka has them.
func internal(topic string) bool { return strings.HasPrefix(topic, "__") }

func listTopics(c *call) (any, error) {
	after, with, limit, all := c.query.text("after"), c.query.text("prefix"), c.query.limit(1000), c.query.flag("internal")
	sizes := c.query.flag("sizes")
	if err := c.none(); err != nil {
		return nil, err
	}
	names, err := c.b.Topics().List(c.limited)
	if err != nil {
		return nil, err
	}
	p := TopicPage{Topics: []TopicSummary{}}
	names, p.Next = page(names, after, with, limit, func(name string) bool { return all || !internal(name) })
	counting, cancel := context.WithTimeout(c.limited, countLimit)
	defer cancel()
	for _, name := range names {
		t, err := summary(c.b, name)
		if err == nil && sizes {
			t, err = counted(counting, c.b, t)
		}
		if errors.Is(err, samsa.ErrUnknownTopic) {
			continue // deleted meanwhile
		}
		if err != nil {
			t = TopicSummary{Name: name, Internal: internal(name), Bytes: -1, Appended: -1, Error: asError(err)}
		}
		p.Topics = append(p.Topics, t)
	}
	return p, nil
}

// countLimit is how long a list of topics may count.
const countLimit = time.Second

// summary returns what a list says of a topic. It reads nothing from the disk.
func summary(b *samsa.Broker, name string) (TopicSummary, error) {
	in := inside.Of(b)
	known, err := in.Parts.Topics.Get(name)
	if err != nil {
		return TopicSummary{}, err
	}
	t := TopicSummary{Name: name, ID: samsa.TopicID(known.ID()).String(), Internal: internal(name), Partitions: int(known.Partitions()), Replicas: 1}
	for i := range known.Partitions() {
		p, err := known.Partition(i)
		if err != nil {
			return TopicSummary{}, err
		}
		end := p.HighWatermark()
		held, err := in.Held(context.Background(), p.TopicPartition(), false)
		if err != nil {
			return TopicSummary{}, err
		}
		t.add(Partition{LogStart: p.LogStart(), HighWatermark: end, Bytes: held.Bytes, Appended: held.Appended, Due: At(held.Due)})
	}
	return t, nil
}

// add adds what is known of a partition.
func (t *TopicSummary) add(p Partition) {
	t.Records += p.HighWatermark - p.LogStart
	t.Produced += p.HighWatermark
	t.Appended += p.Appended
	if p.Bytes < 0 || t.Bytes < 0 {
		t.Bytes = -1
	} else {
		t.Bytes += p.Bytes
	}
	if t.Due.IsZero() || !p.Due.IsZero() && p.Due.Before(t.Due.Time) {
		t.Due = p.Due
	}
}

// counted returns t with what is counted and looked up until ctx ends; without it, if that was not enough.
func counted(ctx context.Context, b *samsa.Broker, t TopicSummary) (TopicSummary, error) {
	if ctx.Err() != nil {
		return t, nil
	}
	whole, err := describe(ctx, b, t.Name)
	if err != nil && ctx.Err() != nil {
		return t, nil
	}
	return whole.TopicSummary, err
}

func describeTopic(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return describe(c.limited, c.b, c.r.PathValue("topic"))
}

// describe describes a topic. Bytes that nobody knows yet are counted.
func describe(ctx context.Context, b *samsa.Broker, name string) (Topic, error) {
	info, err := b.Topics().Describe(ctx, name)
	if err != nil {
		return Topic{}, err
	}
	in := inside.Of(b)
	t := Topic{
		TopicSummary: TopicSummary{Name: name, ID: info.ID.String(), Internal: internal(name), Partitions: len(info.Partitions), Replicas: max(1, info.Config.Replicas)},
		Configs:      configs(info.Config, in.TopicDefaults), Parts: []Partition{},
	}
	for _, at := range info.Partitions {
		held, err := in.Held(ctx, samsa.TopicPartition{Topic: name, Partition: at.Partition}, true)
		if err != nil {
			return Topic{}, fmt.Errorf("topic %s: %w", name, err)
		}
		part := Partition{
			Partition: at.Partition, LogStart: at.LogStart, LastStable: at.LastStable, HighWatermark: at.HighWatermark,
			Bytes: held.Bytes, Appended: held.Appended, Due: At(held.Due),
		}
		t.add(part)
		t.Parts = append(t.Parts, part)
	}
	return t, nil
}

// configs returns the configs of a topic, by name.
func configs(config, defaults samsa.TopicConfig) []Config {
	values, byDefault := config.Configs(), defaults.Configs()
	all := make([]Config, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, Config{Name: name, Value: values[name], Default: values[name] == byDefault[name]})
	}
	return all
}

// config returns the config of a new topic.
func (t NewTopic) config() (samsa.TopicConfig, error) {
	c := samsa.TopicConfig{Partitions: t.Partitions, Replicas: t.Replicas}
	if t.Partitions < 0 {
		return c, fmt.Errorf("%w: %d", samsa.ErrInvalidPartitions, t.Partitions)
	}
	return c, c.SetConfigs(t.Configs)
}

func createTopic(c *call) (any, error) {
	var t NewTopic
	if err := c.decode(&t); err != nil {
		return nil, err
	}
	config, err := t.config()
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	return nil, c.b.Topics().Create(c.limited, t.Name, config)
}

func ensureTopic(c *call) (any, error) {
	var t NewTopic
	if err := c.decode(&t); err != nil {
		return nil, err
	}
	name := c.r.PathValue("topic")
	if t.Name != "" && t.Name != name {
		return nil, fmt.Errorf("%w: the path names the topic %q, and the body %q", samsa.ErrInvalid, name, t.Name)
	}
	config, err := t.config()
	if err != nil {
		return nil, fmt.Errorf("ensure topic %s: %w", name, err)
	}
	created, err := c.b.Topics().Ensure(c.limited, name, config)
	return Ensured{created}, err
}

func alterTopic(c *call) (any, error) {
	var t AlterTopic
	if err := c.decode(&t); err != nil {
		return nil, err
	}
	defaults := inside.Of(c.b).TopicDefaults.Configs()
	return nil, c.b.Topics().Alter(c.limited, c.r.PathValue("topic"), func(config *samsa.TopicConfig) error {
		set := make(map[string]string, len(t.Configs))
		for name, value := range t.Configs {
			if value == nil {
				byDefault, known := defaults[name]
				if !known {
					return fmt.Errorf("%w: there is no config %.100q", samsa.ErrInvalidConfig, name)
				}
				value = &byDefault
			}
			set[name] = *value
		}
		return config.SetConfigs(set)
	})
}

func deleteTopic(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.b.Topics().Delete(c.limited, c.r.PathValue("topic"))
}

func growTopic(c *call) (any, error) {
	var g GrowTopic
	if err := c.decode(&g); err != nil {
		return nil, err
	}
	return nil, c.b.Topics().AddPartitions(c.limited, c.r.PathValue("topic"), g.Partitions)
}

func deleteRecords(c *call) (any, error) {
	var o Offsets
	if err := c.decode(&o); err != nil {
		return nil, err
	}
	before := make(map[int32]int64, len(o.Offsets))
	for _, p := range o.Offsets {
		if _, twice := before[p.Partition]; twice {
			return nil, fmt.Errorf("%w: partition %d is there twice", samsa.ErrInvalid, p.Partition)
		}
		before[p.Partition] = p.Offset
	}
	return nil, c.b.Topics().DeleteRecords(c.limited, c.r.PathValue("topic"), before)
}

func listOffsets(c *call) (any, error) {
	at := c.query.position("at", AtEarliest, AtLatest, AtOffset, AtTime)
	if err := c.none(); err != nil {
		return nil, err
	}
	found, err := c.b.ListOffsets(c.limited, c.r.PathValue("topic"), at.start())
	if err != nil {
		return nil, err
	}
	o := Offsets{Offsets: make([]PartitionOffset, len(found))}
	for i, f := range found {
		o.Offsets[i] = PartitionOffset(f)
	}
	return o, nil
}

// start returns p as the library has it.
func (p Position) start() samsa.Start {
	switch p.Kind {
	case AtLatest:
		return samsa.Latest()
	case AtOffset:
		return samsa.AtOffset(p.N)
	case AtTime:
		return samsa.AtTime(p.Time)
	}
	return samsa.Earliest()
}
