package groups_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { kit.Main(m) }

// Members share the partitions, go on where the group stands, and take over what another one leaves.
func TestGroup(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders, name := k.Create("orders", 2), k.Name("workers")
		k.Put(orders, 0, "a", "b")
		k.Put(orders, 1, "x")
		one := k.Consumer(consumer.Options{Group: name, Topics: []string{orders}, Member: kit.Member()})
		k.Want(k.Read(one, 3), map[int32][]string{0: {"a", "b"}, 1: {"x"}})

		two := k.Consumer(consumer.Options{Group: name, Topics: []string{orders}, Member: kit.Member()})
		settled := func() bool { return len(one.Assigned()) == 1 && len(two.Assigned()) == 1 }
		for !settled() {
			for _, c := range []*consumer.Consumer{one, two} {
				ctx, cancel := context.WithTimeout(k.Ctx, 100*time.Millisecond)
				if records, err := c.Poll(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) || len(records) > 0 {
					t.Fatal(records, err)
				}
				cancel()
			}
		}
		d, err := k.Groups.Describe(k.Ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		k.Want([]any{d.Kind, d.State, len(d.Members), d.ProtocolType}, []any{group.Classic, group.Stable, 2, "consumer"})

		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		k.Put(orders, 0, "c")
		k.Put(orders, 1, "y")
		k.Want(k.Read(two, 2), map[int32][]string{0: {"c"}, 1: {"y"}})
		if err := two.Commit(k.Ctx); err != nil {
			t.Fatal(err)
		}
		committed, err := k.Groups.Committed(k.Ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		k.Want([]int64{committed[kit.TP(orders, 0)].Offset, committed[kit.TP(orders, 1)].Offset}, []int64{3, 2})
		topic, err := k.Topics.Get(orders)
		if err != nil {
			t.Fatal(err)
		}
		k.Want(committed[kit.TP(orders, 0)].TopicID, topic.ID())
	})
}

// What is administered: listed, moved, removed, and refused while there are members.
func TestAdmin(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders, name := k.Create("orders", 1), k.Name("workers")
		k.Put(orders, 0, "a", "b", "c")
		a := groups.Admin{Groups: k.Groups}
		if _, err := k.Topics.Find(k.Ctx, orders, false); err != nil {
			t.Fatal(err)
		}
		_, err := a.Describe(k.Ctx, name)
		k.WantError(err, log.ErrUnknownGroup)
		k.WantError(a.Delete(k.Ctx, name), log.ErrUnknownGroup)
		k.WantError(a.AlterOffsets(k.Ctx, name, nil), log.ErrUnknownGroup)
		none, err := a.Committed(k.Ctx, name, kit.TP(orders, 0))
		if err != nil || len(none) != 0 {
			t.Fatal(none, err)
		}
		if err := a.AlterOffsets(k.Ctx, name, map[log.TopicPartition]group.Offset{kit.TP(orders, 0): {Offset: 1, Metadata: "here"}}); err != nil {
			t.Fatal(err)
		}
		c := k.Consumer(consumer.Options{Group: name, Topics: []string{orders}, Member: kit.Member()})
		k.Want(k.Read(c, 2), map[int32][]string{0: {"b", "c"}})
		k.WantError(a.AlterOffsets(k.Ctx, name, map[log.TopicPartition]group.Offset{kit.TP(orders, 0): {Offset: 0}}), log.ErrGroupNotEmpty)
		k.WantError(a.Delete(k.Ctx, name), log.ErrGroupNotEmpty)
		kept, err := a.DeleteOffsets(k.Ctx, name, kit.TP(orders, 0))
		if err != nil {
			t.Fatal(err)
		}
		k.Want(kept, []log.TopicPartition{kit.TP(orders, 0)})
		found := false
		all, err := a.List(k.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range all {
			if l.Name == name {
				found = true
				k.Want(l, group.Listing{Name: name, Kind: group.Classic, State: group.Stable, ProtocolType: "consumer"})
			}
		}
		k.Want(found, true)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if kept, err := a.DeleteOffsets(k.Ctx, name, kit.TP(orders, 0)); err != nil || len(kept) > 0 {
			t.Fatal(kept, err)
		}
		if none, err := a.Committed(k.Ctx, name); err != nil || len(none) > 0 {
			t.Fatal(none, err)
		}
		if err := a.Delete(k.Ctx, name); err != nil && !errors.Is(err, log.ErrUnknownGroup) { // it may have gone with its last offset
			t.Fatal(err)
		}
	})
}

// A commit of a topic that was created again since is refused, and so is one of a generation that has passed.
func TestCommitRefused(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders, name := k.Create("orders", 1), k.Name("workers")
		if _, err := k.Topics.Find(k.Ctx, orders, false); err != nil {
			t.Fatal(err)
		}
		offsets := map[log.TopicPartition]group.Offset{kit.TP(orders, 0): {Offset: 1, TopicID: [16]byte{1}}}
		k.WantError(k.Groups.Commit(k.Ctx, name, group.CommitRequest{Generation: -1, Offsets: offsets}), log.ErrUnknownTopic)
		offsets[kit.TP(orders, 0)] = group.Offset{Offset: 1}
		err := k.Groups.Commit(k.Ctx, name, group.CommitRequest{Generation: 3, MemberID: "who", Offsets: offsets})
		if !errors.Is(err, log.ErrUnknownMember) && !errors.Is(err, log.ErrIllegalGeneration) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(k.Ctx)
		cancel()
		err = k.Groups.Commit(ctx, name, group.CommitRequest{Generation: -1, Offsets: offsets})
		if !errors.Is(err, context.Canceled) || errors.Is(err, log.ErrOutcomeUnknown) {
			t.Fatal(err)
		}
	})
}

// Where a transaction is open that commits an offset, a consumer waits for its end.
func TestStable(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders, name := k.Create("orders", 1), k.Name("workers")
		k.Put(orders, 0, "a", "b")
		if _, err := k.Topics.Find(k.Ctx, orders, false); err != nil {
			t.Fatal(err)
		}
		cl := k.Producer(kgo.TransactionalID(k.Name("tx")))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(k.Ctx, &kgo.Record{Topic: orders, Value: []byte("c")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		commitInTransaction(t, k, cl, name, kit.TP(orders, 0), 2)
		offsets, open, err := k.Groups.Stable(k.Ctx, name, kit.TP(orders, 0))
		if err != nil {
			t.Fatal(err)
		}
		k.Want([]any{len(offsets), open}, []any{0, []log.TopicPartition{kit.TP(orders, 0)}})
		c := k.Consumer(consumer.Options{Group: name, Topics: []string{orders}, Member: kit.Member()})
		ctx, cancel := context.WithTimeout(k.Ctx, time.Second)
		defer cancel()
		records, err := c.Poll(ctx)
		k.WantError(err, context.DeadlineExceeded)
		k.Want(len(records), 0)
		if err := cl.EndTransaction(k.Ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Read(c, 1), map[int32][]string{0: {"c"}})
	})
}

// commitInTransaction commits an offset of a group in the transaction of a client, which has produced in it.
func commitInTransaction(t *testing.T, k *kit.Kit, cl *kgo.Client, name string, tp log.TopicPartition, offset int64) {
	t.Helper()
	id, epoch, err := cl.ProducerID(k.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	transactional := cl.OptValue(kgo.TransactionalID).(string)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = transactional, id, epoch, name
	if added, err := add.RequestWith(k.Ctx, cl); err != nil || added.ErrorCode != 0 {
		t.Fatal(added, err)
	}
	c := kmsg.NewPtrTxnOffsetCommitRequest()
	c.TransactionalID, c.ProducerID, c.ProducerEpoch, c.Group, c.Generation = transactional, id, epoch, name, -1
	ct, cp := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	topic, err := k.Topics.Find(k.Ctx, tp.Topic, false)
	if err != nil {
		t.Fatal(err)
	}
	ct.Topic, ct.TopicID, cp.Partition, cp.Offset = tp.Topic, topic.ID(), tp.Partition, offset
	ct.Partitions = append(ct.Partitions, cp)
	c.Topics = append(c.Topics, ct)
	if done, err := c.RequestWith(k.Ctx, cl); err != nil || done.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(done, err)
	}
}

// A call ends with its context when nobody answers.
func TestNobodyAnswers(t *testing.T) {
	k := kit.Door(t)
	orders := k.Create("orders", 1)
	if _, err := k.Topics.Find(k.Ctx, orders, false); err != nil {
		t.Fatal(err)
	}
	if err := k.Server.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.Ctx, 200*time.Millisecond)
	defer cancel()
	err := k.Groups.Commit(ctx, "g", group.CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]group.Offset{kit.TP(orders, 0): {}}})
	k.WantError(err, context.DeadlineExceeded)
	k.WantError(err, log.ErrOutcomeUnknown)
	_, err = k.Groups.Committed(ctx, "g")
	k.WantError(err, context.DeadlineExceeded)
	k.WantError(k.Groups.Join(ctx, "g", group.JoinRequest{SessionTimeout: time.Second, ProtocolType: "consumer"}).Err, context.DeadlineExceeded)
	k.WantError(k.Groups.Heartbeat(ctx, "g", "m", "", 1), context.DeadlineExceeded)
	_, err = k.Groups.Describe(ctx, "g")
	k.WantError(err, context.DeadlineExceeded)
	var _ engine.Coordinator = k.Groups
}
