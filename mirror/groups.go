package mirror

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
)

// groups brings the committed offsets of groups to the target: of those that have no members there, and never backwards. What
// cannot be done for one group is told, and tried the next time; the last time it is an error, once the others are done.
func (l *leg) groups(ctx context.Context, last bool) error {
	listed, err := l.from.Groups.List(ctx)
	if err != nil {
		return err
	}
	by := make(map[log.TopicPartition]*track, len(l.tracks))
	for _, t := range l.tracks {
		by[t.tp] = t
	}
	unknown := int64(0)
	var failed error
	for _, g := range listed {
		if !l.m.opts.wantsGroup(g.Name) {
			continue
		}
		n, err := l.group(ctx, g.Name, by)
		unknown += n
		switch {
		case err == nil, errors.Is(err, log.ErrGroupNotEmpty), errors.Is(err, log.ErrGroupKind): // a queue has no offsets, here or there
		case ctx.Err() != nil || errors.Is(err, log.ErrClosed) || errors.Is(err, log.ErrFailed):
			return err
		case last:
			failed = errors.Join(failed, err)
		default:
			l.m.opts.Logger.Warn("the offsets of a group are not copied now", zap.String("mirror", l.m.opts.Name), zap.String("group", g.Name), zap.Error(err))
		}
	}
	l.m.untranslated(unknown)
	return failed
}

// group brings those of one group. unknown counts offsets that cannot be translated.
func (l *leg) group(ctx context.Context, name string, by map[log.TopicPartition]*track) (unknown int64, err error) {
	committed, err := l.from.Offsets.Committed(ctx, name)
	if err != nil {
		return 0, err
	}
	offsets := make(map[log.TopicPartition]group.Offset)
	var tps []log.TopicPartition
	for tp, o := range committed {
		t := by[tp]
		if t == nil || o.Metadata == uuid.Text(t.topic.source.ID()) {
			continue // the latter is a count of a producer with an ID, and no offset
		}
		to, ok := t.translate(o.Offset)
		if !ok {
			unknown++
			continue
		}
		offsets[t.target] = group.Offset{Offset: to, LeaderEpoch: -1, Metadata: o.Metadata}
		tps = append(tps, t.target)
	}
	if len(offsets) == 0 {
		return unknown, nil
	}
	has, err := l.to.Offsets.Committed(ctx, name, tps...)
	if err != nil {
		return unknown, err
	}
	for tp, o := range has {
		if o.Offset >= offsets[tp].Offset {
			delete(offsets, tp)
		}
	}
	if len(offsets) == 0 {
		return unknown, nil
	}
	if err := l.to.Groups.AlterOffsets(ctx, name, offsets); err != nil {
		return unknown, fmt.Errorf("group %s: %w", name, err)
	}
	return unknown, nil
}

// translate returns what an offset of the source is in the target; one that is not copied yet is what comes next.
func (t *track) translate(offset int64) (to int64, ok bool) {
	if offset < t.Known {
		return 0, false
	}
	return t.ranges.translate(min(offset, t.Offset), t.Target), true
}
