package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// feed gives p records 0 to n-1 of a piece of work: keys a to e, values their numbers.
func feed(k *kit, p *samsa.Producer, n int) (acked []samsa.Record) {
	k.t.Helper()
	var got collector
	for i := range n {
		p.Produce(k.ctx, samsa.Record{Topic: "t", Key: fmt.Appendf(nil, "%c", 'a'+i%5), Value: fmt.Append(nil, i)}, got.promise)
	}
	if err := p.Flush(k.ctx); err != nil {
		k.t.Fatal(err)
	}
	if got.errs != nil {
		k.t.Fatal(got.errs)
	}
	return got.records
}

// wantOnce checks that the topic has the first n records of the work, each once, in order
// within their partitions.
func wantOnce(k *kit, n int) {
	k.t.Helper()
	got := k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), n)
	last := make(map[int32]int)
	var all []int
	for _, r := range got {
		var i int
		if _, err := fmt.Sscan(string(r.Value), &i); err != nil {
			k.t.Fatal(err)
		}
		if before, ok := last[r.Partition]; ok && i <= before {
			k.t.Errorf("%d comes after %d", i, before)
		}
		last[r.Partition] = i
		all = append(all, i)
	}
	slices.Sort(all)
	for i, v := range all {
		if i != v {
			k.t.Fatalf("record %d is missing or there twice: %v", i, all)
		}
	}
	for _, end := range k.ends("t") {
		n -= int(end)
	}
	if n != 0 {
		k.t.Errorf("%d records too few", n)
	}
}

func TestReplayStoresNothingTwice(t *testing.T) {
	for _, opts := range []samsa.ProducerOptions{
		{}, {Acks: samsa.AckSynced}, {Acks: samsa.AckNone}, {BatchBytes: 200}, {Partitioner: samsa.RoundRobinPartitioner()}, {Partitioner: samsa.Murmur2Partitioner(), Compression: samsa.CompressionNone},
	} {
		dir := t.TempDir()
		k := open(t, dir, samsa.Options{})
		k.create("t", 3)
		opts.ID, opts.Replay = "import", true
		for _, n := range []int{100, 40, 100, 0, 170} {
			acked := feed(k, k.producer(opts), n)
			if len(acked) != n {
				t.Fatalf("%d of %d records were acknowledged", len(acked), n)
			}
			k.close()
			k = open(t, dir, samsa.Options{})
		}
		wantOnce(k, 170)
		if acked := feed(k, k.producer(opts), 3); acked[0].Offset != -1 || acked[2].Topic != "t" {
			t.Errorf("what was stored before is acknowledged as %+v", acked)
		}
	}
}

func TestStoredTellsWhereToGoOn(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	p := k.producer(samsa.ProducerOptions{ID: "feed", Partitioner: samsa.ManualPartitioner()})
	tp := samsa.TopicPartition{Topic: "t", Partition: 1}
	stored := func(p *samsa.Producer, want int64) {
		t.Helper()
		if got, err := p.Stored(k.ctx, tp); err != nil || got != want {
			t.Errorf("%d records are stored, %v; want %d", got, err, want)
		}
	}
	stored(p, 0)
	for i := range 10 {
		if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Partition: 1, Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	stored(p, 10)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	heir := k.producer(samsa.ProducerOptions{ID: "feed", Partitioner: samsa.ManualPartitioner()})
	stored(heir, 10)
	if _, err := heir.ProduceSync(k.ctx, samsa.Record{Topic: "t", Partition: 1, Value: []byte("10")}); err != nil {
		t.Fatal(err)
	}
	stored(heir, 11) // without Replay, what it is given is new
	if err := k.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{1: 11}); err != nil {
		t.Fatal(err)
	}
	stored(heir, 11)
	for _, bad := range []struct {
		tp   samsa.TopicPartition
		want error
	}{{samsa.TopicPartition{Topic: "x"}, samsa.ErrUnknownTopic}, {samsa.TopicPartition{Topic: "t", Partition: 2}, samsa.ErrUnknownPartition}} {
		if _, err := heir.Stored(k.ctx, bad.tp); !errors.Is(err, bad.want) {
			t.Errorf("%v: got %v", bad.tp, err)
		}
	}
	if _, err := k.producer(samsa.ProducerOptions{}).Stored(k.ctx, tp); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("without an ID: got %v", err)
	}
}

// The batches carry what Kafka's clients know: producer id, epoch and sequence.
func TestNumbersAreInTheBatches(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	for _, id := range []string{"a", "b", "a"} {
		p := k.producer(samsa.ProducerOptions{ID: id})
		for range 2 {
			if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("x")}, samsa.Record{Topic: "t", Value: []byte("y")}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	topic, err := k.inside().Catalogue.Get("t")
	if err != nil {
		t.Fatal(err)
	}
	p := topic.Partitions()[0]
	var got []string
	for _, info := range p.Log().Producers() {
		got = append(got, fmt.Sprintf("%d epoch %d last %d", info.ID, info.Epoch, info.LastSequence))
	}
	if s := strings.Join(got, ", "); s != "0 epoch 0 last 7, 1 epoch 0 last 3" {
		t.Errorf("the partition knows %s", s)
	}
}

func TestNewProducerFencesTheOld(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	old := k.producer(samsa.ProducerOptions{ID: "one"})
	if _, err := old.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	heir := k.producer(samsa.ProducerOptions{ID: "one"})
	if _, err := old.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("zombie")}); !errors.Is(err, samsa.ErrProducerFenced) {
		t.Errorf("the old one got %v", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := heir.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(texts(k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 2)), " "); got != "t/0@0=a t/0@1=b" {
		t.Errorf("got %s", got)
	}
}

func TestReplayNeedsRepeatablePartitions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	k.create("single", 1)
	for _, c := range []struct {
		name  string
		by    samsa.Partitioner
		r     samsa.Record
		wants error
	}{
		{"no key", nil, samsa.Record{Topic: "t"}, samsa.ErrInvalidRecord},
		{"random", samsa.RandomPartitioner(), samsa.Record{Topic: "t", Key: []byte("a")}, samsa.ErrInvalidRecord},
		{"no key, one partition", nil, samsa.Record{Topic: "single"}, nil},
		{"no key, by hand", samsa.ManualPartitioner(), samsa.Record{Topic: "t", Partition: 1}, nil},
	} {
		p := k.producer(samsa.ProducerOptions{ID: c.name, Replay: true, Partitioner: c.by})
		if _, err := p.ProduceSync(k.ctx, c.r); !errors.Is(err, c.wants) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.wants)
		}
	}
}

func TestProducerIDOptions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	_, err := k.NewProducer(k.ctx, samsa.ProducerOptions{ID: strings.Repeat("x", 513)})
	if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "ProducerOptions.ID is 513 bytes long") {
		t.Errorf("got %v", err)
	}
	_, err = k.NewProducer(k.ctx, samsa.ProducerOptions{Replay: true})
	if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "Replay") {
		t.Errorf("got %v", err)
	}
	k.close()
	if _, err := k.NewProducer(k.ctx, samsa.ProducerOptions{ID: "late"}); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
}
