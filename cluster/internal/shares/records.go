package shares

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// taken is what an answer has for a partition.
type taken struct {
	ds      []share.Delivery // without Until and Lease
	answers []answer         // what is to be said of offsets that are no records
	err     error            // ErrCorruptRecord
}

type answer struct {
	offset int64
	t      share.AckType
}

// take takes apart the batches of an answer, of which the member has acquired some records. Where there is no record at an offset that
// it has acquired, a marker say, it is a gap; those of a batch that is damaged are rejected: nobody can read them.
func take(tp log.TopicPartition, a *kmsg.ShareFetchResponseTopicPartition) (got taken) {
	ranges := a.AcquiredRecords
	slices.SortFunc(ranges, func(a, b kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	records := make(map[int64]log.Record)
	missing := share.Gap
	for encoded := a.Records; len(encoded) > 0; {
		length, _, err := log.BatchLength(encoded)
		if err != nil || length > int64(len(encoded)) {
			break // cut off
		}
		if length < log.BatchHeaderSize {
			missing, got.err = share.Reject, fmt.Errorf("%s: %w: a batch of %d bytes", tp, log.ErrCorruptRecord, length)
			break
		}
		if err := pick(encoded[:length:length], ranges, records); err != nil {
			missing, got.err = share.Reject, fmt.Errorf("%s: %w", tp, err)
		}
		encoded = encoded[length:]
	}
	for _, r := range ranges {
		for offset := r.FirstOffset; offset <= r.LastOffset; offset++ {
			rec, ok := records[offset]
			if !ok {
				got.answers = append(got.answers, answer{offset, missing})
				continue
			}
			rec.Topic, rec.Partition = tp.Topic, tp.Partition
			got.ds = append(got.ds, share.Delivery{Record: rec, Deliveries: int(r.DeliveryCount)})
		}
	}
	return got
}

// pick adds the records of a batch that were acquired.
func pick(encoded []byte, ranges []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord, records map[int64]log.Record) error {
	b, err := log.ParseBatch(encoded)
	if err != nil {
		return err
	}
	in := func(offset int64) bool {
		i, _ := slices.BinarySearchFunc(ranges, offset, func(r kmsg.ShareFetchResponseTopicPartitionAcquiredRecord, offset int64) int {
			return cmp.Compare(r.LastOffset, offset)
		})
		return i < len(ranges) && ranges[i].FirstOffset <= offset
	}
	if b.Control() || len(ranges) == 0 || b.LastOffset() < ranges[0].FirstOffset {
		return nil
	}
	raw, plain := b.EncodedRecords()
	if !plain {
		if raw, err = b.AppendRecords(nil); err != nil {
			return err
		}
	}
	reader := log.NewRecordReader(b, raw)
	if err := reader.SkipTo(ranges[0].FirstOffset); err != nil {
		return err
	}
	last := ranges[len(ranges)-1].LastOffset
	for {
		var rec log.Record
		more, err := reader.Next(&rec)
		if err != nil || !more || rec.Offset > last {
			return err
		}
		if in(rec.Offset) {
			records[rec.Offset] = rec
		}
	}
}
