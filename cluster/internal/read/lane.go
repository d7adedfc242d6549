package read

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// lane asks a broker for the records of partitions that it leads. It has two loops, with a connection each. The long one
// asks for partitions of which all was read, and the broker waits for more. The short one asks for those of which there is
// more, and for those that would have to wait until the long one is back. The lane's fields are guarded by fetcher.mu.
type lane struct {
	f       *fetcher
	key     laneKey
	wakes   [2]*engine.Waiter // of the short loop and of the long one
	cursors map[*cursor]struct{}
	long    bool   // the long loop is out
	orphans bool   // the short loop is out with partitions that are the long one's
	turn    uint64 // of the last partition that was asked for
}

func newLane(f *fetcher, key laneKey) *lane {
	return &lane{
		f: f, key: key, wakes: [2]*engine.Waiter{engine.NewWaiter(), engine.NewWaiter()},
		cursors: make(map[*cursor]struct{}),
	}
}

// wake has the loops look what there is to do.
func (l *lane) wake() {
	for _, w := range l.wakes {
		w.Wake()
	}
}

// run is the goroutine of a loop.
func (l *lane) run(long bool) {
	waiter := l.wakes[0]
	if long {
		waiter = l.wakes[1]
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		picked, reserved, wait, over := l.pick(long)
		switch {
		case over:
			return
		case len(picked) > 0:
			l.ask(long, picked, reserved)
			continue
		}
		timer.Reset(wait)
		select {
		case <-waiter.C():
		case <-timer.C:
		}
	}
}

// idleWait is how long a loop sleeps that has nothing to do, unless it is woken.
const idleWait = time.Minute

// asked is a partition in a request.
type asked struct {
	c      *cursor
	from   int64
	epoch  int32 // of the leader
	last   int32
	flight uint64
}

// stands reports whether the answer is still waited for.
func (a asked) stands() bool { return a.c.flight == a.flight }

// pick returns what the loop is to ask for, and how many bytes it may get; if there is nothing, when to look again. It is
// over when the lane has no partitions any more.
func (l *lane) pick(long bool) (picked []asked, reserved int, wait time.Duration, over bool) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(l.cursors) == 0 {
		if f.lanes[l.key] == l {
			delete(f.lanes, l.key) // who comes now is in another one
		}
		l.wake() // the other loop
		return nil, 0, 0, true
	}
	now := time.Now()
	wait = idleWait
	if long && l.orphans {
		return nil, 0, wait, false
	}
	orphans := false
	for c := range l.cursors {
		switch behind := c.next < c.part.edge(c.iso); {
		case c.flight != 0 || c.err != nil || c.bytes >= aheadBytes:
		case c.retryAt.After(now):
			wait = min(wait, c.retryAt.Sub(now))
		case long && behind, !long && !behind && !l.long: // it is for the other loop
		case f.waiting+reserved >= budgetBytes && (!c.wants || len(c.queue) > 0 || len(picked) > 0):
		case f.waiting+reserved >= budgetBytes && !f.makeRoomLocked(now):
			wait = min(wait, idleReader)
		default:
			_, epoch := c.part.at()
			f.flights++
			c.flight = f.flights
			picked = append(picked, asked{c, c.next, epoch, c.last, c.flight})
			reserved = min(reserved+partitionBytes, responseBytes)
			orphans = orphans || !behind
		}
	}
	// Who was asked for longest ago comes first, for an answer may have no room for all.
	slices.SortFunc(picked, func(a, b asked) int { return cmp.Compare(a.c.turn, b.c.turn) })
	f.waiting += reserved
	switch {
	case len(picked) == 0:
	case long:
		l.long = true
	default:
		l.orphans = orphans
	}
	return picked, reserved, wait, false
}

// ask asks for partitions, and takes the answer.
func (l *lane) ask(long bool, picked []asked, reserved int) {
	wait := shortWait
	if long {
		wait = longWait
	}
	resp, err := l.request(long, l.requestFor(picked, wait))
	f := l.f
	var later []func()
	f.mu.Lock()
	f.waiting -= reserved
	if long {
		l.long = false
	} else {
		l.orphans = false
	}
	if err == nil {
		err = link.Code("fetch", resp.ErrorCode, nil)
	}
	if err != nil {
		later = l.failedLocked(picked, err)
	} else {
		later = l.takeLocked(picked, resp)
	}
	for _, a := range picked {
		if a.stands() {
			a.c.flight = 0
			l.turn++
			a.c.turn = l.turn
		}
	}
	l.wake()
	f.mu.Unlock()
	for _, fn := range later {
		fn()
	}
}

func (l *lane) request(long bool, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	cl, err := l.f.client(clientKey{l.key.iso, l.key.number, long})
	if err != nil {
		return nil, err
	}
	resp, err := cl.Broker(int(l.key.leader)).Request(l.f.topics.ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.FetchResponse), nil
}

// requestFor returns the request for partitions, in their order as far as it can be.
func (l *lane) requestFor(picked []asked, wait time.Duration) *kmsg.FetchRequest {
	req := newFetchRequest(l.key.iso, wait)
	at := make(map[*Topic]int)
	for _, a := range picked {
		t := a.c.part.topic
		i, ok := at[t]
		if !ok {
			i = len(req.Topics)
			at[t] = i
			req.Topics = append(req.Topics, newFetchTopic(t))
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, newFetchPartition(a.c.part, a.from, a.epoch, a.last, partitionBytes))
	}
	return req
}

func newFetchRequest(iso log.Isolation, wait time.Duration) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = int32(wait.Milliseconds()), 1, responseBytes, isolation(iso)
	req.SessionEpoch = -1 // without a session: each request says all
	return req
}

func newFetchTopic(t *Topic) kmsg.FetchRequestTopic {
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.TopicID = t.name, t.id
	return ft
}

func newFetchPartition(p *part, from int64, epoch, last int32, most int) kmsg.FetchRequestTopicPartition {
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.CurrentLeaderEpoch, fp.LastFetchedEpoch, fp.PartitionMaxBytes = p.tp.Partition, from, epoch, last, int32(most)
	return fp
}

// place is what an answer calls a partition: by the name of the topic, or its id.
type place struct {
	topic     string
	id        [16]byte
	partition int32
}

// takeLocked takes an answer. What it returns is to be done without the lock.
func (l *lane) takeLocked(picked []asked, resp *kmsg.FetchResponse) (later []func()) {
	byID := resp.Version >= 13
	size := 0
	answers := make(map[place]*kmsg.FetchResponseTopicPartition, len(picked))
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			size += len(p.RecordBatches)
			if byID {
				answers[place{id: t.TopicID, partition: p.Partition}] = p
			} else {
				answers[place{topic: t.Topic, partition: p.Partition}] = p
			}
		}
	}
	for _, a := range picked {
		if !a.stands() {
			continue
		}
		key := place{topic: a.c.part.tp.Topic, partition: a.c.part.tp.Partition}
		if byID {
			key.topic, key.id = "", a.c.part.topic.id
		}
		if p := answers[key]; p != nil {
			later = append(later, l.takeOneLocked(a, p, size))
		} else {
			l.backoffLocked(a.c)
		}
	}
	return slices.DeleteFunc(later, func(fn func()) bool { return fn == nil })
}

// takeOneLocked takes the answer for a partition, in one of so many bytes.
func (l *lane) takeOneLocked(a asked, p *kmsg.FetchResponseTopicPartition, size int) (later func()) {
	c := a.c
	if p.CurrentLeader.LeaderEpoch > a.epoch && p.CurrentLeader.LeaderID >= 0 { // KIP-951
		leader, epoch := p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch
		later = func() { c.part.setLeader(leader, epoch); l.f.topics.Soon(c.part.tp.Topic) }
	}
	if p.ErrorCode != 0 {
		return l.refusedLocked(a, p.ErrorCode, later)
	}
	c.failures, c.retryAt = 0, time.Time{}
	if d := p.DivergingEpoch; d.EndOffset >= 0 && d.EndOffset < a.from { // KIP-320
		l.f.topics.link.Logger().Warn("a partition was cut off behind records that a consumer had read",
			zap.Stringer("partition", c.part.tp), zap.Int64("read to", a.from), zap.Int64("now ends at", d.EndOffset))
		l.backoffLocked(c)
		return func() {
			l.outOfRange(a, fmt.Errorf("%s: %w: records before offset %d were lost, from %d on", c.part.tp, log.ErrOffsetOutOfRange, a.from, d.EndOffset))
		}
	}
	batches, err := batchesOf(c.part.tp, c.iso, a.from, p)
	if 4*len(p.RecordBatches) < size { // a small part of the answer does not keep all of it
		for i := range batches {
			batches[i].Batch = slices.Clone(batches[i].Batch)
		}
	}
	for _, sb := range batches {
		c.bytes += len(sb.Batch)
		l.f.waiting += len(sb.Batch)
		c.next, c.last = sb.LastOffset+1, leaderEpoch(sb.Batch)
	}
	c.part.noteRead(batches)
	c.queue = append(c.queue, batches...)
	c.err = err
	told := bounds{p.LogStartOffset, p.HighWatermark, p.LastStableOffset}
	arrived := len(batches) > 0 || err != nil
	was := later
	return func() {
		if was != nil {
			was()
		}
		c.part.tell(told, false)
		if arrived {
			c.r.wake()
		}
	}
}

// refusedLocked takes an error code for a partition.
func (l *lane) refusedLocked(a asked, code int16, hint func()) (later func()) {
	c := a.c
	topics, name := l.f.topics, c.part.tp.Topic
	switch {
	case code == kerr.OffsetOutOfRange.Code:
		l.backoffLocked(c)
		return func() { l.outOfRange(a, nil) }
	case link.Passing(code) || code == kerr.UnknownTopicOrPartition.Code:
		l.backoffLocked(c)
		if hint != nil {
			return hint
		}
		return func() { topics.Soon(name) }
	}
	c.err = link.Code(c.part.tp.String(), code, nil)
	return c.r.wake
}

// outOfRange asks how far a partition is from which an offset was asked for that is not there, and tells the reader err, or just that.
func (l *lane) outOfRange(a asked, err error) {
	l.f.topics.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.f.topics.ctx, refreshTimeout)
		defer cancel()
		c := a.c
		if err := askBounds(ctx, l.f.topics.link, true, c.part); err != nil {
			return // it is asked for again
		}
		l.f.mu.Lock()
		if c.flight == 0 && c.next == a.from {
			if c.err = err; err == nil {
				c.err = outOfRange(c.part, a.from)
			}
		}
		l.f.mu.Unlock()
		c.r.wake()
	})
}

// backoffLocked lets a partition alone for a while.
func (l *lane) backoffLocked(c *cursor) {
	c.retryAt = time.Now().Add(min(lastBackoff, firstBackoff<<min(c.failures, 10)))
	c.failures++
}

// failedLocked takes the error of a request.
func (l *lane) failedLocked(picked []asked, err error) (later []func()) {
	if errors.Is(err, context.Canceled) {
		return nil // the end
	}
	names := make(map[string]bool)
	refused := link.Refused(err)
	for _, a := range picked {
		if !a.stands() {
			continue
		}
		l.backoffLocked(a.c)
		names[a.c.part.tp.Topic] = true
		if refused {
			a.c.err = link.Explain(a.c.part.tp.String(), err)
			later = append(later, a.c.r.wake)
		}
	}
	l.f.topics.link.Logger().Debug("a broker does not answer, its partitions are waited for", zap.Int32("broker", l.key.leader), zap.Error(err))
	return append(later, func() {
		for name := range names {
			l.f.topics.Soon(name)
		}
	})
}
