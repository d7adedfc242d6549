package samsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
)

// Consumer reads partitions in the order of their offsets, all of them or, in a group, those
// that the group has assigned to it. Poll and Records are for one
// goroutine at a time; the other methods may be called by anybody at any time.
//
// A consumer reads ahead in the background. The position of a partition is behind the last
// record that Poll has returned or that a loop over Records has been given; what was read ahead
// does not count.
//
// A record is processed when the program comes back for more: when Poll is called again, or
// when the loop over Records goes on. That is what auto-commit commits. A panic, a break, a
// returned error and Close add nothing: what was in work then comes again.
type Consumer struct {
	broker *Broker
	b      *backing
	opts   ConsumerOptions
	client *callback.Client
	wg     sync.WaitGroup
	waiter *engine.Waiter  // wakes the fetching goroutine
	ready  *engine.Waiter  // wakes Poll
	ctx    context.Context // ends when the consumer is closed
	cancel context.CancelFunc

	member *membership        // nil without a group
	born   map[[16]byte]int32 // by topic id, for a member: how many partitions there were when the consumer began

	calls calls // of the partitions

	mu        sync.Mutex            // guards what follows and the tracks
	whole     map[engine.Topic]bool // all partitions of it, new ones too
	changes   engine.Changes        // of the catalogue, from which on it is to be looked at
	tracks    map[TopicPartition]*track
	former    map[TopicPartition]int64 // see track.former; of partitions that the consumer had before
	sorted    []*track                 // the tracks by topic and partition; nil until somebody asks
	hungry    lineup                   // of tracks for the fetcher, which may have something to be read
	sated     lineup                   // and of those that must wait until others are not hungry
	filled    lineup                   // of tracks with chunks, for Poll
	moved     []*track                 // for a member: of which the program was given something since the last Poll
	current   *track                   // whose records the loop over Records gets, while stint lasts
	stint     quota                    // of current
	returns   uint64                   // how often the loop has come back for more
	fetched   int                      // bytes that were read ahead
	errs      []pollError
	resets    []Reset // to be told
	complaint error   // of the auto-commits, for the next Poll
	gone      error   // why nothing is left to read
	closing   bool
	closedCh  chan struct{}
}

// backing is what consumers need of the broker, or cluster, that they read.
type backing struct {
	topics      engine.Topics
	coordinator engine.Coordinator
	offsets     engine.Offsets
	logger      *zap.Logger
	clients     *callback.Clients // each consumer is one
	resets      *resetStats
}

// NewConsumer returns a consumer, which joins its group, if it has one, with the first
// Poll. It fails with ErrUnknownTopic, ErrUnknownPartition, or ErrInvalidOption naming all
// that is wrong.
func (b *Broker) NewConsumer(opts ConsumerOptions) (*Consumer, error) {
	if err := opts.validate(b.groups.Rules()); err != nil {
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	c := &Consumer{
		broker:   b,
		b:        &b.backing,
		opts:     opts.withDefaults(),
		waiter:   engine.NewWaiter(),
		ready:    engine.NewWaiter(),
		whole:    make(map[engine.Topic]bool),
		tracks:   make(map[TopicPartition]*track),
		former:   make(map[TopicPartition]int64),
		closedCh: make(chan struct{}),
	}
	c.client = &callback.Client{Name: "a consumer", Shut: c.shut}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	err := b.check(context.Background())
	if err == nil {
		err = c.prepare(context.Background())
	}
	if err == nil {
		err = c.b.clients.Add(c.client)
	}
	if err == nil && c.member != nil {
		err = c.member.start()
	}
	if err != nil {
		c.cancel()
		c.unwatch()
		c.b.clients.Remove(c.client)
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	c.wg.Go(c.fetch)
	return c, nil
}

// prepare sets up what is read, or what is subscribed to.
func (c *Consumer) prepare(ctx context.Context) error {
	if c.opts.Group == "" {
		return c.assign(ctx)
	}
	var errs []error
	for _, name := range c.opts.Topics {
		_, err := c.b.topics.Find(ctx, name, true)
		errs = append(errs, err)
	}
	c.member = newMembership(c)
	c.client = &callback.Client{Name: "a consumer of group " + c.opts.Group, Shut: c.shut, CallsOn: c.member.callsOn, Die: c.member.die}
	c.born = make(map[[16]byte]int32)
	for _, name := range c.member.wants.names() {
		if t, err := c.b.topics.Get(name); err == nil {
			c.born[t.ID()] = t.Partitions()
		}
	}
	return errors.Join(errs...)
}

// assign sets up the tracks that the options name, each at its start.
func (c *Consumer) assign(ctx context.Context) error {
	var errs []error
	for _, name := range c.opts.Topics {
		t, err := c.b.topics.Find(ctx, name, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.whole[t] = true
	}
	c.changes = c.b.topics.Changes()
	if c.opts.TopicPattern != nil {
		for _, t := range c.b.topics.List() {
			if c.matches(t) {
				c.whole[t] = true
			}
		}
	}
	for t := range c.whole {
		for i := range t.Partitions() {
			errs = append(errs, c.begin(ctx, t, i, c.opts.Start))
		}
	}
	for name, indexes := range c.opts.Partitions {
		t, err := c.b.topics.Find(ctx, name, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, i := range indexes {
			errs = append(errs, c.begin(ctx, t, i, c.opts.Start))
		}
	}
	for _, tr := range c.sortedLocked() {
		c.hungry.push(&tr.fetching) // in this order
	}
	c.b.topics.Watch(c.waiter)
	return errors.Join(errs...)
}

// begin begins to read a partition of t, from start on.
func (c *Consumer) begin(ctx context.Context, t engine.Topic, i int32, start Start) error {
	tr, err := c.newTrack(ctx, t, i, start)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLocked(tr)
	return nil
}

// sortedLocked returns all tracks, by topic and partition.
func (c *Consumer) sortedLocked() []*track {
	if c.sorted == nil {
		c.sorted = slices.SortedFunc(maps.Values(c.tracks), func(a, b *track) int {
			return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
		})
	}
	return c.sorted
}

// Poll returns the next records, of several partitions as it comes, those of each in
// order. It sleeps until there are some or ctx ends, then with the error of ctx. Records
// and their bytes belong to the caller and stay valid. Those of the call before count as
// processed from now on.
//
// An error with a partition behind it does not end the consumer: ErrCorruptRecord is
// returned once and the next Poll goes on behind the damaged batch; a deleted topic is
// ErrUnknownTopic once, and again when nothing else is left to read;
// ErrOffsetOutOfRange comes with ResetError until a Seek. No records are lost by an error, and
// until it is returned the position stays before what it is about.
func (c *Consumer) Poll(ctx context.Context) ([]Record, error) {
	var records []Record
	err := c.await(ctx, func() (_ bool, err error) {
		records, err = c.takeLocked(nil)
		return len(records) > 0, err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// await is a call of Poll: it does what is to be done for the group, and calls take, with the
// lock held, until that has something.
func (c *Consumer) await(ctx context.Context, take func() (bool, error)) error {
	if c.member != nil {
		if err := c.member.enter(); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		c.settle()
		defer c.member.leave()
	}
	for {
		select {
		case <-c.ready.C(): // what it stands for is looked at below
		default:
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if c.member != nil && !c.isClosing() {
			if err := c.member.step(ctx); err != nil {
				return fmt.Errorf("poll: %w", err)
			}
		}
		c.tellResets(ctx)
		ok, err := c.collect(take)
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if ok {
			return nil
		}
		select {
		case <-c.ready.C():
		case <-ctx.Done():
		}
	}
}

// collect takes what is ready; it returns false when nothing is.
func (c *Consumer) collect(take func() (bool, error)) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false, ErrClosed
	}
	if len(c.resets) > 0 {
		return false, nil // to be told first
	}
	if err := c.errLocked(); err != nil {
		return false, err
	}
	if c.gone != nil {
		return false, c.gone
	}
	return take()
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
	if err := c.complaint; err != nil {
		c.complaint = nil
		return err
	}
	for len(c.errs) > 0 {
		e := c.errs[0]
		c.errs = c.errs[1:]
		if e.track == nil {
			return e.err
		}
		if e.track.epoch == e.epoch {
			e.track.stuck = false
			e.track.hungry()
			c.waiter.Wake()
			return e.err
		}
	}
	return nil
}

// takeLocked takes records from the tracks in turn. In the first round each gets no
// more than its share, so that a full partition does not keep others waiting.
func (c *Consumer) takeLocked(dst []Record) ([]Record, error) {
	quota := quota{records: c.opts.MaxPollRecords, bytes: c.opts.MaxPollBytes}
	available := 0
	for s := c.filled.first; s != nil && available < quota.records; s = s.next {
		available += s.track.available()
	}
	if available == 0 {
		return dst, nil
	}
	quota.records = min(quota.records, available)
	dst = slices.Grow(dst, quota.records)
	share := quota.share(c.filled.n)
	var owing *track
	for round := range 2 {
		for n := c.filled.n; n > 0 && !quota.spent(); n-- {
			tr := c.filled.first.track
			if round == 1 {
				share = quota
			}
			before := share
			owed, err := false, error(nil)
			dst, owed, err = tr.take(dst, &share)
			quota.spend(before, share)
			share = before
			if tr.filled.line != nil {
				c.filled.push(&tr.filled)
			}
			if err != nil {
				return dst, err
			}
			if owed {
				owing = tr
			}
		}
	}
	if owing != nil {
		c.filled.pushFront(&owing.filled) // its error is the next Poll's
	}
	return dst, nil
}

// Records returns an iterator over all records to come, for use with range. It ends, after
// yielding the error, when ctx ends or the consumer is closed; other errors are yielded
// and it goes on.
//
// The position is behind the record that the loop has, and what is called in the loop acts at
// once on what the loop gets next. That a record is processed the loop says by going on: leaving
// it, by a break, an error or a panic, says nothing of the last one.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for going := false; ; {
			var r Record
			var err error
			if !going || !c.another(ctx, &r) {
				err = c.await(ctx, func() (bool, error) { return c.oneLocked(&r) })
			}
			going = err == nil
			if err != nil {
				if !yield(Record{}, err) || ctx.Err() != nil || errors.Is(err, ErrClosed) || c.over() {
					return
				}
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// another is the short way to the next record of a loop, without what else a Poll may have to do:
// of the same partition, if the record is there, and nothing has happened that Poll has to
// look at.
func (c *Consumer) another(ctx context.Context, r *Record) bool {
	if len(c.ready.C()) > 0 || ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.done = c.current.position
	c.returns++
	return !c.closing && c.currentLocked(r)
}

// currentLocked takes the next record of the current track, if its stint lasts and it has one.
func (c *Consumer) currentLocked(r *Record) bool {
	if c.current == nil || c.stint.spent() {
		return false
	}
	if ok, err := c.current.one(r); !ok || err != nil { // the error stays, to be told in its turn
		return false
	}
	c.stint.records--
	c.stint.bytes -= recordBytes(r)
	return true
}

// oneLocked takes one record, of the current track while its stint lasts, and then of the others
// in turn, or the error that is in its place.
func (c *Consumer) oneLocked(r *Record) (bool, error) {
	if c.currentLocked(r) {
		return true, nil
	}
	whole := quota{records: c.opts.MaxPollRecords, bytes: c.opts.MaxPollBytes}
	for c.filled.n > 0 {
		tr := c.filled.first.track
		c.current, c.stint = tr, whole.share(c.filled.n)
		ok := c.currentLocked(r)
		if tr.filled.line != nil {
			c.filled.push(&tr.filled)
		}
		switch {
		case ok:
			return true, nil
		case len(tr.chunks) > 0: // with an error
			err := tr.chunks[0].err
			tr.pop()
			return false, err
		}
	}
	return false, nil
}

// returned returns how often the loop over Records has come back for more.
func (c *Consumer) returned() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.returns
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

// Close ends the consumer: a waiting Poll gets ErrClosed. It may be called more than
// once and waits until nothing of the consumer runs any more, its callbacks included: those
// that do not return for 30 s it leaves behind, with ErrCutOff.
//
// With auto-commit Close commits what is processed. That of the records that the last Poll has
// returned any are, Close cannot know: they come again, unless they were committed.
func (c *Consumer) Close() error { return c.client.Close() }

// shut ends the consumer: see callback.Client.
func (c *Consumer) shut() {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	c.mu.Unlock()
	if !first {
		<-c.closedCh
		return
	}
	defer func() { // even if a callback panics
		c.waiter.Wake()
		c.cancel()
		c.wg.Wait()
		c.unwatch()
		c.b.clients.Remove(c.client)
		close(c.closedCh)
	}()
	c.ready.Wake()
	if c.member != nil {
		c.member.end()
	}
}

func (c *Consumer) unwatch() {
	c.b.topics.Unwatch(c.waiter)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range c.tracks {
		tr.partition.Unwatch(tr)
	}
}
