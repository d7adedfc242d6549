package group

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// One rebalance of a group, from the newcomer's Join to everybody's assignment.
func BenchmarkRebalance(b *testing.B) {
	for _, members := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			now := time.Unix(1000, 0)
			join := func(g *Group, i int, known bool) Effects {
				req := JoinRequest{Ticket: Ticket(i + 1), NewMemberID: fmt.Sprint(i), SessionTimeout: time.Minute,
					ProtocolType: "t", Protocols: []Protocol{{"p", make([]byte, 100)}, {"q", make([]byte, 100)}}}
				if known {
					req.MemberID = req.NewMemberID
				}
				g.NextDeadline() // as the coordinator does
				return g.Join(now, req)
			}
			g := NewGroup("g", Rules{InitialDelay: time.Second})
			for i := range members - 1 {
				join(g, i, false)
			}
			for at, ok := g.NextDeadline(); ok && g.State() != CompletingRebalance; at, ok = g.NextDeadline() {
				g.Expire(at)
			}
			for b.Loop() {
				join(g, members-1, false)
				var e Effects
				for i := range members - 1 {
					e = join(g, i, true)
				}
				if len(e.Joins) != members {
					b.Fatalf("%d members joined", len(e.Joins))
				}
				for _, r := range e.Joins {
					e = g.Sync(now, SyncRequest{Ticket: r.Ticket, MemberID: r.MemberID, Generation: r.Generation})
				}
				if g.State() != Stable {
					b.Fatal(g.State())
				}
				_, _ = g.Leave(now, []LeaveMember{{MemberID: fmt.Sprint(members - 1)}})
			}
		})
	}
}

// A heartbeat that changes nothing costs the same in a group of any size.
func BenchmarkModernHeartbeat(b *testing.B) {
	for _, members := range []int{10, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			committer := writer.NewCommitter(store.OpenMemory(), zap.NewNop())
			defer committer.Close()
			c, err := Open(store.OpenMemory(), committer, catalogue{"orders": 1}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			beat := func(i int, h MemberHeartbeat) MemberAnswer {
				h.MemberID, h.ClientID = fmt.Sprint("m", i), "bench"
				a := c.HeartbeatModern(context.Background(), "g", h)
				if a.Err != nil {
					b.Fatal(a.Err)
				}
				return a
			}
			epochOf := make([]int32, members)
			for i := range members {
				epochOf[i] = beat(i, MemberHeartbeat{RebalanceTimeout: time.Minute, Topics: []string{"orders"}, Owned: epochs.SetOf[PartitionID]()}).Epoch
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				i := n % members
				epochOf[i] = beat(i, MemberHeartbeat{Epoch: epochOf[i], RebalanceTimeout: -1, Owned: epochs.SetOf[PartitionID]()}).Epoch
			}
		})
	}
}
