package read

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// batchesOf takes apart the records of an answer for a partition: Kafka's batches, one behind the other, of which the last may
// be cut off. Those that end before from are left out. The batches are slices of encoded. With an error come the batches
// before it: one that is corrupt nobody can pass, as where it ends is not to be trusted.
func batchesOf(tp log.TopicPartition, iso log.Isolation, from int64, p *kmsg.FetchResponseTopicPartition) (batches []log.StoredBatch, err error) {
	outcome := outcomesOf(iso, p.AbortedTransactions)
	for encoded := p.RecordBatches; len(encoded) > 0; {
		length, magic, err := log.BatchLength(encoded)
		if err != nil || length > int64(len(encoded)) {
			break // cut off
		}
		at := from
		if len(batches) > 0 {
			at = batches[len(batches)-1].LastOffset + 1
		}
		if magic != 2 && length >= 0 {
			return batches, fmt.Errorf("%s: offset %d: %w: message format %d", tp, at, log.ErrUnsupported, magic)
		}
		var b log.Batch
		if length >= log.BatchHeaderSize {
			b, err = log.ParseBatch(encoded[:length:length])
		} else {
			b, err = log.ParseBatch(nil) // says what is wrong
		}
		if err != nil {
			return batches, fmt.Errorf("%s: offset %d: %w", tp, at, err)
		}
		encoded = encoded[length:]
		aborted := outcome.of(b)
		if b.LastOffset() < at {
			continue
		}
		batches = append(batches, log.StoredBatch{LastOffset: b.LastOffset(), MaxTimestamp: b.MaxTimestamp(), Batch: b, Aborted: aborted})
	}
	return batches, nil
}

// outcomes tell which batches of an answer are of transactions that were aborted: the batches of a producer from where one
// begins, to its marker.
type outcomes struct {
	left []kmsg.FetchResponseTopicPartitionAbortedTransaction // that begin later, by their first offsets
	open map[int64]bool                                       // producers whose batches are of an aborted one
}

func outcomesOf(iso log.Isolation, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) *outcomes {
	if iso != log.ReadCommitted || len(aborted) == 0 {
		return nil
	}
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return &outcomes{left: aborted, open: make(map[int64]bool)}
}

// of reports whether the next batch was aborted.
func (o *outcomes) of(b log.Batch) bool {
	if o == nil || !b.Transactional() {
		return false
	}
	for len(o.left) > 0 && o.left[0].FirstOffset <= b.LastOffset() {
		o.open[o.left[0].ProducerID] = true
		o.left = o.left[1:]
	}
	if b.Control() {
		delete(o.open, b.ProducerID()) // its transaction ends here, committed or not
		return false
	}
	return o.open[b.ProducerID()]
}

// leaderEpoch returns the epoch of the leader that has stored a batch.
func leaderEpoch(b log.Batch) int32 { return int32(binary.BigEndian.Uint32(b[12:])) }
