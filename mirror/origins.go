package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// origins are the notes of mirrors into a source: which of its topics are copies.
type origins struct{ all []*notes }

// origin is a topic that was copied to one of the source.
type origin struct {
	name  string // there
	note  *topicNote
	from  string // the cluster
	notes *notes
}

// readOrigins reads the notes of all mirrors but for one.
func readOrigins(ctx context.Context, topics engine.Topics, but string) (*origins, error) {
	o := new(origins)
	for _, t := range topics.List() {
		if !strings.HasPrefix(t.Name(), notesPrefix) || t.Name() == but {
			continue
		}
		n, err := readNotes(ctx, topics, t.Name())
		if err != nil {
			return nil, err
		}
		o.all = append(o.all, n)
	}
	return o, nil
}

// of returns where a topic came from.
func (o *origins) of(topic id) (found []origin) {
	for _, n := range o.all {
		for name, note := range n.topics {
			if note.ToID == topic {
				found = append(found, origin{name, note, n.head.From, n})
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
