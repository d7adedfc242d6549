package conform

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

var codecs = []samsa.Compression{
	samsa.CompressionNone, samsa.CompressionGzip, samsa.CompressionSnappy, samsa.CompressionLz4, samsa.CompressionZstd,
}

// noise returns n bytes that no codec makes shorter.
func noise(n int) []byte {
	var seed [32]byte
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// same compares records by what a program sees of them, to the millisecond.
func (k *kit) same(what string, got, want []samsa.Record) {
	text := func(records []samsa.Record) (all []string) {
		for _, r := range records {
			all = append(all, fmt.Sprintf("%s/%d@%d %d %#v=%#v %#v", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers))
		}
		return all
	}
	k.equal(what, text(got), text(want))
}

var produces = []promise{
	{"one", "Produce returns the record with its partition, offset and timestamp, and a consumer gets it so.", func(k *kit) {
		name := k.topic(1)
		began := time.Now().Truncate(time.Millisecond)
		out := k.produce(samsa.Record{Topic: name, Key: []byte("k"), Value: []byte("v"), Headers: []samsa.Header{{Key: "h", Value: []byte("w")}}})
		if ts := out[0].Timestamp; ts.Before(began) || ts.After(time.Now()) {
			k.Errorf("the timestamp is %s, produced after %s", ts, began)
		}
		k.same("returned", out, []samsa.Record{{Topic: name, Timestamp: out[0].Timestamp, Key: []byte("k"), Value: []byte("v"),
			Headers: []samsa.Header{{Key: "h", Value: []byte("w")}}}})
		k.same("read", k.read(k.reader(name), 1), out)
		k.equal("next offset", k.write(name, "w")[0].Offset, int64(1))
	}},
	{"several", "The records of a call are returned in their order, and are in their partitions in this order.", func(k *kit) {
		a, b := k.topic(2), k.topic(1)
		var records []samsa.Record
		for i := range 30 {
			r := samsa.Record{Topic: a, Partition: int32(i % 2), Value: fmt.Append(nil, i)}
			if i%3 == 0 {
				r.Topic, r.Partition = b, 0
			}
			records = append(records, r)
		}
		out, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, records...)
		k.must(err)
		k.equal("returned", values(out), values(records))
		c := k.reader(a, b)
		got := k.read(c, len(records))
		for _, tp := range []samsa.TopicPartition{at(a, 0), at(a, 1), at(b, 0)} {
			of := func(all []samsa.Record) (in []samsa.Record) {
				for _, r := range all {
					if at(r.Topic, r.Partition) == tp {
						in = append(in, r)
					}
				}
				return in
			}
			k.same(tp.String(), of(got), of(out))
			k.equal("offsets rise", slices.IsSortedFunc(of(out), func(a, b samsa.Record) int { return int(a.Offset - b.Offset) }), true)
		}
	}},
	{"dense", "The offsets of a partition have no gaps, whatever has stored the records.", func(k *kit) {
		name := k.topic(1)
		for range 3 {
			k.produce(samsa.Record{Topic: name}, samsa.Record{Topic: name})
			k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name}) }))
		}
		for i, r := range k.has(make([]string, 9), name) {
			k.equal("offset", r.Offset, int64(i))
		}
		k.equal("end", k.offsets(name, samsa.Latest()), []int64{9})
	}},
	{"none", "Produce without records does nothing.", func(k *kit) { k.equal("returned", len(k.produce()), 0) }},
	{"all-or-none", "When one record cannot be stored none of the call is, in no topic.", func(k *kit) {
		a, b := k.topic(2), k.topicWith(samsa.TopicConfig{MaxMessageBytes: 1000})
		good := samsa.Record{Topic: a}
		for _, bad := range []struct {
			r    samsa.Record
			want error
		}{
			{samsa.Record{Topic: k.fresh("t")}, samsa.ErrUnknownTopic},
			{samsa.Record{Topic: b, Value: noise(2000)}, samsa.ErrRecordTooLarge},
			{samsa.Record{Topic: b, Timestamp: time.Now().Add(48 * time.Hour)}, samsa.ErrInvalidTimestamp},
		} {
			_, err := k.Produce(k.ctx, good, bad.r, good)
			k.is(err, bad.want)
			k.has(nil, a, b)
		}
	}},
	{"visible", "What Produce has returned is there for whoever reads then.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		for i := range 5 {
			k.produce(samsa.Record{Topic: name, Value: fmt.Append(nil, i, "a")}, samsa.Record{Topic: name, Value: fmt.Append(nil, i, "b")})
			lag, err := c.TotalLag(k.ctx)
			k.must(err)
			k.equal("is behind", lag >= 2, true)
			k.reads(c, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
		}
	}},
	{"as-they-are", "Keys, values and headers are kept as they are: null and empty differ, headers come twice and in order.", func(k *kit) {
		name := k.topic(1)
		var all []samsa.Record
		for _, r := range []samsa.Record{
			{}, {Key: []byte{}, Value: []byte{}}, {Key: []byte{0, 255}, Value: nil}, {Key: nil, Value: []byte{}},
			{Headers: []samsa.Header{{Key: "a", Value: nil}, {Key: "a", Value: []byte{}}, {Key: "", Value: []byte("x")}, {Key: "a", Value: []byte("y")}}},
			{Value: noise(100_000)},
		} {
			r.Topic = name
			all = append(all, k.produce(r)...)
		}
		k.same("read", k.read(k.reader(name), len(all)), all)
	}},
	{"timestamps", "A timestamp is kept to the millisecond, in any order, and also of long ago.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{Retention: samsa.Unlimited})
		now := time.Now()
		times := []time.Time{now.Add(-time.Hour), now, now.Add(-time.Second), time.UnixMilli(1)}
		k.stamped(name, times...)
		for i, r := range k.read(k.reader(name), len(times)) {
			k.equal("timestamp", r.Timestamp.UnixMilli(), times[i].UnixMilli())
		}
	}},
	{"timestamp-bounds", "A timestamp beyond the topic's bounds is ErrInvalidTimestamp.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{TimestampBeforeMax: time.Hour, TimestampAfterMax: time.Minute})
		for _, d := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
			_, err := k.Produce(k.ctx, samsa.Record{Topic: name, Timestamp: time.Now().Add(d)})
			k.is(err, samsa.ErrInvalidTimestamp)
		}
		k.has(nil, name)
	}},
	{"log-append-time", "With LogAppendTime a record has the time of its storing, in what is returned too.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{LogAppendTime: true})
		old := time.Now().Add(-24 * time.Hour)
		out := k.produce(samsa.Record{Topic: name, Timestamp: old})
		k.equal("is new", out[0].Timestamp.After(old.Add(time.Hour)), true)
		k.same("read", k.read(k.reader(name), 1), out)
	}},
	{"too-large", "A record beyond the topic's max.message.bytes is ErrRecordTooLarge, and one below it is stored.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{MaxMessageBytes: 10_000})
		_, err := k.Produce(k.ctx, samsa.Record{Topic: name, Value: noise(10_001)})
		k.is(err, samsa.ErrRecordTooLarge, samsa.ErrTooLarge)
		k.produce(samsa.Record{Topic: name, Value: noise(9_000)})
		k.equal("ends", k.offsets(name, samsa.Latest()), []int64{1})
	}},
	{"too-much", "More than 32 MiB in one call is ErrTxTooLarge, and nothing of it is stored.", func(k *kit) {
		name := k.topic(1)
		large := samsa.Record{Topic: name, Value: noise(1_000_000)}
		records := make([]samsa.Record, 40)
		for i := range records {
			records[i] = large
		}
		_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Compression: samsa.CompressionNone}, records...)
		k.is(err, samsa.ErrTxTooLarge, samsa.ErrTooLarge)
		k.has(nil, name)
	}},
	{"no-key", "A compacted topic takes no record without a key: ErrInvalidRecord.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
		_, err := k.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte("v")})
		k.is(err, samsa.ErrInvalidRecord)
		k.produce(samsa.Record{Topic: name, Key: []byte("k"), Value: []byte("v")})
		k.has([]string{"v"}, name)
	}},
	{"reuse", "The bytes of a record may be reused when Produce returns.", func(k *kit) {
		name := k.topic(1)
		b := []byte("first")
		k.produce(samsa.Record{Topic: name, Key: b, Value: b})
		copy(b, "xxxxx")
		k.has([]string{"first"}, name)
	}},
	{"compression", "Records come back from every codec, of a call or of the topic.", func(k *kit) {
		for _, codec := range codecs {
			called, configured := k.topic(1), k.topicWith(samsa.TopicConfig{Compression: codec})
			records := []samsa.Record{{Value: bytes.Repeat([]byte("samsa "), 5000)}, {Key: []byte("k"), Value: noise(20_000)}}
			for _, topic := range []string{called, configured} {
				for i := range records {
					records[i].Topic = topic
				}
				opts := samsa.ProduceOptions{Compression: codec}
				if topic == configured {
					opts.Compression = 0
				}
				out, err := k.ProduceWith(k.ctx, opts, records...)
				k.must(err)
				k.same(fmt.Sprint(codec), k.read(k.reader(topic), 2), out)
			}
		}
	}},
	{"synced", "ProduceWith takes AckSynced.", func(k *kit) {
		name := k.topic(1)
		_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Acks: samsa.AckSynced}, samsa.Record{Topic: name, Value: []byte("v")})
		k.must(err)
		k.has([]string{"v"}, name)
	}},
	{"same-key", "Records of one key go to one partition, from Produce, a Producer and Update alike.", func(k *kit) {
		name := k.topic(7)
		p := k.producer(samsa.ProducerOptions{})
		for i := range 10 {
			r := samsa.Record{Topic: name, Key: fmt.Append(nil, "key", i)}
			first := k.produce(r)[0].Partition
			out, err := p.ProduceSync(k.ctx, r)
			k.must(err)
			k.equal("partition", out[0].Partition, first)
			k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(r) }))
		}
		of := make(map[string]int32)
		for _, r := range k.read(k.reader(name), 30) {
			if p, found := of[string(r.Key)]; found {
				k.equal("partition", r.Partition, p)
			}
			of[string(r.Key)] = r.Partition
		}
	}},
	{"murmur2", "Murmur2Partitioner places keys where Kafka's Java clients do.", func(k *kit) {
		name := k.topic(1000)
		for key, hash := range map[string]int32{ // of UtilsTest.testMurmur2 of Apache Kafka
			"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107,
		} {
			out, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.Murmur2Partitioner()}, samsa.Record{Topic: name, Key: []byte(key)})
			k.must(err)
			k.equal(key, out[0].Partition, hash&0x7fffffff%1000)
		}
	}},
	{"partitioners", "A partitioner chooses: round robin in turn, by hand, by a function; beyond the last is ErrUnknownPartition.", func(k *kit) {
		name := k.topic(3)
		with := func(p samsa.Partitioner) (of []int32) {
			out, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: p},
				samsa.Record{Topic: name, Partition: 2}, samsa.Record{Topic: name, Partition: 1}, samsa.Record{Topic: name, Partition: 1})
			k.must(err)
			for _, r := range out {
				of = append(of, r.Partition)
			}
			return of
		}
		k.equal("by hand", with(samsa.ManualPartitioner()), []int32{2, 1, 1})
		k.equal("round robin", with(samsa.RoundRobinPartitioner()), []int32{0, 1, 2})
		k.equal("by a function", with(samsa.PartitionerFunc(func(_ *samsa.Record, n int) int { return n - 1 })), []int32{2, 2, 2})
		_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, samsa.Record{Topic: name, Partition: 3})
		k.is(err, samsa.ErrUnknownPartition)
	}},
	{"at-once", "Many may produce at once: each has its order, and nothing is lost or twice.", func(k *kit) {
		name := k.topic(1)
		const many, each = 8, 20
		for g := range many {
			k.goes(func() {
				for i := range each {
					k.write(name, fmt.Sprintf("%d-%02d", g, i))
				}
			})
		}
		k.group.Wait()
		k.inOrder(k.read(k.reader(name), many*each), many, each)
	}},
}

// inOrder checks that the values g-00, g-01, ... of each g came in their order.
func (k *kit) inOrder(got []samsa.Record, many, each int) {
	next := make(map[int]int)
	for _, r := range got {
		var g, i int
		if _, err := fmt.Sscanf(string(r.Value), "%d-%d", &g, &i); err != nil || i != next[g] {
			k.Fatalf("%q came, want number %d", r.Value, next[g])
		}
		next[g]++
	}
	for g := range many {
		k.equal("records of each", next[g], each)
	}
}
