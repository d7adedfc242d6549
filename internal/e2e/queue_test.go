package e2e

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// queue opens a queue that is closed with the test, if not before.
func (k *kit) queue(opts samsa.QueueOptions) *samsa.Queue {
	k.t.Helper()
	q, err := k.NewQueue(k.ctx, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return q
}

// inBubble runs a test on a broker in memory whose time is not ours.
func queueBubble(t *testing.T, fn func(t *testing.T, k *kit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, inMemory(t, samsa.Options{})) })
}

// receive returns n deliveries, as "topic/partition@offset:value#deliveries".
func receive(t *testing.T, q *samsa.Queue, n int) (ds []samsa.Delivery, told string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for len(ds) < n {
		got, err := q.Receive(ctx, n-len(ds))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(ds), n, err)
		}
		ds = append(ds, got...)
	}
	var words []string
	for _, d := range ds {
		words = append(words, fmt.Sprintf("%s#%d", d.Record.Value, d.Deliveries))
	}
	slices.Sort(words)
	return ds, strings.Join(words, " ")
}

// none asserts that there is nothing to be had now.
func none(t *testing.T, q *samsa.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if ds, err := q.Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", ds, err)
	}
}

func TestQueue(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 3)
		k.write("mails", "a", "b", "c")
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, Retry: samsa.Retry{Min: time.Second, Jitter: -1}}
		q, other := k.queue(opts), k.queue(opts)
		ds, got := receive(t, q, 3)
		if got != "a#1 b#1 c#1" {
			t.Errorf("got %s", got)
		}
		none(t, other)
		d := ds[0]
		k.wantError("ack", d.Ack(), nil)
		k.wantError("twice", d.Ack(), samsa.ErrInvalidRecordState, "already")
		k.wantError("release", ds[1].Release(2*time.Second), nil)
		k.wantError("retry", ds[2].Retry(), nil)
		k.wantError("released", ds[2].Ack(), samsa.ErrInvalidRecordState, "lock")
		began := time.Now()
		again, _ := receive(t, other, 1)
		if took := time.Since(began); took != time.Second || again[0].Record.Offset != ds[2].Record.Offset || again[0].Deliveries != 2 {
			t.Errorf("after %s: %v", took, again)
		}
		k.wantError("another's", ds[2].Ack(), samsa.ErrInvalidRecordState)
		more, _ := receive(t, q, 1)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("after %s: %v", took, more)
		}
		time.Sleep(20 * time.Second)
		k.wantError("extend", more[0].Extend(), nil)
		time.Sleep(20 * time.Second)
		k.wantError("in time", more[0].Ack(), nil)
		k.wantError("late", again[0].Ack(), samsa.ErrInvalidRecordState, "run out")
		s, err := q.Stats(k.ctx)
		if err != nil || s.Lag != 1 || s.Acknowledged != 2 || s.Deliveries != 5 || s.Expired != 1 || s.Released != 2 || s.Oldest.IsZero() {
			t.Errorf("got %+v, %v", s, err)
		}
		k.wantError("close", q.Close(), nil)
		if _, err := q.Receive(k.ctx, 1); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		k.wantError("after the end", more[0].Ack(), samsa.ErrClosed)
	})
}

// What a queue has when it is closed others get at once.
func TestQueueClosesWithDeliveries(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "a", "b")
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}}
		q, other := k.queue(opts), k.queue(opts)
		receive(t, q, 2)
		got := make(chan string)
		go func() {
			_, told := receive(t, other, 2)
			got <- told
		}()
		synctest.Wait()
		k.wantError("close", q.Close(), nil)
		if told := <-got; told != "a#2 b#2" {
			t.Errorf("got %s", told)
		}
	})
}

func TestQueueWork(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 2)
		k.create("dead", 1)
		k.write("mails", "good", "fails", "panics", "leaves", "flaky", "rejected")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "dead", MaxDeliveries: 3, Retry: samsa.Retry{Min: time.Second, Jitter: -1}})
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		var mu sync.Mutex
		times := make(map[string][]time.Duration)
		began := time.Now()
		worked := make(chan error, 1)
		go func() {
			worked <- q.Work(ctx, 4, func(_ context.Context, d samsa.Delivery) error {
				name := string(d.Record.Value)
				mu.Lock()
				times[name] = append(times[name], time.Since(began))
				n := len(times[name])
				mu.Unlock()
				switch {
				case name == "fails", name == "flaky" && n < 3:
					return errors.New("no")
				case name == "panics":
					panic("oh")
				case name == "leaves":
					runtime.Goexit()
				case name == "rejected":
					return d.Reject("no address")
				}
				return nil
			})
		}()
		time.Sleep(time.Minute)
		cancel()
		if err := <-worked; !errors.Is(err, context.Canceled) {
			t.Errorf("work: %v", err)
		}
		want := "map[fails:[0s 1s 3s] flaky:[0s 1s 3s] good:[0s] leaves:[0s 1s 3s] panics:[0s 1s 3s] rejected:[0s]]"
		if got := fmt.Sprint(times); got != want {
			t.Errorf("got %s", got)
		}
		letters := make(map[string]string)
		for _, r := range k.readAll("dead", 4) {
			headers := make(map[string]string)
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			letters[string(r.Value)] = fmt.Sprintf("%s after %s", headers["__dlq.errors.message"], headers["__dlq.errors.delivery.count"])
			if headers["__dlq.errors.topic"] != "mails" || headers["__dlq.errors.group"] != "mailer" {
				t.Errorf("headers %v", headers)
			}
		}
		want = "map[fails:no after 3 leaves:the function did not return after 3 panics:panic: oh after 3 rejected:no address after 1]"
		if got := fmt.Sprint(letters); got != want {
			t.Errorf("got %s", got)
		}
		if s, err := q.Stats(k.ctx); err != nil || s.Lag != 0 || s.DeadLetters != 4 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}

// readAll returns n records of a topic.
func (k *kit) readAll(topic string, n int) []samsa.Record {
	k.t.Helper()
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{topic}})
	defer func() { _ = c.Close() }()
	return k.read(c, n)
}

func TestQueueInUpdate(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.create("sent", 1)
		k.create("dead", 1)
		k.write("mails", "a", "b", "c")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "dead"})
		ds, _ := receive(t, q, 3)
		fail := errors.New("not now")
		update := func(end error, d samsa.Delivery) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				if err := tx.Produce(samsa.Record{Topic: "sent", Value: d.Record.Value}); err != nil {
					return err
				}
				if err := tx.Ack(d); err != nil {
					return err
				}
				return end
			})
		}
		k.wantError("it fails", update(fail, ds[0]), fail)
		k.wantError("it does not", update(nil, ds[0]), nil)
		k.wantError("twice", update(nil, ds[0]), samsa.ErrInvalidRecordState)
		k.wantError("reject", k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Reject(ds[1], "no address") }), nil)
		time.Sleep(time.Minute)
		k.wantError("late", update(nil, ds[2]), samsa.ErrInvalidRecordState)
		again, _ := receive(t, q, 1)
		k.wantError("release", k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Release(again[0], time.Second) }), nil)
		again, _ = receive(t, q, 1)
		k.wantError("ack", update(nil, again[0]), nil)
		none(t, q)
		sent, dead := k.readAll("sent", 2), k.readAll("dead", 1)
		if string(sent[0].Value) != "a" || string(sent[1].Value) != "c" || string(dead[0].Value) != "b" || again[0].Deliveries != 3 {
			t.Errorf("sent %v, dead %v", sent, dead)
		}
		k.wantError("no delivery", k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Ack(samsa.Delivery{}) }), samsa.ErrInvalidOption)
	})
}

func TestQueueDelays(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		began := time.Now()
		for i := range 5000 { // more than can be in flight
			k.produce(samsa.Record{Topic: "mails", Value: []byte("later"), Headers: []samsa.Header{samsa.NotBefore(began.Add(time.Hour + time.Duration(i)*time.Second))}})
		}
		k.write("mails", "now")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
		if ds, got := receive(t, q, 1); got != "now#1" || time.Since(began) > time.Second {
			t.Errorf("got %s", got)
		} else {
			k.wantError("ack", ds[0].Ack(), nil)
		}
		for i := range 3 {
			ctx, cancel := context.WithTimeout(k.ctx, 2*time.Hour)
			ds, err := q.Receive(ctx, 10)
			cancel()
			if err != nil || len(ds) != 1 || time.Since(began) != time.Hour+time.Duration(i)*time.Second {
				t.Fatalf("after %s: %v, %v", time.Since(began), ds, err)
			}
			k.wantError("ack", ds[0].Ack(), nil)
		}
		if s, err := q.Stats(k.ctx); err != nil || s.Waiting != 4997 || s.Lag != 4997 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}

func TestQueueOptions(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		good := samsa.QueueOptions{Group: "g", Topics: []string{"mails"}}
		for name, opts := range map[string]samsa.QueueOptions{
			"Group":         {Topics: good.Topics},
			"Topics":        {Group: "g"},
			"each topic":    {Group: "g", Topics: []string{"mails", "mails"}},
			"Start":         {Group: "g", Topics: good.Topics, Start: samsa.AtOffset(3)},
			"Lock":          {Group: "g", Topics: good.Topics, Lock: 1},
			"MaxDeliveries": {Group: "g", Topics: good.Topics, MaxDeliveries: -2},
			"MaxInFlight":   {Group: "g", Topics: good.Topics, MaxInFlight: -1},
			"Acks":          {Group: "g", Topics: good.Topics, Acks: samsa.AckNone},
			"Retry.Min":     {Group: "g", Topics: good.Topics, Retry: samsa.Retry{Min: 5}},
			"Retry.Max":     {Group: "g", Topics: good.Topics, Retry: samsa.Retry{Min: 2 * time.Second, Max: time.Second}},
			"Retry.Factor":  {Group: "g", Topics: good.Topics, Retry: samsa.Retry{Factor: 0.5}},
			"Retry.Jitter":  {Group: "g", Topics: good.Topics, Retry: samsa.Retry{Jitter: 2}},
			"DeadLetter":    {Group: "g", Topics: good.Topics, DeadLetter: "mails"},
		} {
			_, err := k.NewQueue(k.ctx, opts)
			k.wantError(name, err, samsa.ErrInvalidOption, name)
		}
		_, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "g", Topics: []string{"nowhere"}})
		k.wantError("no topic", err, samsa.ErrUnknownTopic)
		q := k.queue(good)
		other := good
		other.Lock = time.Minute
		_, err = k.NewQueue(k.ctx, other)
		k.wantError("other options", err, samsa.ErrInvalidOption, "other options", "Lock is 30s and not 1m0s")
		k.wantError("close", q.Close(), nil)
		q = k.queue(other)
		_, err = q.Receive(k.ctx, 0)
		k.wantError("none", err, samsa.ErrInvalidOption)
		k.wantError("work", q.Work(k.ctx, 0, func(context.Context, samsa.Delivery) error { return nil }), samsa.ErrInvalidOption)
		k.wantError("work", q.Work(k.ctx, 1, nil), samsa.ErrInvalidOption)
		k.wantError("nothing", samsa.Delivery{}.Ack(), samsa.ErrInvalidOption)
	})
}

// A topic that is deleted is told once, and again when there is nothing else; one of the name that comes is read from its
// beginning. Partitions that are added are read too.
func TestQueueTopicsChange(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "a", "b")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, Start: samsa.Latest()})
		none(t, q)
		k.write("mails", "c")
		old, got := receive(t, q, 1)
		if got != "c#1" {
			t.Errorf("got %s", got)
		}
		k.wantError("delete", k.Topics().Delete(k.ctx, "mails"), nil)
		for range 2 {
			_, err := q.Receive(k.ctx, 1)
			k.wantError("deleted", err, samsa.ErrUnknownTopic)
		}
		k.wantError("of the old one", old[0].Ack(), samsa.ErrUnknownTopic)
		k.create("mails", 1)
		k.write("mails", "d")
		synctest.Wait()
		if _, got := receive(t, q, 1); got != "d#1" {
			t.Errorf("got %s", got)
		}
		k.wantError("of the old one", old[0].Ack(), samsa.ErrInvalidRecordState)
		k.wantError("grow", k.Topics().Alter(k.ctx, "mails", func(c *samsa.TopicConfig) error { c.Partitions = 4; return nil }), nil)
		k.put("mails", 3, "e")
		synctest.Wait()
		if _, got := receive(t, q, 1); got != "e#1" {
			t.Errorf("got %s", got)
		}
	})
}

// A record that was given back, and that the cleaner took out meanwhile, does not stand before those behind it.
func TestQueueGapOfTheCleaner(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.wantError("create", k.Topics().Create(k.ctx, "mails", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}), nil)
		put := func(keys string, delays ...time.Duration) {
			var records []samsa.Record
			for i, d := range delays {
				at := samsa.NotBefore(time.Now().Add(d))
				records = append(records, samsa.Record{Topic: "mails", Key: []byte(keys[i : i+1]), Value: []byte(keys[:i+1]), Headers: []samsa.Header{at}})
			}
			_, err := k.Produce(k.ctx, records...)
			k.wantError("produce", err, nil)
		}
		put("xkkl", time.Hour, 0, time.Hour, 0)
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}}
		q, other := k.queue(opts), k.queue(opts)
		first, _ := receive(t, q, 1)
		_, _ = receive(t, other, 1)
		k.wantError("release", first[0].Release(0), nil)
		put("m", 0) // the newest batch is not cleaned
		_, err := k.Sweep(k.ctx)
		k.wantError("sweep", err, nil)
		now := time.Now()
		if _, got := receive(t, q, 1); got != "m#1" || time.Since(now) != 0 {
			t.Errorf("got %q after %s", got, time.Since(now))
		}
	})
}

// What a queue has done goes from a topic that keeps what is to be consumed, and nothing else, whoever else reads it.
func TestQueueOfConsumedTopic(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		if err := k.Topics().Create(k.ctx, "mails", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed}); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			k.put("mails", 0, fmt.Sprint(i))
		}
		first := func() int64 {
			t.Helper()
			if _, err := k.Sweep(k.ctx); err != nil {
				t.Fatal(err)
			}
			offsets, err := k.ListOffsets(k.ctx, "mails", samsa.Earliest())
			if err != nil {
				t.Fatal(err)
			}
			return offsets[0].Offset
		}
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
		ds, _ := receive(t, q, 4)
		k.wantError("ack", q.Ack(k.ctx, ds[0], ds[1], ds[3]), nil)
		if got := first(); got != 2 {
			t.Errorf("the log begins at %d, with 2 not done", got)
		}
		k.wantError("another group", k.Groups().AlterOffsets(k.ctx, "readers", samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "mails"}), nil)
		if got := first(); got != 2 {
			t.Errorf("the log begins at %d, with 2 not done", got)
		}
		k.wantError("ack", ds[2].Ack(), nil)
		if got := first(); got != 4 {
			t.Errorf("the log begins at %d, and all is done", got)
		}
	})
}

// A queue is a group like others: it is listed and described, has its name to itself, and is moved and deleted when
// nobody is in it.
func TestQueueIsAGroup(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "a", "b", "c", "d")
		tp := samsa.TopicPartition{Topic: "mails"}
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, ClientID: "shop"}
		q := k.queue(opts)
		ds, _ := receive(t, q, 3)
		k.wantError("ack", q.Ack(k.ctx, ds[0], ds[2]), nil)
		k.wantError("release", ds[1].Release(time.Minute), nil)
		receive(t, q, 1)
		info, err := k.Groups().Describe(k.ctx, "mailer")
		if err != nil || info.Kind != samsa.GroupShare || info.State != samsa.GroupStable || len(info.Members) != 1 || info.Members[0].ClientID != "shop" {
			t.Fatalf("got %+v, %v", info, err)
		}
		if p := info.Partitions[0]; len(info.Partitions) != 1 || p.Committed != 1 || p.Lag != 2 || p.Share.InFlight != 1 || p.Share.Waiting != 1 || p.Share.Deliveries != 4 || p.Share.Oldest.IsZero() {
			t.Errorf("got %+v", info.Partitions)
		}
		if names, err := k.Groups().List(k.ctx); err != nil || !slices.Equal(names, []string{"mailer"}) {
			t.Errorf("got %v, %v", names, err)
		}
		k.wantError("delete", k.Groups().Delete(k.ctx, "mailer"), samsa.ErrGroupNotEmpty)
		k.wantError("move", k.Groups().AlterOffsets(k.ctx, "mailer", samsa.To(samsa.Earliest()), tp), samsa.ErrGroupNotEmpty)
		k.wantError("another kind", k.Groups().AlterOffsets(k.ctx, "readers", samsa.To(samsa.Earliest()), tp), nil)
		_, err = k.NewQueue(k.ctx, samsa.QueueOptions{Group: "readers", Topics: []string{"mails"}})
		k.wantError("another kind", err, samsa.ErrGroupKind)
		k.wantError("close", q.Close(), nil)
		k.wantError("move", k.Groups().AlterOffsets(k.ctx, "mailer", samsa.To(samsa.AtOffset(2)), tp), nil)
		q = k.queue(opts)
		if _, got := receive(t, q, 2); got != "c#1 d#1" {
			t.Errorf("got %s", got)
		}
		k.wantError("close", q.Close(), nil)
		k.wantError("delete", k.Groups().Delete(k.ctx, "mailer"), nil)
		k.wantError("delete", k.Groups().Delete(k.ctx, "mailer"), samsa.ErrUnknownGroup)
		if _, got := receive(t, k.queue(opts), 4); got != "a#1 b#1 c#1 d#1" {
			t.Errorf("got %s", got)
		}
	})
}

// Close waits for the functions of Work, which may acknowledge, and not for ever.
func TestQueueShutdown(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "slow", "never")
		opts := samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}}
		q := k.queue(opts)
		forever := make(chan struct{})
		worked, inside := make(chan error, 1), make(chan error, 2)
		go func() {
			worked <- q.Work(k.ctx, 2, func(ctx context.Context, d samsa.Delivery) error {
				if string(d.Record.Value) == "never" {
					inside <- q.Close()
					<-forever
					return nil
				}
				<-ctx.Done()
				time.Sleep(time.Second)
				return d.Ack()
			})
		}()
		k.wantError("by a function", <-inside, samsa.ErrInCallback)
		ctx, cancel := context.WithTimeout(k.ctx, 5*time.Second)
		defer cancel()
		began := time.Now()
		k.wantError("shut down", q.Shutdown(ctx), samsa.ErrCutOff)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %s", took)
		}
		close(forever)
		k.wantError("work", <-worked, samsa.ErrClosed)
		k.wantError("close", q.Close(), nil)
		if s, err := k.queue(opts).Stats(k.ctx); err != nil || s.Acknowledged != 2 || s.Lag != 0 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
