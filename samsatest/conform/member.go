package conform

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

// member is a consumer of a group that polls in the background, and what happens to it. What follows is guarded by kit.waiting.
type member struct {
	*samsa.Consumer
	k    *kit
	owns []samsa.TopicPartition // as its callbacks tell
	lost int                    // partitions, so far
	got  []samsa.Record
	errs []error
	quit context.CancelFunc // ends the polls
	done chan struct{}      // closed when they have ended
}

// options are those of a member of a group that is quick to notice what happens.
func options(group string, topics ...string) samsa.ConsumerOptions {
	return samsa.ConsumerOptions{Group: group, Topics: topics, Member: samsa.MemberOptions{HeartbeatInterval: 100 * time.Millisecond}}
}

// manual is options with ManualCommit.
func manual(group string, topics ...string) samsa.ConsumerOptions {
	o := options(group, topics...)
	o.Member.ManualCommit = true
	return o
}

// joins has a member of a group poll until stop.
func (k *kit) joins(o samsa.ConsumerOptions) *member {
	m := &member{k: k}
	noted := func(with func(context.Context, *samsa.Consumer, []samsa.TopicPartition), note func(tps []samsa.TopicPartition)) func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
		return func(ctx context.Context, c *samsa.Consumer, tps []samsa.TopicPartition) {
			if with != nil {
				with(ctx, c, tps)
			}
			k.change(func() { note(tps) })
		}
	}
	without := func(tps []samsa.TopicPartition) {
		m.owns = slices.DeleteFunc(m.owns, func(tp samsa.TopicPartition) bool { return slices.Contains(tps, tp) })
	}
	o.Member.OnAssigned = noted(o.Member.OnAssigned, func(tps []samsa.TopicPartition) { m.owns = append(m.owns, tps...) })
	o.Member.OnRevoked = noted(o.Member.OnRevoked, without)
	o.Member.OnLost = noted(o.Member.OnLost, func(tps []samsa.TopicPartition) { without(tps); m.lost += len(tps) })
	m.Consumer = k.consumer(o)
	k.atEnd(m.stop)
	m.polls()
	return m
}

// polls goes on until stop.
func (m *member) polls() {
	k := m.k
	ctx, cancel := context.WithCancel(k.ctx)
	done := make(chan struct{})
	m.quit, m.done = cancel, done
	k.goes(func() {
		defer close(done)
		for ctx.Err() == nil {
			records, err := m.Poll(ctx)
			k.change(func() {
				m.got = append(m.got, records...)
				if err != nil && ctx.Err() == nil {
					m.errs = append(m.errs, err)
				}
			})
			if errors.Is(err, samsa.ErrClosed) || errors.Is(err, samsa.ErrFencedInstance) || errors.Is(err, samsa.ErrInconsistentProtocol) {
				return
			}
		}
	})
}

// stop ends the polls. The member stays in the group.
func (m *member) stop() {
	m.quit()
	<-m.done
}

// leave ends the polls and closes the member.
func (m *member) leave() {
	m.stop()
	m.k.closes(m)
}

// owned waits until the members own so many partitions each, none twice, and returns those of each in order.
func (k *kit) owned(members []*member, want ...int) (all [][]samsa.TopicPartition) {
	k.wait("the partitions to be shared out", func() bool {
		all = nil
		seen := make(map[samsa.TopicPartition]bool)
		for i, m := range members {
			for _, tp := range m.owns {
				if seen[tp] {
					return false // it will be given up
				}
				seen[tp] = true
			}
			if len(m.owns) != want[i] {
				return false
			}
			all = append(all, slices.SortedFunc(slices.Values(m.owns), func(a, b samsa.TopicPartition) int {
				return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
			}))
		}
		return true
	})
	return all
}

// got waits until the members have n records together, and returns their values in order.
func (k *kit) got(n int, members ...*member) (all []string) {
	k.wait("records", func() bool {
		all = nil
		for _, m := range members {
			all = append(all, values(m.got)...)
		}
		return len(all) >= n
	})
	slices.Sort(all)
	return all
}

// error waits for an error of a member's polls.
func (k *kit) error(m *member) (err error) {
	k.wait("an error", func() bool {
		if len(m.errs) > 0 {
			err = m.errs[0]
		}
		return err != nil
	})
	return err
}

// fill produces the value of its number to each of a topic's partitions.
func (k *kit) fill(topic string, prefix string, partitions int) (values []string) {
	for p := range partitions {
		values = append(values, prefix+string(rune('0'+p)))
		k.put(topic, int32(p), values[p])
	}
	return values
}

// committed returns the offsets of a group.
func (k *kit) committed(group string) map[samsa.TopicPartition]samsa.CommittedOffset {
	offsets, err := k.Groups().Committed(k.ctx, group)
	k.must(err)
	return offsets
}

// has committed compares the offset of a group in the first partition of a topic, -1 for none.
func (k *kit) hasCommitted(group, topic string, want int64) {
	got := int64(-1)
	if o, found := k.committed(group)[at(topic, 0)]; found {
		got = o.Offset
	}
	k.equal("committed", got, want)
}

// shares has members of a group with an assignor share n partitions.
func shares(assignor samsa.Assignor) func(k *kit) {
	return func(k *kit) {
		name, g := k.topic(6), k.freshGroup()
		o := options(g, name)
		o.Member.Assignors = []samsa.Assignor{assignor}
		members := []*member{k.joins(o)}
		k.owned(members, 6)
		members = append(members, k.joins(o))
		k.owned(members, 3, 3)
		members = append(members, k.joins(o))
		k.owned(members, 2, 2, 2)
		want := k.fill(name, "v", 6)
		k.equal("read", k.got(6, members...), want)
		info, err := k.Groups().Describe(k.ctx, g)
		k.must(err)
		k.equal("assignor", info.Assignor, assignor.Name())
		members[0].leave()
		k.owned(members[1:], 3, 3)
	}
}

// deal is an assignor of the program's own: the partitions of the first topic, one each in turn.
func deal(members []samsa.AssignMember, partitions map[string]int32) map[string]samsa.Assignment {
	slices.SortFunc(members, func(a, b samsa.AssignMember) int { return cmp.Compare(a.ID, b.ID) })
	all := make(map[string]samsa.Assignment)
	for topic, n := range partitions {
		for p := range n {
			id := members[int(p)%len(members)].ID
			if all[id] == nil {
				all[id] = make(samsa.Assignment)
			}
			all[id][topic] = append(all[id][topic], p)
		}
	}
	return all
}

var members = []promise{
	{"alone", "The only member of a group gets all partitions, in OnAssigned, before any record of them.", func(k *kit) {
		name, g := k.topic(3), k.freshGroup()
		want := k.fill(name, "v", 3)
		o := options(g, name)
		var c *samsa.Consumer
		var told []samsa.TopicPartition
		o.Member.OnAssigned = func(_ context.Context, own *samsa.Consumer, added []samsa.TopicPartition) {
			k.equal("consumer", own, c)
			told = append(told, added...)
			_, err := own.Poll(k.ctx)
			k.is(err, samsa.ErrInCallback)
			k.is(own.Close(), samsa.ErrInCallback)
		}
		c = k.consumer(o)
		k.equal("assigned before the first Poll", len(c.Assigned()), 0)
		k.is(c.Seek(k.ctx, at(name, 0), 0), samsa.ErrUnknownPartition)
		k.equal("read", sorted(k.read(c, 3)), want)
		k.equal("assigned", c.Assigned(), []samsa.TopicPartition{at(name, 0), at(name, 1), at(name, 2)})
		k.equal("told", len(told), 3)
	}},
	{"cooperative-sticky", "Two and three members share the partitions, and take over from one that leaves, with the default assignor.", shares(samsa.CooperativeStickyAssignor())},
	{"range", "So they do with the range assignor.", shares(samsa.RangeAssignor())},
	{"round-robin", "So they do with the round robin assignor.", shares(samsa.RoundRobinAssignor())},
	{"sticky", "So they do with the sticky assignor.", shares(samsa.StickyAssignor())},
	{"own-assignor", "So they do with an assignor of the program's own.", shares(samsa.AssignorFunc("dealt", true, deal))},
	{"once", "Each record goes to one member of a group, and to each of the groups.", func(k *kit) {
		name, g, other := k.topic(4), k.freshGroup(), k.freshGroup()
		a, b, c := k.joins(options(g, name)), k.joins(options(g, name)), k.joins(options(other, name))
		k.owned([]*member{a, b}, 2, 2)
		want := append(k.fill(name, "v", 4), k.fill(name, "w", 4)...)
		k.equal("one group", k.got(8, a, b), want)
		k.equal("the other", k.got(8, c), want)
	}},
	{"revoked", "OnRevoked comes before another has the partition: what it commits the other one begins behind.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		o := manual(g, name)
		o.Member.OnRevoked = func(ctx context.Context, c *samsa.Consumer, _ []samsa.TopicPartition) { k.must(c.Commit(ctx)) }
		a := k.joins(o)
		k.owned([]*member{a}, 2)
		k.fill(name, "old", 2)
		k.got(2, a)
		b := k.joins(o)
		k.owned([]*member{a, b}, 1, 1)
		k.fill(name, "new", 2)
		k.equal("both", k.got(4, a, b), []string{"new0", "new1", "old0", "old1"})
		k.equal("the second", len(k.got(1, b)), 1)
	}},
	{"cooperative", "With a cooperative assignor partitions that do not move are not revoked, and are read meanwhile.", func(k *kit) {
		name, g := k.topic(4), k.freshGroup()
		revoked := 0
		o := options(g, name)
		o.Member.OnRevoked = func(_ context.Context, _ *samsa.Consumer, tps []samsa.TopicPartition) { revoked += len(tps) }
		a := k.joins(o)
		k.owned([]*member{a}, 4)
		b := k.joins(options(g, name))
		k.owned([]*member{a, b}, 2, 2)
		a.stop()
		k.equal("revoked", revoked, 2)
		k.equal("lost", a.lost, 0)
	}},
	{"grows", "Partitions that a topic gets are shared out too, and read from their first record.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		o := options(g, name)
		o.Start = samsa.Latest()
		a := k.joins(o)
		k.owned([]*member{a}, 1)
		k.must(k.Topics().AddPartitions(k.ctx, name, 3))
		k.put(name, 2, "first")
		k.owned([]*member{a}, 3)
		k.equal("read", k.got(1, a), []string{"first"})
	}},
	{"subscriptions", "Members of a group may want different topics, and get partitions of these alone.", func(k *kit) {
		one, two, g := k.topic(2), k.topic(1), k.freshGroup()
		a, b := k.joins(options(g, one)), k.joins(options(g, two))
		owned := k.owned([]*member{a, b}, 2, 1)
		k.equal("owned", owned, [][]samsa.TopicPartition{{at(one, 0), at(one, 1)}, {at(two, 0)}})
	}},
	{"static", "A static member keeps its partitions while it is away, and a newer one of its name fences it.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		o := options(g, name)
		o.Member.InstanceID = "static"
		o.Member.SessionTimeout = cmp.Or(k.place.Session, 6*time.Second)
		a, b := k.joins(options(g, name)), k.joins(o)
		had := k.owned([]*member{a, b}, 1, 1)
		b.leave()
		again := k.joins(o)
		k.equal("has", k.owned([]*member{again}, 1)[0], had[1])
		newer := k.joins(o)
		k.is(k.error(again), samsa.ErrFencedInstance, samsa.ErrFenced)
		k.equal("has", k.owned([]*member{newer}, 1)[0], had[1])
		k.equal("the other one has", k.owned([]*member{a}, 1)[0], had[0])
		newer.leave()
		k.owned([]*member{a}, 2) // when the session is over
	}},
	{"too-slow", "A member that does not poll for longer than MaxPollInterval loses its partitions to others, and is told with its next Poll.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		k.fill(name, "v", 2)
		o := manual(g, name)
		o.Member.MaxPollInterval = 500 * time.Millisecond
		slow := k.joins(o)
		k.got(2, slow)
		slow.stop()
		other := k.joins(manual(g, name))
		k.owned([]*member{other}, 2)
		if err := slow.CommitRecords(k.ctx, slow.got...); !errors.Is(err, samsa.ErrUnknownMember) && !errors.Is(err, samsa.ErrIllegalGeneration) {
			k.Errorf("what it has is committed: %v", err)
		}
		k.equal("committed", len(k.committed(g)), 0)
		slow.polls()
		k.owned([]*member{slow, other}, 1, 1)
		k.equal("lost", slow.lost, 2)
	}},
	{"inconsistent", "A member that has no assignor in common with the others is refused: ErrInconsistentProtocol.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		a, b := options(g, name), options(g, name)
		a.Member.Assignors, b.Member.Assignors = []samsa.Assignor{samsa.RangeAssignor()}, []samsa.Assignor{samsa.RoundRobinAssignor()}
		k.owned([]*member{k.joins(a)}, 1)
		k.is(k.error(k.joins(b)), samsa.ErrInconsistentProtocol)
	}},
	{"options", "Options that cannot be are ErrInvalidOption.", func(k *kit) {
		name := k.topic(1)
		for _, m := range []samsa.MemberOptions{
			{SessionTimeout: -1}, {HeartbeatInterval: -1}, {MaxPollInterval: -1}, {AutoCommitInterval: -1}, {CommitAcks: samsa.AckNone},
		} {
			c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: k.fresh("g"), Topics: []string{name}, Member: m})
			if k.is(err, samsa.ErrInvalidOption); err == nil {
				k.closes(c)
			}
		}
	}},
}
