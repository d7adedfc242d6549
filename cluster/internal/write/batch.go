package write

import (
	"fmt"
	"time"

	"github.com/samsa-go/samsa/log"
)

// mostBatch is how many bytes a batch has, unless a record alone has more: Kafka's max.message.bytes is 1 MiB and 12 bytes by default.
const mostBatch = 1 << 20

// batch is records of one partition that go together.
type batch struct {
	tp      log.TopicPartition
	content log.Batch
	records int
	at      []*log.Record // where they are, of a job

	stored bool
	base   int64 // the offset of the first; -1 if that is not known
	time   int64 // of the log, ms; -1 for the records' own
}

// fill fills in the records.
func (b *batch) fill() {
	for i, r := range b.at {
		r.Offset = b.base + int64(i)
		if b.time >= 0 {
			r.Timestamp = time.UnixMilli(b.time)
		}
	}
}

// batches makes the batches of jobs, those of a partition in the order of its records.
func batches(jobs []*job) ([]*batch, error) {
	type open struct {
		*batch
		builder log.Builder
		codec   log.Codec
	}
	var all []*batch
	filling := make(map[log.TopicPartition]*open)
	seal := func(o *open) (err error) {
		o.records = len(o.at)
		o.content, err = o.builder.Seal(nil, o.codec)
		if err != nil {
			return fmt.Errorf("%s: %w", o.tp, err)
		}
		o.content.SetTransactional()
		return nil
	}
	for _, j := range jobs {
		for i := range j.records {
			r := &j.records[i]
			tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			o := filling[tp]
			if o != nil && (o.codec != j.codecs[i] || o.builder.SizeWith(r.Key, r.Value, r.Headers) > j.most[tp.Topic]) {
				if err := seal(o); err != nil {
					return nil, err
				}
				o = nil
			}
			if o == nil {
				o = &open{batch: &batch{tp: tp}, codec: j.codecs[i]}
				filling[tp] = o
				all = append(all, o.batch)
			}
			o.builder.Append(r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
			o.at = append(o.at, r)
		}
	}
	for _, o := range filling {
		if err := seal(o); err != nil {
			return nil, err
		}
	}
	return all, nil
}
