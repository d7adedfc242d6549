package conform

import (
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

// groupInfo returns what is known of a group.
func (k *kit) groupInfo(name string) samsa.GroupInfo {
	info, err := k.Groups().Describe(k.ctx, name)
	k.must(err)
	return info
}

var groups = []promise{
	{"describe", "Describe tells the members of a group, what each has, and how far the group is.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		k.fill(name, "v", 2)
		o := manual(g, name)
		o.ClientID = "me"
		c := k.consumer(o)
		k.read(c, 2)
		k.must(c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 1): {Offset: 1, Metadata: "note"}}))
		info := k.groupInfo(g)
		k.equal("kind, state, assignor", []any{info.Name, info.Kind, info.State, info.Assignor},
			[]any{g, samsa.GroupClassic, samsa.GroupStable, samsa.CooperativeStickyAssignor().Name()})
		if len(info.Members) != 1 {
			k.Fatalf("members: %v", info.Members)
		}
		m := info.Members[0]
		k.equal("member", []any{m.ClientID, m.Topics, m.Assigned}, []any{"me", []string{name}, []samsa.TopicPartition{at(name, 0), at(name, 1)}})
		k.equal("partitions", info.Partitions, []samsa.GroupPartition{
			{Topic: name, Partition: 0, Committed: -1, HighWatermark: 1, Lag: 1, MemberID: m.ID},
			{Topic: name, Partition: 1, Committed: 1, Metadata: "note", HighWatermark: 1, MemberID: m.ID},
		})
		k.closes(c)
		info = k.groupInfo(g)
		k.equal("state when it has left", info.State, samsa.GroupEmpty)
		k.equal("members", len(info.Members), 0)
		k.equal("partitions", info.Partitions, []samsa.GroupPartition{{Topic: name, Partition: 1, Committed: 1, Metadata: "note", HighWatermark: 1}})
	}},
	{"list", "List has the groups with members, and those with offsets.", func(k *kit) {
		name, a, b := k.topic(1), k.freshGroup(), k.freshGroup()
		k.must(k.Groups().SetOffsets(k.ctx, a, offsetOf(name, 0)))
		k.write(name, "v")
		k.reads(k.consumer(options(b, name)), "v")
		names, err := k.Groups().List(k.ctx)
		k.must(err)
		k.equal("sorted", slices.IsSorted(names), true)
		k.equal("listed", slices.Contains(names, a) && slices.Contains(names, b), true)
	}},
	{"unknown", "A group that is not there is ErrUnknownGroup, and has no offsets.", func(k *kit) {
		name, g := k.topic(1), k.fresh("g")
		_, err := k.Groups().Describe(k.ctx, g)
		k.is(err, samsa.ErrUnknownGroup, samsa.ErrUnknown)
		k.is(k.Groups().Delete(k.ctx, g), samsa.ErrUnknownGroup)
		k.is(k.Groups().DeleteOffsets(k.ctx, g, at(name, 0)), samsa.ErrUnknownGroup)
		k.is(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.Latest())), samsa.ErrUnknownGroup)
		k.equal("offsets", len(k.committed(g)), 0)
	}},
	{"bad-name", "A name that none can have is ErrInvalidGroup.", func(k *kit) {
		_, err := k.Groups().Describe(k.ctx, "")
		k.is(err, samsa.ErrInvalidGroup, samsa.ErrInvalid)
		k.is(k.Groups().Delete(k.ctx, ""), samsa.ErrInvalidGroup)
	}},
	{"delete", "Delete removes a group and its offsets; with a member it is ErrGroupNotEmpty, and nothing goes.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "v")
		c := k.consumer(manual(g, name))
		k.reads(c, "v")
		k.must(c.Commit(k.ctx))
		k.is(k.Groups().Delete(k.ctx, g), samsa.ErrGroupNotEmpty)
		k.hasCommitted(g, name, 1)
		k.closes(c)
		k.must(k.Groups().Delete(k.ctx, g))
		k.hasCommitted(g, name, -1)
		_, err := k.Groups().Describe(k.ctx, g)
		k.is(err, samsa.ErrUnknownGroup)
		k.reads(k.consumer(manual(g, name)), "v") // a new one of the name begins anew
	}},
	{"delete-offsets", "DeleteOffsets removes these, but not of topics that a member wants: ErrGroupSubscribed.", func(k *kit) {
		name, former, g := k.topic(2), k.topic(1), k.freshGroup()
		k.must(k.Groups().SetOffsets(k.ctx, g, map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {}, at(name, 1): {}, at(former, 0): {}}))
		k.must(k.Groups().DeleteOffsets(k.ctx, g, at(name, 1)))
		k.equal("left", len(k.committed(g)), 2)
		m := k.joins(manual(g, name))
		k.owned([]*member{m}, 2)
		k.is(k.Groups().DeleteOffsets(k.ctx, g, at(name, 0), at(former, 0)), samsa.ErrGroupSubscribed)
		k.equal("left", k.committed(g), offsetOf(name, 0))
		m.leave()
		k.must(k.Groups().DeleteOffsets(k.ctx, g, at(name, 0)))
		k.equal("left", len(k.committed(g)), 0)
	}},
	{"topic-deleted", "The offsets of a topic go with it: one made again under its name has none.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b")
		k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 2)))
		k.must(k.Topics().Delete(k.ctx, name))
		k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}))
		k.hasCommitted(g, name, -1)
		k.write(name, "new")
		k.reads(k.consumer(manual(g, name)), "new")
	}},
	{"kind", "A group has one kind: what is for another is ErrGroupKind.", func(k *kit) {
		name, g, q := k.topic(1), k.freshGroup(), k.freshGroup()
		m := k.joins(options(g, name))
		k.owned([]*member{m}, 1)
		_, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: g, Topics: []string{name}})
		k.is(err, samsa.ErrGroupKind)
		k.queue(samsa.QueueOptions{Group: q, Topics: []string{name}})
		k.equal("kind", k.groupInfo(q).Kind, samsa.GroupShare)
		c, err := k.NewConsumer(k.ctx, options(q, name))
		if err == nil {
			_, err = c.Poll(k.ctx)
			k.closes(c)
		}
		k.is(err, samsa.ErrGroupKind)
		_, err = k.Groups().Committed(k.ctx, q)
		k.is(err, samsa.ErrGroupKind)
	}},
	{"configs", "SetConfigs sets configs of a group, and \"\" unsets one; what cannot be is ErrInvalidConfig.", func(k *kit) {
		g := k.fresh("g")
		const reset = "share.auto.offset.reset"
		before, err := k.Groups().Configs(k.ctx, g)
		k.must(err)
		k.equal("default", before[reset], "latest")
		k.must(k.Groups().SetConfigs(k.ctx, g, map[string]string{reset: "earliest"}))
		is := func(want string) {
			now, err := k.Groups().Configs(k.ctx, g)
			k.must(err)
			k.equal(reset, now[reset], want)
		}
		is("earliest")
		k.is(k.Groups().SetConfigs(k.ctx, g, map[string]string{reset: "never"}), samsa.ErrInvalidConfig)
		k.is(k.Groups().SetConfigs(k.ctx, g, map[string]string{"no.such": "1"}), samsa.ErrInvalidConfig)
		is("earliest")
		k.must(k.Groups().SetConfigs(k.ctx, g, map[string]string{reset: ""}))
		is("latest")
	}},
}

// moved has a group at offset 2 of five records, an hour apart, and says where it is when it was moved.
func moved(to samsa.GroupOffset, want int64) func(k *kit) {
	return func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		now := time.Now()
		k.stamped(name, now.Add(-270*time.Minute), now.Add(-210*time.Minute), now.Add(-150*time.Minute), now.Add(-90*time.Minute), now.Add(-30*time.Minute))
		k.must(k.Groups().SetOffsets(k.ctx, g, map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Offset: 2, Metadata: "note"}}))
		plan, err := k.Groups().PlanOffsets(k.ctx, g, to)
		k.must(err)
		k.equal("plan", plan[at(name, 0)].Offset, want)
		k.hasCommitted(g, name, 2)
		k.must(k.Groups().AlterOffsets(k.ctx, g, to))
		k.equal("moved", k.committed(g), map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Offset: want, Metadata: "note"}})
		k.must(k.Groups().SetOffsets(k.ctx, g, plan))
		k.equal("as planned", k.committed(g), plan)
	}
}

var moves = []promise{
	{"start", "AlterOffsets moves a group to the first record, as PlanOffsets has said, which moves nothing.", moved(samsa.To(samsa.Earliest()), 0)},
	{"end", "It moves one to the end.", moved(samsa.To(samsa.Latest()), 5)},
	{"offset", "It moves one to an offset.", moved(samsa.To(samsa.AtOffset(3)), 3)},
	{"beyond", "It moves one to the nearer end of the log where an offset is not there.", moved(samsa.To(samsa.AtOffset(99)), 5)},
	{"ago", "It moves one to the records of the last hours.", moved(samsa.Ago(2*time.Hour), 3)},
	{"back", "It moves one back or forth by so many records.", moved(samsa.Shift(-1), 1)},
	{"new-group", "AlterOffsets makes a group that is not there, in the partitions that are named.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		k.put(name, 1, "a", "b")
		k.must(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.Latest()), at(name, 1)))
		k.equal("committed", k.committed(g), map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 1): {Offset: 2}})
		k.equal("state", k.groupInfo(g).State, samsa.GroupEmpty)
	}},
	{"with-members", "With members AlterOffsets and SetOffsets are ErrGroupNotEmpty, and PlanOffsets works.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "v")
		c := k.consumer(manual(g, name))
		k.reads(c, "v")
		k.must(c.Commit(k.ctx))
		k.is(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.Earliest())), samsa.ErrGroupNotEmpty)
		k.is(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 0)), samsa.ErrGroupNotEmpty)
		plan, err := k.Groups().PlanOffsets(k.ctx, g, samsa.To(samsa.Earliest()))
		k.must(err)
		k.equal("plan", plan, offsetOf(name, 0))
		k.hasCommitted(g, name, 1)
	}},
	{"refused", "A topic, a partition and an offset that are not there are refused, and nothing is moved.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "v")
		k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 1)))
		latest := samsa.To(samsa.Latest())
		k.is(k.Groups().AlterOffsets(k.ctx, g, latest, at(k.fresh("t"), 0)), samsa.ErrUnknownTopic)
		k.is(k.Groups().AlterOffsets(k.ctx, g, latest, at(name, 1)), samsa.ErrUnknownPartition)
		k.is(k.Groups().AlterOffsets(k.ctx, g, samsa.To(samsa.Committed())), samsa.ErrInvalidOption)
		k.is(k.Groups().AlterOffsets(k.ctx, k.fresh("g"), samsa.Shift(1), at(name, 0)), samsa.ErrNoOffset)
		k.is(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 2)), samsa.ErrOffsetOutOfRange)
		k.hasCommitted(g, name, 1)
	}},
	{"next", "The next consumer of the group goes on where it was moved.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		c := k.consumer(manual(g, name))
		k.reads(c, numbers(4)...)
		k.must(c.Commit(k.ctx))
		k.closes(c)
		k.must(k.Groups().AlterOffsets(k.ctx, g, samsa.Shift(-2)))
		k.reads(k.consumer(manual(g, name)), "2", "3")
	}},
}
