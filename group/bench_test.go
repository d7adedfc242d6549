package group

import (
	"fmt"
	"testing"
	"time"
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
