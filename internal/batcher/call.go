package batcher

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Produce stores records, all or none of them, and fills them in: see samsa.Broker.ProduceWith.
func (b *Batcher) Produce(ctx context.Context, opts engine.ProduceOptions, records []log.Record) error {
	c := b.Begin(b.broker.Topic)
	defer c.End()
	if !b.broker.Hooks.Produces() {
		return c.produce(ctx, opts, records)
	}
	err := c.produce(ctx, opts, records)
	c.Produced(ctx, c.began, time.Since(c.began), c.tx, err)
	return err
}

// produce is Batcher.Produce.
func (c *Call) produce(ctx context.Context, opts engine.ProduceOptions, records []log.Record) error {
	if err := c.Add(ctx, opts, records); err != nil {
		return err
	}
	if err := c.store(ctx); err != nil {
		return err
	}
	for i := range records {
		at := &c.places[i]
		records[i].Partition = at.batch.partition.TopicPartition().Partition
		records[i].Offset, records[i].Timestamp = at.stored(&c.tx.Appends[at.batch.append])
	}
	return nil
}

// Call is the records of one transaction while they are collected. It is for one goroutine.
type Call struct {
	b       *Batcher
	lookup  Lookup
	codec   log.Codec   // of the records that are being added
	topics  *topics     // with the partitioner of those
	last    *knownTopic // of the last one: often that of the next
	tx      *writer.Tx
	batches []*callBatch // in the order in which they were begun; the rest up to cap is for reuse
	places  []callPlace  // of the records
	scratch []byte       // to compress in
	began   time.Time    // of the last Add
	told    []hook.ProducedBatch
}

// callBatch is a batch of a call.
type callBatch struct {
	batch
	codec   log.Codec
	chooser *Chooser // is told when the batch is complete
	append  int      // once it is sealed: which one of the transaction it is
}

// callPlace is where a record went.
type callPlace struct {
	place
	batch *callBatch
}

// Begin returns a call without records, which is as safe as those that do not say otherwise.
func (b *Batcher) Begin(lookup Lookup) *Call {
	c, ok := b.calls.Get().(*Call)
	if !ok {
		c = &Call{b: b, tx: new(writer.Tx)}
	}
	c.lookup, c.tx.Synced = lookup, b.opts.Acks == log.AckSynced
	return c
}

// End is the end of the call, which is not to be used any more.
func (c *Call) End() {
	for _, b := range c.batches {
		b.reset()
		b.chooser = nil
	}
	c.batches, c.places = c.batches[:0], c.places[:0]
	c.lookup, c.topics, c.last = nil, nil, nil
	c.tx.Reset()
	c.b.calls.Put(c)
}

// Add puts records into batches of their partitions, as opts says. Their bytes may be reused when it
// returns.
func (c *Call) Add(ctx context.Context, opts engine.ProduceOptions, records []log.Record) error {
	c.began = time.Now()
	c.topics = &c.b.topics
	if opts != (engine.ProduceOptions{}) {
		var wrong option.Mistakes
		opts.Check(&wrong, "ProduceOptions")
		if err := wrong.Err(); err != nil {
			return err
		}
	}
	if opts.Partitioner != nil { // remembers what it must until Add returns
		own := newTopics(opts.Partitioner)
		c.topics, c.last = &own, nil
		defer func() {
			own.forget()
			c.last = nil
		}()
	}
	opts = opts.Over(c.b.opts)
	c.codec = log.ProducerCodec(opts.Compression)
	c.tx.Synced = c.tx.Synced || opts.Acks == log.AckSynced
	now := c.began.UnixMilli()
	for i := range records {
		if err := c.add(ctx, now, &records[i]); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	return nil
}

func (c *Call) add(ctx context.Context, now int64, r *log.Record) error {
	if t := c.last; t == nil || t.topic.Name() != r.Topic || t.topic.Err() != nil {
		found, err := c.lookup(ctx, r.Topic)
		if err != nil {
			return err
		}
		c.last = c.topics.know(found)
	}
	ps := c.last.topic.Partitions()
	i, err := c.last.chooser.Choose(r, len(ps))
	if err != nil {
		return err
	}
	size, err := recordSize(ps[i], r)
	if err != nil {
		return err
	}
	ms, err := millis(ps[i], r, now)
	if err != nil {
		return err
	}
	b := c.filling(ps[i])
	if b != nil && (b.codec != c.codec || b.full(size, ps[i].Rules().MaxMessageBytes)) {
		if err := c.seal(b); err != nil {
			return err
		}
		b = nil
	}
	if b == nil {
		b = c.begin(ps[i])
	}
	c.places = append(c.places, callPlace{b.next(ms), b})
	b.builder.Append(ms, r.Key, r.Value, r.Headers)
	return nil
}

// filling returns the batch of p that is not sealed, or nil.
func (c *Call) filling(p *partition.Partition) *callBatch {
	for i := len(c.batches) - 1; i >= 0; i-- {
		if b := c.batches[i]; b.partition == p {
			return b // those before it are sealed
		}
	}
	return nil
}

// begin returns an empty batch of p, which is of the last topic.
func (c *Call) begin(p *partition.Partition) *callBatch {
	n := len(c.batches)
	if n < cap(c.batches) {
		c.batches = c.batches[:n+1]
	} else {
		c.batches = append(c.batches, nil)
	}
	if c.batches[n] == nil {
		c.batches[n] = new(callBatch)
	}
	b := c.batches[n]
	b.codec, b.chooser, b.partition = c.codec, c.last.chooser, p
	return b
}

// seal moves b to the transaction.
func (c *Call) seal(b *callBatch) (err error) {
	if c.scratch, err = b.seal(b.codec, c.scratch); err != nil {
		return err
	}
	b.chooser.BatchComplete()
	b.append = len(c.tx.Appends)
	c.tx.Appends = append(c.tx.Appends, writer.Append{
		Partition: b.partition, Batch: b.content, Foldable: b.content.Codec() == log.CodecNone && len(b.content) < minFoldedBytes,
	})
	return nil
}

// minFoldedBytes is the batch size from which a batch is worth an entry of its own.
const minFoldedBytes = 4 << 10

// Seal completes all batches.
func (c *Call) Seal() error {
	for _, b := range c.batches {
		if b.content != nil {
			continue
		}
		if err := c.seal(b); err != nil {
			return err
		}
	}
	return nil
}

// Size returns how many batches are complete, and their bytes.
func (c *Call) Size() (batches, bytes int) {
	for i := range c.tx.Appends {
		bytes += len(c.tx.Appends[i].Batch)
	}
	return len(c.tx.Appends), bytes
}

// Take returns a transaction of the batches that are complete, with memory of its own: whoever
// gives up waiting for it does not know when the committer has done with it.
func (c *Call) Take() *writer.Tx {
	tx := c.tx
	for i := range tx.Appends {
		tx.Appends[i].Batch = slices.Clone(tx.Appends[i].Batch)
	}
	c.tx = new(writer.Tx)
	return tx
}

// store stores the batches and waits for the outcome.
func (c *Call) store(ctx context.Context) error {
	if err := c.Seal(); err != nil {
		return err
	}
	err := c.b.broker.Committer.DoUntil(ctx, c.tx)
	if c.tx.Withdrawn() {
		c.tx = new(writer.Tx) // the committer may still look at the old one
	}
	return err
}
