// Package partition holds the rules of one partition: who may append, in which order
// offsets are given, when records become visible and who is woken then. What it is given is
// written by internal/writer. Users import the module root.
package partition

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
)

// Rules are the topic configs that a partition enforces. They may change at run time.
type Rules struct {
	MaxMessageBytes int  // largest encoded batch, and largest batch of one record, in bytes
	LogAppendTime   bool // stamp batches with the time of the append
	KeyRequired     bool // records without a key are refused by those who make batches

	// How far a record's timestamp may be behind the clock and ahead of it, in ms; MaxInt64 is
	// no bound. Those who make batches see to it (Timestamps).
	TimestampBeforeMaxMs, TimestampAfterMaxMs int64

	// Compression is that of the batches, for those who make or take them.
	Compression log.Compression
}

// Partition is one partition of a topic: a log, and the readers that wait for it.
type Partition struct {
	log   *log.Log
	rules atomic.Pointer[Rules]
	ended atomic.Pointer[error] // why there are no more appends and reads; nil while there are

	appended atomic.Int64 // bytes as stored, since the partition was opened
	cleaning turns.Turn   // held by who trims or compacts

	probes atomic.Pointer[probe.Points] // nil until SetProbes

	trail atomic.Pointer[Link] // the last one; nil while nobody has asked for any

	mu       sync.Mutex // guards what follows
	watchers map[Watcher]struct{}
	trailers int // who have asked for a trail
}

// Open returns the partition whose log is l.
func Open(l *log.Log, rules Rules) *Partition {
	p := &Partition{log: l, cleaning: turns.New(), watchers: make(map[Watcher]struct{})}
	p.rules.Store(&rules)
	return p
}

// TopicPartition returns the partition's name.
func (p *Partition) TopicPartition() log.TopicPartition { return p.log.TopicPartition() }

// ID returns the partition's name in the store.
func (p *Partition) ID() store.PartitionID { return p.log.ID() }

// Rules returns the rules in force.
func (p *Partition) Rules() Rules { return *p.rules.Load() }

// SetRules replaces the rules; appends that are staged later obey them.
func (p *Partition) SetRules(r Rules) { p.rules.Store(&r) }

// LogStart returns the offset of the first record that can be read.
func (p *Partition) LogStart() int64 { return p.log.Start() }

// HighWatermark returns the offset behind the last visible record.
func (p *Partition) HighWatermark() int64 { return p.log.End() }

// LastStable returns the offset behind the last record that readers of what is committed can get. It moves only
// with HighWatermark or LogStart.
func (p *Partition) LastStable() int64 { return p.log.LastStable() }

// Read is log.Log.Read, refused with the reason once the partition has ended. Those who read
// for a consumer that they know use Fetch.
func (p *Partition) Read(from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	return p.Fetch(context.Background(), "", log.ReadUncommitted, from, buf, fn)
}

func (p *Partition) read(iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	if err := p.Err(); err != nil {
		return buf, err
	}
	if iso == log.ReadCommitted {
		return p.log.ReadCommitted(from, buf, fn)
	}
	return p.log.Read(from, buf, fn)
}

// BytesFrom is log.Log.BytesFrom, refused once the partition has ended.
func (p *Partition) BytesFrom(iso log.Isolation, from int64, enough int) (int, error) {
	if err := p.Err(); err != nil {
		return 0, err
	}
	return p.log.BytesFrom(iso, from, enough)
}

// OffsetForTime is log.Log.OffsetForTime, refused once the partition has ended.
func (p *Partition) OffsetForTime(iso log.Isolation, ts int64) (offset, timestamp int64, ok bool, err error) {
	if err := p.Err(); err != nil {
		return 0, 0, false, err
	}
	return p.log.OffsetForTime(iso, ts)
}

// Appended returns how many bytes of batches were stored since the partition was opened.
func (p *Partition) Appended() int64 { return p.appended.Load() }

// Watcher is woken by a partition. A Waiter is one.
type Watcher interface {
	// Wake must not block, and may be called by anybody at any time.
	Wake()
}

// Watch wakes w whenever the high watermark or the log start moves and when the partition ends, until
// Unwatch.
func (p *Partition) Watch(w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[w] = struct{}{}
}

// Unwatch undoes Watch.
func (p *Partition) Unwatch(w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watchers, w)
}

// End makes every append and read that starts later fail with err, which names the
// reason, and wakes everybody who waits. The first reason stays.
func (p *Partition) End(err error) {
	err = fmt.Errorf("%s: %w", p.log.TopicPartition(), err)
	p.ended.CompareAndSwap(nil, &err)
	p.wake()
}

// Err returns why the partition has ended, or nil while it has not.
func (p *Partition) Err() error {
	if err := p.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// Advance moves the high watermark, and the last stable offset, behind what was staged, which is stored, with so
// many bytes of batches, and wakes the readers. It is for the writer, one call at a time.
func (p *Partition) Advance(s log.Staged, bytes int64) {
	p.appended.Add(bytes)
	p.log.Applied(s)
	p.wake()
}

// SetStart moves the log start offset, which is stored, and wakes the readers. It is for the
// writer, which has the Turn.
func (p *Partition) SetStart(start int64) {
	p.log.SetStart(start)
	p.wake()
}

// Cut makes the log end where a cut does, which is stored, and wakes the readers. It is for the writer.
func (p *Partition) Cut(c log.Cut) {
	p.log.ApplyCut(c)
	p.wake()
}

// Turn gives the caller the exclusive right to clean the partition until it calls the
// function returned, or fails when ctx ends.
func (p *Partition) Turn(ctx context.Context) (release func(), err error) {
	if err := p.cleaning.TakeUntil(ctx); err != nil {
		return nil, err
	}
	return p.cleaning.Give, nil
}

// Log returns the partition's log, for the writer and for who cleans it.
func (p *Partition) Log() *log.Log { return p.log }

func (p *Partition) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watchers {
		w.Wake()
	}
}
