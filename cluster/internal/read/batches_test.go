package read

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// batch returns one of these values, at an offset.
func batch(t *testing.T, base int64, values ...string) log.Batch {
	t.Helper()
	var b log.Builder
	for _, v := range values {
		b.Append(time.Now().UnixMilli(), nil, []byte(v), nil)
	}
	sealed, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	sealed.SetBaseOffset(base)
	return sealed
}

func of(batches ...log.Batch) *kmsg.FetchResponseTopicPartition {
	p := kmsg.NewFetchResponseTopicPartition()
	for _, b := range batches {
		p.RecordBatches = append(p.RecordBatches, b...)
	}
	return &p
}

func offsets(batches []log.StoredBatch) (ends []int64) {
	for _, b := range batches {
		ends = append(ends, b.LastOffset)
	}
	return ends
}

// An answer is taken apart up to where it is cut off or damaged, wherever that is.
func TestBatchesOf(t *testing.T) {
	tp := log.TopicPartition{Topic: "orders"}
	whole := of(batch(t, 5, "a", "b"), batch(t, 7, "c"), batch(t, 10, "d", "e"))
	for n := range len(whole.RecordBatches) + 1 {
		p := of(whole.RecordBatches[:n])
		got, err := batchesOf(tp, log.ReadUncommitted, 6, p)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if want := []int64{6, 7, 11}; !slices.Equal(offsets(got), want[:len(got)]) {
			t.Fatalf("%d bytes: %v", n, offsets(got))
		}
	}
	if got, _ := batchesOf(tp, log.ReadUncommitted, 8, whole); !slices.Equal(offsets(got), []int64{11}) {
		t.Fatalf("from 8: %v", offsets(got))
	}
	for at := range len(whole.RecordBatches) {
		damaged := slices.Clone(whole.RecordBatches)
		damaged[at] ^= 0x10
		got, err := batchesOf(tp, log.ReadUncommitted, 5, of(damaged))
		for i, b := range got {
			if b.LastOffset < 5 || i > 0 && b.LastOffset <= got[i-1].LastOffset {
				t.Fatalf("byte %d: %v", at, offsets(got))
			}
		}
		if err != nil && !errors.Is(err, log.ErrCorruptRecord) && !errors.Is(err, log.ErrUnsupported) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

// What is wrong is named, with the offset.
func TestBatchesOfDamaged(t *testing.T) {
	tp := log.TopicPartition{Topic: "orders", Partition: 3}
	damaged := batch(t, 7, "c")
	damaged[len(damaged)-1] ^= 1
	got, err := batchesOf(tp, log.ReadUncommitted, 5, of(batch(t, 5, "a", "b"), damaged, batch(t, 8, "d")))
	if !errors.Is(err, log.ErrCorruptRecord) || !strings.Contains(err.Error(), "orders/3: offset 7") || !slices.Equal(offsets(got), []int64{6}) {
		t.Fatalf("%v, %v", offsets(got), err)
	}
	old := batch(t, 5, "a")
	old[16] = 1
	if _, err := batchesOf(tp, log.ReadUncommitted, 5, of(old)); !errors.Is(err, log.ErrUnsupported) {
		t.Fatal(err)
	}
	short := batch(t, 5, "a")
	binary.BigEndian.PutUint32(short[8:], 3)
	if _, err := batchesOf(tp, log.ReadUncommitted, 5, of(short)); !errors.Is(err, log.ErrCorruptRecord) {
		t.Fatal(err)
	}
}

// A producer's batches are of an aborted transaction from where that begins to its marker, and no others are.
func TestAborted(t *testing.T) {
	of1 := func(base, producer int64, transactional bool) log.Batch {
		b := batch(t, base, "x")
		b.SetProducer(producer, 0, 0)
		if transactional {
			b[22] |= 0x10
			b.SetProducer(producer, 0, 0) // the CRC
		}
		return b
	}
	end := func(base, producer int64, commit bool) log.Batch {
		b := log.Marker(producer, 0, commit, 0)
		b.SetBaseOffset(base)
		return b
	}
	p := of(
		of1(0, 1, true), of1(1, 2, true), of1(2, 1, true), of1(3, 9, false), end(4, 1, false), of1(5, 1, true),
		end(6, 2, true), end(7, 1, true), of1(8, 2, true), end(9, 2, false), of1(10, 2, true), end(11, 2, true),
	)
	p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 2, FirstOffset: 8}, {ProducerID: 1, FirstOffset: 0}}
	for _, iso := range []log.Isolation{log.ReadCommitted, log.ReadUncommitted} {
		got, err := batchesOf(log.TopicPartition{}, iso, 0, p)
		if err != nil {
			t.Fatal(err)
		}
		var aborted []int64
		for _, b := range got {
			if b.Aborted {
				aborted = append(aborted, b.LastOffset)
			}
		}
		want := []int64{0, 2, 8}
		if iso == log.ReadUncommitted {
			want = nil
		}
		if !slices.Equal(aborted, want) || len(got) != 12 {
			t.Errorf("%v: %v of %d", iso, aborted, len(got))
		}
	}
}
