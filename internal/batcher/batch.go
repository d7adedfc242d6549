package batcher

import (
	"fmt"
	"time"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// batch collects records of one partition that will be stored together.
type batch struct {
	partition *partition.Partition
	builder   log.Builder
	content   log.Batch // once it is sealed, in the builder's memory
}

// full reports whether a record of so many bytes, which recordSize has told, would make the batch
// larger than limit.
func (b *batch) full(size, limit int) bool {
	return b.builder.Records() > 0 && b.builder.Size()+size > limit
}

// next returns the place of the next record, of the timestamp ms.
func (b *batch) next(ms int64) place { return place{b.builder.Records(), ms} }

// seal encodes and compresses the batch. Compression wants room for the worst case, and batches
// may wait for a slow disk by the hundred: so it works in scratch, which is returned,
// and b keeps a copy of what came out, where the records were. What is not compressed
// stays there.
func (b *batch) seal(codec log.Codec, scratch []byte) ([]byte, error) {
	codec, always := codecFor(&b.builder, codec, b.partition)
	content, own, err := b.builder.SealOwn(scratch[:0], codec, always)
	switch {
	case err != nil:
		return scratch, err
	case own:
		b.content = content
		return scratch, nil
	}
	b.content = b.builder.Keep(content)
	return content, nil
}

// reset makes b ready for other records.
func (b *batch) reset() {
	b.partition, b.content = nil, nil
	b.builder.Reset()
}

// place is where a record is in its batch: the n-th, with its timestamp in ms since the epoch.
type place struct {
	n  int
	ms int64
}

// stored returns the offset and the timestamp that the record has got, in the batch that a has appended.
func (pl place) stored(a *writer.Append) (int64, time.Time) {
	if a.AppendTime >= 0 {
		pl.ms = a.AppendTime
	}
	return a.BaseOffset + int64(pl.n), time.UnixMilli(pl.ms)
}

// minCompressedBytes is the batch size below which compression gains nothing.
const minCompressedBytes = 512

// codecFor returns how to compress a batch for a partition, whose topic may have a compression of
// its own. That is obeyed to the letter, as for what clients send: always is true. Else what
// compression gains nothing for is not compressed.
func codecFor(b *log.Builder, codec log.Codec, p *partition.Partition) (_ log.Codec, always bool) {
	if c := p.Rules().Compression; c != log.CompressionDefault {
		return log.TopicCodec(c, codec), true
	}
	if b.Size() < minCompressedBytes {
		codec = log.CodecNone
	}
	return codec, false
}

// recordSize returns what r adds to a batch of p at most, in bytes, without looking closely. It
// refuses a record that does not even fit into a batch of its own, and one without the key that the topic requires.
func recordSize(p *partition.Partition, r *log.Record) (int, error) {
	rules := p.Rules()
	if rules.KeyRequired && r.Key == nil {
		return 0, fmt.Errorf("%s: %w: it has no key, which a compacted topic requires", p.TopicPartition(), log.ErrInvalidRecord)
	}
	size := log.RecordBound(r)
	if log.BatchHeaderSize+size <= rules.MaxMessageBytes {
		return size, nil
	}
	var empty log.Builder
	if n := empty.SizeWith(r.Key, r.Value, r.Headers); n > rules.MaxMessageBytes {
		return 0, fmt.Errorf("%s: %w: %d bytes with overhead, max.message.bytes is %d",
			p.TopicPartition(), log.ErrRecordTooLarge, n, rules.MaxMessageBytes)
	}
	return size, nil
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
