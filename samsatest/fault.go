package samsatest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// ErrInjected is in every error that a fault makes, but not in those given to FailWith: the
// test wanted it.
var ErrInjected = errors.New("injected by the test")

var (
	errFault = fmt.Errorf("%w: %w", log.ErrUnavailable, ErrInjected)
	errSpace = fmt.Errorf("no room: %w", ErrInjected)
)

// Target is a kind of work that a broker does, for a fault to hit. It has no effect before
// one of Fail, FailWith, Delay and Hold has made a Fault of it.
type Target struct {
	b    *samsa.Broker
	what target
	next int // how often the fault acts; 0 for any number
}

// Write is a Target that stores something.
type Write struct{ Target }

// Appends are the appends to a topic, or to some of its partitions; topic "" means all. A call
// of Broker.Produce or Broker.Update is one append, and so is each batch of a Producer or of a
// request from elsewhere. An append to several partitions is hit as a whole when it has
// records for one of them. The appends to a partition keep their order while some are held.
func Appends(b *samsa.Broker, topic string, partitions ...int32) Write {
	return Write{Target{b: b, what: target{op: probe.Append, topic: topic, partitions: partitions}}}
}

// Fetches are the reads of a topic, or of some of its partitions, by consumers; topic "" means
// all. A consumer reads ahead of Poll: what it has read already is not hit any more.
func Fetches(b *samsa.Broker, topic string, partitions ...int32) Target {
	return Target{b: b, what: target{op: probe.Fetch, topic: topic, partitions: partitions}}
}

// Commits are the commits of offsets for a group, those of Broker.Update among them; group ""
// means all. Queues have Acks.
func Commits(b *samsa.Broker, group string) Write {
	return Write{Target{b: b, what: target{op: probe.Commit, group: group}}}
}

// Acks are the acknowledgements of records for a queue or share group, those of Broker.Update and of Kafka clients among
// them: each call, and of a call that is about several partitions, each of these; group "" means all. What Queue.Work
// acknowledges by itself is logged when it fails, and comes again when its lock has ended.
func Acks(b *samsa.Broker, group string) Ack {
	return Ack{Write{Target{b: b, what: target{op: probe.Ack, group: group}}}}
}

// Ack is a Write that is the acknowledgement of records.
type Ack struct{ Write }

// Of restricts a to the records of a topic, or of some of its partitions.
func (a Ack) Of(topic string, partitions ...int32) Write {
	a.what.topic, a.what.partitions = topic, partitions
	return a.Write
}

// Joins are the requests of members to join a group, also those that a rebalance asks of all;
// group "" means all. A join that fails is an error of Poll, and the next Poll joins again,
// unless FailWith says otherwise.
func Joins(b *samsa.Broker, group string) Target {
	return Target{b: b, what: target{op: probe.Join, group: group}}
}

// Request is a Target that is a request of a Kafka client.
type Request struct{ Target }

// Requests are the requests of Kafka clients (see Kafka) as they come, those with one of these API
// keys (0 is Produce, as in kmsg.Produce.Int16()), or of any kind. FailWith a Code has the request
// answered with that code, and so is every topic and partition that it names, while the broker does
// nothing; with Of it is one topic, or some partitions. Any other error, and Fail, drops the connection;
// Delay makes it slow; Hold makes a black hole of it, in which requests vanish and are not answered,
// until Release lets them go on. With By these happen to one client id. What a client has sent before
// is answered.
func Requests(b *samsa.Broker, keys ...int16) Request {
	return Request{Target{b: b, what: target{op: probe.Request, keys: keys}}}
}

// Of restricts r to requests that name a topic, or one of these partitions of it. FailWith a Code fails
// these alone: nothing is done for them, the answer has the code in their places, and the rest of the
// request is carried out. Without partitions a topic has the code itself where answers have one for it
// (Metadata, CreateTopics, configs, ...), else all its partitions that the request names. Metadata and
// DescribeTopicPartitions name all partitions of their topics, a Fetch names those of its session, and
// a request for everything names every topic. Requests of DescribeLogDirs and ListPartitionReassignments
// fail as a whole: their answers have one code.
func (r Request) Of(topic string, partitions ...int32) Request {
	r.what.topic, r.what.partitions = topic, partitions
	return r
}

// OfGroup restricts r to requests about a group, or several of which it is one.
func (r Request) OfGroup(group string) Request {
	r.what.group = group
	return r
}

// OfTransaction restricts r to requests that name a transactional id, or several of which it is one; "" is any. Requests
// about transactions name one, and those of its producer do: Produce, InitProducerID, AddPartitionsToTxn, AddOffsetsToTxn,
// TxnOffsetCommit, EndTxn, and the FindCoordinator before them.
func (r Request) OfTransaction(id string) Request {
	r.what.txns, r.what.txn = true, id
	return r
}

// OfPrincipal restricts r to requests of who has logged in as this, "User:alice" say, or as "User:ANONYMOUS" where nobody is asked. So that somebody may not do
// something from now on, whatever the ACLs say, and may again after Remove:
//
//	denied := samsatest.Requests(b, kmsg.Produce.Int16()).Of("orders").OfPrincipal("User:alice").FailWith(samsatest.Code(kerr.TopicAuthorizationFailed.Code))
func (r Request) OfPrincipal(principal string) Request {
	r.what.principal = principal
	return r
}

// Answers moves r behind what is asked for: that is done, and only the answer is hit. A Code is the whole answer then, also
// with Of, and Fail loses it with the connection. What the client does is to ask again, or to think that it was not done:
//
//	samsatest.Requests(b, kmsg.EndTxn.Int16()).OfTransaction("orders").Answers().Next(1).Fail()
//
// Requests for which a client waits for no answer, Produce with acks=0, are not hit.
func (r Request) Answers() Target {
	r.what.op = probe.RequestAnswer
	return r.Target
}

// Transactions are the requests of Kafka clients that name a transactional id, or any one if it is "": Requests of all
// kinds OfTransaction. Brokers of this library are never between two states of a transaction, so that clients hear of
// some errors only from here:
//
//	samsatest.Transactions(b, "orders").Next(2).FailWith(samsatest.Code(kerr.ConcurrentTransactions.Code))
//	samsatest.Requests(b, kmsg.EndTxn.Int16()).OfTransaction("orders").Next(1).FailWith(samsatest.Code(kerr.NotCoordinator.Code))
//
// ExpireTransaction has one time out, and Transactions().Fence of the broker fences its producer.
func Transactions(b *samsa.Broker, id string) Request { return Requests(b).OfTransaction(id) }

// Code is an error code of Kafka, for FailWith: Kafka clients get that code, and callers of the Go API
// an error that wraps it and the error of package samsa that means the same, or its family if there is one
// (see kafka.Code): samsa.Retriable tells what Kafka's own clients would try again.
//
//	samsatest.Appends(b, "orders", 1).FailWith(samsatest.Code(kerr.NotLeaderForPartition.Code))
type Code = kafka.Code

// Next has the fault act on the next n only, at least one.
func (t Target) Next(n int) Target {
	t.next = max(1, n)
	return t
}

// By restricts t to the work of one client: a client id (that of a consumer, a producer or a Kafka client) or
// the id of a member.
func (t Target) By(client string) Target {
	t.what.client = client
	return t
}

// Stored moves t behind the store: what is hit is stored, and visible to consumers, and only
// the answer fails or comes late.
func (w Write) Stored() Target {
	switch w.what.op {
	case probe.Append:
		w.what.op = probe.AppendAnswer
	case probe.Commit:
		w.what.op = probe.CommitAnswer
	case probe.Ack:
		w.what.op = probe.AckAnswer
	}
	return w.Target
}

// Fail makes what is hit fail with ErrUnavailable. Nothing of it is done, unless t is Stored. Kafka
// clients get KAFKA_STORAGE_ERROR for appends, fetches and acknowledgements and NOT_COORDINATOR for joins and commits,
// after which they try again.
func (t Target) Fail() *Fault { return t.FailWith(errFault) }

// FailWith is Fail with that error, which the caller gets wrapped with what it concerns. Kafka
// clients get the code that fits the error; a Code is any of Kafka's. With nil nothing fails, and
// the fault only counts its hits.
func (t Target) FailWith(err error) *Fault {
	return t.make(&Fault{err: err, name: "fail"})
}

// Delay makes what is hit wait for d.
func (t Target) Delay(d time.Duration) *Fault {
	return t.make(&Fault{delay: d, name: "delay " + d.String()})
}

// Hold makes what is hit wait until Release or Remove: a barrier, where a test would sleep
// otherwise.
func (t Target) Hold() *Fault {
	return t.make(&Fault{hold: true, name: "hold"})
}

// FillDisk makes the disk full, as far as the broker can tell: everything but commits of
// offsets and deletions gets ErrDiskFull until the fault is removed.
func FillDisk(b *samsa.Broker) *Fault {
	t := Target{b: b, what: target{op: probe.Space}}
	return t.make(&Fault{err: errSpace, name: "disk full"})
}

func (t Target) make(f *Fault) *Fault {
	f.c, f.target, f.left = controlOf(t.b), t.what, t.next
	f.want = max(1, t.next)
	f.reached = make(chan struct{})
	f.c.add(f)
	return f
}

// Fault is what a test has put in the way of a broker. Its methods may be called by anybody at
// any time.
type Fault struct {
	c      *control
	target target
	name   string
	err    error
	delay  time.Duration
	hold   bool

	// Guarded by c.mu:
	left    int // how often it will act yet, if want was given; 0 means any number
	over    bool
	hits    int
	want    int
	reached chan struct{}                 // closed when hits == want
	holding map[chan struct{}]*time.Timer // what waits; with a timer if it will go on by itself
}

// Hits returns how often the fault has acted.
func (f *Fault) Hits() int {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.hits
}

// Wait blocks until the fault has acted as often as Next has said, or once. The test fails
// when that takes too long: half a minute, which is nothing in a bubble.
func (f *Fault) Wait(t TB) {
	t.Helper()
	over, end := limit(t)
	defer end()
	began := time.Now()
	select {
	case <-f.reached:
	case <-over:
		t.Fatalf("samsatest: %s has not hit within %s: %d of %d times", f, time.Since(began).Round(time.Millisecond), f.Hits(), f.want)
	}
}

// Release lets everything go on that the fault holds now. The fault stays: what comes later is
// held again.
func (f *Fault) Release() {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.release()
}

// Remove ends the fault. What it holds goes on.
func (f *Fault) Remove() { f.c.remove(f) }

// String describes the fault.
func (f *Fault) String() string {
	s := f.name + " " + f.target.String()
	if f.err != nil {
		s += ": " + f.err.Error()
	}
	return s
}

func (f *Fault) concerns(w probe.Work) bool { return !f.over && f.target.concerns(w) }

// refuses reports whether f fails partitions of a request, and not all of it.
func (f *Fault) refuses() bool {
	var code Code
	return f.target.op == probe.Request && f.target.topic != "" && errors.As(f.err, &code)
}

// hit adds to v what f does to w. The caller holds c.mu, as for release.
func (f *Fault) hit(v *probe.Verdict, w probe.Work) {
	f.hits++
	if f.hits == f.want {
		close(f.reached)
	}
	if f.left > 0 {
		f.left--
		f.over = f.left == 0
	}
	if !f.refuses() {
		v.Err = f.err
	} else {
		if v.Refused == nil {
			v.Refused = make(map[log.TopicPartition]error)
		}
		for _, tp := range w.Partitions {
			v.Refused[tp] = f.err
		}
	}
	if !f.hold && f.delay <= 0 {
		return
	}
	wait := make(chan struct{})
	if f.holding == nil {
		f.holding = make(map[chan struct{}]*time.Timer)
	}
	f.holding[wait] = nil
	if f.delay > 0 {
		f.holding[wait] = time.AfterFunc(f.delay, func() { f.elapsed(wait) })
	}
	v.Holds = append(v.Holds, wait)
}

// elapsed ends one delay.
func (f *Fault) elapsed(wait chan struct{}) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if _, ok := f.holding[wait]; ok {
		delete(f.holding, wait)
		close(wait)
	}
}

func (f *Fault) release() {
	for wait, timer := range f.holding {
		if timer != nil {
			timer.Stop()
		}
		close(wait)
	}
	clear(f.holding)
}

// keyNames names API keys.
func keyNames(keys []int16) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = kmsg.NameForKey(key)
	}
	return strings.Join(names, ", ")
}

// String names what is hit.
func (t target) String() string {
	names := map[probe.Op]string{
		probe.Append: "appends", probe.AppendAnswer: "answers to appends", probe.Fetch: "fetches",
		probe.Commit: "commits", probe.CommitAnswer: "answers to commits", probe.Join: "joins", probe.Space: "writes",
		probe.Request: "requests", probe.RequestAnswer: "answers to requests",
		probe.Ack: "acknowledgements", probe.AckAnswer: "answers to acknowledgements",
	}
	s := names[t.op]
	if len(t.keys) > 0 {
		s += " " + keyNames(t.keys)
	}
	switch {
	case t.topic != "" && len(t.partitions) > 0:
		s += fmt.Sprintf(" of %s/%d", t.topic, t.partitions)
	case t.topic != "":
		s += " of " + t.topic
	}
	switch {
	case t.group != "":
		s += " of group " + t.group
	case t.txn != "":
		s += " of transactional id " + t.txn
	case t.txns:
		s += " of transactional ids"
	}
	if t.principal != "" {
		s += " of " + t.principal
	}
	if t.client != "" {
		s += " by " + t.client
	}
	return s
}
