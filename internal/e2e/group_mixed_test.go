package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
)

// remote is a member from elsewhere: it speaks to the coordinator with the bytes of
// Kafka's consumer protocol, as the wire will bring them. It offers range.
type remote struct {
	k          *kit
	group      string
	topic      string
	id         string
	generation int32
	joined     group.JoinResponse
	assigned   []samsa.TopicPartition
}

func (k *kit) remote(g, topic string) *remote { return &remote{k: k, group: g, topic: topic} }

func (r *remote) join() {
	r.k.t.Helper()
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = []string{r.topic}
	r.joined = r.k.inside().Groups.Join(r.k.ctx, r.group, group.JoinRequest{
		MemberID: r.id, NewMemberID: "remote-1", ClientID: "remote", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute,
		ProtocolType: "consumer", Protocols: []group.Protocol{{Name: "range", Metadata: m.AppendTo(nil)}},
	})
	if r.joined.Err != nil {
		r.k.t.Error(r.joined.Err)
		return
	}
	r.id, r.generation = r.joined.MemberID, r.joined.Generation
	if r.joined.Leader != r.id || len(r.joined.Members) == 1 {
		r.sync()
	}
}

// sync fetches the assignment; as the leader it gives the partitions of a topic to the
// last member, all of them.
func (r *remote) sync() {
	r.k.t.Helper()
	req := group.SyncRequest{MemberID: r.id, Generation: r.generation}
	if r.joined.Leader == r.id {
		_, n, _ := r.k.inside().Catalogue.TopicID(r.topic)
		a := kmsg.NewConsumerMemberAssignment()
		topic := kmsg.NewConsumerMemberAssignmentTopic()
		topic.Topic = r.topic
		for p := range n {
			topic.Partitions = append(topic.Partitions, p)
		}
		a.Topics = append(a.Topics, topic)
		last := r.joined.Members[len(r.joined.Members)-1].ID
		req.Assignments = map[string][]byte{last: a.AppendTo(nil)}
	}
	resp := r.k.inside().Groups.Sync(r.k.ctx, r.group, req)
	if resp.Err != nil {
		r.k.t.Error(resp.Err)
		return
	}
	r.assigned = nil
	if len(resp.Assignment) == 0 {
		return
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(resp.Assignment); err != nil {
		r.k.t.Error(err)
	}
	for _, topic := range a.Topics {
		for _, p := range topic.Partitions {
			r.assigned = append(r.assigned, samsa.TopicPartition{Topic: topic.Topic, Partition: p})
		}
	}
}

func (r *remote) heartbeat() error {
	return r.k.inside().Groups.Heartbeat(r.group, r.id, "", r.generation)
}

// Consumers of this process and members from elsewhere are in one group.
func TestMixedGroup(t *testing.T) {
	story(t, 4, func(k *kit) {
		a, b := k.started("g", eager("a")), k.started("g", eager("b"))
		r := k.remote("g", "t")
		r.join() // a, the leader, assigns
		a.wantOwns("t/0 t/1")
		b.wantOwns("t/2")
		if fmt.Sprint(r.assigned) != "[t/3]" {
			t.Errorf("the remote member has %v", r.assigned)
		}
		if err := r.heartbeat(); err != nil {
			t.Error(err)
		}
		for _, w := range []*worker{a, b} { // now the remote member leads
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.heartbeat(); !errors.Is(err, samsa.ErrRebalanceInProgress) {
			t.Errorf("heartbeat: %v", err)
		}
		r.join()
		if len(r.assigned) != 4 {
			t.Errorf("the remote member alone has %v", r.assigned)
		}
		c := k.started("g", eager("c"))
		if err := r.heartbeat(); !errors.Is(err, samsa.ErrRebalanceInProgress) {
			t.Errorf("heartbeat: %v", err)
		}
		r.join()
		r.sync()
		c.wantOwns("t/0 t/1 t/2 t/3")
		k.fill("x", 4)
		c.wantTook("x0 x1 x2 x3")
		time.Sleep(9 * time.Second)
		if err := r.heartbeat(); err != nil {
			t.Error(err)
		}
		time.Sleep(11 * time.Second) // and then no more
		if d := k.describe("g"); len(d.Members) != 1 || d.State != samsa.GroupStable {
			t.Errorf("group is %+v", d)
		}
		c.wantOwns("t/0 t/1 t/2 t/3")
	})
}

// Members without a common protocol cannot be in one group; when the others are gone they can.
func TestInconsistentProtocol(t *testing.T) {
	story(t, 1, func(k *kit) {
		a := k.started("g", eager("a"))
		b := k.worker("g", named("b"))
		for range 2 {
			if _, err := b.Poll(k.ctx); !errors.Is(err, samsa.ErrInconsistentProtocol) {
				t.Errorf("Poll: %v", err)
			}
		}
		a.wantOwns("t/0")
		a.leave()
		b.start()
		b.wantOwns("t/0")
	})
}

// A leader from elsewhere that assigns nonsense is an error of Poll that has a name.
func TestMalformedAssignment(t *testing.T) {
	story(t, 1, func(k *kit) {
		r := k.remote("g", "t")
		r.join()
		c := k.worker("g", eager("c"))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrInconsistentProtocol) || !strings.Contains(err.Error(), "malformed") {
				t.Errorf("Poll: %v", err)
			}
		})
		synctest.Wait()
		r.join()
		nonsense := map[string][]byte{r.joined.Members[1].ID: {0, 0, 0, 9}}
		req := group.SyncRequest{MemberID: r.id, Generation: r.generation, Assignments: nonsense}
		if resp := k.inside().Groups.Sync(k.ctx, "g", req); resp.Err != nil {
			t.Error(resp.Err)
		}
		wg.Wait()
	})
}

func TestCustomAssignor(t *testing.T) {
	for _, cooperative := range []bool{false, true} {
		story(t, 3, func(k *kit) {
			first := samsa.AssignorFunc("first", cooperative, func(members []samsa.AssignMember, partitions map[string]int32) map[string]samsa.Assignment {
				a := samsa.Assignment{}
				for topic, n := range partitions {
					for p := range n {
						a[topic] = append(a[topic], p)
					}
				}
				best := members[0].ID
				for _, m := range members {
					best = max(best, m.ID)
				}
				return map[string]samsa.Assignment{best: a}
			})
			opts := func(name string) samsa.ConsumerOptions {
				return samsa.ConsumerOptions{ClientID: name, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{first}}}
			}
			a := k.started("g", opts("a"))
			a.wantOwns("t/0 t/1 t/2")
			b := k.started("g", opts("b"))
			a.wantOwns("")
			b.wantOwns("t/0 t/1 t/2")
			if d := k.describe("g"); d.Assignor != "first" {
				t.Errorf("assignor %s", d.Assignor)
			}
		})
	}
}

// A consumer that is closed while it waits to join leaves nothing behind.
func TestCloseDuringRound(t *testing.T) {
	story(t, 2, func(k *kit) {
		a := k.started("g", named("a"))
		a.stop()
		b := k.started("g", named("b")) // waits for a
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b.wantEvents()
		if d := k.describe("g"); len(d.Members) != 1 {
			t.Errorf("members %v", flattenOwners(d))
		}
		c := k.started("g", named("c"))
		a.start()
		synctest.Wait()
		k.fill("x", 2)
		a.wantTook("x0")
		c.wantTook("x1")
		a.wantEvents("assigned[t/0 t/1]", "revoked[t/1]")
	})
}

// A Poll that ends in the middle of a rebalance does not end the rebalance.
func TestPollEndsDuringRebalance(t *testing.T) {
	story(t, 2, func(k *kit) {
		a := k.started("g", named("a"))
		k.fill("x", 2)
		a.wantTook("x0 x1")
		a.stop()
		b := k.started("g", named("b"))
		for range 10 {
			ctx, cancel := context.WithTimeout(k.ctx, 100*time.Millisecond)
			_, _ = a.Poll(ctx)
			cancel()
		}
		a.wantOwns("t/0")
		b.wantOwns("t/1")
		k.wantCommitted("g", "t/1@1")
		b.wantTook("") // what a had done was committed
	})
}

// Close waits for a callback that runs, and the partitions do not move before.
func TestCloseDuringCallback(t *testing.T) {
	story(t, 1, func(k *kit) {
		enter, leave := make(chan struct{}), make(chan struct{})
		opts := eager("a")
		calls := 0
		opts.Member.ManualCommit = true
		opts.Member.OnRevoked = func(ctx context.Context, c *samsa.Consumer, tps []samsa.TopicPartition) {
			calls++
			close(enter)
			<-leave
			if err := c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{tps[0]: {Offset: 7}}); err != nil {
				t.Error(err)
			}
		}
		a := k.started("g", opts)
		a.wantOwns("t/0")
		b := k.started("g", eager("b"))
		<-enter
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_ = a.Close()
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for OnRevoked")
		default:
		}
		b.wantOwns("")
		close(leave)
		<-closed
		if calls != 1 {
			t.Errorf("OnRevoked was called %d times", calls)
		}
		k.wantCommitted("g", "t/0@7")
		b.wantOwns("t/0")
	})
}

func TestBrokerClosesMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 4)
		a, b := k.started("g", named("a")), k.started("g", named("b"))
		c := k.started("h", eager("c"))
		k.close()
		for _, w := range []*worker{a, b, c} {
			if err := w.err(); !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("%s: Poll returned %v", w.name, err)
			}
			if err := w.Close(); err != nil {
				t.Errorf("%s: Close: %v", w.name, err)
			}
		}
		if _, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("a new one: %v", err)
		}
	})
}

func TestMemberOptionsAreChecked(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	refused := func(opts samsa.ConsumerOptions, fields ...string) {
		t.Helper()
		_, err := k.NewConsumer(k.ctx, opts)
		if !errors.Is(err, samsa.ErrInvalidOption) {
			t.Fatalf("got %v", err)
		}
		for _, field := range fields {
			if !strings.Contains(err.Error(), "ConsumerOptions."+field+" ") {
				t.Errorf("%s is not named: %v", field, err)
			}
		}
	}
	topics := []string{"t"}
	refused(samsa.ConsumerOptions{Topics: topics, Group: "g", Partitions: map[string][]int32{"u": {0}}, ClientID: "\xff", Member: samsa.MemberOptions{
		InstanceID: strings.Repeat("i", 250), SessionTimeout: -1, HeartbeatInterval: -1, MaxPollInterval: -1, AutoCommitInterval: -1,
		CommitAcks: samsa.AckNone, Assignors: []samsa.Assignor{samsa.RangeAssignor(), nil, samsa.RangeAssignor(), samsa.AssignorFunc("", false, nil)},
	}}, "Partitions", "Member.InstanceID", "ClientID", "Member.SessionTimeout", "Member.HeartbeatInterval", "Member.MaxPollInterval",
		"Member.AutoCommitInterval", "Member.CommitAcks", "Member.Assignors[1]", "Member.Assignors[2]", "Member.Assignors[3]")
	refused(samsa.ConsumerOptions{Topics: topics, Group: "g", Member: samsa.MemberOptions{SessionTimeout: time.Second, HeartbeatInterval: time.Second}}, "Member.HeartbeatInterval")
	refused(samsa.ConsumerOptions{Topics: topics, Group: strings.Repeat("g", 513)}, "Group")
	refused(samsa.ConsumerOptions{Group: "g"}, "Topics")
	refused(samsa.ConsumerOptions{Topics: topics, Start: samsa.Committed(), ClientID: "\xff", Member: samsa.MemberOptions{
		InstanceID: "i", OnLost: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {},
	}}, "Start", "ClientID", "Member.InstanceID", "Member.OnAssigned, OnRevoked, OnLost")
}
