package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func newProducer(t *testing.T, b *samsa.Broker, opts samsa.ProducerOptions) *samsa.Producer {
	t.Helper()
	p, err := b.NewProducer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func newConsumer(t *testing.T, b *samsa.Broker, opts samsa.ConsumerOptions) *samsa.Consumer {
	t.Helper()
	c, err := b.NewConsumer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// outcomes keeps what promises tell, those that were stored as "value@offset".
type outcomes struct {
	mu   sync.Mutex // guards told
	told []string
	errs []error
}

func (o *outcomes) promise(r samsa.Record, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.errs = append(o.errs, err)
		return
	}
	o.told = append(o.told, fmt.Sprintf("%s@%d", r.Value, r.Offset))
}

func (o *outcomes) stored() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

func (o *outcomes) failed() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.errs)
}

// The program does not learn what became of some of its records, and begins again: with the
// same producer's name, nothing is stored twice, and nothing is left out.
func TestReplayAfterALostAnswer(t *testing.T) {
	work := []string{"a=0", "d=1", "e=2", "a=3", "d=4", "e=5", "a=6", "d=7"} // over both partitions
	prepared := samsatest.New(t, samsatest.Topic("t", 2))
	for name, disturb := range map[string]func(b *samsa.Broker) *samsatest.Fault{
		"the first answer is lost": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, "t").Stored().Next(1).Fail()
		},
		"the answers of one partition are lost": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, "t", 1).Stored().Fail()
		},
		"the first append is refused": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, "t").Next(1).Fail()
		},
		"the disk is full": samsatest.FillDisk,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := samsatest.Fork(t, prepared)
			samsatest.Trace(t, b)
			fault := disturb(b)
			run := func() []error {
				p := newProducer(t, b, samsa.ProducerOptions{ID: "import", Replay: true, BatchBytes: 1})
				var got outcomes
				for _, text := range work {
					p.Produce(t.Context(), samsatest.Record("t", text), got.promise)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				return got.failed()
			}
			errs := run()
			if len(errs) == 0 || fault.Hits() == 0 {
				t.Fatalf("nothing failed; the fault has hit %d times: the test tests nothing", fault.Hits())
			}
			fault.Remove()
			if errs := run(); errs != nil {
				t.Errorf("the second run: %v", errs)
			}
			samsatest.SameRecords(t, b, "t", work)
		})
	}
}

// While an append is held, what a producer takes waits behind it, to be told in order.
func TestProducerKeepsOrderBehindAHeldAppend(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("other", 1))
	held := samsatest.Appends(b, "t").Next(1).Hold()
	p := newProducer(t, b, samsa.ProducerOptions{BatchBytes: 1}) // a batch each
	var got outcomes
	var want, values []string
	for i := range 20 {
		p.Produce(t.Context(), samsatest.Record("t", fmt.Sprint(i)), got.promise)
		want, values = append(want, fmt.Sprintf("%d@%d", i, i)), append(values, fmt.Sprint(i))
	}
	held.Wait(t)
	samsatest.Produce(t, b, "other", "goes meanwhile")
	samsatest.Equal(t, b, "t", nil)
	if told := got.stored(); told != nil {
		t.Errorf("told of %q, and nothing is stored", told)
	}
	held.Remove()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told := got.stored(); !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	samsatest.Equal(t, b, "t", values)
}

// A fetch that fails is an error of one Poll. The consumer stands where it stood.
func TestConsumerGoesOnAfterAFailedFetch(t *testing.T) {
	prepared := samsatest.New(t, samsatest.Topic("t", 2))
	for _, text := range []string{"a=0", "d=1", "c=2", "e=3", "f=4", "g=5"} {
		samsatest.Produce(t, prepared, "t", text) // a batch each
	}
	want := samsatest.Texts(samsatest.Drain(t, prepared, "t"))
	for name, opts := range map[string]samsa.ConsumerOptions{
		"alone":      {Topics: []string{"t"}},
		"in a group": {Topics: []string{"t"}, Group: "g"},
		"one a poll": {Topics: []string{"t"}, MaxPollRecords: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := samsatest.Fork(t, prepared)
			fault := samsatest.Fetches(b, "t").Next(3).Fail()
			c := newConsumer(t, b, opts)
			var read []samsa.Record
			failed := 0
			for len(read) < len(want) {
				records, err := c.Poll(t.Context())
				if err != nil {
					if failed++; !errors.Is(err, samsa.ErrUnavailable) {
						t.Fatal(err)
					}
				}
				read = append(read, records...)
			}
			slices.SortStableFunc(read, func(a, b samsa.Record) int { return int(a.Partition - b.Partition) })
			if got := samsatest.Texts(read); !slices.Equal(got, want) {
				t.Errorf("read %q, want %q", got, want)
			}
			if failed == 0 || fault.Hits() != 3 {
				t.Errorf("%d polls failed, the fault has hit %d times, want some and 3", failed, fault.Hits())
			}
		})
	}
}

// A transaction is on its way to the store when its consumer loses the partition to another
// one. TestZombieTx has those that begin too late.
func TestHeldTransactionIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("in", 1), samsatest.Topic("out", 1))
		samsatest.Produce(t, b, "in", "7=tea")
		step := func(c *samsa.Consumer) error {
			in, err := c.Poll(t.Context())
			if err != nil {
				return err
			}
			return b.Update(t.Context(), func(tx *samsa.Tx) error {
				return errors.Join(tx.CommitRecords(c, in...), tx.Produce(samsatest.Record("out", samsatest.Text(in[0]))))
			})
		}
		member := func(name string) *samsa.Consumer {
			return newConsumer(t, b, samsa.ConsumerOptions{
				Group: "g", Topics: []string{"in"}, ClientID: name, Member: samsa.MemberOptions{ManualCommit: true},
			})
		}
		held := samsatest.Appends(b, "out").Next(1).Hold()
		late := member("late")
		outcome := make(chan error, 1)
		go func() { outcome <- step(late) }()
		held.Wait(t)
		samsatest.Expire(t, b, "g", "late")
		if err := step(member("heir")); err != nil {
			t.Errorf("the heir: %v", err)
		}
		held.Remove()
		if err := <-outcome; !errors.Is(err, samsa.ErrUnknownMember) && !errors.Is(err, samsa.ErrIllegalGeneration) {
			t.Errorf("the late one: %v", err)
		}
		samsatest.Equal(t, b, "out", []string{"7=tea"})
		samsatest.WaitCommitted(t, b, "g", "in", 1)
	})
}

// What does not fit into the buffer of a producer waits until something is stored, or its
// context ends.
func TestProducerBlocksWhenTheBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		held := samsatest.Appends(b, "t").Hold() // nothing is stored meanwhile
		p := newProducer(t, b, samsa.ProducerOptions{BufferedBytes: 1000})
		send := func(ctx context.Context, size int, promise func(samsa.Record, error)) {
			p.Produce(ctx, samsa.Record{Topic: "t", Value: make([]byte, size)}, promise)
		}
		want := []int{200, 300}
		for p.Buffered() < 850 {
			send(t.Context(), 90, nil)
			want = append(want, 90)
		}
		full := p.Buffered()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var refused, late outcomes
		send(ctx, 200, refused.promise)
		if errs := refused.failed(); len(errs) != 1 || !errors.Is(errs[0], context.DeadlineExceeded) || p.Buffered() != full {
			t.Fatalf("a full buffer gave %v and went from %d to %d bytes", errs, full, p.Buffered())
		}
		var wg sync.WaitGroup
		wg.Go(func() { send(t.Context(), 200, late.promise) })
		wg.Go(func() { send(t.Context(), 300, late.promise) })
		synctest.Wait()
		if p.Buffered() != full || len(late.stored()) != 0 {
			t.Fatalf("%d bytes are buffered, told of %q while nothing is stored", p.Buffered(), late.stored())
		}
		held.Remove()
		wg.Wait()
		synctest.Wait()
		if len(late.stored()) != 2 || len(late.failed()) != 0 || p.Buffered() != 0 {
			t.Fatalf("%d were stored, %v; %d bytes are buffered", len(late.stored()), late.failed(), p.Buffered())
		}
		var sizes []int
		for _, r := range samsatest.Drain(t, b, "t") {
			sizes = append(sizes, len(r.Value))
		}
		slices.Sort(sizes)
		if slices.Sort(want); !slices.Equal(sizes, want) {
			t.Errorf("stored values have sizes %v, want %v", sizes, want)
		}
	})
}
