package consumer

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// gapped are topics whose partitions have no batches from the offset gap on, up to the high watermark, as it can be
// on a Kafka cluster after compaction.
type gapped struct {
	engine.Topics
	gap int64
}

type gappedTopic struct {
	engine.Topic
	gap int64
}

type gappedPartition struct {
	engine.Partition
	gap int64
}

func (g gapped) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	t, err := g.Topics.Find(ctx, name, create)
	return gappedTopic{t, g.gap}, err
}

func (t gappedTopic) Partition(i int32) (engine.Partition, error) {
	p, err := t.Topic.Partition(i)
	return gappedPartition{p, t.gap}, err
}

func (p gappedPartition) Fetch(ctx context.Context, client string, iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	return p.Partition.Fetch(ctx, client, iso, from, buf, func(sb log.StoredBatch) bool { return sb.LastOffset < p.gap && fn(sb) })
}

// Where the last offsets have no batches any more the position is the high watermark all the same, and the loop ends.
func TestRecordsUntilEndsWhereTheLastOffsetsAreGone(t *testing.T) {
	for name, gap := range map[string]int64{"some": 2, "all": 0, "none": 5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t)
				k.create("t", 1)
				k.put("t", 0, "a", "b", "c", "d", "e")
				k.Topics = gapped{k.Topics, gap}
				c := k.consumer(Options{Topics: []string{"t"}})
				n := int64(0)
				for _, err := range c.RecordsUntil(k.ctx) {
					if err != nil {
						t.Fatal(err)
					}
					n++
				}
				tp := log.TopicPartition{Topic: "t"}
				if at, err := c.Position(tp); n != gap || at != 5 || err != nil {
					t.Errorf("%d records, position %d, %v", n, at, err)
				}
				k.wantNothing(c)
				wantLines(t, c, "in the end", 0, 0, 0)
			})
		})
	}
}

// What is appended to partitions that the loop is through with takes none of the room that others need, and a loop that
// has ended, however it did, leaves the consumer as it was.
func TestRecordsUntilReadsNothingAheadBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t)
		k.create("t", 20)
		value := strings.Repeat("v", 100)
		for i := range int32(20) {
			k.put("t", i, value, value)
		}
		c := k.consumer(Options{Topics: []string{"t"}, MaxPollBytes: 1000, MaxPollRecords: 1})
		count := make(map[int32]int)
		for r, err := range c.RecordsUntil(k.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if count[r.Partition]++; count[r.Partition] == 2 {
				k.put("t", r.Partition, strings.Repeat("v", 5000), value)
			}
			synctest.Wait()
			c.mu.Lock()
			for _, tr := range c.tracks {
				if tr.next > tr.end {
					t.Errorf("%s was read up to %d", tr.tp, tr.next)
				}
			}
			c.mu.Unlock()
		}
		for i := range int32(20) {
			if at, err := c.Position(log.TopicPartition{Topic: "t", Partition: i}); count[i] != 2 || at != 2 || err != nil {
				t.Errorf("%d records of partition %d, position %d, %v", count[i], i, at, err)
			}
		}
		for _, err := range c.RecordsUntil(k.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		k.put("t", 0, value)
		for range 40 {
			k.read(c, 1)
		}
		k.wantNothing(c)
		wantLines(t, c, "in the end", 0, 0, 0)
		if c.ends != nil || c.fetched != 0 {
			t.Errorf("%d ends and %d bytes are left", len(c.ends), c.fetched)
		}
	})
}

// Markers of transactions have offsets and are no records, also as the last ones.
func TestReadersPassOverMarkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const attributes, transactional = 22, 1 << 4
		k := inMemory(t)
		k.create("t", 1)
		known, err := k.catalogue.Get("t")
		if err != nil {
			t.Fatal(err)
		}
		p, err := known.Partition(0)
		if err != nil {
			t.Fatal(err)
		}
		for i, value := range []string{"a", "b"} {
			k.put("t", 0, "plain "+value)
			b := sealed(t, value)
			b[attributes] |= transactional
			b.SetProducer(7, 0, int32(i))
			for _, b := range []log.Batch{b, log.Marker(7, 0, true, 1000)} {
				if err := k.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: p, Batch: b}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		c, tp := k.consumer(Options{Topics: []string{"t"}}), log.TopicPartition{Topic: "t"}
		var got []string
		collect := func(records iter.Seq2[log.Record, error]) {
			for r, err := range records {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(r.Offset, r.Topic, string(r.Value)))
			}
		}
		collect(c.RecordsUntil(k.ctx))
		if at, err := c.Position(tp); at != 6 || err != nil {
			t.Errorf("position %d, %v", at, err)
		}
		forward := slices.Clone(got)
		got = nil
		collect(k.Backward(k.ctx, tp, engine.Start{Kind: engine.Latest}))
		slices.Reverse(got)
		if want := "[0tplain a 1ta 3tplain b 4tb]"; fmt.Sprint(forward) != want || fmt.Sprint(got) != want {
			t.Errorf("forward %v, backward %v", forward, got)
		}
		for n, want := range map[int64]int64{0: 6, 1: 4, 2: 3, 3: 1, 4: 0, 5: 0} {
			if err := c.SeekLast(k.ctx, n); err != nil {
				t.Fatal(err)
			}
			if at, _ := c.Position(tp); at != want {
				t.Errorf("the last %d begin at %d, want %d", n, at, want)
			}
		}
	})
}
