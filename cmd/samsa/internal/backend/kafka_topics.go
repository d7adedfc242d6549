package backend

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// Topics implements Backend.
func (k *Kafka) Topics(ctx context.Context, r api.TopicsRequest) (api.TopicPage, error) {
	all, err := k.adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return api.TopicPage{}, explained("topics", err)
	}
	for name, d := range all {
		if !r.Internal && internal(d) {
			delete(all, name)
		}
	}
	var p api.TopicPage
	names, next := page(keys(all), r.After, r.Prefix, r.Limit)
	p.Next, p.Topics = next, make([]api.TopicSummary, 0, len(names))
	if len(names) == 0 {
		return p, nil
	}
	ends, err := k.ends(ctx, names)
	if err != nil {
		return p, err
	}
	for _, name := range names {
		p.Topics = append(p.Topics, summary(all[name], ends))
	}
	return p, nil
}

func internal(d kadm.TopicDetail) bool { return d.IsInternal || strings.HasPrefix(d.Topic, "__") }

// ends are where the partitions of topics begin and end, and what they take on the disk.
type ends struct {
	start, stable, end kadm.ListedOffsets
	bytes              map[string]map[int32]int64 // nil when it is not known
}

func (k *Kafka) ends(ctx context.Context, topics []string) (e ends, err error) {
	if e.start, err = k.adm.ListStartOffsets(ctx, topics...); err != nil {
		return e, explained("offsets of topics", err)
	}
	if e.stable, err = k.adm.ListCommittedOffsets(ctx, topics...); err != nil {
		return e, explained("offsets of topics", err)
	}
	if e.end, err = k.adm.ListEndOffsets(ctx, topics...); err != nil {
		return e, explained("offsets of topics", err)
	}
	set := make(kadm.TopicsSet)
	for t, ps := range e.end {
		for p := range ps {
			set.Add(t, p)
		}
	}
	dirs, err := k.adm.DescribeAllLogDirs(ctx, set)
	if err != nil { // not all may ask for it
		return e, nil
	}
	e.bytes = make(map[string]map[int32]int64)
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if e.bytes[p.Topic] == nil {
				e.bytes[p.Topic] = make(map[int32]int64)
			}
			e.bytes[p.Topic][p.Partition] = max(e.bytes[p.Topic][p.Partition], p.Size) // of the largest replica
		})
	})
	return e, nil
}

// size returns the bytes of a partition, or -1.
func (e ends) size(topic string, partition int32) int64 {
	if n, ok := e.bytes[topic][partition]; ok {
		return n
	}
	return -1
}

func summary(d kadm.TopicDetail, e ends) api.TopicSummary {
	s := api.TopicSummary{Name: d.Topic, Internal: internal(d), Partitions: len(d.Partitions), Appended: -1}
	if d.ID != (kadm.TopicID{}) {
		s.ID = base64.RawURLEncoding.EncodeToString(d.ID[:]) // as Kafka writes it
	}
	if d.Err != nil {
		s.Error = &api.Error{Message: d.Err.Error()}
	}
	for _, p := range d.Partitions {
		start, end := e.start[d.Topic][p.Partition].Offset, e.end[d.Topic][p.Partition].Offset
		s.Replicas = max(s.Replicas, len(p.Replicas))
		s.Records += max(0, end-start)
		s.Produced += max(0, end)
		if n := e.size(d.Topic, p.Partition); n < 0 || s.Bytes < 0 {
			s.Bytes = -1
		} else {
			s.Bytes += n
		}
	}
	return s
}

// Topic implements Backend.
func (k *Kafka) Topic(ctx context.Context, name string) (api.Topic, error) {
	d, err := k.details(ctx, name)
	if err != nil {
		return api.Topic{}, err
	}
	e, err := k.ends(ctx, []string{name})
	if err != nil {
		return api.Topic{}, err
	}
	t := api.Topic{TopicSummary: summary(d, e)}
	for _, p := range d.Partitions.Sorted() {
		part := api.Partition{
			Partition: p.Partition, LogStart: e.start[name][p.Partition].Offset, LastStable: e.stable[name][p.Partition].Offset,
			HighWatermark: e.end[name][p.Partition].Offset, Bytes: e.size(name, p.Partition), Appended: -1, Leader: p.Leader, Replicas: p.Replicas, InSync: p.ISR,
		}
		if err := cmp.Or(p.Err, e.end[name][p.Partition].Err); err != nil {
			part.Error = &api.Error{Message: err.Error()}
		}
		t.Parts = append(t.Parts, part)
	}
	configs, err := k.adm.DescribeTopicConfigs(ctx, name)
	if err == nil {
		_, err = configs.On(name, func(c *kadm.ResourceConfig) error {
			for _, one := range c.Configs {
				t.Configs = append(t.Configs, api.Config{
					Name: one.Key, Value: one.MaybeValue(), Default: one.Source != kmsg.ConfigSourceDynamicTopicConfig,
				})
			}
			return c.Err
		})
	}
	slices.SortFunc(t.Configs, func(a, b api.Config) int { return strings.Compare(a.Name, b.Name) })
	return t, explained("configs of topic "+name, err)
}

// inRange refuses numbers that the protocol would take for others.
func inRange(t api.NewTopic) error {
	switch {
	case t.Partitions < 0 || t.Partitions > math.MaxInt32:
		return fmt.Errorf("topic %s: %w: %d", t.Name, samsa.ErrInvalidPartitions, t.Partitions)
	case t.Replicas < 0 || t.Replicas > math.MaxInt16:
		return fmt.Errorf("topic %s: %w: %d replicas", t.Name, samsa.ErrInvalidConfig, t.Replicas)
	}
	return nil
}

// CreateTopic implements Backend.
func (k *Kafka) CreateTopic(ctx context.Context, t api.NewTopic) error {
	if err := inRange(t); err != nil {
		return err
	}
	partitions, replicas := int32(-1), int16(-1)
	if t.Partitions > 0 {
		partitions = int32(t.Partitions)
	}
	if t.Replicas > 0 {
		replicas = int16(t.Replicas)
	}
	configs := make(map[string]*string)
	for name, value := range t.Configs {
		configs[name] = &value
	}
	resp, err := k.adm.CreateTopic(ctx, partitions, replicas, configs, t.Name)
	if err == nil {
		err = resp.Err
	}
	if resp.ErrMessage != "" {
		return fmt.Errorf("%w (%s)", explained("topic "+t.Name, err), resp.ErrMessage)
	}
	return explained("topic "+t.Name, err)
}

// EnsureTopic implements Backend.
func (k *Kafka) EnsureTopic(ctx context.Context, t api.NewTopic) (bool, error) {
	if err := inRange(t); err != nil {
		return false, err
	}
	all, err := k.adm.ListTopicsWithInternal(ctx, t.Name)
	if err != nil {
		return false, explained("topic "+t.Name, err)
	}
	if d := all[t.Name]; d.Err != nil || len(d.Partitions) == 0 {
		return true, k.CreateTopic(ctx, t)
	}
	have, err := k.Topic(ctx, t.Name)
	if err != nil {
		return false, err
	}
	var differs []string
	if t.Partitions > have.Partitions {
		differs = append(differs, fmt.Sprintf("partitions=%d", have.Partitions))
	}
	if t.Replicas > 0 && t.Replicas != have.Replicas {
		differs = append(differs, fmt.Sprintf("replicas=%d", have.Replicas))
	}
	for _, c := range have.Configs {
		if want, ok := t.Configs[c.Name]; ok && want != c.Value {
			differs = append(differs, c.Name+"="+c.Value)
		}
	}
	if len(differs) > 0 {
		return false, fmt.Errorf("topic %s: %w with %s", t.Name, samsa.ErrTopicExists, strings.Join(differs, ", "))
	}
	return false, nil
}

// AlterTopic implements Backend.
func (k *Kafka) AlterTopic(ctx context.Context, name string, configs map[string]*string) error {
	var alter []kadm.AlterConfig
	for n, v := range configs {
		a := kadm.AlterConfig{Op: kadm.SetConfig, Name: n, Value: v}
		if v == nil {
			a.Op = kadm.DeleteConfig
		}
		alter = append(alter, a)
	}
	resp, err := k.adm.AlterTopicConfigs(ctx, alter, name)
	if err == nil {
		_, err = resp.On(name, func(r *kadm.AlterConfigsResponse) error {
			if r.Err != nil && r.ErrMessage != "" {
				return fmt.Errorf("%w (%s)", r.Err, r.ErrMessage)
			}
			return r.Err
		})
	}
	return explained("topic "+name, err)
}

// GrowTopic implements Backend.
func (k *Kafka) GrowTopic(ctx context.Context, name string, total int) error {
	if err := inRange(api.NewTopic{Name: name, Partitions: total}); err != nil {
		return err
	}
	resp, err := k.adm.UpdatePartitions(ctx, total, name)
	if err == nil {
		_, err = resp.On(name, func(r *kadm.CreatePartitionsResponse) error { return r.Err })
	}
	return explained("topic "+name, err)
}

// DeleteTopic implements Backend.
func (k *Kafka) DeleteTopic(ctx context.Context, name string) error {
	resp, err := k.adm.DeleteTopic(ctx, name)
	if err == nil {
		err = resp.Err
	}
	return explained("topic "+name, err)
}

// DeleteRecords implements Backend.
func (k *Kafka) DeleteRecords(ctx context.Context, name string, before []api.PartitionOffset) error {
	d, err := k.details(ctx, name)
	if err != nil {
		return err
	}
	offsets := make(kadm.Offsets)
	for _, p := range before {
		if _, ok := d.Partitions[p.Partition]; !ok {
			return fmt.Errorf("topic %s: %w %d", name, samsa.ErrUnknownPartition, p.Partition)
		}
		offsets.AddOffset(name, p.Partition, p.Offset, -1)
	}
	resp, err := k.adm.DeleteRecords(ctx, offsets)
	if err == nil {
		err = resp.Error()
	}
	return explained("topic "+name, err)
}
