package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// origins are the notes of mirrors into a broker: which of its topics are copies.
type origins struct {
	topics engine.Topics
	but    string // a topic of notes that is left out
	all    map[string]*originNotes
	stale  bool // they may have changed since they were read
}

// originNotes are those of one topic, as they were up to some offset.
type originNotes struct {
	*notes
	topic engine.Topic
	end   int64
}

// origin is a topic that was copied to one of the source.
type origin struct {
	name  string // there
	note  *topicNote
	from  string // the cluster
	notes *notes
}

func newOrigins(topics engine.Topics, but string) *origins {
	return &origins{topics: topics, but: but, all: map[string]*originNotes{}, stale: true}
}

// read brings the notes up to date: it reads those of topics that have got some since.
func (o *origins) read(ctx context.Context) error {
	if !o.stale {
		return nil
	}
	all := make(map[string]*originNotes)
	for _, t := range o.topics.List() {
		if !strings.HasPrefix(t.Name(), notesPrefix) || t.Name() == o.but {
			continue
		}
		p, err := t.Partition(0)
		if err != nil {
			return err
		}
		end, err := stableEnd(ctx, p)
		if err != nil {
			return err
		}
		if has := o.all[t.Name()]; has != nil && has.topic == t && has.end == end {
			all[t.Name()] = has
			continue
		}
		n, err := readNotes(ctx, o.topics, t.Name())
		if err != nil {
			return err
		}
		all[t.Name()] = &originNotes{n, t, end}
	}
	o.all, o.stale = all, false
	return nil
}

// of returns where a topic came from.
func (o *origins) of(topic id) (found []origin) {
	for _, n := range o.all {
		for name, note := range n.topics {
			if note.ToID == topic {
				found = append(found, origin{name, note, n.head.From, n.notes})
			}
		}
	}
	return found
}

// via returns the clusters that a topic is a copy of, or ErrLoop if the target is one of them.
func (o *origins) via(topic id, target string) (via []string, err error) {
	for _, from := range o.of(topic) {
		if from.note.Finished {
			continue
		}
		via = append(append(via, from.from), from.note.Via...)
	}
	if slices.Contains(via, target) {
		return nil, fmt.Errorf("%w: cluster %s", ErrLoop, target)
	}
	return via, nil
}

// cut returns the origin in the target of a topic whose mirror has finished, the last one, nil without one.
func (o *origins) cut(topic id, target string) (last *origin) {
	for _, from := range o.of(topic) {
		if from.note.Finished && from.from == target && (last == nil || from.note.Move > last.note.Move) {
			last = &from
		}
	}
	return last
}

// goBack has a topic that came from the target be copied to where it came from, behind what was copied. What a mirror has said of
// offsets counts the other way round.
func (l *leg) goBack(ctx context.Context, src, dst engine.Topic, cut *origin) error {
	type back struct {
		tp       log.TopicPartition
		position *positionNote
		ranges   *ranges
	}
	var all []back
	for i := range src.Partitions() {
		there := log.TopicPartition{Topic: cut.name, Partition: i}
		was := cut.notes.positions[there]
		if was == nil || i >= dst.Partitions() {
			continue // it was added since
		}
		p, err := dst.Partition(i)
		if err != nil {
			return err
		}
		if err := untouched(ctx, p, was.Offset); err != nil {
			return err
		}
		all = append(all, back{
			log.TopicPartition{Topic: src.Name(), Partition: i},
			&positionNote{ID: src.ID(), Offset: was.Target, Target: p.HighWatermark(), Start: was.Target}, cut.notes.ranges[there],
		})
	}
	l.forgetTopic(src.Name())
	for _, b := range all {
		l.place(b.tp, b.position)
		if b.ranges != nil {
			inv := b.ranges.inverse()
			l.notes.ranges[b.tp] = &inv
			for k := range inv.blocks {
				l.extra = append(l.extra, l.rangesNote(b.tp, &inv.blocks[k]))
			}
		}
	}
	return nil
}

// untouched returns ErrNotOurs if a partition has records from an offset on.
func untouched(ctx context.Context, p engine.Partition, from int64) error {
	end, err := stableEnd(ctx, p)
	if err != nil {
		return err
	}
	if from = max(from, p.LogStart()); from >= end {
		return nil
	}
	var buf []byte
	for from < end {
		at, found := from, false
		buf, err = p.Fetch(ctx, "", log.ReadCommitted, from, buf, func(sb log.StoredBatch) bool {
			at = sb.LastOffset + 1
			found = sb.Err != nil || !sb.Batch.Control() && !sb.Aborted && sb.Batch.Records() > 0
			return !found
		})
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: %s has some from offset %d on, behind the cut", ErrNotOurs, p.TopicPartition(), from)
		}
		if at == from {
			return nil
		}
		from = at
	}
	return nil
}
