package cluster_test

import (
	"crypto/rand"
	"runtime"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// Who reads many partitions of large batches, and slowly, has a bounded part of them in memory.
func TestMemoryIsBounded(t *testing.T) {
	const partitions, each, size = 100, 3, 900 << 10
	const most = 64 << 20
	k := kit.At(t, kit.Kafka(t))
	b := open(t, k)
	name := k.Name("large")
	if err := b.Topics().Create(k.Ctx, name, samsa.TopicConfig{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Topics().Delete(k.Ctx, name) }()
	value := make([]byte, size)
	if _, err := rand.Read(value); err != nil {
		t.Fatal(err)
	}
	manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
	for i := range partitions * each {
		if _, err := b.ProduceWith(k.Ctx, manual, samsa.Record{Topic: name, Partition: int32(i % partitions), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools kept
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, highest := heap(), uint64(0)
	c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{name}, MaxPollBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for n := 0; n < partitions*each; {
		records, err := c.Poll(k.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(records)
		highest = max(highest, heap()) // which takes a while, in which it reads ahead
	}
	grown := int64(highest) - int64(before)
	t.Logf("%d MiB more on the heap, of %d MiB", grown>>20, partitions*each*size>>20)
	if grown > most {
		t.Errorf("want at most %d MiB", most>>20)
	}
}
