package batcher

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Tell implements Held.
func (b *pending) Tell() {
	p := b.lane.p
	b.took = time.Since(b.began)
	p.judge(b)
	p.tellProduced(b)
}

// Promises implements Held.
func (b *pending) Promises() int { return len(b.promises) }

// Keep implements Held.
func (b *pending) Keep(i int) { b.promises[i].keep(b) }

// CountLocked implements Held.
func (b *pending) CountLocked() { b.lane.p.countLocked(b) }

// judge completes the error of b.
func (p *Producer) judge(b *pending) {
	if b.err == nil {
		return
	}
	b.err = fmt.Errorf("produce: %w", b.err)
	if p.opts.Acks == log.AckNone {
		p.b.Logger.Warn("records were lost that nobody waits for",
			zap.Stringer("partition", b.partition.TopicPartition()), zap.Int("records", b.records), zap.Error(b.err))
	}
}

func (pr *promised) keep(b *pending) {
	tp := b.partition.TopicPartition()
	r := log.Record{Topic: tp.Topic, Partition: tp.Partition, Key: pr.key, Value: pr.value, Headers: pr.headers}
	if b.err == nil {
		r.Offset, r.Timestamp = pr.stored(&b.tx.Appends[0])
	} else {
		r.Timestamp = time.UnixMilli(pr.ms)
	}
	pr.promise(r, b.err)
}

// Release implements Held.
func (b *pending) Release() {
	pool := &b.lane.p.batches
	b.reset()
	clear(b.promises)
	b.Unwatch()
	b.promises = b.promises[:0]
	b.tx.Reset()
	b.lane, b.linger, b.err = nil, nil, nil
	b.records, b.hurry, b.sealed = 0, false, false
	pool.Put(b)
}
