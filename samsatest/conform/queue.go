package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// queue opens a queue that is closed with the promise, if not before.
func (k *kit) queue(o samsa.QueueOptions) *samsa.Queue {
	q, err := k.NewQueue(k.ctx, o)
	k.must(err)
	k.atEnd(func() { k.closes(q) })
	return q
}

// queueOf is a queue of a group of its own.
func (k *kit) queueOf(topics ...string) *samsa.Queue {
	return k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: topics})
}

// receive returns n deliveries, in the order of their records, which are as want says: the value, and with "#" how often it was
// delivered if it was before.
func (k *kit) receive(q *samsa.Queue, want ...string) (ds []samsa.Delivery) {
	for len(ds) < len(want) {
		more, err := q.Receive(k.ctx, len(want)-len(ds))
		k.must(err)
		ds = append(ds, more...)
	}
	slices.SortFunc(ds, func(a, b samsa.Delivery) int { return strings.Compare(string(a.Record.Value), string(b.Record.Value)) })
	var got []string
	for _, d := range ds {
		text := string(d.Record.Value)
		if d.Deliveries > 1 {
			text += fmt.Sprint("#", d.Deliveries)
		}
		got = append(got, text)
	}
	k.equal("delivered", got, want)
	return ds
}

// nothingElse checks that nothing is to be had but what is written now.
func (k *kit) nothingElse(q *samsa.Queue, topic string) {
	k.write(topic, "nothing else")
	for _, d := range k.receive(q, "nothing else") {
		k.must(d.Ack())
	}
}

func (k *kit) stats(q *samsa.Queue) samsa.QueueStats {
	s, err := q.Stats(k.ctx)
	k.must(err)
	return s
}

// header returns the value of a record's header.
func header(r samsa.Record, key string) string {
	i := slices.IndexFunc(r.Headers, func(h samsa.Header) bool { return h.Key == key })
	if i < 0 {
		return "none"
	}
	return string(r.Headers[i].Value)
}

var queues = []promise{
	{"once", "A record is with one of a group at a time, and with nobody again when it was acknowledged.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "v0", "v1")
		o := samsa.QueueOptions{Group: g, Topics: []string{name}}
		a, b := k.queue(o), k.queue(o)
		ds := k.receive(a, "v0", "v1")
		k.nothingElse(b, name)
		k.must(a.Ack(k.ctx, ds...))
		k.nothingElse(b, name)
		k.nothingElse(a, name)
		k.equal("lag", k.stats(a).Lag, int64(0))
	}},
	{"idle", "A queue that nobody receives from keeps nothing from the others of its group.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		o := samsa.QueueOptions{Group: g, Topics: []string{name}}
		k.queue(o)
		q := k.queue(o)
		k.fill(name, "v", 2)
		k.receive(q, "v0", "v1")
	}},
	{"groups", "Each group gets all records, from the first one there is.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b")
		k.receive(k.queueOf(name), "a", "b")
		k.receive(k.queueOf(name), "a", "b")
	}},
	{"start", "A new group begins where its queue says: behind what is there, or at a time.", func(k *kit) {
		name := k.topic(1)
		k.stamped(name, hourAgo, hourAgo.Add(time.Minute))
		latest := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Start: samsa.Latest()})
		k.write(name, "new")
		k.receive(latest, "new")
		k.receive(k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Start: samsa.AtTime(hourAgo.Add(time.Second))}), "1", "new")
	}},
	{"waits", "Receive waits for a record, and returns as many as there are up to its limit.", func(k *kit) {
		name := k.topic(1)
		q := k.queueOf(name)
		k.goes(func() { k.receive(q, "a") })
		k.write(name, "a")
		k.group.Wait()
		_, err := q.Receive(k.ctx, 0)
		k.is(err, samsa.ErrInvalidOption)
	}},
	{"ends", "Receive ends with its context, and takes nothing then.", func(k *kit) {
		name := k.topic(1)
		q := k.queueOf(name)
		ctx, cancel := context.WithCancel(k.ctx)
		k.goes(cancel)
		_, err := q.Receive(ctx, 1)
		k.is(err, context.Canceled)
		k.write(name, "a")
		k.receive(q, "a")
	}},
	{"deliveries", "A loop over Deliveries takes one record after the other.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(4)...)
		q, other := k.queueOf(name), 0
		for d, err := range q.Deliveries(k.ctx) {
			k.must(err)
			k.must(d.Ack())
			if other++; other == 3 {
				break
			}
		}
		k.receive(q, "3")
		for _, err := range q.Deliveries(ended()) {
			k.is(err, context.Canceled)
		}
	}},
	{"grows", "Partitions that are added are read from their first record.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queueOf(name)
		k.receive(q, "a")
		k.must(k.Topics().AddPartitions(k.ctx, name, 3))
		k.put(name, 2, "b")
		k.receive(q, "b")
	}},
	{"deleted", "A deleted topic is ErrUnknownTopic for who waits.", func(k *kit) {
		name := k.topic(1)
		q := k.queueOf(name)
		failed := make(chan error, 1)
		k.goes(func() {
			_, err := q.Receive(k.ctx, 1)
			failed <- err
		})
		k.must(k.Topics().Delete(k.ctx, name))
		k.is(<-failed, samsa.ErrUnknownTopic)
	}},
	{"in-flight", "No more than MaxInFlight records of a partition are with somebody.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(5)...)
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, MaxInFlight: 2})
		for i := range 4 {
			ds, err := q.Receive(k.ctx, 10)
			k.must(err)
			k.equal("are too many", k.stats(q).InFlight > 2, false)
			if i < 2 && len(ds) > 0 {
				k.must(q.Ack(k.ctx, ds...))
			} else {
				break
			}
		}
	}},
	{"by-key", "With OrderByKey the next record of a key comes when the last one is done, and other keys do not wait.", func(k *kit) {
		name := k.topic(1)
		for _, r := range []string{"a1", "a2", "b1", "a3", "b2"} {
			k.produce(samsa.Record{Topic: name, Key: []byte(r[:1]), Value: []byte(r)})
		}
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, OrderByKey: true})
		ds := k.receive(q, "a1", "b1")
		k.nothingElse(q, name)
		k.must(ds[0].Ack())
		a2 := k.receive(q, "a2")
		k.must(a2[0].Release(0))
		k.receive(q, "a2#2")
		k.nothingElse(q, name)
		k.must(ds[1].Ack())
		k.receive(q, "b2")
	}},
	{"not-before", "A record with NotBefore is not delivered before its time, and others do not wait for it.", func(k *kit) {
		name := k.topic(1)
		q := k.queueOf(name)
		k.nothingElse(q, name) // nor does it come late for another reason
		due := time.Now().Add(200 * time.Millisecond).Truncate(time.Millisecond)
		for value, at := range map[string]time.Time{"in an hour": due.Add(time.Hour), "later": due} {
			k.produce(samsa.Record{Topic: name, Value: []byte(value), Headers: []samsa.Header{samsa.NotBefore(at)}})
		}
		k.write(name, "now")
		for _, d := range k.receive(q, "later", "now") {
			k.must(d.Ack())
		}
		k.equal("came too early", time.Now().Before(due), false)
	}},
	{"work", "Work acknowledges what its function returns nil for, and has come again what fails or panics.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "fails", "fine", "panics")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Retry: samsa.Retry{Min: samsa.NoWait}})
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		times, left := make(map[string]int), 5
		k.is(q.Work(ctx, 3, func(_ context.Context, d samsa.Delivery) error {
			value := string(d.Record.Value)
			k.change(func() {
				times[value]++
				if left--; left == 0 {
					cancel()
				}
			})
			switch {
			case value == "fails" && d.Deliveries == 1:
				return errMine
			case value == "panics" && d.Deliveries == 1:
				panic("mine")
			}
			return nil
		}), context.Canceled)
		k.equal("called", times, map[string]int{"fails": 2, "fine": 1, "panics": 2})
		k.equal("lag", k.stats(q).Lag, int64(0))
	}},
	{"close", "What a queue has when it is closed others get at once; whoever receives gets ErrClosed.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		o := samsa.QueueOptions{Group: g, Topics: []string{name}}
		a, b := k.queue(o), k.queue(o)
		k.write(name, "a")
		ds := k.receive(a, "a")
		failed := make(chan error, 1)
		k.goes(func() {
			_, err := a.Receive(k.ctx, 1)
			failed <- err
		})
		k.closes(a)
		k.is(<-failed, samsa.ErrClosed)
		k.is(ds[0].Ack(), samsa.ErrClosed)
		k.closes(a)
		d, err := b.Receive(k.ctx, 1)
		k.must(err)
		k.equal("delivered", string(d[0].Record.Value), "a")
	}},
	{"options", "Options that cannot be are ErrInvalidOption, and those that differ from an open queue's of the group.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		good := samsa.QueueOptions{Group: g, Topics: []string{name}}
		k.queue(good)
		for _, edit := range []func(o *samsa.QueueOptions){
			func(o *samsa.QueueOptions) { o.Group = "" },
			func(o *samsa.QueueOptions) { o.Topics = nil },
			func(o *samsa.QueueOptions) { o.Start = samsa.AtOffset(3) },
			func(o *samsa.QueueOptions) { o.Lock = 1 },
			func(o *samsa.QueueOptions) { o.MaxDeliveries = -2 },
			func(o *samsa.QueueOptions) { o.MaxInFlight = -1 },
			func(o *samsa.QueueOptions) { o.Acks = samsa.AckNone },
			func(o *samsa.QueueOptions) { o.Retry.Factor = 0.5 },
			func(o *samsa.QueueOptions) { o.DeadLetter = name },
			func(o *samsa.QueueOptions) { o.MaxDeliveries = 9 },
		} {
			o := good
			edit(&o)
			q, err := k.NewQueue(k.ctx, o)
			if k.is(err, samsa.ErrInvalidOption); err == nil {
				k.closes(q)
			}
		}
	}},
	{"describe", "Groups.Describe tells how far the group of a queue is, and AlterOffsets has it begin anew.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		o := samsa.QueueOptions{Group: g, Topics: []string{name}, ClientID: "shop"}
		q := k.queue(o)
		ds := k.receive(q, numbers(4)...)
		k.must(q.Ack(k.ctx, ds[0], ds[2]))
		info := k.groupInfo(g)
		k.equal("kind", info.Kind, samsa.GroupShare)
		if len(info.Members) != 1 || len(info.Partitions) != 1 {
			k.Fatalf("got %+v", info)
		}
		k.equal("member", info.Members[0].ClientID, "shop")
		p := info.Partitions[0]
		k.equal("committed and lag", []int64{p.Committed, p.Lag}, []int64{1, 2})
		k.equal("in flight", p.Share.InFlight, 2)
		k.is(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.Earliest()), at(name, 0)), samsa.ErrGroupNotEmpty)
		k.closes(q)
		k.must(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.AtOffset(2)), at(name, 0)))
		k.receive(k.queue(o), "2", "3")
	}},
}

var deliveries = []promise{
	{"ack", "A delivery is decided once: what comes then is ErrInvalidRecordState.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b")
		q := k.queueOf(name)
		ds := k.receive(q, "a", "b")
		k.must(ds[0].Ack())
		k.is(ds[0].Ack(), samsa.ErrInvalidRecordState)
		k.is(ds[0].Release(0), samsa.ErrInvalidRecordState)
		k.must(ds[1].Release(0))
		k.is(ds[1].Ack(), samsa.ErrInvalidRecordState)
		k.is(samsa.Delivery{}.Ack(), samsa.ErrInvalidOption)
		s := k.stats(q)
		k.equal("acknowledged, released, lag", []int64{s.Acknowledged, s.Released, s.Lag}, []int64{1, 1, 1})
	}},
	{"release", "Release gives a record back: somebody gets it again, and it is counted.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a")
		o := samsa.QueueOptions{Group: g, Topics: []string{name}}
		q, other := k.queue(o), k.queue(o)
		k.must(k.receive(q, "a")[0].Release(0))
		k.must(k.receive(other, "a#2")[0].Release(0))
		k.must(k.receive(q, "a#3")[0].Ack())
		k.nothingElse(other, name)
	}},
	{"release-later", "Release after a time has it come not before that.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queueOf(name)
		began := time.Now()
		k.must(k.receive(q, "a")[0].Release(150 * time.Millisecond))
		k.must(k.receive(q, "a#2")[0].Ack())
		k.equal("came too early", time.Since(began) < 149*time.Millisecond, false)
	}},
	{"retry", "Retry has it come again after a wait that grows.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Retry: samsa.Retry{Min: 50 * time.Millisecond, Jitter: -1}})
		began := time.Now()
		k.must(k.receive(q, "a")[0].Retry())
		k.must(k.receive(q, "a#2")[0].Retry())
		k.must(k.receive(q, "a#3")[0].Ack())
		k.equal("came too early", time.Since(began) < 148*time.Millisecond, false)
	}},
	{"lock", "What is not acknowledged comes again when its lock has run out, and is not the first one's any more.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Lock: time.Second, Retry: samsa.Retry{Min: samsa.NoWait}})
		first := k.receive(q, "a")[0]
		for n := 2; ; n++ {
			again := k.receive(q, fmt.Sprint("a#", n))[0]
			k.equal("came too early", time.Now().Before(first.Until.Add(-time.Millisecond)), false)
			k.is(first.Ack(), samsa.ErrInvalidRecordState)
			err := again.Extend()
			if err == nil {
				err = again.Ack()
			}
			if !errors.Is(err, samsa.ErrInvalidRecordState) { // else this machine was too slow
				k.must(err)
				return
			}
		}
	}},
	{"extend", "Extend has the lock begin anew.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, Lock: time.Second, Retry: samsa.Retry{Min: samsa.NoWait}})
		d := k.receive(q, "a")[0]
		timer := time.NewTimer(time.Until(d.Until) - 500*time.Millisecond) // is what Extend is about, and nothing is synchronised by it
		defer timer.Stop()
		<-timer.C
		extended := time.Now()
		if err := d.Extend(); errors.Is(err, samsa.ErrInvalidRecordState) {
			return // this machine was too slow
		}
		k.receive(q, "a#2")
		k.equal("came too early", time.Since(extended) < 999*time.Millisecond, false)
	}},
	{"reject", "Reject makes a dead letter of a record: with key, value and headers, and why, and whence.", func(k *kit) {
		name, dead, g := k.topic(1), k.topic(1), k.freshGroup()
		k.produce(samsa.Record{Topic: name, Key: []byte("k"), Value: []byte("v"), Headers: []samsa.Header{{Key: "own", Value: []byte("mine")}}})
		q := k.queue(samsa.QueueOptions{Group: g, Topics: []string{name}, DeadLetter: dead})
		k.must(k.receive(q, "v")[0].Reject("no address"))
		r := k.read(k.reader(dead), 1)[0]
		k.equal("key and value", string(r.Key)+string(r.Value), "kv")
		for key, want := range map[string]string{
			"own": "mine", samsa.DeadLetterTopic: name, samsa.DeadLetterPartition: "0", samsa.DeadLetterOffset: "0",
			samsa.DeadLetterGroup: g, samsa.DeadLetterDeliveries: "1", samsa.DeadLetterMessage: "no address",
		} {
			k.equal(key, header(r, key), want)
		}
		k.nothingElse(q, name)
		s := k.stats(q)
		k.equal("dead letters, rejected, lag", []int64{s.DeadLetters, s.Rejected, s.Lag}, []int64{1, 1, 0})
	}},
	{"reject-alone", "Without a topic for dead letters a record that is rejected is done.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		q := k.queueOf(name)
		k.must(k.receive(q, "a")[0].Reject("no"))
		k.nothingElse(q, name)
	}},
	{"too-often", "What was delivered MaxDeliveries times becomes a dead letter.", func(k *kit) {
		name, dead := k.topic(1), k.topic(1)
		k.write(name, "a")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, DeadLetter: dead, MaxDeliveries: 2, Retry: samsa.Retry{Min: samsa.NoWait}})
		k.must(k.receive(q, "a")[0].Retry())
		k.must(k.receive(q, "a#2")[0].Retry())
		k.reads(k.reader(dead), "a")
		k.nothingElse(q, name)
	}},
	{"in-update", "An acknowledgement in an Update is stored with the rest, or neither is.", func(k *kit) {
		name, out := k.topic(1), k.topic(1)
		k.write(name, "a")
		q := k.queueOf(name)
		d := k.receive(q, "a")[0]
		update := func(err error) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.Ack(d), tx.Produce(samsa.Record{Topic: out, Value: d.Record.Value}), err)
			})
		}
		k.is(update(errMine), errMine)
		k.equal("lag", k.stats(q).Lag, int64(1))
		k.must(update(nil))
		k.equal("lag", k.stats(q).Lag, int64(0))
		k.is(update(nil), samsa.ErrInvalidRecordState)
		k.has([]string{"a"}, out)
	}},
	{"reject-in-update", "So are Release and Reject.", func(k *kit) {
		name, dead := k.topic(1), k.topic(1)
		k.write(name, "a", "b")
		q := k.queue(samsa.QueueOptions{Group: k.freshGroup(), Topics: []string{name}, DeadLetter: dead})
		ds := k.receive(q, "a", "b")
		k.updates(func(tx *samsa.Tx) error { return errors.Join(tx.Reject(ds[0], "no"), tx.Release(ds[1], 0)) })
		k.equal("why", header(k.reads(k.reader(dead), "a")[0], samsa.DeadLetterMessage), "no")
		k.receive(q, "b#2")
	}},
}
