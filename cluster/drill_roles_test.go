package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa"
)

// What the roles of a drill have that use names, keys and a queue.
const (
	drillNamed, drillCounts, drillMails = "named", "counts", "mails"
	drillKeys, drillID, drillWorkers    = "prices", "drill-producer", "workers"

	runsAnew = 50 // steps, after which the producer with an ID begins anew
	ofStep   = 20 // records
)

var byHand = samsa.ManualPartitioner()

// produceNamed stores numbers from 0 on, with a producer of an ID that is closed and begins again from the first number now and then: what is stored
// is not stored again.
func (d *drill) produceNamed(step *atomic.Int64) {
	for end := runsAnew * ofStep; d.on[0].Err() == nil; end += runsAnew * ofStep {
		var p *samsa.Producer
		err := d.call("a producer of an ID", func(ctx context.Context) (err error) {
			p, err = d.b.NewProducer(ctx, samsa.ProducerOptions{ID: drillID, Replay: true, Partitioner: byHand})
			return err
		})
		for n := 0; err == nil && n < end && d.on[0].Err() == nil; {
			err = d.call("a producer of an ID", func(ctx context.Context) error {
				var mu sync.Mutex
				var errs []error
				for range ofStep {
					p.Produce(ctx, samsa.Record{Topic: drillNamed, Partition: int32(n % drillPartitions), Value: strconv.AppendInt(nil, int64(n), 10)}, func(_ samsa.Record, err error) {
						mu.Lock()
						defer mu.Unlock()
						errs = append(errs, err)
					})
					n++
				}
				err := p.Flush(ctx)
				mu.Lock()
				defer mu.Unlock()
				return errors.Join(append(errs, err)...)
			})
			if err == nil {
				step.Add(1)
			}
		}
		if p != nil {
			_ = d.call("close a producer of an ID", p.Shutdown)
		}
	}
}

// finishNamed looks whether each number is there once, in order.
func (d *drill) finishNamed() {
	d.t.Helper()
	for i, of := range d.readAll(drillNamed) {
		for k, r := range of[:len(of)-1] {
			if want := fmt.Sprint(i + k*drillPartitions); string(r.Value) != want {
				d.t.Fatalf("partition %d of %s has %s at %d, want %s", i, drillNamed, r.Value, k, want)
			}
		}
	}
}

// count counts in a key of each partition, and stores each count.
func (d *drill) count(step *atomic.Int64) {
	for i := 0; d.on[0].Err() == nil; i = (i + 1) % drillPartitions {
		err := d.call("count", func(ctx context.Context) error {
			return d.b.Update(ctx, func(tx *samsa.Tx) error {
				n, err := counted(&tx.ReadTx, i)
				if err != nil {
					return err
				}
				v := strconv.AppendInt(nil, int64(n+1), 10)
				return errors.Join(tx.Set(countKey(i), v), tx.ProduceWith(samsa.ProduceOptions{Partitioner: byHand}, samsa.Record{Topic: drillCounts, Partition: int32(i), Value: v}))
			})
		})
		if err == nil {
			step.Add(1)
		}
	}
}

func countKey(i int) []byte { return fmt.Append(nil, "count/", i) }

func counted(tx *samsa.ReadTx, i int) (int, error) {
	v, err := tx.Get(countKey(i))
	if errors.Is(err, samsa.ErrKeyNotFound) {
		return 0, nil
	}
	n, _ := strconv.Atoi(string(v))
	return n, err
}

// finishCounts looks whether each count is there once, in order, and the key has the last.
func (d *drill) finishCounts() {
	d.t.Helper()
	all := d.readAll(drillCounts)
	for i, of := range all {
		for k, r := range of[:len(of)-1] {
			if want := fmt.Sprint(k + 1); string(r.Value) != want {
				d.t.Fatalf("count %d of partition %d is %s", k+1, i, r.Value)
			}
		}
	}
	err := d.call("view", func(ctx context.Context) error {
		return d.b.View(ctx, func(tx *samsa.ReadTx) error {
			for i, of := range all {
				if n, err := counted(tx, i); err != nil || n != len(of)-1 {
					return fmt.Errorf("key %d has %d, want %d: %w", i, n, len(of)-1, err)
				}
			}
			return nil
		})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// send sends mails.
func (d *drill) send() {
	for n := 0; d.on[0].Err() == nil; n++ {
		mail := fmt.Sprint("mail ", n)
		_ = d.call("mail", func(ctx context.Context) error {
			_, err := d.b.Produce(ctx, samsa.Record{Topic: drillMails, Key: []byte(mail), Value: []byte(mail)})
			if err == nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				if !d.mails[mail] { // it may be worked by now
					d.mails[mail] = false
				}
			}
			return err
		})
	}
}

// work works mails.
func (d *drill) work(step *atomic.Int64) {
	var q *samsa.Queue
	err := d.call("a queue", func(ctx context.Context) (err error) {
		q, err = d.b.NewQueue(ctx, samsa.QueueOptions{Group: drillWorkers, Topics: []string{drillMails}, MaxDeliveries: 10, Retry: samsa.Retry{Min: samsa.NoWait}})
		return err
	})
	for err == nil && d.on[1].Err() == nil {
		err := q.Work(d.on[1], 4, func(_ context.Context, delivery samsa.Delivery) error {
			step.Add(1)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.mails[string(delivery.Record.Value)] = true
			return nil
		})
		if d.on[1].Err() == nil {
			_ = d.call("work", func(context.Context) error { return err })
		}
	}
	if q != nil {
		_ = d.call("close a queue", func(context.Context) error { return q.Close() })
	}
}

// finishMails returns when all mails are worked.
func (d *drill) finishMails() {
	d.t.Helper()
	d.until("all mails are worked", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, worked := range d.mails {
			if !worked {
				return false
			}
		}
		return true
	})
}

// restsWith is what a broker may have at rest, that has held a multiple of it.
const restsWith = 64 << 20

// rest looks what memory the broker has, once the drill has forgotten what it was promised.
func (d *drill) rest() {
	d.t.Helper()
	d.acked, d.never, d.read, d.mails = nil, nil, nil, nil
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d.t.Logf("%d KiB of heap in use, %d goroutines", m.HeapInuse>>10, runtime.NumGoroutine())
	if m.HeapAlloc > restsWith {
		d.t.Errorf("%d bytes of heap are held at rest", m.HeapAlloc)
	}
}
