package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Whoever gives no sign of life is out, and the group does not listen to it any more.
func TestSessionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t)
		k.create("t", 1)
		k.put("t", 0, "x")
		opts := Options{Group: "g", Topics: []string{"t"}}
		a := k.consumer(opts)
		records := k.read(a, 1)
		a.member.cancel() // as if its process stood still
		began := time.Now()
		k.read(k.consumer(opts), 1)
		if waited := time.Since(began); waited != a.member.opts.SessionTimeout {
			t.Errorf("its partition is given away after %s", waited)
		}
		if err := a.CommitOffsets(k.ctx, OffsetsAfter(records)); !errors.Is(err, log.ErrUnknownMember) {
			t.Errorf("late commit: %v", err)
		}
		if offsets, err := k.Offsets.Committed(k.ctx, "g"); err != nil || len(offsets) > 0 {
			t.Errorf("the group has committed %v, %v", offsets, err)
		}
	})
}

// slowTopics are topics whose partitions look up times when release is closed.
type slowTopics struct {
	engine.Topics
	release chan struct{}
}

type slowTopic struct {
	engine.Topic
	release chan struct{}
}

type slowPartition struct {
	engine.Partition
	release chan struct{}
}

func (s slowTopics) Get(name string) (engine.Topic, error) {
	t, err := s.Topics.Get(name)
	return slowTopic{t, s.release}, err
}

func (s slowTopic) Partition(i int32) (engine.Partition, error) {
	p, err := s.Topic.Partition(i)
	return slowPartition{p, s.release}, err
}

func (s slowPartition) OffsetForTime(ctx context.Context, iso log.Isolation, ts int64) (offset int64, ok bool, err error) {
	<-s.release
	return s.Partition.OffsetForTime(ctx, iso, ts)
}

// While it is looked up where to begin, which may take long, the consumer answers.
func TestAssignmentIsLookedUpWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t)
		k.create("t", 1)
		k.put("t", 0, "x")
		release := make(chan struct{})
		k.Topics = slowTopics{k.Topics, release}
		c := k.consumer(Options{Group: "g", Topics: []string{"t"}, Start: engine.Start{Kind: engine.AtTime}})
		polled := make(chan error, 1)
		go func() {
			_, err := c.Poll(k.ctx)
			polled <- err
		}()
		synctest.Wait()
		if tps := c.Assigned(); len(tps) > 0 {
			t.Errorf("it reads %v", tps)
		}
		close(release)
		if err := <-polled; err != nil {
			t.Error(err)
		}
		if tps := c.Assigned(); len(tps) != 1 {
			t.Errorf("it reads %v", tps)
		}
	})
}

// duringCommits are offsets whose commits call something before anybody knows how they went.
type duringCommits struct {
	engine.Offsets
	call func()
}

func (d duringCommits) Commit(ctx context.Context, name string, req group.CommitRequest) error {
	err := d.Offsets.Commit(ctx, name, req)
	d.call()
	return err
}

// A seek back while a commit is on its way is committed by the next one.
func TestSeekBackDuringACommit(t *testing.T) {
	k := inMemory(t)
	k.create("t", 1)
	k.put("t", 0, "a", "b", "c")
	seek := func() {}
	k.Offsets = duringCommits{k.Offsets, func() { seek() }}
	c := k.consumer(Options{Group: "g", Topics: []string{"t"}})
	tp := log.TopicPartition{Topic: "t"}
	k.read(c, 3)
	for _, step := range []struct{ to, want int64 }{{3, -1}, {1, 1}, {2, 2}} {
		seek = func() {
			if err := c.Seek(k.ctx, tp, step.to); err != nil {
				t.Error(err)
			}
		}
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		c.settle()
		offsets, err := c.unsaved(nil)
		if o, ok := offsets[tp]; err != nil || ok != (step.want >= 0) || ok && o.Offset != step.want {
			t.Errorf("after a seek to %d the next commit is of %v, %v, want %d", step.to, offsets, err, step.want)
		}
	}
}

// away does not answer the first questions.
type away struct{ left int }

func (a *away) err() error {
	if a.left--; a.left >= 0 {
		return log.ErrUnavailable
	}
	return nil
}

type offsetsAway struct {
	engine.Offsets
	*away
}

func (o offsetsAway) Stable(ctx context.Context, name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, []log.TopicPartition, error) {
	if err := o.err(); err != nil {
		return nil, nil, err
	}
	return o.Offsets.Stable(ctx, name, tps...)
}

type topicsAway struct {
	engine.Topics
	*away
}

func (s topicsAway) Get(name string) (engine.Topic, error) {
	t, err := s.Topics.Get(name)
	return topicAway{t, s.away}, err
}

type topicAway struct {
	engine.Topic
	*away
}

func (s topicAway) Partition(i int32) (engine.Partition, error) {
	p, err := s.Topic.Partition(i)
	return partitionAway{p, s.away}, err
}

type partitionAway struct {
	engine.Partition
	*away
}

func (p partitionAway) OffsetForTime(ctx context.Context, iso log.Isolation, ts int64) (int64, bool, error) {
	if err := p.err(); err != nil {
		return 0, false, err
	}
	return p.Partition.OffsetForTime(ctx, iso, ts)
}

// Where to begin in what the group has assigned is asked again when nobody answers, as a coordinator that has just died: Poll tells, and then reads.
func TestAssignmentIsAskedAgain(t *testing.T) {
	for name, put := range map[string]func(*kit, *away){
		"where the group stands": func(k *kit, a *away) { k.Offsets = offsetsAway{k.Offsets, a} },
		"where the time is":      func(k *kit, a *away) { k.Topics = topicsAway{k.Topics, a} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t)
				k.create("t", 2)
				k.put("t", 0, "x")
				k.put("t", 1, "y")
				a := &away{left: 5}
				put(k, a)
				c := k.consumer(Options{Group: "g", Topics: []string{"t"}, Start: engine.Start{Kind: engine.AtTime}})
				told, got := 0, 0
				for got < 2 {
					records, err := c.Poll(k.ctx)
					if got += len(records); errors.Is(err, log.ErrUnavailable) {
						told++
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if tps := c.Assigned(); len(tps) != 2 || told == 0 || a.left >= 0 {
					t.Errorf("it reads %v, and Poll has told %d errors, with %d to come", tps, told, a.left)
				}
			})
		})
	}
}
