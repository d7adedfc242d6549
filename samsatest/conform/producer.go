package conform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// fates collects promises.
type fates struct {
	mu      sync.Mutex // guards what follows
	records []samsa.Record
	errs    []error
}

func (f *fates) promise(r samsa.Record, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, r)
	f.errs = append(f.errs, err)
}

// told returns what was promised so far.
func (f *fates) told() ([]samsa.Record, []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.records, f.errs
}

var producers = []promise{
	{"order", "Each promise is called once, those of a partition in the order of Produce, with rising offsets.", func(k *kit) {
		name := k.topic(3)
		p := k.producer(samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner(), BatchBytes: 100})
		var f fates
		for i := range 300 {
			p.Produce(k.ctx, samsa.Record{Topic: name, Partition: int32(i % 3), Value: fmt.Appendf(nil, "%d-%d", i%3, i/3)}, f.promise)
		}
		k.must(p.Flush(k.ctx))
		records, errs := f.told()
		k.must(errors.Join(errs...))
		k.inOrder(records, 3, 100)
		for _, r := range records {
			var g, i int64
			_, err := fmt.Sscanf(string(r.Value), "%d-%d", &g, &i)
			k.must(err)
			k.equal("offset", r.Offset, i)
		}
		k.inOrder(k.read(k.reader(name), 300), 3, 100)
	}},
	{"sync", "ProduceSync returns the records with offsets; when one is refused the others are stored, and the error is its.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{})
		out, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("a")}, samsa.Record{Topic: name, Value: []byte("b")})
		k.must(err)
		k.same("read", k.read(k.reader(name), 2), out)
		_, err = p.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("c")}, samsa.Record{Topic: name, Value: noise(2 << 20)})
		k.is(err, samsa.ErrRecordTooLarge)
		k.has([]string{"a", "b", "c"}, name)
	}},
	{"flush", "Flush cuts lingering short, and the fate of all before it is known when it returns.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
		var f fates
		for i := range 10 {
			p.Produce(k.ctx, samsa.Record{Topic: name, Value: fmt.Append(nil, i)}, f.promise)
		}
		k.must(p.Flush(k.ctx))
		records, errs := f.told()
		k.must(errors.Join(errs...))
		k.equal("promised", values(records), numbers(10))
		k.equal("buffered", p.Buffered(), 0)
		k.has(numbers(10), name)
	}},
	{"close", "Close sends what is buffered; then Produce is ErrClosed, and Close does nothing.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
		var f fates
		for i := range 10 {
			p.Produce(k.ctx, samsa.Record{Topic: name, Value: fmt.Append(nil, i)}, f.promise)
		}
		k.equal("is buffered", p.Buffered() > 0, true)
		k.closes(p)
		_, errs := f.told()
		k.equal("promises", len(errs), 10)
		k.must(errors.Join(errs...))
		p.Produce(k.ctx, samsa.Record{Topic: name}, f.promise)
		_, errs = f.told()
		k.is(errs[len(errs)-1], samsa.ErrClosed)
		_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name})
		k.is(err, samsa.ErrClosed)
		k.closes(p)
		k.must(p.Shutdown(k.ctx))
		k.has(numbers(10), name)
	}},
	{"broker-close", "Close of the broker sends what producers hold.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
		var f fates
		p.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte("v")}, f.promise)
		k.closes(k.Broker)
		_, errs := f.told()
		k.equal("promises", len(errs), 1)
		k.must(errors.Join(errs...))
		k.again()
	}},
	{"refused", "What cannot be taken gets its error from the promise at once.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{MaxMessageBytes: 1000})
		p := k.producer(samsa.ProducerOptions{Linger: time.Minute, Partitioner: samsa.ManualPartitioner()})
		for _, tt := range []struct {
			ctx  context.Context
			r    samsa.Record
			want error
		}{
			{k.ctx, samsa.Record{Topic: k.fresh("t")}, samsa.ErrUnknownTopic},
			{k.ctx, samsa.Record{Topic: name, Value: noise(2000)}, samsa.ErrRecordTooLarge},
			{k.ctx, samsa.Record{Topic: name, Partition: 1}, samsa.ErrUnknownPartition},
			{k.ctx, samsa.Record{Topic: name, Timestamp: time.Now().Add(48 * time.Hour)}, samsa.ErrInvalidTimestamp},
			{ended(), samsa.Record{Topic: name}, context.Canceled},
		} {
			var f fates
			p.Produce(tt.ctx, tt.r, f.promise)
			_, errs := f.told()
			k.equal("promises", len(errs), 1)
			k.is(errors.Join(errs...), tt.want)
		}
		k.has(nil, name)
	}},
	{"buffer", "Produce waits while the buffer is full, until there is room or its context ends.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{BufferedBytes: 2000, Linger: time.Minute})
		var f fates
		for i := range 20 { // 500 each: no more than 4 at once
			p.Produce(k.ctx, samsa.Record{Topic: name, Value: fmt.Appendf(nil, "0-%0400d", i)}, f.promise)
			k.equal("is bounded", p.Buffered() <= 2000, true)
		}
		k.closes(p)
		records, errs := f.told()
		k.must(errors.Join(errs...))
		k.inOrder(records, 1, 20)
	}},
	{"ack-none", "With AckNone the promise is called at once, with offset -1, and the record is stored when Close returns.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{Acks: samsa.AckNone, Linger: time.Minute})
		var f fates
		p.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte("v")}, f.promise)
		records, errs := f.told()
		k.must(errors.Join(errs...))
		if k.equal("promises", len(records), 1); len(records) == 1 {
			k.equal("offset", records[0].Offset, int64(-1))
		}
		k.closes(p)
		k.has([]string{"v"}, name)
	}},
	{"compression", "Records come back from every codec and with every acknowledgement.", func(k *kit) {
		name := k.topic(1)
		for i, codec := range codecs {
			p := k.producer(samsa.ProducerOptions{Compression: codec, Acks: samsa.Acks(i % 2)})
			_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: fmt.Append(nil, i)}, samsa.Record{Topic: name, Value: fmt.Append(nil, i)})
			k.must(err)
		}
		k.has([]string{"0", "0", "1", "1", "2", "2", "3", "3", "4", "4"}, name)
	}},
	{"options", "Options that cannot be are ErrInvalidOption.", func(k *kit) {
		for _, o := range []samsa.ProducerOptions{
			{Linger: -1}, {Linger: time.Hour}, {BatchBytes: -1}, {BufferedBytes: -1}, {Acks: 9}, {Compression: 99}, {Replay: true}, {ID: string(make([]byte, 600))},
		} {
			p, err := k.NewProducer(k.ctx, o)
			if k.is(err, samsa.ErrInvalidOption); err == nil {
				k.closes(p)
			}
		}
	}},
	{"callback", "What would wait for the promise that calls it is ErrInCallback.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{})
		var errs []error
		p.Produce(k.ctx, samsa.Record{Topic: name}, func(samsa.Record, error) {
			_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name})
			errs = []error{p.Flush(k.ctx), p.Close(), p.Shutdown(k.ctx), k.Close(), err}
		})
		k.must(p.Flush(k.ctx))
		for _, err := range errs {
			k.is(err, samsa.ErrInCallback)
		}
		k.equal("errors", len(errs), 5)
	}},
	{"at-once", "Many may use a producer at once, and each has its order within a partition.", func(k *kit) {
		name := k.topic(1)
		p := k.producer(samsa.ProducerOptions{BatchBytes: 200})
		const many, each = 8, 50
		for g := range many {
			k.goes(func() {
				for i := range each {
					p.Produce(k.ctx, samsa.Record{Topic: name, Value: fmt.Appendf(nil, "%d-%02d", g, i)}, nil)
				}
			})
		}
		k.group.Wait()
		k.must(p.Flush(k.ctx))
		k.inOrder(k.read(k.reader(name), many*each), many, each)
	}},
	{"stored", "Stored tells how many records the producers of an ID have stored in a partition.", func(k *kit) {
		name, id := k.topic(2), k.fresh("id")
		p := k.producer(samsa.ProducerOptions{ID: id, Partitioner: samsa.ManualPartitioner()})
		stored := func(p *samsa.Producer, want ...int64) {
			for i, n := range want {
				got, err := p.Stored(k.ctx, at(name, int32(i)))
				k.must(err)
				k.equal("stored", got, n)
			}
		}
		stored(p, 0, 0)
		_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name}, samsa.Record{Topic: name}, samsa.Record{Topic: name, Partition: 1})
		k.must(err)
		stored(p, 2, 1)
		k.closes(p)
		p = k.producer(samsa.ProducerOptions{ID: id, Partitioner: samsa.ManualPartitioner()})
		stored(p, 2, 1)
		_, err = p.ProduceSync(k.ctx, samsa.Record{Topic: name})
		k.must(err)
		stored(p, 3, 1)
		other := k.producer(samsa.ProducerOptions{ID: k.fresh("id")})
		stored(other, 0, 0)
		_, err = k.producer(samsa.ProducerOptions{}).Stored(k.ctx, at(name, 0))
		k.is(err, samsa.ErrInvalidOption)
	}},
	{"replay", "With Replay what is stored already is acknowledged with offset -1, and not stored again.", func(k *kit) {
		name, id := k.topic(3), k.fresh("id")
		load := func(n int) (offsets []int64) {
			p := k.producer(samsa.ProducerOptions{ID: id, Replay: true})
			for i := range n {
				out, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name, Key: fmt.Append(nil, i%4), Value: fmt.Append(nil, i)})
				k.must(err)
				offsets = append(offsets, min(out[0].Offset, 0))
			}
			k.closes(p)
			return offsets
		}
		k.equal("offsets, 0 for what was stored", load(3), []int64{0, 0, 0})
		k.equal("offsets, 0 for what was stored", load(6), []int64{-1, -1, -1, 0, 0, 0})
		k.equal("offsets, 0 for what was stored", load(6), []int64{-1, -1, -1, -1, -1, -1})
		k.equal("records", sorted(k.read(k.reader(name), 6)), numbers(6))
	}},
	{"replay-key", "With Replay a record whose partition would depend on chance is ErrInvalidRecord.", func(k *kit) {
		name := k.topic(2)
		p := k.producer(samsa.ProducerOptions{ID: k.fresh("id"), Replay: true})
		_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name})
		k.is(err, samsa.ErrInvalidRecord)
	}},
	{"fenced", "A newer producer of an ID fences the older: ErrProducerFenced, and nothing more of it is stored.", func(k *kit) {
		name, id := k.topic(1), k.fresh("id")
		old := k.producer(samsa.ProducerOptions{ID: id})
		_, err := old.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("old")})
		k.must(err)
		newer := k.producer(samsa.ProducerOptions{ID: id})
		for range 2 {
			_, err = old.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("fenced")})
			k.is(err, samsa.ErrProducerFenced, samsa.ErrFenced)
		}
		_, err = newer.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("new")})
		k.must(err)
		k.has([]string{"old", "new"}, name)
	}},
}
