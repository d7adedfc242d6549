// Package admin administers a cluster: its topics, configs of groups and transactions, as internal/engine has them.
package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// Admin is what all parts stand on.
type Admin struct {
	link   *link.Link
	topics *read.Topics
}

// New returns the administration of a cluster, of which topics are known.
func New(l *link.Link, topics *read.Topics) *Admin { return &Admin{l, topics} }

// Topics is engine.TopicAdmin.
type Topics struct{ *Admin }

func about(name string) string { return "topic " + name }

// allowed refuses what a cluster does not have, and what no topic can have.
func allowed(config topic.Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	if config.CleanupPolicy&topic.Consumed != 0 {
		return fmt.Errorf("%w: CleanupConsumed on a cluster", log.ErrUnsupported)
	}
	return nil
}

// Create implements engine.TopicAdmin.
func (a Topics) Create(ctx context.Context, name string, config topic.Config) error {
	if err := errors.Join(allowed(config), ctx.Err()); err != nil {
		return err
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	if config.Partitions != 0 {
		t.NumPartitions = int32(config.Partitions)
	}
	if config.Replicas != 0 {
		t.ReplicationFactor = int16(config.Replicas)
	}
	given := config.Given()
	for _, n := range slices.Sorted(maps.Keys(given)) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = n, new(given[n])
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	_, err := link.AskOne(ctx, a.link.Client, about(name), req,
		func(r *kmsg.CreateTopicsResponse) []kmsg.CreateTopicsResponseTopic { return r.Topics },
		func(p *kmsg.CreateTopicsResponseTopic) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return link.Unknown(err)
	}
	return link.Unknown(a.topics.Await(ctx, name, 1))
}

// Ensure implements engine.TopicAdmin.
func (a Topics) Ensure(ctx context.Context, name string, config topic.Config) (created bool, err error) {
	if err := allowed(config); err != nil {
		return false, err
	}
	for {
		info, configs, err := a.describe(ctx, name)
		if err == nil {
			return false, meets(name, info, configs, config)
		}
		if !errors.Is(err, log.ErrUnknownTopic) {
			return false, err
		}
		if err = a.Create(ctx, name, config); !errors.Is(err, log.ErrTopicExists) { // else by somebody else, just now
			return err == nil, err
		}
	}
}

// meets reports what a topic has not of that which is set in config.
func meets(name string, info engine.TopicInfo, configs map[string]string, config topic.Config) error {
	var lacks []string
	if n := len(info.Partitions); config.Partitions > n {
		lacks = append(lacks, fmt.Sprintf("partitions=%d instead of %d", n, config.Partitions))
	}
	if n := info.Config.Replicas; config.Replicas > 0 && config.Replicas != n {
		lacks = append(lacks, fmt.Sprintf("replicas=%d instead of %d", n, config.Replicas))
	}
	given := config.Given()
	for _, n := range slices.Sorted(maps.Keys(given)) {
		if has, ok := configs[n]; !ok || has != given[n] {
			lacks = append(lacks, fmt.Sprintf("%s=%s instead of %s", n, has, given[n]))
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %q has %s", log.ErrTopicExists, name, strings.Join(lacks, ", "))
}

// Delete implements engine.TopicAdmin.
func (a Topics) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &name
	req.TopicNames, req.Topics = []string{name}, append(req.Topics, t)
	_, err := link.AskOne(ctx, a.link.Client, about(name), req,
		func(r *kmsg.DeleteTopicsResponse) []kmsg.DeleteTopicsResponseTopic { return r.Topics },
		func(p *kmsg.DeleteTopicsResponseTopic) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err == nil || errors.Is(err, log.ErrUnknownTopic) {
		a.topics.Deleted(name)
	}
	return link.Unknown(err)
}

// Names implements engine.TopicAdmin.
func (a Topics) Names(ctx context.Context) ([]string, error) {
	if err := a.topics.Refresh(ctx); err != nil {
		return nil, err
	}
	names := make([]string, 0)
	for _, t := range a.topics.List() {
		names = append(names, t.Name())
	}
	return names, nil
}

// Describe implements engine.TopicAdmin.
func (a Topics) Describe(ctx context.Context, name string) (engine.TopicInfo, error) {
	info, _, err := a.describe(ctx, name)
	return info, err
}

// leaderless is how long who describes a topic waits for partitions that nobody leads.
const leaderless = 10 * time.Second

// describe returns a topic, and all its configs as the cluster has them.
func (a Topics) describe(ctx context.Context, name string) (info engine.TopicInfo, configs map[string]string, err error) {
	asked, cancel := context.WithTimeout(ctx, leaderless)
	defer cancel()
	t, err := a.topics.Find(asked, name, false)
	if err != nil && asked.Err() != nil && ctx.Err() == nil {
		return info, nil, fmt.Errorf("topic %s: %w: a leader of it does not answer: %s", name, log.ErrUnavailable, err.Error()) // which says that a time is over: ours, not the caller's
	}
	if err != nil {
		return info, nil, err
	}
	info.ID = t.ID()
	for i := range t.Partitions() {
		p, err := t.Partition(i)
		if err != nil {
			return info, nil, err
		}
		info.Partitions = append(info.Partitions, engine.PartitionInfo{LogStart: p.LogStart(), LastStable: p.LastStable(), HighWatermark: p.HighWatermark()})
	}
	if configs, err = a.configs(ctx, kmsg.ConfigResourceTypeTopic, name); err != nil {
		return info, nil, err
	}
	info.Config.Partitions, info.Config.Replicas = len(info.Partitions), a.topics.Replicas(t)
	for n, v := range configs {
		_ = info.Config.SetConfig(n, v) // one that the library does not know, or not so, is none of its fields
	}
	return info, configs, nil
}

// configs returns the configs of a topic or a group that are in force.
func (a *Admin) configs(ctx context.Context, kind kmsg.ConfigResourceType, name string) (map[string]string, error) {
	said, err := a.describeConfigs(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	configs := make(map[string]string)
	for _, c := range said {
		if c.Value != nil {
			configs[c.Name] = *c.Value
		}
	}
	return configs, nil
}

func (a *Admin) describeConfigs(ctx context.Context, kind kmsg.ConfigResourceType, name string) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kind, name
	req.Resources = append(req.Resources, rr)
	r, err := link.AskOne(ctx, a.link.Client, "configs of "+name, req,
		func(r *kmsg.DescribeConfigsResponse) []kmsg.DescribeConfigsResponseResource { return r.Resources },
		func(p *kmsg.DescribeConfigsResponseResource) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return nil, err
	}
	return r.Configs, nil
}

// set sets configs of a topic or a group, and unsets those that are nil.
func (a *Admin) set(ctx context.Context, kind kmsg.ConfigResourceType, name string, configs map[string]*string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kind, name
	for _, n := range slices.Sorted(maps.Keys(configs)) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = n, configs[n], kmsg.IncrementalAlterConfigOpSet
		if c.Value == nil {
			c.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		rr.Configs = append(rr.Configs, c)
	}
	req.Resources = append(req.Resources, rr)
	_, err := link.AskOne(ctx, a.link.Client, "configs of "+name, req,
		func(r *kmsg.IncrementalAlterConfigsResponse) []kmsg.IncrementalAlterConfigsResponseResource {
			return r.Resources
		},
		func(p *kmsg.IncrementalAlterConfigsResponseResource) (int16, *string) {
			return p.ErrorCode, p.ErrorMessage
		})
	if err != nil {
		return link.Unknown(err)
	}
	a.awaitConfigs(ctx, kind, name, configs)
	return nil
}

// awaitConfigs waits until configs are as they were set: the controller has said so before a broker has heard of it. A cluster that writes a value in
// another way is waited for no longer than configsTimeout.
func (a *Admin) awaitConfigs(ctx context.Context, kind kmsg.ConfigResourceType, name string, configs map[string]*string) {
	ctx, cancel := context.WithTimeout(ctx, configsTimeout)
	defer cancel()
	for {
		said, err := a.describeConfigs(ctx, kind, name)
		if err != nil || !slices.ContainsFunc(said, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
			want, set := configs[c.Name]
			own := c.Source == kmsg.ConfigSourceDynamicTopicConfig || c.Source == kmsg.ConfigSourceGroupConfig
			return set && (own != (want != nil) || own && (c.Value == nil || *c.Value != *want))
		}) {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

const configsTimeout = 2 * time.Second

// Alter implements engine.TopicAdmin. A cluster does not do it in one piece: configs come first, and then partitions.
func (a Topics) Alter(ctx context.Context, name string, edit func(*topic.Config) error) error {
	info, _, err := a.describe(ctx, name)
	if err != nil {
		return err
	}
	before, after := info.Config, info.Config
	if err := edit(&after); err != nil {
		return err
	}
	n := len(info.Partitions)
	if after.Partitions == 0 {
		after.Partitions = n
	}
	switch {
	case after.Partitions < n:
		return fmt.Errorf("topic %s: %w: %d, there are %d", name, log.ErrInvalidPartitions, after.Partitions, n)
	case after.Replicas != before.Replicas && after.Replicas != 0:
		return fmt.Errorf("topic %s: %w: to change Replicas", name, log.ErrUnsupported)
	}
	if err := errors.Join(allowed(after), ctx.Err()); err != nil {
		return err
	}
	changes := changesOf(before.Given(), after.Given())
	if len(changes) > 0 {
		if err := a.set(ctx, kmsg.ConfigResourceTypeTopic, name, changes); err != nil {
			return err
		}
	}
	if after.Partitions == n {
		return nil
	}
	err = a.grow(ctx, name, after.Partitions)
	if err != nil && len(changes) > 0 && !errors.Is(err, log.ErrOutcomeUnknown) {
		return fmt.Errorf("%w: configs were changed: %w", log.ErrOutcomeUnknown, err)
	}
	return err
}

// changesOf returns what is to be set, and what to be unset.
func changesOf(before, after map[string]string) map[string]*string {
	changes := make(map[string]*string)
	for n := range before {
		if _, ok := after[n]; !ok {
			changes[n] = nil
		}
	}
	for n, v := range after {
		if was, ok := before[n]; !ok || was != v {
			changes[n] = &v
		}
	}
	return changes
}

// grow gives a topic more partitions.
func (a Topics) grow(ctx context.Context, name string, total int) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, int32(total)
	req.Topics = append(req.Topics, t)
	_, err := link.AskOne(ctx, a.link.Client, about(name), req,
		func(r *kmsg.CreatePartitionsResponse) []kmsg.CreatePartitionsResponseTopic { return r.Topics },
		func(p *kmsg.CreatePartitionsResponseTopic) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return link.Unknown(err)
	}
	return link.Unknown(a.topics.Await(ctx, name, int32(total)))
}

// DeleteRecords implements engine.TopicAdmin.
func (a Topics) DeleteRecords(ctx context.Context, name string, before map[int32]int64) error {
	t, err := a.topics.Find(ctx, name, false)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = name
	for i, offset := range before {
		p, err := t.Partition(i)
		if err != nil {
			return err
		}
		if hi := p.HighWatermark(); offset > hi || offset < -1 {
			return fmt.Errorf("%s: %w: offset %d is not within [0, %d]", p.TopicPartition(), log.ErrOffsetOutOfRange, offset, hi)
		}
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = i, offset
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	r, err := link.Ask[*kmsg.DeleteRecordsResponse](ctx, a.link.Client, about(name), req)
	if err != nil {
		return link.Unknown(err)
	}
	done := 0
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				done++
			} else if err == nil {
				err = link.Code(log.TopicPartition{Topic: t.Topic, Partition: p.Partition}.String(), p.ErrorCode, nil)
			}
		}
	}
	if err != nil && done > 0 {
		return fmt.Errorf("%w: %w", log.ErrOutcomeUnknown, err)
	}
	if err == nil {
		_, err = a.topics.Find(ctx, name, false) // the starts that it has now
	}
	return err
}

// GroupConfigs is engine.GroupConfigs.
type GroupConfigs struct{ *Admin }

// Values implements engine.GroupConfigs.
func (a GroupConfigs) Values(ctx context.Context, name string) (map[string]string, error) {
	return a.configs(ctx, kmsg.ConfigResourceTypeGroupConfig, name)
}

// Set implements engine.GroupConfigs.
func (a GroupConfigs) Set(ctx context.Context, name string, configs map[string]string) error {
	changes := make(map[string]*string, len(configs))
	for n, v := range configs {
		changes[n] = &v
		if v == "" {
			changes[n] = nil
		}
	}
	if err := ctx.Err(); err != nil || len(changes) == 0 {
		return err
	}
	return a.set(ctx, kmsg.ConfigResourceTypeGroupConfig, name, changes)
}
