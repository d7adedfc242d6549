package read

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Topic is a topic of a cluster.
type Topic struct {
	set      *Topics
	name     string
	id       [16]byte
	parts    atomic.Pointer[[]*part]
	replicas atomic.Int32
	gone     atomic.Bool // another one may have the name
	internal bool        // it is the cluster's own: it can be found, and is not among the others
	misses   int         // guarded by Topics.mu: how often in a row it was not there
}

// Name implements engine.Topic.
func (t *Topic) Name() string { return t.name }

// ID implements engine.Topic.
func (t *Topic) ID() [16]byte { return t.id }

// Partitions implements engine.Topic.
func (t *Topic) Partitions() int32 { return int32(len(*t.parts.Load())) }

// Partition implements engine.Topic. Each call is for a reader of its own, who reads ahead when he watches.
func (t *Topic) Partition(i int32) (engine.Partition, error) {
	parts := *t.parts.Load()
	if i < 0 || int(i) >= len(parts) {
		return nil, fmt.Errorf("%s/%d: %w: the topic has %d", t.name, i, log.ErrUnknownPartition, len(parts))
	}
	return &reader{part: parts[i]}, nil
}

// grow returns the partitions that the topic has and those that are new.
func (t *Topic) grow(found []kmsg.MetadataResponseTopicPartition) []*part {
	parts := *t.parts.Load()
	n := len(parts)
	parts = parts[:n:n]
	for i := n; i < len(found); i++ {
		p := &part{topic: t, tp: log.TopicPartition{Topic: t.name, Partition: int32(i)}, leader: -1, epoch: -1, readers: make(map[*reader]struct{})}
		parts = append(parts, p)
	}
	return parts
}

func (t *Topic) end(err error) {
	for _, p := range *t.parts.Load() {
		p.end(err)
	}
}

// part is a partition of a cluster, as all readers see it.
type part struct {
	topic *Topic // set before others hear of it
	tp    log.TopicPartition

	start, high, stable atomic.Int64 // as engine.Partition has them; they are told by tell

	mu      sync.Mutex
	leader  int32 // -1 while there is none
	epoch   int32 // of the leader
	err     error // why it has ended
	epochs  epochs
	readers map[*reader]struct{}
}

// lead takes who leads the partition, unless something newer is known.
func (p *part) lead(found []kmsg.MetadataResponseTopicPartition) {
	for i := range found {
		if m := &found[i]; m.Partition == p.tp.Partition {
			p.setLeader(m.Leader, m.LeaderEpoch)
			return
		}
	}
}

// setLeader notes a leader, unless it is an old one. The epoch is -1 where nobody tells.
func (p *part) setLeader(leader, epoch int32) {
	p.mu.Lock()
	old := epoch >= 0 && epoch < p.epoch
	moved := !old && leader != p.leader
	if !old {
		p.leader, p.epoch = leader, epoch
	}
	p.mu.Unlock()
	if moved {
		p.topic.set.fetcher.moved(p)
	}
}

func (p *part) at() (leader, epoch int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader, p.epoch
}

func (p *part) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// end ends the partition: it cannot be read any more.
func (p *part) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.wakeLocked()
}

// bounds are how far a partition is; -1 is not known.
type bounds struct{ start, high, stable int64 }

// tell takes how far the partition is. Bounds do not go back, unless exact says that they did: answers may overtake each
// other.
func (p *part) tell(b bounds, exact bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := false
	set := func(v *atomic.Int64, to int64) {
		if to >= 0 && (to > v.Load() || exact && to != v.Load()) {
			v.Store(to)
			moved = true
		}
	}
	set(&p.high, b.high)
	set(&p.stable, min(max(b.stable, -1), p.high.Load()))
	set(&p.start, b.start)
	if moved {
		p.wakeLocked()
	}
}

func (p *part) wakeLocked() {
	for r := range p.readers {
		r.wake()
	}
}

func (p *part) edge(iso log.Isolation) int64 {
	if iso == log.ReadCommitted {
		return p.stable.Load()
	}
	return p.high.Load()
}

// reader is a partition as one reads it: engine.Partition.
type reader struct {
	part *part

	mu       sync.Mutex // guards watchers; nothing else is locked while it is held
	watchers []engine.Watcher

	cursor *cursor // guarded by fetcher.mu; nil until a watched one is fetched from
}

func (r *reader) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.watchers {
		w.Wake()
	}
}

// TopicPartition implements engine.Partition.
func (r *reader) TopicPartition() log.TopicPartition { return r.part.tp }

// LogStart implements engine.Partition.
func (r *reader) LogStart() int64 { return r.part.start.Load() }

// HighWatermark implements engine.Partition.
func (r *reader) HighWatermark() int64 { return r.part.high.Load() }

// LastStable implements engine.Partition.
func (r *reader) LastStable() int64 { return max(r.part.stable.Load(), r.part.start.Load()) }

// Err implements engine.Partition.
func (r *reader) Err() error { return r.part.failure() }

// Ask implements engine.Remote.
func (r *reader) Ask(ctx context.Context) error {
	if err := r.part.failure(); err != nil {
		return err
	}
	return askBounds(ctx, r.part.topic.set.link, false, r.part)
}

// Watch implements engine.Partition.
func (r *reader) Watch(w engine.Watcher) {
	r.mu.Lock()
	r.watchers = append(r.watchers, w)
	r.mu.Unlock()
	r.part.mu.Lock()
	defer r.part.mu.Unlock()
	r.part.readers[r] = struct{}{}
}

// Unwatch implements engine.Partition.
func (r *reader) Unwatch(w engine.Watcher) {
	r.mu.Lock()
	for i := range r.watchers {
		if r.watchers[i] == w {
			r.watchers = append(r.watchers[:i:i], r.watchers[i+1:]...)
			break
		}
	}
	left := len(r.watchers)
	r.mu.Unlock()
	if left > 0 {
		return
	}
	r.part.mu.Lock()
	delete(r.part.readers, r)
	r.part.mu.Unlock()
	r.part.topic.set.fetcher.drop(r)
}

func (r *reader) watched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watchers) > 0
}
