package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Lag is how far a mirror is behind its source.
type Lag struct {
	Records    int64         // offsets that are not copied yet
	Behind     time.Duration // for how long some have not been, at most; 0 when all are copied, -1 when that is not known
	Partitions []PartitionLag
}

// PartitionLag is that of one partition.
type PartitionLag struct {
	TopicPartition log.TopicPartition // in the source
	Offset, End    int64              // up to where it is copied, and what there is
	Records        int64              // End less Offset
	Behind         time.Duration      // as in Lag; it may be Options.Refresh too long
}

// Lag returns how far the mirror is behind. If it does not run in this process, the notes in the target say how far one of its name has
// come, and nobody knows since when it is behind; ErrUnknownTopic says that none has run.
func (m *Mirror) Lag(ctx context.Context) (lag Lag, err error) {
	if err := ctx.Err(); err != nil {
		return Lag{}, fmt.Errorf("lag of mirror %s: %w", m.opts.Name, err)
	}
	m.mu.Lock()
	at, now := make(map[log.TopicPartition]place, len(m.at)), time.Now()
	for tp, p := range m.at {
		at[tp] = p
	}
	running := m.at != nil // and has found out where it is
	m.mu.Unlock()
	if !running {
		if at, err = m.noted(ctx); err != nil {
			return Lag{}, fmt.Errorf("lag of mirror %s: %w", m.opts.Name, err)
		}
	}
	for tp, p := range at {
		end, err := edge(ctx, p.source)
		if errors.Is(err, log.ErrUnknownTopic) {
			continue // it is gone
		}
		if err != nil {
			return Lag{}, fmt.Errorf("lag of mirror %s: %w", m.opts.Name, err)
		}
		one := PartitionLag{TopicPartition: tp, Offset: p.offset, End: end, Records: max(0, end-p.offset)}
		if one.Records > 0 {
			if one.Behind = -1; running {
				one.Behind = max(0, now.Sub(p.caught))
			}
			if lag.Behind >= 0 && one.Behind >= 0 {
				lag.Behind = max(lag.Behind, one.Behind)
			} else {
				lag.Behind = -1
			}
		}
		lag.Records += one.Records
		lag.Partitions = append(lag.Partitions, one)
	}
	slices.SortFunc(lag.Partitions, func(a, b PartitionLag) int {
		if n := strings.Compare(a.TopicPartition.Topic, b.TopicPartition.Topic); n != 0 {
			return n
		}
		return int(a.TopicPartition.Partition - b.TopicPartition.Partition)
	})
	return lag, nil
}

// noted returns the places that the notes tell of.
func (m *Mirror) noted(ctx context.Context) (map[log.TopicPartition]place, error) {
	n, err := readNotes(ctx, m.to.Topics, notesPrefix+m.opts.Name)
	if err != nil {
		return nil, err
	}
	if n.head.Version == 0 {
		return nil, fmt.Errorf("%w: %s: no mirror of this name has run", log.ErrUnknownTopic, notesPrefix+m.opts.Name)
	}
	at := make(map[log.TopicPartition]place)
	for tp, p := range n.positions {
		t, err := m.from.Topics.Find(ctx, tp.Topic, false)
		if err != nil && !errors.Is(err, log.ErrUnknownTopic) {
			return nil, err
		}
		if err != nil || p.ID != id(t.ID()) {
			continue // it is gone
		}
		var source engine.Partition
		if source, err = t.Partition(tp.Partition); err == nil {
			at[tp] = place{source: source, offset: p.Offset}
		}
	}
	return at, nil
}
