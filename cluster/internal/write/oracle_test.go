package write_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/log"
)

// badLeader leads a partition as Kafka does (ProducerAppendInfo, ProducerStateEntry of 4.4), and has bad days: it answers with errors, its connections
// are cut before it stores or after it, and what was cut off may be stored later still.
type badLeader struct {
	t *testing.T

	mu        sync.Mutex // guards what follows
	rand      *rand.Rand
	bad       int // days that are still to come
	values    []string
	producers map[int64]*producerState
	late      []log.Batch // that were cut off, oldest first
	sent      int         // batches that came
	flights   int         // of them, whose numbers are not the first of their producer
}

// producerState is what a leader knows of a producer id.
type producerState struct {
	next int32
	last []storedBatch // five at most
}

type storedBatch struct {
	first, next int32
	offset      int64
}

// lead has a badLeader answer all that is produced to a cluster.
func lead(t *testing.T, c *kfake.Cluster, seed uint64, bad int) *badLeader {
	l := &badLeader{t: t, rand: rand.New(rand.NewPCG(seed, 0)), bad: bad, producers: make(map[int64]*producerState)}
	c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 {
			t.Error("not one partition")
		}
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.Partition = req.Topics[0].Partitions[0].Partition
		var cut bool
		rp.ErrorCode, rp.BaseOffset, cut = l.produce(req.Topics[0].Partitions[0].Records)
		if cut {
			return nil, errors.New("cut"), true
		}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	return l
}

// produce returns what it answers, if it is not cut off.
func (l *badLeader) produce(b log.Batch) (code int16, offset int64, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent++; b.BaseSequence() > 0 {
		l.flights++
	}
	if !b.CRCHolds() || b.ProducerID() < 0 {
		l.t.Error("a batch is damaged, or of nobody")
	}
	if len(l.late) > 0 && l.rand.IntN(3) == 0 {
		l.comeLate()
	}
	day := l.rand.IntN(20)
	if l.bad == 0 {
		day = 19
	} else {
		l.bad--
	}
	switch {
	case day < 3:
		l.store(b)
		return 0, 0, true
	case day < 5:
		return 0, 0, true
	case day < 7:
		l.late = append(l.late, slices.Clone(b))
		return 0, 0, true
	case day < 8:
		return kerr.NotLeaderForPartition.Code, -1, false
	case day < 9:
		return kerr.NotEnoughReplicas.Code, -1, false
	case day < 10:
		if code, offset = l.store(b); code == 0 {
			return kerr.RequestTimedOut.Code, -1, false
		}
		return code, offset, false
	case day < 11:
		return kerr.InvalidRecord.Code, -1, false
	case day < 12 && b.Records() > 1:
		return kerr.MessageTooLarge.Code, -1, false
	}
	code, offset = l.store(b)
	return code, offset, false
}

// comeLate stores the oldest batch that was cut off.
func (l *badLeader) comeLate() {
	b := l.late[0]
	l.late = l.late[1:]
	l.store(b)
}

// store stores a batch, if its numbers are the next ones of its producer, or that is not known.
func (l *badLeader) store(b log.Batch) (code int16, offset int64) {
	p := l.producers[b.ProducerID()]
	if p == nil {
		p = &producerState{next: b.BaseSequence()}
		l.producers[b.ProducerID()] = p
	}
	one := storedBatch{b.BaseSequence(), b.BaseSequence() + int32(b.Records()), int64(len(l.values))}
	for _, known := range p.last {
		if known.first == one.first && known.next == one.next {
			return 0, known.offset
		}
	}
	if one.first != p.next {
		return kerr.OutOfOrderSequenceNumber.Code, -1
	}
	p.next, p.last = one.next, append(p.last, one)
	p.last = p.last[max(0, len(p.last)-5):]
	records, err := b.AppendRecords(nil)
	if err != nil {
		l.t.Error(err)
		return kerr.CorruptMessage.Code, -1
	}
	for reader := log.NewRecordReader(b, records); ; {
		var r log.Record
		more, err := reader.Next(&r)
		if err != nil {
			l.t.Error(err)
		}
		if err != nil || !more {
			return 0, one.offset
		}
		l.values = append(l.values, string(r.Value))
	}
}

// fates are what somebody was told of records, by value.
type fates struct {
	mu      sync.Mutex
	offsets map[string]int64
	errs    map[string]error
}

func newFates() *fates {
	return &fates{offsets: make(map[string]int64), errs: make(map[string]error)}
}

func (f *fates) told(value string, offset int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.offsets[value] = offset
	} else {
		f.errs[value] = err
	}
}

// check compares what was told of n records with what is there, when all that was cut off has come. It returns the records that were acknowledged in
// the order in which they are there.
func (f *fates) check(t *testing.T, l *badLeader, n int) (acked []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.late) > 0 {
		l.comeLate()
	}
	if len(f.offsets)+len(f.errs) != n {
		t.Errorf("%d records are stored, %d are not, of %d", len(f.offsets), len(f.errs), n)
	}
	seen := make(map[string]bool)
	for i, value := range l.values {
		if seen[value] {
			t.Errorf("%s is there twice", value)
		}
		seen[value] = true
		offset, ok := f.offsets[value]
		switch err := f.errs[value]; {
		case ok && offset != int64(i):
			t.Errorf("%s is at %d, not at %d as was told", value, i, offset)
		case ok:
			acked = append(acked, value)
		case !errors.Is(err, samsa.ErrOutcomeUnknown):
			t.Errorf("%s is there: %v", value, err)
		}
	}
	if len(acked) != len(f.offsets) {
		t.Errorf("%d records are there, of %d that were acknowledged", len(acked), len(f.offsets))
	}
	return acked
}

// seeds calls a test with as many seeds as CHECKS says, or a few.
func seeds(t *testing.T, test func(t *testing.T, seed uint64)) {
	n := 8
	if c, err := strconv.Atoi(os.Getenv("CHECKS")); err == nil {
		n = c
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { test(t, seed) })
	}
}

// A producer has several batches on their way to a leader that has bad days. What it is told to be stored is, once, at that offset, and in order; what
// it is told not to be is not; promises are called in order.
func TestBadLeader(t *testing.T) {
	flights := 0
	seeds(t, func(t *testing.T, seed uint64) {
		const n = 200
		c, k, b, topic := toFake(t)
		l := lead(t, c, seed, 40)
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f, next := newFates(), 0
		for i := range n {
			p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: value(i)}, func(r samsa.Record, err error) {
				if string(r.Value) != string(value(next)) {
					t.Errorf("promise %d is of %s", next, r.Value)
				}
				next++
				f.told(string(r.Value), r.Offset, err)
			})
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if acked := f.check(t, l, n); !slices.IsSorted(acked) {
			t.Errorf("the order is %v", acked)
		}
		flights += l.flights
	})
	if flights == 0 {
		t.Error("nothing was ever under way together")
	}
}

// So do calls, many at once, of which some have their context end.
func TestBadLeaderOfCalls(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		const goroutines, each = 8, 25
		c, k, b, topic := toFake(t)
		l := lead(t, c, seed, 40)
		f := newFates()
		var wg sync.WaitGroup
		for g := range goroutines {
			when := rand.New(rand.NewPCG(seed, uint64(g)+1))
			wg.Go(func() {
				for i := range each {
					ctx, cancel := context.WithTimeout(k.Ctx, time.Duration(when.IntN(20_000))*time.Microsecond)
					v := value(g*each + i)
					stored, err := b.Produce(ctx, samsa.Record{Topic: topic, Value: v})
					cancel()
					if err != nil {
						f.told(string(v), -1, err)
					} else {
						f.told(string(v), stored[0].Offset, nil)
					}
				}
			})
		}
		wg.Wait()
		if err := b.Close(); err != nil { // what nobody waits for any more ends here
			t.Fatal(err)
		}
		f.check(t, l, goroutines*each)
	})
}

// value is a record's value, in order, so large that a batch has three of them at most.
func value(i int) []byte { return fmt.Appendf(make([]byte, 0, 64), "%060d", i) }

// toFake returns a broker on a cluster of one fake broker, and a topic of one partition that takes small batches.
func toFake(t *testing.T) (*kfake.Cluster, *kit.Kit, *samsa.Broker, string) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	k := kit.At(t, c.ListenAddrs())
	topic := k.Create("bad", 1)
	k.Configure(topic, "max.message.bytes", "300")
	return c, k, open(t, k, k.Name("id")), topic
}
