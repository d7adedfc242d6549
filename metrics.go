package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/measure"
	"github.com/samsa-go/samsa/internal/stats"
)

type (
	// Stats is what a broker has done since it was opened, and what it holds now. Numbers of what was done only grow.
	//
	//	type Stats struct {
	//		Opened time.Time
	//
	//		Topics     int
	//		Partitions int
	//		Groups     int // of all kinds
	//		Clients    int // producers, consumers, queues, servers and mirrors that are open
	//
	//		Records int64 // appended
	//		Batches int64 // appended
	//		Bytes   int64 // of appended batches, compressed
	//		Commits int64 // store transactions: group commit folds several appends into one
	//		Syncs   int64 // fsyncs
	//		Failed  int64 // appends and other writes that ended with an error
	//
	//		// Refused is how many of Failed were refused, by the name of the error, as "ErrDiskFull": nothing of them is stored.
	//		// "other" is what has no name. Conflicts of Update are among it, though they are tried again.
	//		Refused map[string]int64
	//
	//		// CommitTimes are those of commits to a store on disk, in seconds, from when it is their turn until they survive the
	//		// death of the process: of commits that follow each other within 1 ms one in eight is timed, and counts for eight. SyncTimes are those of fsyncs.
	//		CommitTimes, SyncTimes Histogram
	//
	//		Resets  int64 // consumers that stood at an offset that was not there and were moved
	//		Skipped int64 // offsets that they were moved ahead by: records that they have missed, at most
	//
	//		Aborted int64 // records of aborted transactions that consumers of this API have come past, once for each who has
	//
	//		Rebalances int64 // of classic and consumer groups: new generations, of all of them
	//		HookPanics int64 // panics of Options.Hooks
	//
	//		DiskBytes int64 // that the data directory takes on disk; 0 in memory
	//		Store     StoreStats
	//	}
	Stats = stats.Stats
	// StoreStats is how the store on disk is. In memory it is zero.
	//
	//	type StoreStats struct {
	//		Files      int   // value files, which hold what is stored
	//		FileBytes  int64 // that they take
	//		LiveBytes  int64 // of these, what counts: the rest is garbage, room that is not written yet, and overhead
	//		Tables     int   // of the index
	//		TableBytes int64
	//		Entries    int   // of the index that are in memory only: the next checkpoint writes them
	//		MemBytes   int64 // that these take
	//
	//		Checkpoints int64 // of the index, since the broker was opened
	//		Merges      int64 // of tables, likewise
	//		Moved       int64 // bytes that were alive in value files and were copied so that the files could go
	//		Reclaimed   int64 // bytes of value files that have gone
	//		Stalls      int64 // commits that had to wait for a checkpoint, a merge, or for space to be given back
	//		StallTime   time.Duration
	//
	//		FreeBytes int64 // of the file system; -1 where it does not say
	//	}
	StoreStats = stats.StoreStats
	// Histogram is how often values were observed, by size. It is a copy, which changes no more.
	//
	//	type Histogram struct {
	//		// Bounds are the upper bounds of the buckets, rising: Prometheus's le. What is equal to a bound is in its bucket. They
	//		// are the same for all histograms of a kind, and not to be changed.
	//		Bounds []float64
	//		// Counts has the number of values in each bucket, not cumulative, and one more: of values above the last bound.
	//		Counts []int64
	//		// Sum is that of all values, in the unit of the bounds.
	//		Sum float64
	//	}
	//
	//	// Count returns how many values were observed.
	//	func (h Histogram) Count() (n int64)
	//
	//	// Mean returns the mean of all values, 0 without one.
	//	func (h Histogram) Mean() float64
	//
	//	// Plus returns what was observed in both, histograms of a kind; the zero value has nothing.
	//	func (h Histogram) Plus(other Histogram) Histogram
	//
	//	// Quantile estimates the value below which the part q of all values is, 0 to 1, as Prometheus's histogram_quantile does: values are taken to be even within a bucket, and those above the last bound to be at it.
	//	func (h Histogram) Quantile(q float64) float64
	//
	//	// Since returns what was observed since before, an earlier copy of the same histogram; the zero value is one.
	//	func (h Histogram) Since(before Histogram) Histogram
	Histogram = measure.Histogram
	// Metrics is what a broker tells: Stats, and the same one by one.
	//
	//	type Metrics struct {
	//		Time   time.Time // when it was asked
	//		Broker Stats
	//
	//		Topics    []TopicMetrics    // by name
	//		Groups    []GroupMetrics    // by name
	//		Producers []ProducerMetrics // by client id
	//		Consumers []ConsumerMetrics // by group and client id
	//		Tables    []TableMetrics    // that are open, by topic, name and group
	//
	//		LeftOut MetricsLeftOut
	//	}
	Metrics = stats.Metrics
	// MetricsOptions says what is to be told one by one.
	//
	//	type MetricsOptions struct {
	//		// Topics and Groups are the names of those that are told; nil is all, and an empty slice none. What is not there
	//		// is left out.
	//		Topics, Groups []string
	//		// MaxSeries bounds how many there are of each kind: topics, partitions, groups, partitions of groups, and clients.
	//		// 0 means 10,000. More are left out, in the order of their names, and counted: partitions whose topic would exceed
	//		// the limit with them, and those of a group likewise, all together.
	//		MaxSeries int
	//	}
	//
	//	// Check refuses what cannot be.
	//	func (o MetricsOptions) Check() error
	MetricsOptions = stats.MetricsOptions
	// MetricsLeftOut is how many things there are besides those that are told, for MetricsOptions.MaxSeries. A topic that is left out
	// counts its partitions too; so does a group that is left out, but its partitions are not known.
	//
	//	type MetricsLeftOut struct {
	//		Topics, Partitions, Groups, GroupPartitions, Clients, Tables int
	//	}
	MetricsLeftOut = stats.MetricsLeftOut
	// TopicMetrics is what there is of a topic, and what has become of it since the broker was opened.
	//
	//	type TopicMetrics struct {
	//		Topic      string
	//		Partitions []PartitionMetrics // by index; nil when they are left out
	//		Count      int                // of partitions
	//
	//		Offsets   int64 // from the log starts to the high watermarks: as many records at most
	//		BytesLive int64 // of stored batches
	//		Appended  int64 // bytes of batches, since the broker was opened
	//		Removed   Removed
	//	}
	TopicMetrics = stats.TopicMetrics
	// PartitionMetrics is what there is of a partition.
	//
	//	type PartitionMetrics struct {
	//		Partition     int32
	//		LogStart      int64 // offset of the first record
	//		HighWatermark int64 // behind the last one
	//		LastStable    int64 // behind the last one that readers of what is committed get
	//		BytesLive     int64 // of stored batches
	//		Appended      int64 // bytes of batches, since the broker was opened
	//		Removed       Removed
	//		NextDue       time.Time // when retention by time will find something to remove; zero for never, and before the first sweep
	//	}
	PartitionMetrics = stats.PartitionMetrics
	// GroupMetrics is how far a group is.
	//
	//	type GroupMetrics struct {
	//		Group      string
	//		Kind       GroupKind
	//		State      GroupState
	//		Members    int
	//		Rebalances int64 // new generations since the broker was opened; of a share or streams group 0
	//
	//		Partitions []GroupPartitionMetrics // by topic and partition; nil when they are left out
	//		Count      int                     // of partitions
	//
	//		Lag     int64         // records, of all partitions
	//		LagTime time.Duration // the longest of all partitions
	//
	//		ShareMetrics // sums of a share group; else zero
	//
	//		// Damaged says that the group, or what it has committed, cannot be read: then nothing else is known.
	//		Damaged bool
	//	}
	GroupMetrics = stats.GroupMetrics
	// GroupPartitionMetrics is how far a group is in a partition.
	//
	//	type GroupPartitionMetrics struct {
	//		Topic     string
	//		Partition int32
	//		Committed int64 // -1 when there is no committed offset; of a share group all before is acknowledged
	//		Lag       int64 // records behind the committed offset, or all when there is none; of a share group those not acknowledged
	//		// LagTime is how long ago the first of these was written, by its timestamp; 0 without one. It is exact to the batch:
	//		// of a batch whose records have several timestamps it is the newest.
	//		LagTime      time.Duration
	//		ShareMetrics // of a share group; else zero
	//	}
	GroupPartitionMetrics = stats.GroupPartitionMetrics
	// ShareMetrics is what a share group has under way, and what it has done since the broker was opened.
	//
	//	type ShareMetrics struct {
	//		InFlight int64 // records that members have
	//		Waiting  int64 // records that are to come later
	//
	//		Deliveries, Acknowledged, Released, Rejected, Expired, DeadLetters int64
	//	}
	ShareMetrics = stats.ShareMetrics
	// ProducerMetrics is what all producers of a client id have done since the broker was opened, those that are closed too.
	//
	//	type ProducerMetrics struct {
	//		ClientID string
	//		Open     int
	//		Buffered int64 // bytes that are not acknowledged yet
	//
	//		Records, Batches int64 // that were stored
	//		Failed           int64 // records that were not, or of which that is not known
	//		// Times are how long batches took, in seconds, from when they were complete until their outcome was known.
	//		Times Histogram
	//	}
	ProducerMetrics = stats.ProducerMetrics
	// ConsumerMetrics is what all consumers of a group and client id have done since the broker was opened, those that are closed
	// too. Without a group the name is "".
	//
	//	type ConsumerMetrics struct {
	//		Group, ClientID string
	//		Open            int
	//		Partitions      int   // that the open ones read
	//		Ahead           int64 // bytes that were read ahead
	//
	//		Records, Bytes         int64 // that the program was given; bytes of keys, values and headers
	//		Resets, Skipped        int64 // see Stats
	//		Commits, CommitsFailed int64 // of offsets, those that the consumers make by themselves too
	//	}
	ConsumerMetrics = stats.ConsumerMetrics
	// TableMetrics is what there is of the open tables of a topic that have the same name and the same group, which may be "".
	//
	//	type TableMetrics struct {
	//		Topic, Name, Group string
	//		Open               int
	//		Rows, Bytes        int64 // bytes of rows, which are whole records, and their keys
	//		Lag                int64 // offsets that they are behind, as far as is known here
	//		Rebuilds           int64 // how often one of them began anew with what it had: another version, damage, a log that was cut
	//	}
	TableMetrics = stats.TableMetrics
)

// Stats returns statistics of the broker as a whole. It costs little, and grows with the number of topics.
func (b *Broker) Stats(ctx context.Context) (Stats, error) {
	if err := b.check(ctx); err != nil {
		return Stats{}, fmt.Errorf("stats: %w", err)
	}
	s, err := b.stats.Broker(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("stats: %w", err)
	}
	return s, nil
}

// Metrics returns statistics of the broker as a whole, and by topic, partition, group and client. It reads keys of the
// store for the lag of groups in time, and no records; to ask every few seconds is what it is made for.
func (b *Broker) Metrics(ctx context.Context, opts MetricsOptions) (Metrics, error) {
	err := b.check(ctx)
	if err == nil {
		err = opts.Check()
	}
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %w", err)
	}
	m, err := b.stats.All(ctx, opts)
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}
