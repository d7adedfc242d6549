package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// leg is the mirror from one start, or trouble, to the next: what it knows it has read from the notes. Two goroutines have it in
// turns: one reads ahead from the source while the other one stores what was read before; between rounds there is one.
type leg struct {
	m          *Mirror
	from, to   engine.Parts
	copier     engine.Copier
	notesTopic string
	notes      *notes // kept up to date
	origins    *origins
	refused    map[string]error // topics that are not copied
	there      *origins         // the notes of other mirrors in the target
	topics     map[string]*copied
	tracks     []*track // of all topics
	turn       int      // of tracks, whose it is to be read first
	wake       *engine.Waiter
	changes    engine.Changes // of the source
	once       bool           // it does not wait for what is not there
	due        bool           // topics are to be looked at, now
	looked     time.Time
	extra      []log.Record // notes for the next transaction
	buf        []byte
}

// copied is a topic that is copied.
type copied struct {
	source engine.Topic
	name   string // in the target
	id     [16]byte
	note   *topicNote
	most   int // bytes of a batch
	tracks []*track
}

// track is a partition that is copied.
type track struct {
	tp     log.TopicPartition // in the source
	target log.TopicPartition
	topic  *copied
	source engine.Partition
	read   int64 // up to where the source was read
	gap    bool  // nothing was read yet, and read is behind what the target has to have

	positionNote // what is stored
	ranges       ranges
	until        int64 // where Run ends, with Options.UntilNow
	damaged      error // why nothing more is read
	again        bool  // but once, to see whether it still is

	caught time.Time // when all there was was copied
}

// begin finds out where the mirror is.
func (m *Mirror) begin(ctx context.Context, copier engine.Copier) (*leg, error) {
	l := &leg{
		m: m, once: m.opts.UntilNow, from: m.from, to: m.to, copier: copier, notesTopic: notesPrefix + m.opts.Name, topics: map[string]*copied{},
		wake: engine.NewWaiter(), due: true,
	}
	l.origins, l.there = newOrigins(l.from.Topics, ""), newOrigins(l.to.Topics, l.notesTopic)
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	if u := m.unsure; u != nil {
		if p := l.notes.positions[u.tp]; p != nil && p.Offset >= u.end {
			m.count(u.counts)
		}
		m.unsure = nil
	}
	m.mu.Lock()
	clear(m.stats.Damaged)
	m.mu.Unlock()
	l.changes = l.from.Topics.Changes()
	l.from.Topics.Watch(l.wake)
	return l, nil
}

// load reads the notes, and makes the topic for them.
func (l *leg) load(ctx context.Context) (err error) {
	if l.notes, err = readNotes(ctx, l.to.Topics, l.notesTopic); err != nil {
		return err
	}
	head := headNote{Version: notesVersion, From: l.from.ClusterID, Prefix: l.m.opts.Prefix}
	switch has := l.notes.head; {
	case has.Version == 0:
		config := topic.Config{Partitions: 1, Replicas: l.m.opts.Replicas, CleanupPolicy: topic.Compact}
		err := l.to.TopicAdmin.Create(ctx, l.notesTopic, config)
		if errors.Is(err, log.ErrTopicExists) { // somebody has made it, who may not have known what for
			err = l.to.TopicAdmin.Alter(ctx, l.notesTopic, func(now *topic.Config) error {
				now.CleanupPolicy = topic.Compact
				return nil
			})
		}
		if err != nil {
			return err
		}
		l.extra = append(l.extra, l.note(headKey, head))
	case has != head:
		return fmt.Errorf("%w: mirror %q copies from cluster %s with prefix %q; this one from %s with %q", log.ErrInvalidOption,
			l.m.opts.Name, has.From, has.Prefix, head.From, head.Prefix)
	}
	return nil
}

// end lets go of everything.
func (l *leg) end() {
	l.from.Topics.Unwatch(l.wake)
	for _, t := range l.tracks {
		t.source.Unwatch(l.wake)
	}
}

// run copies until ctx ends, something fails, or with UntilNow all is copied.
func (l *leg) run(ctx context.Context) error {
	if err := l.look(ctx); err != nil {
		return err
	}
	if l.m.opts.UntilNow {
		for _, t := range l.tracks {
			var err error
			if t.until, err = edge(ctx, t.source); err != nil {
				return err
			}
		}
	}
	var next *round
	for {
		reading := make(chan *round, 1)
		if next == nil || !l.lookDue() {
			go func() { reading <- l.collect(ctx, next != nil) }() // it is waited for
		} else {
			reading <- nil
		}
		var err error
		if next != nil {
			err = l.store(ctx, next)
		}
		stored := next
		if next = <-reading; err != nil {
			return err
		}
		if stored != nil {
			l.hurtBy(stored, next)
		}
		if next != nil && next.err != nil {
			return next.err
		}
		if next != nil && len(next.parts) > 0 {
			continue
		}
		next = nil
		if l.lookDue() {
			if err := l.look(ctx); err != nil {
				return err
			}
			if err := l.groups(ctx, false); err != nil {
				return err
			}
		}
		if l.m.opts.UntilNow && l.reached() {
			if err := l.groups(ctx, true); err != nil {
				return err
			}
			return errors.Join(l.hold(ctx), l.damage())
		}
	}
}

// reached reports whether all is copied that is to be, and can be.
func (l *leg) reached() bool {
	for _, t := range l.tracks {
		if t.Offset < t.until && t.damaged == nil {
			return false
		}
	}
	return true
}

// damage returns what is damaged in the source, nil if nothing is.
func (l *leg) damage() error {
	var all []error
	for _, t := range l.tracks {
		if t.damaged != nil {
			all = append(all, fmt.Errorf("%s: %w", t.tp, t.damaged))
		}
	}
	for name, err := range l.refused {
		if damage(err) {
			all = append(all, fmt.Errorf("topic %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// edge returns the last stable offset as of now.
func edge(ctx context.Context, p engine.Partition) (int64, error) {
	if r, ok := p.(engine.Remote); ok {
		if err := r.Ask(ctx); err != nil {
			return 0, err
		}
	}
	return p.LastStable(), p.Err()
}

// store copies a round.
func (l *leg) store(ctx context.Context, r *round) error {
	if err := l.m.rate.wait(ctx, r.bytes); err != nil {
		return err
	}
	var packers []packer
	var batches []engine.CopiedBatch
	parts := r.parts[:0]
	for _, p := range r.parts {
		packed, err := l.pack(r, &p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.track.tp, err)
		}
		if p.end > p.track.Offset {
			batches = packed.copied(batches, p.track.target, p.track.topic.id)
			packers, parts = append(packers, packed), append(parts, p)
		}
	}
	r.parts = parts
	blocks := make([][]block, len(r.parts))
	notes := func() ([]log.Record, error) {
		all := l.extra
		rest := batches
		for i := range r.parts {
			n := len(packers[i].out)
			blocks[i] = r.parts[i].advance(rest[:n], packers[i].out, l.copier.Keeps())
			rest = rest[n:]
			t := r.parts[i].track
			all = append(all, l.note(partitionKey(positionPrefix, t.tp), r.parts[i].after))
			for k := range blocks[i] {
				all = append(all, l.rangesNote(t.tp, &blocks[i][k]))
			}
		}
		return all, nil
	}
	began := time.Now()
	err := l.copier.Copy(ctx, batches, notes)
	l.m.tell(ctx, r, began, err)
	if err != nil {
		if errors.Is(err, log.ErrOutcomeUnknown) && len(r.parts) > 0 {
			l.m.unsure = &unsure{r.parts[0].track.tp, r.parts[0].end, r.counts()}
		}
		return err
	}
	l.extra = nil
	for i := range r.parts {
		t := r.parts[i].track
		t.positionNote = r.parts[i].after
		t.ranges.put(blocks[i])
		l.extra = append(l.extra, l.forget(t)...)
	}
	l.m.copied(r)
	return nil
}

// unsure is a round of which it is not known whether it is stored: it is when the notes say that a partition is copied up to its end.
type unsure struct {
	tp  log.TopicPartition
	end int64
	counts
}

// pack makes batches of a part for the target: up to one that cannot be taken apart, if there is one, which ends the part.
func (l *leg) pack(r *round, p *part) (packer, error) {
	for t := p.track; ; {
		to := packer{maximum: min(joinTo, t.topic.most)}
		var bad int
		var err error
		if l.copier.Keeps() {
			bad, err = to.keep(p.pieces, t.Offset, p.end, t.Target-t.Offset, p.lastMs)
		} else {
			bad, err = to.move(p.pieces)
		}
		if err == nil || !damage(err) || bad >= len(p.pieces) {
			return to, err
		}
		r.hurt = append(r.hurt, hurt{t, fmt.Errorf("offset %d: %w", p.pieces[bad].from, err)})
		p.end = p.pieces[bad].from
		p.pieces = p.pieces[:bad]
	}
}

// hurtBy has partitions of which a round that was stored has found damage end there: next has been read behind it.
func (l *leg) hurtBy(stored, next *round) {
	for _, h := range stored.hurt {
		if next != nil {
			next.without(h.track)
		}
		h.track.read = h.track.Offset
		l.hurt(h.track, h.err)
	}
}

// forget has ranges go that nobody needs, and returns the notes that say so.
func (l *leg) forget(t *track) (gone []log.Record) {
	crowded := t.ranges.n > maxRuns
	for _, from := range t.ranges.forget(t.source.LogStart()) {
		gone = append(gone, l.note(rangesKey(t.tp, from), nil))
	}
	if crowded {
		t.Known = t.ranges.blocks[0].from
	}
	return gone
}

// advance returns the blocks of runs that a part adds, or the last one of before anew, and sets what is noted then.
func (p *part) advance(stored []engine.CopiedBatch, out []packed, keeps bool) (blocks []block) {
	t := p.track
	p.after = t.positionNote
	p.after.Offset, p.after.Lost = p.end, t.Lost+p.lost
	if keeps {
		p.after.Target = t.Target + p.end - t.Offset
		grown := run{from: t.Offset, to: t.Target, n: p.end - t.Offset}
		if n := len(t.ranges.blocks); n > 0 && len(t.ranges.blocks[n-1].runs) == 1 {
			if joined := join([]run{t.ranges.blocks[n-1].runs[0]}, grown); len(joined) == 1 {
				return []block{{joined[0].from, joined}}
			}
		}
		return []block{{grown.from, []run{grown}}}
	}
	var runs []run
	for i := range out {
		for _, r := range out[i].runs {
			runs = join(runs, run{from: r.from, to: stored[i].Base + r.to, n: r.n})
		}
		last := &out[i].runs[len(out[i].runs)-1]
		p.after.Target = stored[i].Base + last.to + last.n
	}
	for len(runs) > 0 {
		n := min(len(runs), blockRuns)
		blocks = append(blocks, block{runs[0].from, runs[:n:n]})
		runs = runs[n:]
	}
	return blocks
}

// put adds blocks; the first may be the last one of before anew.
func (r *ranges) put(blocks []block) {
	for _, b := range blocks {
		if n := len(r.blocks); n > 0 && r.blocks[n-1].from == b.from {
			r.blocks[n-1] = b
			continue
		}
		r.add(b)
	}
}

// flush stores notes that wait.
func (l *leg) flush(ctx context.Context) error {
	if len(l.extra) == 0 {
		return nil
	}
	err := l.copier.Copy(ctx, nil, func() ([]log.Record, error) { return l.extra, nil })
	if err == nil {
		l.extra = nil
	}
	return err
}

// told logs what an operator should know of a partition.
func (l *leg) told(t *track, what string, fields ...zap.Field) {
	l.m.opts.Logger.Warn(what, append(fields, zap.String("mirror", l.m.opts.Name), zap.Stringer("partition", t.tp))...)
}
