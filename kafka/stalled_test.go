package kafka

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Clients that stall in the middle of large requests take all the memory that requests have. Small
// requests go on at once; the stalled ones are cut off soon, as each other waits for them.
func TestSmallRequestsPassStalledOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{MaxMemoryBytes: 64 << 20})
		k.create("web_log", samsa.TopicConfig{})
		c := k.dial()
		half := make([]byte, 5<<20)
		binary.BigEndian.PutUint32(half, 8<<20)
		began := time.Now()
		ended := make(chan struct{})
		const stalled = 20
		for range stalled {
			slow := k.dial()
			go func() {
				_, _ = slow.Write(half)
				_, _ = io.ReadAll(slow)
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		if !k.srv.memory.requests.isPressed() {
			t.Fatal("nobody waits for memory")
		}
		b := batch(t, 0, record{1, "", "x"})
		for range 10 {
			p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", b))
			if p.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Fatalf("got %+v", p)
			}
			if recs := fetched(t, fetchNow(k, c)); len(recs) == 0 {
				t.Fatal("nothing fetched")
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("small requests waited for %v", took)
		}
		for range stalled {
			<-ended
		}
		if took := time.Since(began); took > stalled*pressedTimeout+defaultWriteTimeout {
			t.Errorf("the last of %d was cut off after %v", stalled, took)
		}
	})
}

// Members that wait for their group, which may take as long as another client likes, take nothing
// of what requests have, and what leaders are answered is counted.
func TestWaitingMembersTakeNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{MaxMemoryBytes: 64 << 20})
		join := func(member string, size int) *kmsg.JoinGroupRequest {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Group, req.MemberID, req.ProtocolType = "workers", member, "consumer"
			req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 60_000, 60_000
			req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, size)}}
			return req
		}
		leader := k.dial()
		first := ask[*kmsg.JoinGroupResponse](leader, 3, join("", 10))
		var others []*client
		const waiting = 30
		for range waiting {
			c := k.dial()
			c.send(3, join("", 200<<10))
			others = append(others, c)
		}
		synctest.Wait()
		r := &k.srv.memory.requests
		if r.free != r.shared || r.reserved != nil {
			t.Errorf("members that wait for their group have %d bytes", r.shared-r.free)
		}
		resp := ask[*kmsg.JoinGroupResponse](leader, 3, join(first.MemberID, 10))
		if resp.ErrorCode != 0 || len(resp.Members) != waiting+1 {
			t.Errorf("error %d, %d members", resp.ErrorCode, len(resp.Members))
		}
		sync := kmsg.NewPtrSyncGroupRequest()
		for i, c := range others {
			j := c.receive().(*kmsg.JoinGroupResponse)
			req := *sync
			req.Group, req.MemberID, req.Generation = "workers", j.MemberID, j.Generation
			req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: j.MemberID, MemberAssignment: make([]byte, 200<<10)}}
			others[i].send(3, &req)
		}
		synctest.Wait()
		if r.free != r.shared || r.reserved != nil {
			t.Errorf("members that wait for their leader have %d bytes", r.shared-r.free)
		}
	})
}

// What is wrong is quoted, but an answer does not grow with it: not with a long name, said again for
// each partition.
func TestMessagesAreShort(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	long := strings.Repeat("\x00", 32_000)
	produced := produceRequest(1, long, nil)
	for i := range 1000 {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition = int32(i + 1)
		produced.Topics[0].Partitions = append(produced.Topics[0].Partitions, p)
	}
	for _, p := range ask[*kmsg.ProduceResponse](c, 8, produced).Topics[0].Partitions {
		if p.ErrorMessage == nil || len(*p.ErrorMessage) > maxPartitionMessageBytes {
			t.Fatalf("partition %d is answered %v", p.Partition, p.ErrorMessage)
		}
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &long}}
	m := ask[*kmsg.DeleteTopicsResponse](c, 6, del).Topics[0].ErrorMessage
	if m == nil || len(*m) > maxMessageBytes {
		t.Errorf("got message %v", m)
	}
}

// The reserve is free again once its owner has ended, though small leases that have grown into the
// queue have taken more than is shared.
func TestTheReserveIsGivenBack(t *testing.T) {
	var p pool
	p.init(100, 50, 1000)
	owner, small := &lease{pool: &p}, &lease{pool: &p}
	if !small.tryGrow(120) {
		t.Fatal("no room for a small lease")
	}
	ctx := t.Context()
	if err := owner.grow(ctx, 900); err != nil || !owner.isReserved() {
		t.Fatal(err, "the reserve is not given")
	}
	owner.end()
	if err := small.grow(ctx, 900); err != nil || !small.isReserved() {
		t.Fatal(err, "the reserve is not given again")
	}
}
