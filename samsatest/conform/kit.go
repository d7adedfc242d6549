package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// kit is a broker on trial and the steps that promises are made of. A step that fails ends the promise.
type kit struct {
	*samsa.Broker
	failures
	ctx   context.Context // ends when the promise takes too long
	place *Place
	name  string // prefix of all names
	named int
	left  []func() // what undoes what was done, the last first

	group   sync.WaitGroup // of goes
	waiting sync.Mutex     // guards what a wait is about, and changed
	changed chan struct{}  // closed with the next change
}

// try has keep try a promise and returns how it is broken. A failure in what comes before and behind counts.
func try(t *testing.T, p *Place, run, name string, keep func(k *kit)) []failure {
	ctx, cancel := context.WithTimeout(t.Context(), p.patience())
	defer cancel()
	k := &kit{ctx: ctx, place: p, name: run + "-" + strings.ReplaceAll(name, "/", "-"), changed: make(chan struct{})}
	done := make(chan struct{})
	go func() { // of its own, which Fatalf ends without t
		defer close(done)
		defer k.cleanUp(t)
		defer func() {
			if p := recover(); p != nil {
				k.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		k.Broker = k.open(Options{Data: k.name})
		keep(k)
	}()
	<-done
	return k.all
}

func (p *Place) patience() time.Duration { return cmp.Or(p.Patience, time.Minute) }

// cleanUp closes what was opened and removes what was made, though the promise took too long.
func (k *kit) cleanUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), k.place.patience())
	defer cancel()
	k.ctx = ctx
	for _, undo := range slices.Backward(k.left) {
		done := make(chan struct{})
		go func() { // of its own: if Fatalf ends it the others come all the same
			defer close(done)
			undo()
		}()
		<-done
	}
	k.group.Wait()
}

// atEnd has undo called when the promise was tried.
func (k *kit) atEnd(undo func()) { k.left = append(k.left, undo) }

// open opens a broker that is closed with the promise, if not before.
func (k *kit) open(o Options) *samsa.Broker {
	b, err := k.place.Open(k.ctx, o)
	k.must(err)
	k.atEnd(func() { k.closes(b) })
	return b
}

// again opens the broker's data once more, when it is closed.
func (k *kit) again() { k.Broker = k.open(Options{Data: k.name}) }

// closes closes a broker, consumer, queue or producer. Once more does no harm.
func (k *kit) closes(c interface{ Close() error }) { k.must(c.Close()) }

// goes runs fn in a goroutine that the end waits for.
func (k *kit) goes(fn func()) { k.group.Go(fn) }

// must ends the promise at an error.
func (k *kit) must(err error) {
	if err != nil {
		k.Fatalf("%v", err)
	}
}

// is fails unless err is each of want.
func (k *kit) is(err error, want ...error) {
	for _, w := range want {
		if !errors.Is(err, w) {
			k.Errorf("got the error %v, want %v", err, w)
		}
	}
}

// equal compares two values as they are printed and as they are.
func (k *kit) equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		k.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// fresh returns a name that nobody else has.
func (k *kit) fresh(what string) string {
	k.named++
	return fmt.Sprintf("%s-%s%d", k.name, what, k.named)
}

// topic creates a topic, which is deleted in the end.
func (k *kit) topic(partitions int) string {
	return k.topicWith(samsa.TopicConfig{Partitions: partitions})
}

func (k *kit) topicWith(c samsa.TopicConfig) string {
	name := k.freshTopic()
	k.must(k.Topics().Create(k.ctx, name, c))
	return name
}

// freshTopic returns the name of a topic that is not there, and is deleted in the end if it is then.
func (k *kit) freshTopic() string {
	name := k.fresh("t")
	k.atEnd(func() {
		if err := k.Topics().Delete(k.ctx, name); !errors.Is(err, samsa.ErrUnknownTopic) && !errors.Is(err, samsa.ErrClosed) {
			k.must(err)
		}
	})
	return name
}

// freshGroup returns the name of a group that is not there. When its consumers are closed it is deleted.
func (k *kit) freshGroup() string {
	name := k.fresh("g")
	k.atEnd(func() {
		if err := k.Groups().Delete(k.ctx, name); !errors.Is(err, samsa.ErrUnknownGroup) && !errors.Is(err, samsa.ErrClosed) {
			k.must(err)
		}
	})
	return name
}

// write produces each value to the topic by a call of its own, and returns the records.
func (k *kit) write(topic string, values ...string) []samsa.Record {
	return k.put(topic, -1, values...)
}

// put is write to one partition.
func (k *kit) put(topic string, partition int32, values ...string) []samsa.Record {
	opts := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
	if partition < 0 {
		opts.Partitioner, partition = nil, 0
	}
	var all []samsa.Record
	for _, v := range values {
		out, err := k.ProduceWith(k.ctx, opts, samsa.Record{Topic: topic, Partition: partition, Value: []byte(v)})
		k.must(err)
		all = append(all, out...)
	}
	return all
}

// stamped produces a record to partition 0 for each time.
func (k *kit) stamped(topic string, times ...time.Time) {
	for i, t := range times {
		_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()},
			samsa.Record{Topic: topic, Timestamp: t, Value: fmt.Append(nil, i)})
		k.must(err)
	}
}

func (k *kit) produce(records ...samsa.Record) []samsa.Record {
	out, err := k.Produce(k.ctx, records...)
	k.must(err)
	return out
}

func (k *kit) producer(opts samsa.ProducerOptions) *samsa.Producer {
	p, err := k.NewProducer(k.ctx, opts)
	k.must(err)
	k.atEnd(func() { k.closes(p) })
	return p
}

func (k *kit) consumer(opts samsa.ConsumerOptions) *samsa.Consumer {
	c, err := k.NewConsumer(k.ctx, opts)
	k.must(err)
	k.atEnd(func() { k.closes(c) })
	return c
}

// reader is a consumer of topics, from their first records.
func (k *kit) reader(topics ...string) *samsa.Consumer {
	return k.consumer(samsa.ConsumerOptions{Topics: topics})
}

// read polls until n records came.
func (k *kit) read(c *samsa.Consumer, n int) []samsa.Record {
	var records []samsa.Record
	for len(records) < n {
		more, err := c.Poll(k.ctx)
		k.must(err)
		records = append(records, more...)
	}
	if len(records) > n {
		k.Fatalf("%d records came, want %d: %q", len(records), n, values(records))
	}
	return records
}

// reads polls until as many records came as are wanted, and compares their values in the order that they have.
func (k *kit) reads(c *samsa.Consumer, want ...string) []samsa.Record {
	got := k.read(c, len(want))
	k.equal("read", values(got), want)
	return got
}

// has compares the values that are in topics now, partition by partition.
func (k *kit) has(want []string, topics ...string) []samsa.Record {
	c := k.reader(topics...)
	defer k.closes(c)
	var got []samsa.Record
	for r, err := range c.RecordsUntil(k.ctx) {
		k.must(err)
		got = append(got, r)
	}
	slices.SortStableFunc(got, func(a, b samsa.Record) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	if len(got) > 0 || len(want) > 0 {
		k.equal("stored", values(got), want)
	}
	return got
}

// offsets returns where a start is in each partition.
func (k *kit) offsets(topic string, at samsa.Start) []int64 {
	all, err := k.ListOffsets(k.ctx, topic, at)
	k.must(err)
	var offsets []int64
	for i, o := range all {
		k.equal("partition", o.Partition, int32(i))
		offsets = append(offsets, o.Offset)
	}
	return offsets
}

// wait sleeps until what cond looks at, under the lock of change, is so.
func (k *kit) wait(what string, cond func() bool) {
	for {
		k.waiting.Lock()
		is, changed := cond(), k.changed
		k.waiting.Unlock()
		if is {
			return
		}
		select {
		case <-changed:
		case <-k.ctx.Done():
			k.Fatalf("waited in vain for %s", what)
		}
	}
}

// change does what a wait may be for.
func (k *kit) change(fn func()) {
	k.waiting.Lock()
	defer k.waiting.Unlock()
	fn()
	close(k.changed)
	k.changed = make(chan struct{})
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func values(records []samsa.Record) []string {
	s := make([]string, len(records))
	for i, r := range records {
		s[i] = string(r.Value)
	}
	return s
}

// sorted returns the values in their order.
func sorted(records []samsa.Record) []string { return slices.Sorted(slices.Values(values(records))) }

// numbers returns "0" to n-1, in the order of their values as texts when n is at most 10.
func numbers(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprint(i)
	}
	return s
}

func at(topic string, partition int32) samsa.TopicPartition {
	return samsa.TopicPartition{Topic: topic, Partition: partition}
}
