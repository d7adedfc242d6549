package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// look has the leg copy what there is to be copied: topics that have come, partitions that were added, configs that have changed.
func (l *leg) look(ctx context.Context) error {
	l.due, l.looked = false, time.Now()
	names, err := l.from.TopicAdmin.Names(ctx)
	if err != nil {
		return err
	}
	if err := l.missing(names); err != nil {
		return err
	}
	l.origins.stale, l.there.stale, l.refused = true, true, map[string]error{}
	for _, name := range names {
		ok, named := l.m.opts.wantsTopic(name)
		if !ok {
			continue
		}
		err := l.lookAt(ctx, name)
		switch {
		case err == nil, errors.Is(err, log.ErrUnknownTopic): // it goes just now
		case damage(err), !named && refusal(err):
			l.refused[name] = err
			l.m.refused(name, err)
			if l.topics[name] != nil {
				l.drop(name)
			}
		default:
			return fmt.Errorf("topic %s: %w", name, err)
		}
	}
	for name, c := range l.topics {
		if now, err := l.from.Topics.Get(name); errors.Is(err, log.ErrUnknownTopic) || err == nil && now != c.source {
			l.drop(name)
		}
	}
	for _, t := range l.tracks {
		t.again = true
	}
	if err := l.flush(ctx); err != nil {
		return err
	}
	if err := l.trim(ctx); err != nil {
		return err
	}
	l.m.follow(l)
	return l.hold(ctx)
}

// missing returns an error for topics that are named without a pattern, and not there, when nobody waits until they are.
func (l *leg) missing(names []string) error {
	for _, name := range l.m.opts.Topics {
		if l.once && !strings.ContainsAny(name, `*?[\`) && !slices.Contains(names, name) {
			return fmt.Errorf("%w %q: %w", errMissing, name, log.ErrUnknownTopic)
		}
	}
	return nil
}

// errMissing: it is not waited for.
var errMissing = errors.New("the source does not have")

// refusal reports whether an error is of one topic, and there to stay: the others are copied.
func refusal(err error) bool {
	for _, e := range []error{ErrLoop, ErrNotOurs, log.ErrInvalidTopic, log.ErrInvalidConfig, log.ErrInvalidPartitions} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// damage reports whether an error is that something stored is damaged, of which one topic has to do without: the others are copied, and the
// mirror ends with the error if it ends.
func damage(err error) bool {
	return errors.Is(err, log.ErrCorruptRecord) || errors.Is(err, log.ErrCorruptValue)
}

// lookAt has the leg copy a topic as it is now.
func (l *leg) lookAt(ctx context.Context, name string) error {
	src, err := l.from.Topics.Find(ctx, name, false)
	if err != nil {
		return err
	}
	info, err := l.from.TopicAdmin.Describe(ctx, name)
	if err != nil {
		return err
	}
	c := l.topics[name]
	if c != nil && c.source != src {
		l.drop(name)
		c = nil
	}
	if c == nil {
		if c, err = l.adopt(ctx, src, info.Config); err != nil {
			return err
		}
		l.topics[name] = c
	}
	if err := l.configure(ctx, c, info.Config); err != nil {
		return err
	}
	c.most = info.Config.MaxMessageBytes
	for i := int32(len(c.tracks)); i < src.Partitions(); i++ {
		t, err := l.track(ctx, c, i)
		if err != nil {
			return err
		}
		c.tracks, l.tracks = append(c.tracks, t), append(l.tracks, t)
	}
	return nil
}

// drop has the leg not copy a topic any more, which is gone.
func (l *leg) drop(name string) {
	for _, t := range l.topics[name].tracks {
		t.source.Unwatch(l.wake)
	}
	l.tracks = slices.DeleteFunc(l.tracks, func(t *track) bool { return t.tp.Topic == name })
	l.turn = 0
	delete(l.topics, name)
}

// adopt finds the topic of the target that src is copied to, or makes it, and whether it goes on there.
func (l *leg) adopt(ctx context.Context, src engine.Topic, config topic.Config) (*copied, error) {
	name := src.Name()
	note := l.notes.topics[name]
	c := &copied{source: src, name: l.m.opts.Prefix + name}
	if err := l.origins.read(ctx); err != nil {
		return nil, err
	}
	cut, move := l.origins.cut(src.ID(), l.to.ClusterID), 1
	if cut != nil {
		c.name, move = cut.name, cut.note.Move+1
	}
	if strings.HasPrefix(c.name, notesPrefix) {
		return nil, fmt.Errorf("%w: %q is for notes of mirrors", log.ErrInvalidTopic, c.name)
	}
	dst, err := l.to.Topics.Find(ctx, c.name, false)
	there := err == nil
	if err != nil && !errors.Is(err, log.ErrUnknownTopic) {
		return nil, err
	}
	if there {
		c.id = dst.ID()
	}
	known := there && note != nil && note.ToID == id(c.id)
	if known && note.Finished && note.Move >= move {
		return nil, fmt.Errorf("%w: %s is the target's own, the mirror has finished", ErrNotOurs, c.name)
	}
	ours := known && !note.Finished
	if ours && note.ID == id(src.ID()) {
		c.note = note
		return c, nil
	}
	via, err := l.origins.via(src.ID(), l.to.ClusterID)
	if err != nil {
		return nil, err
	}
	c.note = &topicNote{ID: src.ID(), To: c.name, Via: via, Move: move}
	switch {
	case !there:
		if dst, err = l.create(ctx, c, src, config); err != nil {
			return nil, err
		}
		c.id = dst.ID()
		l.forgetTopic(name)
	case ours:
		l.forgetTopic(name)
		if err := l.behind(ctx, src, dst); err != nil {
			return nil, err
		}
		l.m.opts.Logger.Warn("a topic of the source was made anew: what it has goes behind what was copied",
			zap.String("mirror", l.m.opts.Name), zap.String("topic", name))
	case cut != nil && cut.note.ID == id(c.id):
		if err := l.goBack(ctx, src, dst, cut); err != nil {
			return nil, err
		}
	default:
		if err := l.free(ctx, dst); err != nil {
			return nil, err
		}
		l.forgetTopic(name)
	}
	c.note.ToID = c.id
	l.notes.topics[name] = c.note
	l.extra = append(l.extra, l.note(topicPrefix+name, c.note))
	return c, nil
}

// free returns ErrNotOurs for a topic that has, or had, records, or that another mirror copies to.
func (l *leg) free(ctx context.Context, dst engine.Topic) error {
	if err := empty(ctx, dst); err != nil {
		return err
	}
	if err := l.there.read(ctx); err != nil {
		return err
	}
	for _, o := range l.there.of(dst.ID()) {
		if !o.note.Finished {
			return fmt.Errorf("%w: another mirror copies to %s, from cluster %s", ErrNotOurs, dst.Name(), o.from)
		}
	}
	return nil
}

// create makes a topic in the target.
func (l *leg) create(ctx context.Context, c *copied, src engine.Topic, config topic.Config) (engine.Topic, error) {
	c.note.Configs = l.configsOf(config)
	made := topic.Config{Partitions: int(src.Partitions()), Replicas: l.m.opts.Replicas}
	if err := made.SetConfigs(c.note.Configs); err != nil {
		return nil, err
	}
	err := l.to.TopicAdmin.Create(ctx, c.name, made)
	exists := errors.Is(err, log.ErrTopicExists) // somebody was faster
	if err != nil && !exists {
		return nil, err
	}
	dst, err := l.to.Topics.Find(ctx, c.name, false)
	if err == nil && exists {
		c.note.Configs = nil
		err = l.free(ctx, dst)
	}
	return dst, err
}

// behind has a topic that was made anew go behind what it was before, also in partitions that it does not have yet.
func (l *leg) behind(ctx context.Context, src, dst engine.Topic) error {
	for i := range dst.Partitions() {
		p, err := dst.Partition(i)
		if err != nil {
			return err
		}
		if _, err := edge(ctx, p); err != nil {
			return err
		}
		var start int64
		if i < src.Partitions() {
			from, err := src.Partition(i)
			if err != nil {
				return err
			}
			if _, err := edge(ctx, from); err != nil {
				return err
			}
			start = from.LogStart()
		}
		l.place(log.TopicPartition{Topic: src.Name(), Partition: i}, beginning(src, start, p.HighWatermark(), l.copier.Keeps()))
	}
	return nil
}

// beginning is the position of a partition of which nothing is copied: from start on, behind end in the target.
func beginning(src engine.Topic, start, end int64, keeps bool) *positionNote {
	p := &positionNote{ID: src.ID(), Offset: start, Target: end, Start: start}
	if keeps { // what lies between is covered
		p.Offset, p.Cover = min(start, end), end == 0
	}
	return p
}

// place notes where a partition is.
func (l *leg) place(tp log.TopicPartition, p *positionNote) {
	l.notes.positions[tp] = p
	l.extra = append(l.extra, l.note(partitionKey(positionPrefix, tp), p))
}

// forgetTopic has the notes of a topic go.
func (l *leg) forgetTopic(name string) {
	for tp := range l.notes.positions {
		if tp.Topic == name {
			l.extra = append(l.extra, l.note(partitionKey(positionPrefix, tp), nil))
			delete(l.notes.positions, tp)
		}
	}
	for tp, r := range l.notes.ranges {
		if tp.Topic == name {
			for _, b := range r.blocks {
				l.extra = append(l.extra, l.note(rangesKey(tp, b.from), nil))
			}
			delete(l.notes.ranges, tp)
		}
	}
}

// empty returns ErrNotOurs for a topic that has, or had, records.
func empty(ctx context.Context, t engine.Topic) error {
	for i := range t.Partitions() {
		p, err := t.Partition(i)
		if err != nil {
			return err
		}
		if end, err := edge(ctx, p); err != nil || max(end, p.HighWatermark()) > 0 {
			return errors.Join(err, fmt.Errorf("%w: %s", ErrNotOurs, p.TopicPartition()))
		}
	}
	return nil
}

// track returns a partition as it is to be copied from here on.
func (l *leg) track(ctx context.Context, c *copied, i int32) (*track, error) {
	t := &track{
		tp:     log.TopicPartition{Topic: c.source.Name(), Partition: i},
		target: log.TopicPartition{Topic: c.name, Partition: i}, topic: c, caught: time.Now(), until: math.MinInt64,
	}
	var err error
	if t.source, err = c.source.Partition(i); err != nil {
		return nil, err
	}
	if _, err := edge(ctx, t.source); err != nil {
		return nil, err
	}
	dst, err := l.to.Topics.Find(ctx, c.name, false)
	if err != nil {
		return nil, err
	}
	to, err := dst.Partition(i)
	if err != nil {
		return nil, err
	}
	if _, err := edge(ctx, to); err != nil {
		return nil, err
	}
	end := to.HighWatermark()
	has := l.notes.positions[t.tp]
	switch fresh := has == nil || has.ID != id(c.source.ID()); {
	case fresh && end > 0:
		return nil, fmt.Errorf("%w: %s, of which nothing was copied", ErrNotOurs, t.target)
	case fresh:
		has = beginning(c.source, t.source.LogStart(), end, l.copier.Keeps())
		l.place(t.tp, has)
	case l.copier.Keeps() && end != has.Target:
		return nil, fmt.Errorf("%w: %s ends at %d, and the copies at %d", ErrNotOurs, t.target, end, has.Target)
	}
	t.positionNote = *has
	if r := l.notes.ranges[t.tp]; r != nil {
		t.ranges = *r
	}
	l.notes.positions[t.tp], l.notes.ranges[t.tp] = &t.positionNote, &t.ranges // as they are from here on
	t.read = max(t.Offset, t.Start)
	t.gap = t.Offset < t.read
	t.source.Watch(l.wake)
	return t, nil
}

// trim has partitions of the target that were empty begin where those of the source did: what is before is nothing.
func (l *leg) trim(ctx context.Context) error {
	if !l.copier.Keeps() {
		return nil
	}
	for name, c := range l.topics {
		before := make(map[int32]int64)
		for _, t := range c.tracks {
			p, err := l.target(ctx, t)
			if err != nil {
				return err
			}
			if t.Cover && p.LogStart() < t.Start && p.HighWatermark() >= t.Start {
				before[t.tp.Partition] = t.Start
			}
		}
		if len(before) == 0 {
			continue
		}
		if err := l.to.TopicAdmin.DeleteRecords(ctx, c.name, before); err != nil {
			return fmt.Errorf("topic %s: %w", name, err)
		}
	}
	return nil
}

func (l *leg) target(ctx context.Context, t *track) (engine.Partition, error) {
	dst, err := l.to.Topics.Find(ctx, t.topic.name, false)
	if err != nil {
		return nil, err
	}
	return dst.Partition(t.tp.Partition)
}

// configure gives the topic of the target the partitions of the source, and the configs that have changed there.
func (l *leg) configure(ctx context.Context, c *copied, config topic.Config) error {
	want, has := l.configsOf(config), c.note.Configs
	changed := make(map[string]string)
	plain := (&topic.Config{}).Configs()
	for name, v := range want {
		if has[name] != v {
			changed[name] = v
		}
	}
	for name := range has {
		if _, ok := want[name]; !ok {
			changed[name] = plain[name]
		}
	}
	info, err := l.to.TopicAdmin.Describe(ctx, c.name)
	if err != nil {
		return err
	}
	grow := len(info.Partitions) < config.Partitions
	if len(changed) == 0 && !grow {
		return nil
	}
	err = l.to.TopicAdmin.Alter(ctx, c.name, func(now *topic.Config) error {
		now.Partitions = max(now.Partitions, config.Partitions)
		return now.SetConfigs(changed)
	})
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		c.note.Configs = want
		l.extra = append(l.extra, l.note(topicPrefix+c.source.Name(), c.note))
	}
	return nil
}

// ofBrokers are configs that say how a cluster keeps a topic, and not what is in it.
var ofBrokers = []string{"min.insync.replicas", "unclean.leader.election.enable", "preallocate", "file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes"}

// configsOf returns the configs that a topic of the target has, those that are not Kafka's defaults.
func (l *leg) configsOf(config topic.Config) map[string]string {
	all := sourceConfigs(config)
	if !l.copier.Keeps() {
		maps.Copy(all, map[string]string{
			"message.timestamp.type": "CreateTime", "message.timestamp.before.max.ms": never, "message.timestamp.after.max.ms": never,
		})
		if policy, ok := all["cleanup.policy"]; ok && strings.Contains(policy, "consumed") { // which Kafka has not
			all["cleanup.policy"] = "delete"
		}
	}
	return all
}

var never = strconv.FormatInt(math.MaxInt64, 10)

// sourceConfigs returns the configs of a topic that are not Kafka's defaults, but for those of brokers.
func sourceConfigs(config topic.Config) map[string]string {
	all, plain := config.Configs(), (&topic.Config{}).Configs()
	maps.DeleteFunc(all, func(name, v string) bool {
		return v == plain[name] || slices.Contains(ofBrokers, name) || strings.Contains(name, "replicas") || strings.HasPrefix(name, "remote.") || strings.HasPrefix(name, "local.")
	})
	return all
}
