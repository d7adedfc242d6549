package samsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Consumer reads partitions in the order of their offsets, all of them or, in a group, those
// that the group has assigned to it. Poll and Records are for one
// goroutine at a time; the other methods may be called by anybody at any time.
//
// A consumer reads ahead in the background. What Poll has returned is behind the
// position, what was read ahead is not.
type Consumer struct {
	b      *Broker
	opts   ConsumerOptions
	wg     sync.WaitGroup
	waiter *partition.Waiter // wakes the fetching goroutine
	ready  *partition.Waiter // wakes Poll
	ctx    context.Context   // ends when the consumer is closed
	cancel context.CancelFunc

	member *member           // nil without a group
	born   map[TopicID]int32 // for a member: how many partitions there were when the consumer began

	mu       sync.Mutex            // guards what follows and the tracks
	whole    map[*topic.Topic]bool // all partitions of it, new ones too
	version  uint64                // of the catalogue, when it was looked at for topics
	tracks   map[TopicPartition]*track
	order    []*track // by topic and partition; Poll and the fetcher begin anywhere in it
	turn     int      // in order: with whom the next Poll begins
	fetched  int      // bytes that were read ahead
	errs     []pollError
	gone     error // why nothing is left to read
	closing  bool
	closedCh chan struct{}
}

// NewConsumer returns a consumer, which joins its group, if it has one, with the first
// Poll. It fails with ErrUnknownTopic, ErrUnknownPartition, or ErrInvalidOption naming all
// that is wrong.
func (b *Broker) NewConsumer(opts ConsumerOptions) (*Consumer, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	c := &Consumer{
		b:        b,
		opts:     opts.withDefaults(),
		waiter:   partition.NewWaiter(),
		ready:    partition.NewWaiter(),
		whole:    make(map[*topic.Topic]bool),
		tracks:   make(map[TopicPartition]*track),
		closedCh: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	err := c.prepare()
	if err == nil {
		err = b.register(c)
	}
	if err == nil && c.member != nil {
		err = c.member.start()
	}
	if err != nil {
		c.cancel()
		c.unwatch()
		b.unregister(c)
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	c.wg.Go(c.fetch)
	return c, nil
}

// prepare sets up what is read, or what is subscribed to.
func (c *Consumer) prepare() error {
	if err := c.b.check(context.Background()); err != nil {
		return err
	}
	if c.opts.Group == "" {
		return c.assign()
	}
	var errs []error
	for _, name := range c.opts.Topics {
		_, err := c.b.topic(context.Background(), name)
		errs = append(errs, err)
	}
	c.born = make(map[TopicID]int32)
	for _, t := range c.b.catalogue.List() {
		c.born[t.ID()] = int32(len(t.Partitions()))
	}
	c.member = newMember(c)
	return errors.Join(errs...)
}

// assign sets up the tracks that the options name, each at its start.
func (c *Consumer) assign() error {
	ctx := context.Background()
	var errs []error
	for _, name := range c.opts.Topics {
		t, err := c.b.topic(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.whole[t] = true
	}
	c.version = c.b.catalogue.Version()
	c.matchLocked()
	for t := range c.whole {
		for _, p := range t.Partitions() {
			errs = append(errs, c.track(p, c.opts.Start))
		}
	}
	for name, indexes := range c.opts.Partitions {
		t, err := c.b.topic(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, i := range indexes {
			p, err := t.Partition(i)
			if err == nil {
				err = c.track(p, c.opts.Start)
			}
			errs = append(errs, err)
		}
	}
	c.sort()
	c.b.catalogue.Watch(c.waiter)
	return errors.Join(errs...)
}

// track adds p to what is read, from start on.
func (c *Consumer) track(p *partition.Partition, start Start) error {
	tp := p.TopicPartition()
	if c.tracks[tp] != nil {
		return nil
	}
	p.Watch(c.waiter) // before the end is looked at
	offset, err := start.resolve(p)
	if err != nil {
		p.Unwatch(c.waiter)
		return err
	}
	tr := &track{tp: tp, partition: p, position: offset, next: offset, base: offset, done: offset, saved: -1}
	c.tracks[tp] = tr
	c.order = append(c.order, tr)
	return nil
}

func (c *Consumer) sort() {
	slices.SortFunc(c.order, func(a, b *track) int {
		return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
}

// Poll returns the next records, of several partitions as it comes, those of each in
// order. It sleeps until there are some or ctx ends, then with the error of ctx. Records
// and their bytes belong to the caller and stay valid.
//
// An error with a partition behind it does not end the consumer: ErrCorruptRecord is
// returned once and the next Poll goes on behind the damaged batch; a deleted topic is
// ErrUnknownTopic once, and again when nothing else is left to read;
// ErrOffsetOutOfRange comes with ResetError until a Seek. No records are lost by an error.
func (c *Consumer) Poll(ctx context.Context) ([]Record, error) {
	return c.poll(ctx, nil)
}

// poll is Poll, into the memory of dst.
func (c *Consumer) poll(ctx context.Context, dst []Record) ([]Record, error) {
	if c.member != nil {
		c.member.enter()
		defer c.member.leave()
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
		if c.member != nil && !c.isClosing() {
			if err := c.member.step(ctx); err != nil {
				return nil, fmt.Errorf("poll: %w", err)
			}
		}
		records, err := c.collect(dst[:0])
		if err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
		if len(records) > 0 {
			return records, nil
		}
		select {
		case <-c.ready.C():
		case <-ctx.Done():
		}
	}
}

// collect takes what is ready; it returns nothing when nothing is.
func (c *Consumer) collect(dst []Record) ([]Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, ErrClosed
	}
	if err := c.errLocked(); err != nil {
		return nil, err
	}
	if c.gone != nil {
		return nil, c.gone
	}
	before := c.fetched
	records, err := c.takeLocked(dst)
	if c.fetched < before {
		c.waiter.Wake() // there is room to read ahead
	}
	if err != nil && len(records) > 0 {
		c.errs = append(c.errs, pollError{err: err}) // records first
		err = nil
	}
	return records, err
}

// pollError is an error for the next Poll, of a track or of none.
type pollError struct {
	err   error
	track *track
	epoch int
}

// errLocked takes the next error. The track it is of is read again, and if nothing has
// changed the error comes again; an error from before a seek is forgotten.
func (c *Consumer) errLocked() error {
	for len(c.errs) > 0 {
		e := c.errs[0]
		c.errs = c.errs[1:]
		if e.track == nil {
			return e.err
		}
		if e.track.epoch == e.epoch {
			e.track.stuck = false
			c.waiter.Wake()
			return e.err
		}
	}
	return nil
}

// takeLocked takes records from the tracks in turn. In the first round each gets no
// more than its share, so that a full partition does not keep others waiting.
func (c *Consumer) takeLocked(dst []Record) ([]Record, error) {
	available := 0
	ready := 0
	for _, tr := range c.order {
		if n := tr.available(); n > 0 && !tr.paused {
			available += n
			ready++
		}
	}
	if ready == 0 {
		return dst, nil
	}
	quota := quota{records: min(c.opts.MaxPollRecords, available), bytes: c.opts.MaxPollBytes}
	dst = slices.Grow(dst, quota.records)
	share := quota.share(ready)
	first := c.turn
	for round := range 2 {
		for i := range c.order {
			at := (first + i) % len(c.order)
			tr := c.order[at]
			if tr.paused || tr.available() == 0 || quota.spent() {
				continue
			}
			if round == 1 {
				share = quota
			}
			var err error
			before := share
			dst, err = tr.take(c, dst, &share)
			quota.spend(before, share)
			share = before
			c.turn = at + 1
			if err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// Records returns an iterator over all records to come, for use with range. It ends, after
// yielding the error, when ctx ends or the consumer is closed; other errors are yielded
// and it goes on. Leaving the loop leaves the position behind the record seen last.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var buf []Record
		for {
			records, err := c.poll(ctx, buf)
			if err != nil {
				if !yield(Record{}, err) || ctx.Err() != nil || errors.Is(err, ErrClosed) || c.over() {
					return
				}
				continue
			}
			for i := range records {
				if !yield(records[i], nil) {
					c.unread(records[i+1:])
					return
				}
			}
			buf = records
		}
	}
}

func (c *Consumer) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// over reports whether nothing is left to read.
func (c *Consumer) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone != nil || c.member != nil && c.member.over()
}

// unread moves the positions back before records.
func (c *Consumer) unread(records []Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(records) - 1; i >= 0; i-- {
		r := &records[i]
		if tr := c.tracks[TopicPartition{Topic: r.Topic, Partition: r.Partition}]; tr != nil {
			c.fetched -= tr.seek(r.Offset)
		}
	}
	c.waiter.Wake()
}

// Close ends the consumer: a waiting Poll gets ErrClosed. It may be called more than
// once and waits until nothing of the consumer runs any more.
//
// With auto-commit Close tells that all records that Poll has returned are processed. When
// the broker is closed first, those of the last Poll count as not processed.
func (c *Consumer) Close() error {
	c.settle()
	c.shut()
	c.b.unregister(c)
	return nil
}

func (c *Consumer) shut() {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	c.mu.Unlock()
	if !first {
		<-c.closedCh
		return
	}
	c.ready.Wake()
	if c.member != nil {
		c.member.end()
	}
	c.waiter.Wake()
	c.cancel()
	c.wg.Wait()
	c.unwatch()
	close(c.closedCh)
}

func (c *Consumer) unwatch() {
	c.b.catalogue.Unwatch(c.waiter)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range c.order {
		tr.partition.Unwatch(c.waiter)
	}
}
