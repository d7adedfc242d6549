package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// A mirror that goes on behind its end, or ends twice, does not take from the way back what it has to know.
func TestFinishedStaysFinished(t *testing.T) {
	for name, again := range map[string]func(*kit) error{
		"run":    func(k *kit) error { return k.mirror(Options{}).Run(k.ctx) },
		"finish": func(k *kit) error { return k.mirror(Options{}).Finish(k.ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.create(k.from, "t", samsa.TopicConfig{})
			k.create(k.from, "empty", samsa.TopicConfig{})
			k.put(k.from, "t", 0, "a", "b")
			k.ok(k.run(Options{}).Finish(k.ctx))
			k.ok(again(k))
			k.put(k.to, "t", 0, "c")
			k.put(k.to, "empty", 0, "x")
			k.ok(k.between(k.to, k.from, Options{Name: "back", Topics: []string{"t", "empty"}}).Run(k.ctx))
			k.want(k.records(k.from, "t", 0), []string{"0:a", "1:b", "2:c"})
			k.want(k.records(k.from, "empty", 0), []string{"0:x"})
		})
	}
}

// A topic that retention has emptied is copied when the target ends where it does.
func TestAllIsGone(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b")
	k.ok(k.from.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 2}))
	k.commit(k.from, "g", "t", 0, 2)
	m := k.run(Options{})
	lag, err := m.Lag(k.ctx)
	k.ok(err)
	k.want(lag.Records, int64(0))
	k.same("t", 0)
	k.want(k.committed(k.to, "g", "t", 0), int64(2))
	k.ok(m.Finish(k.ctx))
}

// A topic of which one partition is refused is refused, and is not the target's own at the end.
func TestOnePartitionNotOurs(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{Partitions: 2})
	k.put(k.from, "t", 0, "a")
	k.put(k.from, "t", 1, "a")
	k.run(Options{})
	k.put(k.to, "t", 1, "mine")
	m := k.run(Options{})
	k.fails(m.Stats().Refused["t"], ErrNotOurs)
	k.fails(m.Finish(k.ctx), ErrNotOurs)
}

// A partition that came to both is not written to where it has records of others.
func TestPartitionOfOthers(t *testing.T) {
	k := newKit(t)
	grow := func(b *samsa.Broker) {
		k.ok(b.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.Partitions = 2; return nil }))
	}
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.run(Options{})
	grow(k.to)
	k.put(k.to, "t", 1, "mine")
	grow(k.from)
	k.put(k.from, "t", 1, "b")
	k.fails(k.run(Options{}).Stats().Refused["t"], ErrNotOurs)
	k.want(k.records(k.to, "t", 1), []string{"0:mine"})
}

func TestPartitionOfOthersOnTheWayBack(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.ok(k.run(Options{}).Finish(k.ctx))
	for _, b := range []*samsa.Broker{k.from, k.to} {
		k.ok(b.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.Partitions = 2; return nil }))
		k.put(b, "t", 1, "mine")
	}
	k.fails(k.between(k.to, k.from, Options{Name: "back", Topics: []string{"t"}}).Run(k.ctx), ErrNotOurs)
	k.want(k.records(k.from, "t", 1), []string{"0:mine"})
}

// A topic that is made anew with fewer partitions, and grows, goes behind what it was before.
func TestMadeAnewSmaller(t *testing.T) {
	k := newKit(t)
	for life := range 3 {
		k.create(k.from, "t", samsa.TopicConfig{Partitions: 1})
		k.put(k.from, "t", 0, "a")
		k.run(Options{})
		k.ok(k.from.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.Partitions = 2; return nil }))
		k.run(Options{})
		k.put(k.from, "t", 1, "b")
		k.run(Options{})
		k.want(len(k.records(k.to, "t", 0)), life+1)
		k.want(len(k.records(k.to, "t", 1)), life+1)
		k.ok(k.from.Topics().Delete(k.ctx, "t"))
		k.run(Options{})
	}
}

// What the target does not take keeps only itself from being copied.
func TestNamesThatCannotBe(t *testing.T) {
	k := newKit(t)
	long := strings.Repeat("x", 249)
	for _, name := range []string{long, "mirror.mirror", "mirror.other", "z"} {
		k.create(k.from, name, samsa.TopicConfig{})
		k.put(k.from, name, 0, "a")
	}
	m := k.run(Options{Prefix: "samsa-"})
	k.want(k.records(k.to, "samsa-z", 0), []string{"0:a"})
	k.want(len(m.Stats().Refused), 3)
	k.fails(k.mirror(Options{Prefix: "samsa-", Topics: []string{long}}).Run(k.ctx), samsa.ErrInvalidTopic)
	k.fails(k.mirror(Options{Prefix: "samsa-", Topics: []string{"mirror.mirror"}}).Run(k.ctx), samsa.ErrInvalidTopic)
}

// Nobody is told that nothing is behind when that is not known.
func TestLagIsNotGuessed(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	m := k.run(Options{})
	k.put(k.from, "t", 0, "b")
	k.ok(m.alone(k.ctx, "mirror", func(context.Context) error { // it runs, and has not found out where it is
		lag, err := m.Lag(k.ctx)
		k.want(lag.Records, int64(1))
		return err
	}))
	k.ok(k.from.Close())
	_, err := m.Lag(k.ctx)
	k.fails(err, samsa.ErrClosed)
}

// A leg that takes a topic up again knows what it has copied itself.
func TestTakenUpAgain(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	m := k.mirror(Options{})
	copier, err := m.to.Copying.NewCopier(k.ctx, notesPrefix+"mirror")
	k.ok(err)
	defer copier.Close()
	l, err := m.begin(k.ctx, copier)
	k.ok(err)
	defer l.end()
	k.ok(l.look(k.ctx))
	for _, v := range []string{"a", "b"} {
		k.put(k.from, "t", 0, v)
		r := l.collect(k.ctx, true)
		k.ok(r.err)
		k.ok(l.store(k.ctx, r))
		l.drop("t")
		k.ok(l.look(k.ctx))
	}
	k.same("t", 0)
}

// A topic of notes that somebody has made before loses none.
func TestNotesAreCompacted(t *testing.T) {
	k := newKit(t)
	k.create(k.to, notesPrefix+"mirror", samsa.TopicConfig{CleanupPolicy: samsa.CleanupDelete})
	k.run(Options{})
	info, err := k.to.Topics().Describe(k.ctx, notesPrefix+"mirror")
	k.ok(err)
	k.want(info.Config.CleanupPolicy, samsa.CleanupCompact)
}

// Notes that are damaged, or of a release to come, are not worked with.
func TestNotesThatCannotBe(t *testing.T) {
	for _, note := range []struct {
		key, value string
		want       error
	}{
		{"mirror", "{", samsa.ErrCorruptValue}, {"mirror", `{"version":2}`, samsa.ErrUnsupported},
		{"topic/t", "7", samsa.ErrCorruptValue}, {"position/t/x", "{}", samsa.ErrCorruptValue},
		{"ranges/t/0/0", "[]", samsa.ErrCorruptValue}, {"ranges/t/0/0", "[[0,0,-1]]", samsa.ErrCorruptValue},
		{"ranges/t/0/7", "[[7,7,2],[8,9,1]]", samsa.ErrCorruptValue}, {"position/t/0", "null", ErrNotOurs},
	} {
		k := newKit(t)
		k.create(k.from, "t", samsa.TopicConfig{})
		k.put(k.from, "t", 0, "a", "b")
		k.run(Options{})
		k.produce(k.to, samsa.ProduceOptions{}, samsa.Record{Topic: notesPrefix + "mirror", Key: []byte(note.key), Value: []byte(note.value)})
		k.put(k.from, "t", 0, "c")
		k.fails(k.mirror(Options{Topics: []string{"t"}}).Run(k.ctx), note.want)
		k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b"})
	}
}

// A name that no mirror has had ends no move.
func TestFinishNothing(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.fails(k.mirror(Options{Name: "typo"}).Finish(k.ctx), ErrBehind)
	_, err := k.to.Topics().Describe(k.ctx, "t")
	k.fails(err, samsa.ErrUnknownTopic)
}

// A topic that is named has to be there, unless the mirror goes on.
func TestNamedTopicIsMissing(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.run(Options{Topics: []string{"t", "none*"}})
	k.fails(k.mirror(Options{Topics: []string{"t", "none"}}).Run(k.ctx), samsa.ErrUnknownTopic)
	k.fails(k.mirror(Options{Topics: []string{"none"}}).Finish(k.ctx), samsa.ErrUnknownTopic)
}

// A topic goes there and back as often as one likes, also under other names, with nothing written in between, and whoever runs once more what has
// finished.
func TestThereAndBackAgain(t *testing.T) {
	for _, writes := range []bool{true, false} {
		k := newKit(t)
		k.create(k.from, "t", samsa.TopicConfig{})
		k.put(k.from, "t", 0, "a")
		for i, name := range []string{"a", "b", "a", "z", "m"} {
			there := k.run(Options{Name: name})
			k.want(there.Stats().Refused, map[string]error{})
			k.ok(there.Finish(k.ctx))
			k.fails(k.run(Options{Name: name}).Stats().Refused["t"], ErrNotOurs)
			if writes {
				k.put(k.to, "t", 0, fmt.Sprint(i))
			}
			k.commit(k.to, "g", "t", 0, k.end("t", 0))
			back := k.between(k.to, k.from, Options{Name: "back" + name})
			k.ok(back.Run(k.ctx))
			k.want(back.Stats().Refused, map[string]error{})
			k.ok(back.Finish(k.ctx))
			k.ok(back.Run(k.ctx))
			k.fails(back.Stats().Refused["t"], ErrNotOurs)
			k.same("t", 0)
			k.want(k.committed(k.from, "g", "t", 0), k.end("t", 0))
			if writes {
				k.put(k.from, "t", 0, fmt.Sprint("b", i))
			}
		}
	}
}

// A topic is that of one mirror, also while it is empty.
func TestTwoNames(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	one := k.run(Options{Name: "one"})
	k.fails(k.run(Options{Name: "two"}).Stats().Refused["t"], ErrNotOurs)
	k.put(k.from, "t", 0, "a")
	k.ok(one.Run(k.ctx))
	k.same("t", 0)
}

// A broker that is closed is not waited for.
func TestClosedBeforeItBegins(t *testing.T) {
	for _, from := range []bool{true, false} {
		k := newKit(t)
		k.create(k.from, "t", samsa.TopicConfig{})
		k.put(k.from, "t", 0, "a")
		gone := k.to
		if from {
			gone = k.from
		}
		k.ok(gone.Close())
		ctx, cancel := context.WithTimeout(k.ctx, 5*time.Second)
		defer cancel()
		m := k.mirror(Options{})
		k.fails(m.Run(ctx), samsa.ErrClosed)
	}
}

// A topic that is gone in the source when the move ends is the target's own too.
func TestFinishWhatIsGone(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.create(k.from, "u", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.run(Options{})
	k.ok(k.from.Topics().Delete(k.ctx, "t"))
	k.ok(k.mirror(Options{Topics: []string{"u"}}).Finish(k.ctx))
	back := Options{Name: "back", Topics: []string{"t"}}
	k.fails(k.between(k.to, k.from, back).Run(k.ctx), ErrLoop)
	k.ok(k.mirror(Options{}).Finish(k.ctx))
	k.ok(k.between(k.to, k.from, back).Run(k.ctx))
	k.want(k.records(k.from, "t", 0), []string{"0:a"})
}

// A broker that closes ends the mirror first, also one that has nothing.
func TestClosedWhileItRuns(t *testing.T) {
	for _, from := range []bool{true, false} {
		k := newKit(t)
		m, err := New(k.from, k.to, Options{})
		k.ok(err)
		ended := make(chan error)
		go func() { ended <- m.Run(k.ctx) }()
		k.until(func() bool { // it has looked
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.at != nil
		})
		closing := k.to
		if from {
			closing = k.from
		}
		k.ok(closing.Close())
		k.fails(<-ended, samsa.ErrClosed)
		k.fails(m.Run(k.ctx), samsa.ErrClosed)
	}
}

// What other mirrors have noted is read again when they have noted something, and not else.
func TestNotesAreReadOnce(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.create(k.to, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.put(k.to, "t", 0, "mine")
	other := open(t)
	k.create(other, "u", samsa.TopicConfig{})
	into := k.between(other, k.from, Options{Name: "other"})
	k.ok(into.Run(k.ctx))

	m := k.mirror(Options{})
	read := &counting{Topics: m.from.Topics}
	m.from.Topics = read
	k.ok(m.alone(k.ctx, "mirror", func(ctx context.Context) error {
		copier, err := m.to.Copying.NewCopier(ctx, notesPrefix+"mirror")
		k.ok(err)
		defer copier.Close()
		l, err := m.begin(ctx, copier)
		k.ok(err)
		defer l.end()
		for range 3 {
			k.ok(l.look(ctx))
			k.fails(m.Stats().Refused["t"], ErrNotOurs)
			k.want(read.notes, 1)
		}
		k.create(other, "v", samsa.TopicConfig{})
		k.ok(into.Run(k.ctx))
		k.ok(l.look(ctx))
		k.want(read.notes, 2)
		return nil
	}))
}

// counting counts how often notes are looked for.
type counting struct {
	engine.Topics
	notes int
}

func (c *counting) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	if strings.HasPrefix(name, notesPrefix) {
		c.notes++
	}
	return c.Topics.Find(ctx, name, create)
}

// Hooks of both brokers are told of what is copied, and of what is not.
func TestHooks(t *testing.T) {
	k := newKit(t)
	var told []string
	hooked := func(where string) *samsa.Broker {
		b, err := samsa.Open("", samsa.Options{InMemory: true, Hooks: []samsa.Hook{{Mirror: func(_ context.Context, e samsa.MirrorEvent) {
			told = append(told, fmt.Sprintf("%s: %s %d of %d, %v", where, e.Name, e.Records, e.Partitions, errors.Is(e.Err, samsa.ErrOutcomeUnknown)))
		}}}})
		k.ok(err)
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	k.from, k.to = hooked("from"), hooked("to")
	k.create(k.from, "t", samsa.TopicConfig{Partitions: 2})
	k.put(k.from, "t", 0, "a", "b")
	k.put(k.from, "t", 1, "c")
	m := k.mirror(Options{})
	m.to.Copying = &doubtful{Copying: m.to.Copying}
	k.ok(m.Run(k.ctx))
	k.want(told, []string{"from: mirror 3 of 2, true", "to: mirror 3 of 2, true", "from: mirror 3 of 2, false", "to: mirror 3 of 2, false"})
}

// What is stored is counted, also when that was found out afterwards.
func TestOutcomeUnknown(t *testing.T) {
	for _, stored := range []bool{true, false} {
		k := newKit(t)
		k.create(k.from, "t", samsa.TopicConfig{})
		k.put(k.from, "t", 0, "a", "b", "c")
		m := k.mirror(Options{})
		k.ok(m.Run(k.ctx))
		k.put(k.from, "t", 0, "d", "e", "f")
		k.ok(k.from.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 4}))
		m.to.Copying = &doubtful{Copying: m.to.Copying, stores: stored}
		k.ok(m.Run(k.ctx))
		k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b", "2:c", "4:e", "5:f"})
		s := m.Stats()
		k.want([]int64{s.Records, s.Lost, s.Restarts}, []int64{5, 1, 1})
		k.fails(s.LastError, samsa.ErrOutcomeUnknown)
		k.want(s.Trouble, nil)
	}
}

// doubtful is a target that does not say once what has become of batches.
type doubtful struct {
	engine.Copying
	engine.Copier
	stores, said bool
}

func (d *doubtful) NewCopier(ctx context.Context, name string) (engine.Copier, error) {
	var err error
	d.Copier, err = d.Copying.NewCopier(ctx, name)
	return d, err
}

func (d *doubtful) Copy(ctx context.Context, batches []engine.CopiedBatch, notes func() ([]log.Record, error)) error {
	if d.said || len(batches) == 0 {
		return d.Copier.Copy(ctx, batches, notes)
	}
	d.said = true
	if d.stores {
		if err := d.Copier.Copy(ctx, batches, notes); err != nil {
			return err
		}
	}
	return samsa.ErrOutcomeUnknown
}

// A group that cannot be brought over now keeps a move from ending, and is tried again.
func TestGroupsAreTriedAgain(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b")
	m := k.run(Options{})
	for _, name := range []string{"g", "h"} {
		k.commit(k.from, name, "t", 0, 1)
	}
	moving := &noCoordinator{Admin: m.to.Groups, times: 1}
	m.to.Groups = moving
	k.fails(m.Finish(k.ctx), samsa.ErrUnavailable)
	k.want(k.committed(k.to, "h", "t", 0), int64(1))
	moving.times = 1
	k.commit(k.from, "g", "t", 0, 2)
	k.ok(m.Run(k.ctx))
	k.want(k.committed(k.to, "g", "t", 0), int64(2))
	k.ok(m.Finish(k.ctx))
}

// noCoordinator are groups of which one has none, so many times.
type noCoordinator struct {
	engine.Admin
	times int
}

func (n *noCoordinator) AlterOffsets(ctx context.Context, name string, offsets map[log.TopicPartition]group.Offset) error {
	if n.times > 0 {
		n.times--
		return samsa.ErrUnavailable
	}
	return n.Admin.AlterOffsets(ctx, name, offsets)
}
