package mirror

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/topic"
)

// finish has the topics be the target's own.
func (l *leg) finish(ctx context.Context) error {
	for _, t := range l.tracks {
		end, err := edge(ctx, t.source)
		if err != nil {
			return err
		}
		if end = max(end, t.source.HighWatermark()); t.Offset < end {
			return fmt.Errorf("%w: %s is copied up to %d, and ends at %d", ErrBehind, t.tp, t.Offset, end)
		}
	}
	for name, err := range l.refused {
		note := l.notes.topics[name]
		switch {
		case damage(err) || note != nil && !note.Finished:
			return fmt.Errorf("topic %s: %w", name, err)
		case note != nil: // it is the target's own already
			delete(l.refused, name)
		}
	}
	l.m.follow(l)
	if err := l.groups(ctx, true); err != nil {
		return err
	}
	for name, c := range l.topics {
		if !l.copier.Keeps() {
			if err := l.release(ctx, name, c); err != nil {
				return fmt.Errorf("topic %s: %w", c.name, err)
			}
		}
		c.note.Finished = true
		l.extra = append(l.extra, l.note(topicPrefix+name, c.note))
	}
	for name, note := range l.notes.topics {
		if ok, _ := l.m.opts.wantsTopic(name); ok && l.topics[name] == nil && !note.Finished { // it is gone in the source
			note.Finished = true
			l.extra = append(l.extra, l.note(topicPrefix+name, note))
		}
	}
	return l.flush(ctx)
}

// release gives a topic the configs of its source that the mirror has held back.
func (l *leg) release(ctx context.Context, name string, c *copied) error {
	info, err := l.from.TopicAdmin.Describe(ctx, name)
	if err != nil {
		return err
	}
	plain := topic.Config{}.Configs()
	own := info.Config.Configs()
	return l.to.TopicAdmin.Alter(ctx, c.name, func(now *topic.Config) error {
		now.LogAppendTime, now.TimestampBeforeMax, now.TimestampAfterMax = false, 0, 0 // as a topic has it by default
		for _, held := range []string{"message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms"} {
			if own[held] == plain[held] {
				continue
			}
			if err := now.SetConfig(held, own[held]); err != nil {
				return err
			}
		}
		return nil
	})
}
