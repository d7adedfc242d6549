package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// rounds is how often a drill does harm: as often as KILLS says, or a few times (docs/drills.md).
func rounds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		return n
	}
	return few
}

// A broker of three is killed again and again, each in turn, while a program uses the cluster in all ways: see drill. It is killed when the program
// goes on, as often as KILLS says, or for as long as DRILL says every ten seconds, whatever the program does. Nothing that was acknowledged is lost,
// the order of each partition holds, nothing is there twice but mails that are worked again, and all calls end.
func TestBrokersAreKilled(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Nodes: 3})
	d := newDrill(t, c)
	kills := 0
	if lasts, err := time.ParseDuration(os.Getenv("DRILL")); err == nil {
		kills = d.killByTheClock(c, lasts)
	} else {
		for n := rounds(3); kills < n; kills++ {
			id := kills%3 + 1
			c.Kill(id)
			d.goesOn() // with two
			d.restart(c, id)
			d.goesOn()
		}
	}
	d.finish()
	t.Logf("%d kills", kills)
}

// killByTheClock kills a broker every ten seconds, once the last one is there again.
func (d *drill) killByTheClock(c *kafkatest.Cluster, lasts time.Duration) (kills int) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); kills++ {
		id := kills%3 + 1
		c.Kill(id)
		d.restart(c, id)
		d.t.Logf("killed %d times: steps of each role %v, %d calls have failed", kills+1, d.done(), d.failed.Load())
		<-tick.C
	}
	return kills
}

func (d *drill) restart(c *kafkatest.Cluster, id int) {
	d.t.Helper()
	if err := c.Restart(id); err != nil {
		d.t.Fatal(err)
	}
	if err := c.Ready(d.ctx); err != nil {
		d.t.Fatal(err)
	}
}

// The same while two of three brokers do not reach each other, in turn, and while this process does not reach one. A transaction whose
// coordinator does not reach the leader of one of its partitions ends once it does, and who reads what is committed waits for it.
func TestNetworkIsCut(t *testing.T) {
	kafkatest.NeedNetworks(t)
	c := kafkatest.New(t, kafkatest.Options{Nodes: 3, Networks: true, Configs: map[string]string{"replica.lag.time.max.ms": "3000"}})
	d := newDrill(t, c)
	pairs := [][2]int{{1, 2}, {0, 3}, {2, 3}, {0, 1}, {3, 1}, {0, 2}}
	cuts := 0
	for n := rounds(2); cuts < n; cuts++ {
		pair := pairs[cuts%len(pairs)]
		if err := c.Cut(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
		if pair[0] > 0 {
			d.goesOn(byProducer)
		} else {
			d.fails() // what that one leads
		}
		if err := c.Heal(); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(d.ctx); err != nil {
			t.Fatal(err)
		}
		d.goesOn()
	}
	d.finish()
	t.Logf("%d cuts", cuts)
}

// drill is a program that uses a cluster in all ways, and notes what it was promised.
type drill struct {
	t      *testing.T
	ctx    context.Context // of all
	b      *samsa.Broker
	makers sync.WaitGroup        // who produce
	users  sync.WaitGroup        // the others
	stop   [2]context.CancelFunc // of both
	on     [2]context.Context

	steps  [allRoles]atomic.Int64
	failed atomic.Int64 // calls, whose records may be there or not

	mu    sync.Mutex
	acked map[string]samsa.Record // by value
	never map[string]error        // records that are not stored, and why
	read  map[string]bool         // by value, by the group
	mails map[string]bool         // that were sent, and whether they were worked
}

// The roles.
const (
	byCalls = iota
	byProducer
	byName // a producer with an ID, which begins anew now and then
	copies
	reads
	counts // in keys
	works  // mails of a queue
	allRoles
)

const (
	drillOrders, drillCopies  = "orders", "copies"
	drillReaders, drillCopier = "readers", "copiers"

	drillPartitions = 6
	callTimeout     = 20 * time.Second
	drillPatience   = 3 * time.Minute // with a call, or with the program
)

func newDrill(t *testing.T, c *kafkatest.Cluster) *drill {
	t.Helper()
	d := &drill{t: t, ctx: t.Context(), acked: make(map[string]samsa.Record), never: make(map[string]error), read: make(map[string]bool), mails: make(map[string]bool)}
	var err error
	if d.b, err = cluster.Open(d.ctx, cluster.Options{Seeds: c.Seeds(), Name: "drill", Keys: drillKeys, KeysDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.stop[0]()
		d.stop[1]()
		d.makers.Wait()
		d.users.Wait()
		if err := d.b.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range d.stop {
		d.on[i], d.stop[i] = context.WithCancel(context.WithoutCancel(d.ctx))
	}
	for _, topic := range []string{drillOrders, drillCopies, drillNamed, drillCounts, drillMails} {
		if err := d.b.Topics().Create(d.ctx, topic, samsa.TopicConfig{Partitions: drillPartitions}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 { // of several brokers one coordinates it
		if _, err := d.b.Groups().Describe(d.ctx, fmt.Sprint("nobody", i)); !errors.Is(err, samsa.ErrUnknownGroup) {
			t.Errorf("a group that is not there: %v", err)
		}
	}
	d.makers.Go(func() { d.produce(&d.steps[byCalls]) })
	d.makers.Go(func() { d.produceMuch(&d.steps[byProducer]) })
	d.makers.Go(func() { d.produceNamed(&d.steps[byName]) })
	d.makers.Go(func() { d.send() })
	for range 3 {
		d.makers.Go(func() { d.count(&d.steps[counts]) })
	}
	d.users.Go(func() { d.copy(&d.steps[copies]) })
	for range 2 {
		d.users.Go(func() { d.readers(&d.steps[reads]) })
		d.users.Go(func() { d.work(&d.steps[works]) })
	}
	d.goesOn()
	return d
}

// call does a call, which has to end when its context does.
func (d *drill) call(what string, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), callTimeout)
	defer cancel()
	watch := time.AfterFunc(drillPatience, func() { panic(what + " does not end with its context") })
	defer watch.Stop()
	err := do(ctx)
	if err == nil {
		return nil
	}
	d.failed.Add(1)
	d.t.Logf("%s: %v", what, err)
	if !errors.Is(err, samsa.ErrUnavailable) && !errors.Is(err, samsa.ErrOutcomeUnknown) && !errors.Is(err, context.DeadlineExceeded) && !samsa.Retriable(err) {
		d.t.Errorf("%s: %v", what, err)
	}
	return err
}

func (d *drill) ack(records ...samsa.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range records {
		d.acked[string(r.Value)] = r
	}
}

// orderOf is the n-th record of somebody.
func orderOf(who string, n int) samsa.Record {
	return samsa.Record{Topic: drillOrders, Key: fmt.Append(nil, n%17), Value: fmt.Appendf(nil, "%s/%d", who, n)}
}

// produce stores records by calls, one or several.
func (d *drill) produce(step *atomic.Int64) {
	for n := 0; d.on[0].Err() == nil; {
		var records []samsa.Record
		for range 1 + 2*(n%2) {
			records = append(records, orderOf("calls", n))
			n++
		}
		err := d.call("produce", func(ctx context.Context) error {
			stored, err := d.b.Produce(ctx, records...)
			switch {
			case err == nil:
				d.ack(stored...)
			case !errors.Is(err, samsa.ErrOutcomeUnknown):
				d.mu.Lock()
				defer d.mu.Unlock()
				for _, r := range records {
					d.never[string(r.Value)] = err
				}
			}
			return err
		})
		if err == nil {
			step.Add(1)
		}
	}
}

// produceMuch stores records with a Producer.
func (d *drill) produceMuch(step *atomic.Int64) {
	p, err := d.b.NewProducer(context.WithoutCancel(d.ctx), samsa.ProducerOptions{})
	if err != nil {
		d.t.Error(err)
		return
	}
	defer func() { _ = d.call("close a producer", p.Shutdown) }()
	for n := 0; d.on[0].Err() == nil; {
		err := d.call("producer", func(ctx context.Context) error {
			var mu sync.Mutex
			var errs []error
			for range 50 {
				p.Produce(ctx, orderOf("producer", n), func(r samsa.Record, err error) {
					if err == nil {
						d.ack(r)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				})
				n++
			}
			err := p.Flush(ctx)
			mu.Lock()
			defer mu.Unlock()
			if len(errs) > 0 {
				return errs[0]
			}
			return err
		})
		if err == nil {
			step.Add(1)
		}
	}
}

// copy copies each record once. What has failed is begun anew from what is committed.
func (d *drill) copy(step *atomic.Int64) {
	for d.on[1].Err() == nil {
		var c *samsa.Consumer
		err := d.call("copy: new consumer", func(ctx context.Context) (err error) {
			c, err = d.b.NewConsumer(ctx, samsa.ConsumerOptions{
				Group: drillCopier, Topics: []string{drillOrders}, MaxPollRecords: 2000, Member: samsa.MemberOptions{ManualCommit: true},
			})
			return err
		})
		for err == nil && d.on[1].Err() == nil {
			var in []samsa.Record
			if in, err = c.Poll(d.on[1]); err != nil {
				break
			}
			if err = d.call("update", func(ctx context.Context) error { return d.copyOnce(ctx, c, in) }); err == nil {
				step.Add(1)
			}
		}
		if c != nil {
			_ = d.call("copy: close", c.Shutdown)
		}
	}
}

func (d *drill) copyOnce(ctx context.Context, c *samsa.Consumer, in []samsa.Record) error {
	return d.b.Update(ctx, func(tx *samsa.Tx) error {
		for _, r := range in {
			r.Topic = drillCopies
			if err := tx.ProduceWith(samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, r); err != nil {
				return err
			}
		}
		return tx.CommitRecords(c, in...)
	})
}

// readers is a member of a group that reads all.
func (d *drill) readers(step *atomic.Int64) {
	c, err := d.b.NewConsumer(context.WithoutCancel(d.ctx), samsa.ConsumerOptions{Group: drillReaders, Topics: []string{drillOrders}})
	if err != nil {
		d.t.Error(err)
		return
	}
	defer func() { _ = d.call("close a consumer", c.Shutdown) }()
	for d.on[1].Err() == nil {
		in, err := c.Poll(d.on[1])
		if err != nil {
			if d.on[1].Err() == nil {
				_ = d.call("poll", func(context.Context) error { return err })
			}
			continue
		}
		step.Add(1)
		d.mu.Lock()
		for _, r := range in {
			d.read[string(r.Value)] = true
		}
		d.mu.Unlock()
	}
}

// goesOn returns when roles, or without any all, have done something that they have begun now.
func (d *drill) goesOn(roles ...int) {
	d.t.Helper()
	if len(roles) == 0 {
		for i := range allRoles {
			roles = append(roles, i)
		}
	}
	from := d.done()
	d.until("the program goes on", func() bool {
		return !slices.ContainsFunc(roles, func(i int) bool { return d.steps[i].Load() < from[i]+3 })
	})
}

// done returns how much each role has done.
func (d *drill) done() (all [allRoles]int64) {
	for i := range all {
		all[i] = d.steps[i].Load()
	}
	return all
}

// fails returns when calls have failed.
func (d *drill) fails() {
	d.t.Helper()
	from := d.failed.Load()
	d.until("calls fail", func() bool { return d.failed.Load() > from })
}

func (d *drill) until(what string, ok func() bool) {
	d.t.Helper()
	began := time.Now()
	defer func() { d.t.Logf("%s after %v", what, time.Since(began).Round(100*time.Millisecond)) }()
	for end := time.Now().Add(drillPatience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("not seen: %s", what)
		}
	}
}

// finish stops the program, and compares what is there with what was promised.
func (d *drill) finish() {
	d.t.Helper()
	d.stop[0]()
	d.makers.Wait()
	orders := d.readAll(drillOrders)
	d.until("the group has read all", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, of := range orders {
			for _, r := range of {
				if !d.read[string(r.Value)] {
					return false
				}
			}
		}
		return true
	})
	d.until("all is copied", func() bool {
		committed, err := d.b.Groups().Committed(d.ctx, drillCopier)
		for i, of := range orders {
			if err != nil || committed[samsa.TopicPartition{Topic: drillOrders, Partition: int32(i)}].Offset <= of[len(of)-1].Offset {
				return false
			}
		}
		return true
	})
	d.finishMails()
	d.stop[1]()
	d.users.Wait()
	d.finishNamed()
	d.finishCounts()
	copied := d.readAll(drillCopies)
	n := 0
	for i, of := range orders {
		last := make(map[string]int)
		for k, r := range of {
			n++
			if err := d.never[string(r.Value)]; err != nil {
				d.t.Errorf("partition %d: %s is there, though: %v", i, r.Value, err)
			}
			want, acked := d.acked[string(r.Value)]
			if acked && want.Partition == r.Partition && want.Offset == r.Offset {
				delete(d.acked, string(r.Value))
			}
			who, number, _ := strings.Cut(string(r.Value), "/")
			if m, err := strconv.Atoi(number); err == nil {
				if m < last[who] {
					d.t.Errorf("partition %d: %s behind %d", i, r.Value, last[who])
				}
				last[who] = m + 1
			}
			if k < len(copied[i]) && string(copied[i][k].Value) != string(r.Value) {
				d.t.Fatalf("partition %d: copy %d is %s, want %s", i, k, copied[i][k].Value, r.Value)
			}
		}
		if got, want := len(copied[i]), len(of)+1; got != want { // and the end
			d.t.Errorf("partition %d has %d copies, want %d", i, got, want)
		}
	}
	for value, r := range d.acked {
		d.t.Errorf("%s was acknowledged, and is not at partition %d, offset %d", value, r.Partition, r.Offset)
	}
	d.t.Logf("%d records, %v steps of each role; %d calls have failed", n, d.done(), d.failed.Load())
	d.rest()
}

// readAll returns the records of a topic by partition, behind each of which it stores one more.
func (d *drill) readAll(topic string) (all [drillPartitions][]samsa.Record) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, drillPatience)
	defer cancel()
	for i := range all {
		end := samsa.Record{Topic: topic, Partition: int32(i), Value: fmt.Append(nil, "end of ", topic, i)}
		if _, err := d.b.ProduceWith(ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, end); err != nil {
			d.t.Fatal(err)
		}
	}
	c, err := d.b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{topic}})
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for ends := 0; ends < len(all); {
		records, err := c.Poll(ctx)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, r := range records {
			all[r.Partition] = append(all[r.Partition], r)
			if string(r.Value) == fmt.Sprint("end of ", topic, r.Partition) {
				ends++
			}
		}
	}
	return all
}
