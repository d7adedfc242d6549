package stats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/admin"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/local"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention/sweep"
	"github.com/samsa-go/samsa/topic"
)

// Collector asks the parts of a broker. Its methods may be called by anybody at any time.
type Collector struct {
	Opened    time.Time
	Local     *local.Broker        // nil for a broker that is not of this process: what only that knows is 0
	Stored    func() engine.Stored // of such a broker; may be nil
	Topics    engine.Topics
	Admin     admin.Groups
	Clients   *callback.Clients
	Resets    *consumer.ResetStats
	Passed    *atomic.Int64
	Hooks     *hook.Hooks
	Producers *batcher.Tally
	Consumers *consumer.Tally
	Tables    *table.Broker
}

// defaultMaxSeries is MetricsOptions.MaxSeries.
const defaultMaxSeries = 10_000

// Check refuses what cannot be.
func (o MetricsOptions) Check() error {
	if o.MaxSeries < 0 {
		return fmt.Errorf("%w: MetricsOptions.MaxSeries is %d, want 0 or more", log.ErrInvalidOption, o.MaxSeries)
	}
	return nil
}

// Broker tells of the broker as a whole.
func (c *Collector) Broker(ctx context.Context) (Stats, error) {
	groups, err := c.Admin.List(ctx)
	if err != nil {
		return Stats{}, err
	}
	b := Stats{
		Opened: c.Opened, Groups: len(groups), Clients: len(c.Clients.Open()),
		Resets: c.Resets.Resets.Load(), Skipped: c.Resets.Skipped.Load(), Aborted: c.Passed.Load(), HookPanics: c.Hooks.Panics(),
	}
	for _, t := range c.Topics.List() {
		b.Topics++
		b.Partitions += int(t.Partitions())
	}
	switch {
	case c.Local != nil:
		err = b.addStore(c.Local)
	case c.Stored != nil:
		s := c.Stored()
		b.Records, b.Batches, b.Bytes, b.Commits, b.Failed = s.Records, s.Batches, s.Bytes, s.Commits, s.Failed
	}
	return b, err
}

// addStore tells of the store of a broker of this process.
func (b *Stats) addStore(l *local.Broker) (err error) {
	w, st := l.Committer.Stats(), l.Store.Stats()
	b.Records, b.Batches, b.Bytes, b.Commits, b.Syncs, b.Failed, b.Refused = w.Records, w.Batches, w.Bytes, w.Commits, w.Syncs, w.Failures, l.Committer.Refused()
	b.CommitTimes, b.SyncTimes, b.Rebalances = st.CommitTimes, l.Committer.SyncTimes(), l.Groups.Rebalances()
	b.Store = StoreStats{
		Files: st.Files, FileBytes: st.FileBytes, LiveBytes: st.LiveBytes, Tables: st.Tables, TableBytes: st.TableBytes,
		Entries: st.Entries, MemBytes: st.MemBytes, Checkpoints: st.Checkpoints, Merges: st.Merges, Moved: st.Moved, Reclaimed: st.Reclaimed,
		Stalls: st.Stalls, StallTime: st.StallTime, FreeBytes: st.FreeBytes,
	}
	b.DiskBytes, err = l.Store.Size()
	return err
}

// All tells of everything.
func (c *Collector) All(ctx context.Context, opts MetricsOptions) (Metrics, error) {
	if opts.MaxSeries == 0 {
		opts.MaxSeries = defaultMaxSeries
	}
	b, err := c.Broker(ctx)
	all := Metrics{Time: time.Now(), Broker: b}
	if err == nil {
		err = all.addTopics(ctx, c, opts)
	}
	if err == nil {
		err = all.addGroups(ctx, c, opts)
	}
	if err == nil {
		all.addClients(c, opts)
		all.addTables(c, opts)
	}
	return all, err
}

func (a *Metrics) addTopics(ctx context.Context, c *Collector, opts MetricsOptions) error {
	partitions := 0
	for _, t := range c.Topics.List() {
		switch {
		case opts.Topics != nil && !slices.Contains(opts.Topics, t.Name()):
			continue
		case len(a.Topics) == opts.MaxSeries:
			a.LeftOut.Topics++
			a.LeftOut.Partitions += int(t.Partitions())
			continue
		}
		one, err := c.topic(ctx, t)
		if err != nil {
			return err
		}
		if partitions += one.Count; partitions > opts.MaxSeries {
			partitions -= one.Count
			a.LeftOut.Partitions += one.Count
			one.Partitions = nil
		}
		a.Topics = append(a.Topics, one)
	}
	return nil
}

func (c *Collector) topic(ctx context.Context, t engine.Topic) (TopicMetrics, error) {
	one := TopicMetrics{Topic: t.Name(), Partitions: slices.Grow([]PartitionMetrics(nil), int(t.Partitions()))}
	for i := range t.Partitions() {
		p, err := t.Partition(i)
		if err != nil {
			return TopicMetrics{}, err
		}
		part := PartitionMetrics{Partition: i, LogStart: p.LogStart(), HighWatermark: p.HighWatermark(), LastStable: p.LastStable()}
		if c.Local != nil {
			if err := part.addStored(ctx, c.Local, p.TopicPartition()); err != nil {
				return TopicMetrics{}, err
			}
		}
		one.Count++
		one.Offsets += part.HighWatermark - part.LogStart
		one.BytesLive += part.BytesLive
		one.Appended += part.Appended
		one.Removed.Records += part.Removed.Records
		one.Removed.Batches += part.Removed.Batches
		one.Removed.Bytes += part.Removed.Bytes
		one.Partitions = append(one.Partitions, part)
	}
	return one, nil
}

// addStored tells what the store has of a partition.
func (m *PartitionMetrics) addStored(ctx context.Context, l *local.Broker, tp log.TopicPartition) error {
	_, p := partitionOf(l, tp)
	if p == nil {
		return nil // deleted meanwhile
	}
	known, err := l.Sweeper.Partition(ctx, p)
	m.BytesLive, m.Appended, m.Removed, m.NextDue = known.BytesLive, p.Appended(), known.Removed, known.NextDue
	return err
}

// Held is what a store has of a partition.
type Held struct {
	Bytes    int64     // of stored batches; -1 if that is not known
	Appended int64     // bytes of batches, since the broker was opened
	Due      time.Time // when retention by time will find something to remove; zero for never, and if that is not known
}

// Held tells what the store has of a partition, and counts and looks up what is not known if count says so. Nobody knows of
// one that is elsewhere, or was deleted.
func (c *Collector) Held(ctx context.Context, tp log.TopicPartition, count bool) (Held, error) {
	t, p := partitionOf(c.Local, tp)
	switch {
	case p == nil:
		return Held{Bytes: -1}, nil
	case !count:
		known := c.Local.Sweeper.Known(p)
		return Held{known.BytesLive, p.Appended(), known.NextDue}, nil
	}
	known, err := c.Local.Sweeper.Partition(ctx, p)
	if err != nil {
		return Held{}, err
	}
	due, err := sweep.Due(p, p.LogStart(), t.Config())
	return Held{max(0, known.BytesLive), p.Appended(), due}, err
}

// partitionOf returns a partition and its topic, or nil.
func partitionOf(l *local.Broker, tp log.TopicPartition) (*topic.Topic, *partition.Partition) {
	if l == nil {
		return nil, nil
	}
	t, err := l.Catalogue.Get(tp.Topic)
	if err != nil {
		return nil, nil
	}
	p, err := t.Partition(tp.Partition)
	if err != nil {
		return nil, nil
	}
	return t, p
}

func (a *Metrics) addGroups(ctx context.Context, c *Collector, opts MetricsOptions) error {
	listed, err := c.Admin.List(ctx)
	if err != nil {
		return err
	}
	partitions := 0
	var ages log.TimeReader
	for _, l := range listed {
		switch {
		case opts.Groups != nil && !slices.Contains(opts.Groups, l.Name):
			continue
		case len(a.Groups) == opts.MaxSeries:
			a.LeftOut.Groups++
			continue
		}
		one, err := c.group(ctx, l, a.Time, &ages)
		switch {
		case errors.Is(err, log.ErrUnknownGroup):
			continue // deleted meanwhile
		case errors.Is(err, log.ErrCorruptValue):
			one = GroupMetrics{Group: l.Name, Kind: l.Kind, State: l.State, Damaged: true}
		case err != nil:
			return err
		}
		if partitions += one.Count; partitions > opts.MaxSeries {
			partitions -= one.Count
			a.LeftOut.GroupPartitions += one.Count
			one.Partitions = nil
		}
		a.Groups = append(a.Groups, one)
	}
	return nil
}

func (c *Collector) group(ctx context.Context, l group.Listing, now time.Time, ages *log.TimeReader) (GroupMetrics, error) {
	d, err := c.Admin.Describe(ctx, l.Name)
	if err != nil {
		return GroupMetrics{}, err
	}
	one := GroupMetrics{Group: l.Name, Kind: d.Kind, State: d.State, Members: len(d.Members), Rebalances: d.Rebalances}
	one.Partitions = slices.Grow(one.Partitions, len(d.Partitions))
	for _, p := range d.Partitions {
		part := GroupPartitionMetrics{Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, Lag: p.Lag, ShareMetrics: shared(p.Share)}
		if p.Lag > 0 {
			if part.LagTime, err = c.age(log.TopicPartition{Topic: p.Topic, Partition: p.Partition}, p.Committed, now, ages); err != nil {
				return GroupMetrics{}, err
			}
		}
		one.Count++
		one.Lag += part.Lag
		one.LagTime = max(one.LagTime, part.LagTime)
		one.ShareMetrics = one.plus(part.ShareMetrics)
		one.Partitions = append(one.Partitions, part)
	}
	return one, nil
}

// age returns how long ago the first batch was written that has something from an offset on; 0 where that is not known.
func (c *Collector) age(tp log.TopicPartition, from int64, now time.Time, ages *log.TimeReader) (time.Duration, error) {
	_, p := partitionOf(c.Local, tp)
	if p == nil {
		return 0, nil // deleted meanwhile, or elsewhere
	}
	ms, ok, err := ages.TimeFrom(p.Log(), from)
	if !ok || err != nil {
		return 0, err
	}
	return max(0, now.Sub(time.UnixMilli(ms))), nil
}

func shared(s admin.Share) ShareMetrics {
	return ShareMetrics{
		InFlight: int64(s.InFlight), Waiting: int64(s.Waiting), Deliveries: s.Deliveries, Acknowledged: s.Acknowledged,
		Released: s.Released, Rejected: s.Rejected, Expired: s.Expired, DeadLetters: s.DeadLetters,
	}
}

func (s ShareMetrics) plus(o ShareMetrics) ShareMetrics {
	return ShareMetrics{
		s.InFlight + o.InFlight, s.Waiting + o.Waiting, s.Deliveries + o.Deliveries, s.Acknowledged + o.Acknowledged,
		s.Released + o.Released, s.Rejected + o.Rejected, s.Expired + o.Expired, s.DeadLetters + o.DeadLetters,
	}
}

func (a *Metrics) addTables(c *Collector, opts MetricsOptions) {
	for _, t := range c.Tables.Stats() {
		switch {
		case opts.Topics != nil && !slices.Contains(opts.Topics, t.Topic):
		case len(a.Tables) == opts.MaxSeries:
			a.LeftOut.Tables++
		default:
			a.Tables = append(a.Tables, TableMetrics(t))
		}
	}
}

func (a *Metrics) addClients(c *Collector, opts MetricsOptions) {
	producers := c.Producers.Sums()
	for _, id := range slices.Sorted(maps.Keys(producers)) {
		if len(a.Producers) == opts.MaxSeries {
			a.LeftOut.Clients++
			continue
		}
		p := producers[id]
		a.Producers = append(a.Producers, ProducerMetrics{
			ClientID: id, Open: p.Open, Buffered: p.Buffered, Records: p.Records, Batches: p.Batches, Failed: p.Failed, Times: p.Times,
		})
	}
	consumers := c.Consumers.Sums()
	names := slices.SortedFunc(maps.Keys(consumers), func(a, b consumer.StatsName) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ClientID, b.ClientID))
	})
	for _, name := range names {
		if len(a.Producers)+len(a.Consumers) >= opts.MaxSeries {
			a.LeftOut.Clients++
			continue
		}
		s := consumers[name]
		a.Consumers = append(a.Consumers, ConsumerMetrics{
			Group: name.Group, ClientID: name.ClientID, Open: s.Open, Partitions: s.Partitions, Ahead: s.Ahead, Records: s.Records, Bytes: s.Bytes,
			Resets: s.Resets, Skipped: s.Skipped, Commits: s.Commits, CommitsFailed: s.CommitsFailed,
		})
	}
}
