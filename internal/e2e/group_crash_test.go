package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// TestCrashGroups kills a process in which two groups work, at any moment, again and again
// on one directory. After each kill every acknowledged commit is there, nothing is committed
// that was not processed, and both the parent and the next child go on where the commits are.
func TestCrashGroups(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	for name, partitions := range crashTopics {
		mustCreate(t, b, name, partitions)
	}
	mustClose(t, b)
	led := groupLedger{committed: make(map[place]int64)}
	commits := 0
	for round := range kills(t, 3) {
		lines := rng.IntN(maxGroupLines)
		told := killWhen(t, "consume", after(lines), dir, fmt.Sprint(round))
		if !t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			commits += led.inspect(t, dir, told)
		}) {
			t.Fatalf("seed %d, killed after %d lines", seed, lines)
		}
	}
	t.Logf("%d commits, at %v", commits, led.committed)
}

const (
	crashCrew = "crew" // commits by hand
	crashAuto = "auto" // commits by itself
	crashSeat = "seat" // the instance id of a static member of each

	maxGroupLines = 2000 // told before a kill, at most
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["consume"] = consumeUntilKilled; return true }()

// consumeUntilKilled is the child. Its arguments are the directory and the round. It writes
// lines "what group topic partition offset": first for the first record that came of a
// partition, done when all records up to there were processed, and afterwards ack when
// that was committed.
func consumeUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range 2 {
		go func() { failed <- fill(b, fmt.Sprint(args[1], "-", i)) }()
	}
	seen := &firsts{seen: make(map[place]bool)}
	for i, opts := range []samsa.MemberOptions{
		{InstanceID: crashSeat, ManualCommit: true},
		{ManualCommit: true},
		{ManualCommit: true, CommitAcks: samsa.AckSynced},
	} {
		h := hand{b: b, group: crashCrew, opts: opts, seen: seen, rng: rand.New(rand.NewPCG(rand.Uint64(), 0))}
		if i > 0 {
			h.shift = 20 // come and go: the group is rebalancing at most times
		}
		go func() { failed <- h.work() }()
	}
	for i, opts := range []samsa.MemberOptions{{InstanceID: crashSeat}, {}} {
		opts.AutoCommitInterval = time.Duration(1+i) * time.Millisecond
		h := hand{b: b, group: crashAuto, opts: opts, seen: seen, shift: 20 * i}
		go func() { failed <- h.work() }()
	}
	return <-failed
}

// fill produces.
func fill(b *samsa.Broker, name string) error {
	for i := 0; ; i++ {
		records := make([]samsa.Record, 10)
		for j := range records {
			records[j] = samsa.Record{Topic: []string{"left", "right"}[j%2], Key: fmt.Append(nil, name, i, j)}
		}
		if _, err := b.Produce(context.Background(), records...); err != nil {
			return err
		}
	}
}

// place is where a group is in a partition.
type place struct {
	group string
	samsa.TopicPartition
}

// firsts tells of each place once.
type firsts struct {
	mu   sync.Mutex
	seen map[place]bool
}

func (f *firsts) tell(p place, offset int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[p] {
		return nil
	}
	f.seen[p] = true
	return tell("first %s %s %d %d\n", p.group, p.Topic, p.Partition, offset)
}

// hand is a consumer of the child.
type hand struct {
	b     *samsa.Broker
	group string
	opts  samsa.MemberOptions
	seen  *firsts
	rng   *rand.Rand
	shift int // after so many polls it leaves and joins again; 0 for never
}

func (h *hand) work() error {
	for {
		c, err := h.b.NewConsumer(context.Background(), samsa.ConsumerOptions{
			Group: h.group, Topics: []string{"left", "right"}, MaxPollRecords: 20, Member: h.opts,
		})
		if err != nil {
			return err
		}
		for polls := 0; h.shift == 0 || polls < h.shift; polls++ {
			records, err := c.Poll(context.Background())
			if err == nil {
				err = h.process(c, records)
			}
			if err != nil {
				return err
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
}

// process says what was done, and commits it.
func (h *hand) process(c *samsa.Consumer, records []samsa.Record) error {
	done := make(map[samsa.TopicPartition]samsa.CommittedOffset)
	for _, r := range records {
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if _, ok := done[tp]; !ok {
			if err := h.seen.tell(place{h.group, tp}, r.Offset); err != nil {
				return err
			}
		}
		done[tp] = samsa.CommittedOffset{Offset: r.Offset + 1, Metadata: fmt.Sprint("behind ", r.Offset)}
	}
	if err := h.tellAll("done", done); err != nil || !h.opts.ManualCommit {
		return err
	}
	var err error
	switch h.rng.IntN(3) {
	case 0:
		err = c.Commit(context.Background())
	case 1:
		err = c.CommitRecords(context.Background(), records...)
	case 2:
		err = c.CommitOffsets(context.Background(), done)
	}
	if err != nil {
		return err
	}
	return h.tellAll("ack", done)
}

func (h *hand) tellAll(what string, done map[samsa.TopicPartition]samsa.CommittedOffset) error {
	var lines strings.Builder
	for tp, o := range done {
		fmt.Fprintf(&lines, "%s %s %s %d %d\n", what, h.group, tp.Topic, tp.Partition, o.Offset)
	}
	return tell("%s", lines.String())
}

// groupLedger is what the parent knows to be committed.
type groupLedger struct{ committed map[place]int64 }

// inspect opens the directory after a kill and compares it with what the child had told.
// It returns the number of acknowledged commits.
func (led *groupLedger) inspect(t *testing.T, dir string, told []string) (acks int) {
	b := mustOpen(t, dir, samsa.Options{})
	defer mustClose(t, b)
	least, most := make(map[place]int64), make(map[place]int64)
	for p, offset := range led.committed {
		least[p], most[p] = offset, offset
	}
	for _, line := range told {
		var what string
		var p place
		var offset int64
		if _, err := fmt.Sscan(line, &what, &p.group, &p.Topic, &p.Partition, &offset); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		switch what {
		case "first":
			if offset != led.committed[p] {
				t.Errorf("%v: the child began at offset %d, and %d was committed", p, offset, led.committed[p])
			}
		case "done":
			most[p] = max(most[p], offset)
		case "ack":
			least[p] = max(least[p], offset)
			acks++
		}
	}
	clear(led.committed)
	for _, group := range []string{crashCrew, crashAuto} {
		offsets, err := b.Groups().Committed(patient(t), group)
		if err != nil {
			t.Fatal(err)
		}
		for tp, o := range offsets {
			p := place{group, tp}
			led.committed[p] = o.Offset
			if o.Offset > most[p] {
				t.Errorf("%v: %d is committed, and only %d were processed", p, o.Offset, most[p])
			}
			if o.Metadata != "" && o.Metadata != fmt.Sprint("behind ", o.Offset-1) {
				t.Errorf("%v: metadata of offset %d is %q", p, o.Offset, o.Metadata)
			}
		}
		led.goOn(t, b, group)
	}
	for p, offset := range least {
		if led.committed[p] < offset {
			t.Errorf("%v: offset %d was acknowledged, and %d is committed", p, offset, led.committed[p])
		}
	}
	return acks
}

// goOn has a consumer join the group: the first record that it gets of a partition is that
// at the committed offset. It commits nothing.
func (led *groupLedger) goOn(t *testing.T, b *samsa.Broker, group string) {
	t.Helper()
	c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{
		Group: group, Topics: []string{"left", "right"}, MaxPollRecords: 10,
		Member: samsa.MemberOptions{InstanceID: crashSeat, ManualCommit: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	behind := make(map[place]bool)
	for tp, end := range ends(t, b) {
		if p := (place{group, tp}); led.committed[p] < end {
			behind[p] = true
		}
	}
	ctx := patient(t)
	for len(behind) > 0 {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("%v left: %v", behind, err)
		}
		for _, r := range records {
			p := place{group, samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}}
			if behind[p] && r.Offset != led.committed[p] {
				t.Errorf("%v: goes on at offset %d, and %d is committed", p, r.Offset, led.committed[p])
			}
			delete(behind, p)
		}
	}
}
