// Package shares is the share groups of a cluster (KIP-932), as internal/engine has them: members that receive records and say
// what becomes of them, and their administration.
package shares

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Parts is what Shares stand on.
type Parts struct {
	Link   *link.Link
	Topics *read.Topics
	Groups interface { // where groups are described
		Describe(ctx context.Context, name string) (group.Description, error)
	}
	Configs engine.GroupConfigs
	Admin   engine.TopicAdmin
	Where   string
}

// Shares are the share groups of a cluster: engine.Shares, and with Admin engine.ShareAdmin.
type Shares struct {
	Parts

	mu     sync.Mutex // guards what follows, and of groups all but turn
	groups map[string]*known
	closed bool
}

// known is a group in which somebody of this process is, or was.
type known struct {
	turn     turns.Turn // who has it enters
	members  map[*member]struct{}
	settings share.Settings // of those inside
	counts   map[log.TopicPartition]*counts
}

// counts are what members of this process have done since it was opened.
type counts struct{ deliveries, acknowledged, released, rejected int64 }

// New returns the share groups of a cluster.
func New(p Parts) *Shares { return &Shares{Parts: p, groups: make(map[string]*known)} }

// Close ends the members that are left.
func (s *Shares) Close() {
	s.mu.Lock()
	s.closed = true
	var left []*member
	for _, g := range s.groups {
		left = slices.AppendSeq(left, maps.Keys(g.members))
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range left {
		wg.Go(m.Leave)
	}
	wg.Wait()
}

func (s *Shares) unsupported(what string) error {
	return engine.Absent{Where: s.Where}.Unsupported(what)
}

// Enter implements engine.Shares. What the group's configs do not say as the settings want is set, if nobody is in the group: these
// configs are the settings, for all of the group, and stay.
func (s *Shares) Enter(ctx context.Context, name string, as share.Member) (engine.ShareMember, error) {
	settings := as.Settings.WithDefaults()
	if err := s.check(ctx, settings, as.Waits); err != nil {
		return nil, err
	}
	g := s.group(name)
	if err := g.turn.TakeUntil(ctx); err != nil {
		return nil, err
	}
	defer g.turn.Give()
	s.mu.Lock()
	inside, was, closed := len(g.members), g.settings, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("group %s: %w", name, log.ErrClosed)
	case inside > 0 && was != settings:
		return nil, fmt.Errorf("%w: group %s has a queue with other options, and all of a group have the same: %s", log.ErrInvalidOption, name, was.Differences(settings))
	case inside == 0:
		if err := link.Again(ctx, func() error { return s.prepare(ctx, name, as.Topics, settings) }); err != nil {
			return nil, err
		}
	}
	m, err := s.join(ctx, name, as, settings)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	g.settings, closed = settings, s.closed
	if !closed {
		g.members[m] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		m.Leave()
		return nil, fmt.Errorf("group %s: %w", name, log.ErrClosed)
	}
	return m, nil
}

func (s *Shares) group(name string) *known {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		g = &known{turn: turns.New(), members: make(map[*member]struct{}), counts: make(map[log.TopicPartition]*counts)}
		s.groups[name] = g
	}
	return g
}

// count changes what is counted of a partition.
func (s *Shares) count(k share.Key, change func(c *counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[k.Group]
	c := g.counts[k.TopicPartition]
	if c == nil {
		c = new(counts)
		g.counts[k.TopicPartition] = c
	}
	change(c)
}

// check refuses what share groups have not.
func (s *Shares) check(ctx context.Context, settings share.Settings, waits bool) error {
	var missing []error
	if settings.OrderByKey {
		missing = append(missing, s.unsupported("QueueOptions.OrderByKey"))
	}
	if waits {
		missing = append(missing, s.unsupported("a wait before records come again (QueueOptions.Retry)"))
	}
	if settings.MaxDeliveries == share.Unlimited {
		missing = append(missing, s.unsupported("QueueOptions.MaxDeliveries Unlimited"))
	}
	err := errors.Join(missing...)
	if err == nil {
		err = s.checkVersion(ctx)
	}
	if err != nil || settings.DeadLetter == "" {
		return err
	}
	return s.checkDeadLetter(ctx, settings.DeadLetter)
}

// checkDeadLetter refuses a topic for dead letters that the cluster would not produce to: Kafka drops them, and tells nobody.
func (s *Shares) checkDeadLetter(ctx context.Context, name string) error {
	info, err := s.Admin.Describe(ctx, name)
	if err != nil {
		return err
	}
	if !info.Config.DeadLetters {
		return fmt.Errorf("%w: dead letters to %q, whose errors.deadletterqueue.group.enable is false", log.ErrInvalidConfig, name)
	}
	if prefix := s.deadLetterPrefix(ctx, name); !strings.HasPrefix(name, prefix) {
		return fmt.Errorf("%w: dead letters to %q, %s of the brokers is %q", log.ErrInvalidConfig, name, brokerPrefix, prefix)
	}
	return nil
}

// The config of brokers that topics for dead letters begin with, and what it is for who may not ask.
const (
	brokerPrefix = "errors.deadletterqueue.topic.name.prefix"
	usualPrefix  = "dlq."
)

// deadLetterPrefix returns what the broker that leads a topic has for brokerPrefix.
func (s *Shares) deadLetterPrefix(ctx context.Context, topic string) string {
	l, err := s.Topics.Leader(log.TopicPartition{Topic: topic})
	if err != nil || l.Node < 0 {
		return usualPrefix
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(l.Node)), []string{brokerPrefix}
	req.Resources = append(req.Resources, rr)
	r, err := link.Ask[*kmsg.DescribeConfigsResponse](ctx, s.Link.Client, "configs of brokers", req)
	if err != nil || len(r.Resources) != 1 || r.Resources[0].ErrorCode != 0 {
		return usualPrefix
	}
	for _, c := range r.Resources[0].Configs {
		if c.Name == brokerPrefix && c.Value != nil {
			return *c.Value
		}
	}
	return usualPrefix
}

// leastFetch is the first version of ShareFetch that gives no more records than were asked for (KIP-1206).
const leastFetch = 2

// checkVersion refuses a cluster whose share groups are none, or too old.
func (s *Shares) checkVersion(ctx context.Context) error {
	r, err := link.Ask[*kmsg.ApiVersionsResponse](ctx, s.Link.Client, "versions", kmsg.NewPtrApiVersionsRequest())
	if err == nil {
		err = link.Code("versions", r.ErrorCode, nil)
	}
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(r.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == kmsg.NewPtrShareFetchRequest().Key() && k.MaxVersion >= leastFetch
	}) {
		return s.unsupported("a queue, for want of ShareFetch 2 of Kafka 4.2,")
	}
	return nil
}

// The configs of a group that are the settings of a queue.
const (
	configReset      = "share.auto.offset.reset"
	configLock       = "share.record.lock.duration.ms"
	configDeliveries = "share.delivery.count.limit"
	configInFlight   = "share.partition.max.record.locks"
	configIsolation  = "share.isolation.level"
	configDeadLetter = "errors.deadletterqueue.topic.name"
	configCopy       = "errors.deadletterqueue.copy.record.enable"
)

// configsOf returns the configs that settings are. Partitions that come later begin with their first record.
func configsOf(settings share.Settings) map[string]string {
	all := map[string]string{
		configReset: "earliest", configLock: strconv.FormatInt(settings.Lock.Milliseconds(), 10), configDeliveries: strconv.Itoa(settings.MaxDeliveries),
		configInFlight: strconv.Itoa(settings.MaxInFlight), configIsolation: "read_committed", configDeadLetter: settings.DeadLetter,
	}
	if settings.Isolation == log.ReadUncommitted {
		all[configIsolation] = "read_uncommitted"
	}
	if settings.DeadLetter != "" {
		all[configCopy] = "true"
	}
	return all
}

// usual are the values of configs that brokers have who do not know them.
var usual = map[string]string{configDeliveries: "5", configInFlight: "2000", configIsolation: "read_uncommitted", configDeadLetter: ""}

// prepare has the group be what the settings say.
func (s *Shares) prepare(ctx context.Context, name string, topics []string, settings share.Settings) error {
	d, err := s.Groups.Describe(ctx, name)
	switch {
	case errors.Is(err, log.ErrUnknownGroup):
	case err != nil:
		return err
	case d.Kind != group.Share:
		return fmt.Errorf("group %s: %w: it is a %s group, not a share group", name, log.ErrGroupKind, d.Kind)
	}
	is, err := s.Configs.Values(ctx, name)
	if err != nil {
		return err
	}
	changes := make(map[string]string)
	var differences []error
	for _, config := range slices.Sorted(maps.Keys(configsOf(settings))) {
		want := configsOf(settings)[config]
		has, there := is[config]
		switch {
		case there && has == want, !there && want == usual[config]:
		case !there && config != configDeadLetter && config != configCopy:
			return s.unsupported(fmt.Sprintf("%s=%s of a group", config, want))
		default:
			changes[config] = want
			differences = append(differences, fmt.Errorf("%s is %q and not %q", config, has, want))
		}
	}
	if len(changes) > 0 && len(d.Members) > 0 {
		return fmt.Errorf("%w: group %s has members, and other options than the queue: %w", log.ErrInvalidOption, name, errors.Join(differences...))
	}
	if len(changes) > 0 {
		if err := s.Configs.Set(ctx, name, changes); err != nil {
			return err
		}
	}
	if settings.Reset.Kind == share.ResetEarliest || len(d.Members) > 0 {
		return nil
	}
	return s.begin(ctx, name, topics, settings)
}

// begin has a group without members begin where the settings say, in those partitions in which it has not begun.
func (s *Shares) begin(ctx context.Context, name string, topics []string, settings share.Settings) error {
	begun := make(map[log.TopicPartition]bool)
	all, err := s.offsets(ctx, name)
	if err != nil && !errors.Is(err, log.ErrUnknownGroup) {
		return err
	}
	for _, o := range all {
		begun[o.tp] = o.start >= 0
	}
	start := engine.Start{Kind: engine.Latest}
	if settings.Reset.Kind == share.ResetAtTime {
		start = engine.Start{Kind: engine.AtTime, Time: time.UnixMilli(settings.Reset.AtMs)}
	}
	offsets := make(map[log.TopicPartition]int64)
	for _, topic := range topics {
		t, err := s.Topics.Find(ctx, topic, false)
		if err != nil {
			return err
		}
		for i := range t.Partitions() {
			tp := log.TopicPartition{Topic: topic, Partition: i}
			if begun[tp] {
				continue
			}
			p, err := t.Partition(i)
			if err == nil {
				offsets[tp], err = start.Resolve(ctx, p, settings.Isolation)
			}
			if err != nil {
				return err
			}
		}
	}
	err = s.alter(ctx, name, offsets)
	if errors.Is(err, log.ErrGroupNotEmpty) {
		return nil // somebody has come, who has done it
	}
	return err
}

// alter has a group without members begin anew at offsets.
func (s *Shares) alter(ctx context.Context, name string, offsets map[log.TopicPartition]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	req.GroupID = name
	for topic, partitions := range link.ByTopic(maps.Keys(offsets)) {
		t := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		t.Topic = topic
		for _, i := range partitions {
			p := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
			p.Partition, p.StartOffset = i, offsets[log.TopicPartition{Topic: topic, Partition: i}]
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	r, err := link.Ask[*kmsg.AlterShareGroupOffsetsResponse](ctx, s.Link.Client, about(name), req)
	if err != nil {
		return link.Unknown(err)
	}
	if err := link.Code(about(name), r.ErrorCode, r.ErrorMessage); err != nil {
		return err
	}
	done := 0
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				done++
			} else if err == nil {
				err = link.Code(fmt.Sprintf("group %s: %s/%d", name, t.Topic, p.Partition), p.ErrorCode, p.ErrorMessage)
			}
		}
	}
	if err != nil && done > 0 {
		return fmt.Errorf("%w: %w", log.ErrOutcomeUnknown, err)
	}
	return err
}

func about(name string) string { return "group " + name }
