package batcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Batcher makes the batches of calls: it has the state of their partitioner, and calls to reuse.
type Batcher struct {
	b     Broker
	opts  Options
	calls sync.Pool

	mu       sync.Mutex                // guards what follows
	choosers map[*topic.Topic]*chooser // of topics that the sender holds
}

// New returns the batcher of b. Calls are made, and stored, as opts says.
func New(b Broker, opts Options) *Batcher {
	return &Batcher{b: b, opts: opts.withDefaults(), choosers: make(map[*topic.Topic]*chooser)}
}

// Produce stores records, all or none of them: see samsa.Broker.Produce.
func (s *Batcher) Produce(ctx context.Context, records ...log.Record) ([]log.Record, error) {
	if len(records) == 0 {
		return nil, nil
	}
	c := s.Begin(s.b.Topic)
	defer c.End()
	if err := c.Add(ctx, records...); err != nil {
		return nil, err
	}
	if err := c.commit(ctx); err != nil {
		return nil, err
	}
	out := slices.Clone(records)
	for i := range out {
		c.fill(&out[i], c.places[i])
	}
	return out, nil
}

// choose returns the partition for r.
func (s *Batcher) choose(t *topic.Topic, r *log.Record) (*partition.Partition, error) {
	ps := t.Partitions()
	s.mu.Lock()
	c := s.choosers[t]
	s.mu.Unlock()
	if c == nil {
		c = s.adopt(t, newChooser(s.opts.Partitioner, t.Name()))
	}
	i, err := c.choose(r, len(ps))
	if err != nil {
		return nil, err
	}
	return ps[i], nil
}

// adopt keeps c for the next records of t, unless there is another one by now.
func (s *Batcher) adopt(t *topic.Topic, c *chooser) *chooser {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there := s.choosers[t]; there != nil {
		return there
	}
	if t.Hold(s) {
		s.choosers[t] = c
	}
	return c
}

// Forget drops what is known of a deleted topic. It is called by the topic.
func (s *Batcher) Forget(t *topic.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.choosers, t)
}

// newBatch tells the choosers of the call's topics that their batches are complete.
func (s *Batcher) newBatch(targets []*target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		if c := s.choosers[t.topic]; c != nil {
			c.batchComplete()
		}
	}
}

// Begin returns a call without records. Topics are looked up with topics.
func (s *Batcher) Begin(topics Lookup) *Call {
	c, ok := s.calls.Get().(*Call)
	if !ok {
		c = &Call{s: s, tx: new(writer.Tx)}
	}
	c.topics = topics
	return c
}

// End is the end of the call, which must not be used any more.
func (c *Call) End() {
	c.reset()
	c.s.calls.Put(c)
}

// Call is the records of one transaction while they are collected. It is for one goroutine.
type Call struct {
	s       *Batcher
	topics  Lookup
	tx      *writer.Tx
	targets []*target // of the batches being built; the rest up to cap is for reuse
	places  []place   // of the records
	buffers [][]byte  // memory of the batches, for reuse
	now     int64     // ms since the epoch
}

// target is a partition and the batch that is being built for it.
type target struct {
	topic     *topic.Topic
	partition *partition.Partition
	builder   log.Builder
	records   []int // that the builder holds, as indexes into places
}

// place is where a record went: the n-th of the append.
type place struct {
	append, n int
	ms        int64
	partition int32
}

// Add puts records into the batches of their partitions. Their bytes may be reused when it returns.
func (c *Call) Add(ctx context.Context, records ...log.Record) error {
	c.now = time.Now().UnixMilli()
	for i := range records {
		if err := c.add(ctx, &records[i]); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	return nil
}

func (c *Call) add(ctx context.Context, r *log.Record) error {
	t, err := c.topics(ctx, r.Topic)
	if err != nil {
		return err
	}
	p, err := c.s.choose(t, r)
	if err != nil {
		return err
	}
	ms, err := millis(p, r, c.now)
	if err != nil {
		return err
	}
	tg := c.target(t, p)
	if err := c.fit(tg, r); err != nil {
		return err
	}
	tg.builder.Append(ms, r.Key, r.Value, r.Headers)
	tg.records = append(tg.records, len(c.places))
	c.places = append(c.places, place{ms: ms, partition: p.TopicPartition().Partition})
	return nil
}

// target returns the target of p.
func (c *Call) target(t *topic.Topic, p *partition.Partition) *target {
	for _, tg := range c.targets {
		if tg.partition == p {
			return tg
		}
	}
	n := len(c.targets)
	if n < cap(c.targets) {
		c.targets = c.targets[:n+1]
	} else {
		c.targets = append(c.targets, nil)
	}
	if c.targets[n] == nil {
		c.targets[n] = new(target)
	}
	tg := c.targets[n]
	tg.topic, tg.partition = t, p
	return tg
}

// fit makes room for r: it completes the batch that r would make too large.
func (c *Call) fit(tg *target, r *log.Record) error {
	if err := checkRecord(tg.partition, r); err != nil {
		return err
	}
	limit := tg.partition.Rules().MaxMessageBytes
	if tg.builder.Records() == 0 || tg.builder.SizeWith(r.Key, r.Value, r.Headers) <= limit {
		return nil
	}
	return c.seal(tg)
}

// seal moves what tg has built to the transaction.
func (c *Call) seal(tg *target) error {
	n := len(c.tx.Appends)
	if n == len(c.buffers) {
		c.buffers = append(c.buffers, nil)
	}
	seal := tg.builder.Seal
	codec, always := codecFor(&tg.builder, c.s.opts.Compression.Codec(), tg.partition)
	if always {
		seal = tg.builder.SealAs
	}
	batch, err := seal(c.buffers[n][:0], codec)
	if err != nil {
		return err
	}
	c.buffers[n] = batch
	c.tx.Appends = append(c.tx.Appends, writer.Append{
		Partition: tg.partition, Batch: batch, Foldable: batch.Codec() == log.CodecNone && len(batch) < minFoldedBytes,
	})
	for i, record := range tg.records {
		c.places[record].append, c.places[record].n = n, i
	}
	tg.records = tg.records[:0]
	tg.builder.Reset()
	return nil
}

// minFoldedBytes is the batch size from which a batch is worth an entry of its own.
const minFoldedBytes = 4 << 10

// minCompressedBytes is the batch size below which compression gains nothing.
const minCompressedBytes = 512

// codecFor returns how to compress a batch for a partition, whose topic may have a compression of
// its own. That is obeyed to the letter, as for what clients send: always is true. Else what
// compression gains nothing for is not compressed.
func codecFor(b *log.Builder, codec log.Codec, p *partition.Partition) (_ log.Codec, always bool) {
	if c := p.Rules().Compression; c != log.CompressionDefault {
		return c.Over(codec), true
	}
	if b.Size() < minCompressedBytes {
		codec = log.CodecNone
	}
	return codec, false
}

// Seal completes all batches.
func (c *Call) Seal() error {
	for _, tg := range c.targets {
		if tg.builder.Records() == 0 {
			continue
		}
		if err := c.seal(tg); err != nil {
			return err
		}
	}
	c.s.newBatch(c.targets)
	return nil
}

// commit stores the batches and waits for the outcome.
func (c *Call) commit(ctx context.Context) error {
	if err := c.Seal(); err != nil {
		return err
	}
	c.tx.Synced = c.s.opts.Acks == log.AckSynced
	err := c.s.b.Committer.DoUntil(ctx, c.tx)
	if c.tx.Withdrawn() {
		c.tx = new(writer.Tx) // the committer may still look at the old one
	}
	return err
}

// Size returns how many batches are complete, and their bytes.
func (c *Call) Size() (batches, bytes int) {
	for i := range c.tx.Appends {
		bytes += len(c.tx.Appends[i].Batch)
	}
	return len(c.tx.Appends), bytes
}

// Take returns the transaction of the batches that are complete, whose memory will not be reused:
// whoever gives up waiting for it does not know when the committer has done with it.
func (c *Call) Take() *writer.Tx {
	tx := c.tx
	c.tx, c.buffers = new(writer.Tx), nil
	return tx
}

// fill completes r, which went to pl.
func (c *Call) fill(r *log.Record, pl place) {
	a := &c.tx.Appends[pl.append]
	r.Partition = pl.partition
	r.Offset = a.BaseOffset + int64(pl.n)
	if a.AppendTime >= 0 {
		pl.ms = a.AppendTime
	}
	r.Timestamp = time.UnixMilli(pl.ms)
}

func (c *Call) reset() {
	for _, tg := range c.targets {
		tg.topic, tg.partition = nil, nil
		tg.records = tg.records[:0]
		tg.builder.Reset()
	}
	c.targets = c.targets[:0]
	c.places = c.places[:0]
	c.topics = nil
	c.tx.Reset()
}

// millis returns the timestamp of r, which is produced to p at nowMs, in ms since the epoch. It
// refuses one that p does not take.
func millis(p *partition.Partition, r *log.Record, nowMs int64) (int64, error) {
	if r.Timestamp.IsZero() {
		return nowMs, nil
	}
	rules := p.Rules()
	may := rules.Timestamps(nowMs)
	ms, sec := r.Timestamp.UnixMilli(), r.Timestamp.Unix()
	switch {
	case sec >= 0 && sec <= endOfTime && may.Has(ms):
		return ms, nil
	case rules.LogAppendTime:
		return nowMs, nil // the time will be the broker's, whatever a batch can hold
	case sec < 0 || sec > endOfTime:
		return 0, fmt.Errorf("%s: %w: %s is not within 1970 and 9999", p.TopicPartition(), log.ErrInvalidTimestamp, r.Timestamp)
	}
	return 0, fmt.Errorf("%s: %w", p.TopicPartition(), may.Refuse(ms))
}

// endOfTime is the last second of the year 9999, since the epoch.
const endOfTime = 253402300799

// sizeBound returns at least what r adds to a batch, without looking closely.
func sizeBound(r *log.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += headerOverhead + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// The most that the numbers around the bytes of a record and of a header can take:
// three lengths, a count, a time and an offset; two lengths.
const (
	recordOverhead = 40
	headerOverhead = 10
)

// checkRecord refuses a record that does not even fit into a batch of its own, and one
// without the key that the topic requires.
func checkRecord(p *partition.Partition, r *log.Record) error {
	rules := p.Rules()
	if rules.KeyRequired && r.Key == nil {
		return fmt.Errorf("%s: %w: it has no key, which a compacted topic requires", p.TopicPartition(), log.ErrInvalidRecord)
	}
	limit := rules.MaxMessageBytes
	if log.BatchHeaderSize+sizeBound(r) <= limit {
		return nil
	}
	var empty log.Builder
	n := empty.SizeWith(r.Key, r.Value, r.Headers)
	if n <= limit {
		return nil
	}
	return fmt.Errorf("%s: %w: %d bytes with overhead, max.message.bytes is %d", p.TopicPartition(), log.ErrRecordTooLarge, n, limit)
}
