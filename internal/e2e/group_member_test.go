package e2e

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
)

func TestMembersCompete(t *testing.T) {
	story(t, 4, func(k *kit) {
		a, b := k.started("g", named("a")), k.started("g", named("b"))
		other := k.started("h", named("other"))
		k.fill("x", 4)
		a.wantTook("x0 x1")
		b.wantTook("x2 x3")
		other.wantTook("x0 x1 x2 x3")
		d := k.describe("g")
		if d.State != samsa.GroupStable || len(d.Members) != 2 || d.Assignor != "cooperative-sticky" {
			t.Errorf("group is %+v", d)
		}
	})
}

func TestMemberWithoutPartitionTakesOver(t *testing.T) {
	story(t, 1, func(k *kit) {
		a, b := k.started("g", named("a")), k.started("g", named("b"))
		b.wantEvents()
		k.put("t", 0, "x", "y")
		a.wantTook("x y")
		b.wantTook("")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		k.put("t", 0, "z")
		b.wantEvents("assigned[t/0]")
		b.wantTook("z")
	})
}

// Only what moves stops, and only that is revoked, also while a rebalance drags on.
func TestCooperativeRebalance(t *testing.T) {
	story(t, 4, func(k *kit) {
		a, b := k.started("g", named("a")), k.started("g", named("b"))
		a.wantEvents("assigned[t/0 t/1 t/2 t/3]", "revoked[t/2 t/3]")
		b.wantEvents("assigned[t/2 t/3]")
		b.stop()
		c := k.started("g", named("c")) // the group waits for b
		k.fill("x", 4)
		a.wantTook("x0 x1")
		c.wantOwns("")
		a.wantEvents()
		b.start()
		// x3 was read ahead. Its first Poll returns it, unless the group is so quick that t/3 is revoked before.
		moved := "y3"
		if got := b.took(); got == "x2" {
			moved = "x3 y3"
		} else if got != "x2 x3" {
			t.Errorf("b got %q", got)
		}
		b.wantOwns("t/2")
		b.wantEvents("revoked[t/3]")
		a.wantEvents()
		c.wantEvents("assigned[t/3]")
		k.fill("y", 4)
		a.wantTook("y0 y1")
		b.wantTook("y2")
		c.wantTook(moved)
	})
}

// Eager members give everything up before they join.
func TestEagerRebalance(t *testing.T) {
	story(t, 4, func(k *kit) {
		a, b := k.started("g", eager("a")), k.started("g", eager("b"))
		a.wantEvents("assigned[t/0 t/1 t/2 t/3]", "revoked[t/0 t/1 t/2 t/3]", "assigned[t/0 t/1]")
		b.wantEvents("assigned[t/2 t/3]")
		b.stop()
		c := k.started("g", eager("c"))
		k.fill("x", 4)
		a.wantTook("")
		a.wantOwns("")
		b.wantOwns("t/2 t/3") // it does not know yet
		b.start()
		a.wantTook("x0 x1")
		b.wantTook("x2")
		c.wantTook("x3")
	})
}

// The eager sticky assignor knows what members had although they gave it up.
func TestEagerStickyMovesFew(t *testing.T) {
	story(t, 6, func(k *kit) {
		sticky := func(name string) samsa.ConsumerOptions {
			return samsa.ConsumerOptions{ClientID: name, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{samsa.StickyAssignor()}}}
		}
		a, b := k.started("g", sticky("a")), k.started("g", sticky("b"))
		hadA, hadB := a.Assigned(), b.Assigned()
		c := k.started("g", sticky("c"))
		if nowA, nowB := a.Assigned(), b.Assigned(); len(nowA) != 2 || len(nowB) != 2 || len(c.Assigned()) != 2 ||
			len(without(nowA, hadA)) > 0 || len(without(nowB, hadB)) > 0 {
			t.Errorf("a had %v and has %v, b had %v and has %v", hadA, nowA, hadB, nowB)
		}
	})
}

// What OnRevoked commits, the next owner begins behind.
func TestCommitInRevoke(t *testing.T) {
	for name, assignor := range map[string]samsa.Assignor{"cooperative": samsa.CooperativeStickyAssignor(), "eager": samsa.RoundRobinAssignor()} {
		t.Run(name, func(t *testing.T) {
			story(t, 2, func(k *kit) {
				opts := manual("a")
				opts.Member.Assignors = []samsa.Assignor{assignor}
				var a *worker
				var once bool
				opts.Member.OnRevoked = func(ctx context.Context, c *samsa.Consumer, revoked []samsa.TopicPartition) {
					if once {
						return // at the end of the test
					}
					once = true
					k.wantCommitted("g", "")
					if d := k.describe("g"); len(flattenOwners(d)["b"]) > 0 {
						t.Errorf("b has %v before OnRevoked is done", flattenOwners(d)["b"])
					}
					if err := c.CommitRecords(ctx, a.read...); err != nil {
						t.Error(err)
					}
				}
				a = k.started("g", opts)
				k.fill("x", 2)
				a.wantTook("x0 x1")
				opts = manual("b")
				opts.Member.Assignors = []samsa.Assignor{assignor}
				b := k.started("g", opts)
				k.wantCommitted("g", "t/0@1, t/1@1")
				k.fill("y", 2)
				a.wantTook("y0")
				b.wantTook("y1")
			})
		})
	}
}

// flattenOwners returns who has what by client id.
func flattenOwners(d samsa.GroupInfo) map[string][]samsa.TopicPartition {
	owners := make(map[string][]samsa.TopicPartition)
	for _, m := range d.Members {
		owners[m.ClientID] = m.Assigned
	}
	return owners
}

// A consumer that is not polled is out. It cannot move the group back, neither before it
// knows nor after it has come back.
func TestMaxPollInterval(t *testing.T) {
	story(t, 2, func(k *kit) {
		opts := manual("a")
		opts.Member.MaxPollInterval = time.Minute
		a := k.started("g", opts)
		k.fill("x", 2)
		a.wantTook("x0 x1")
		a.stop()
		b := k.started("g", manual("b"))
		time.Sleep(59 * time.Second)
		b.wantOwns("")
		time.Sleep(5 * time.Second)
		b.wantOwns("t/0 t/1")
		b.wantTook("x0 x1")
		k.fill("y", 2)
		b.wantTook("y0 y1")
		if err := b.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		zombie := func() {
			t.Helper()
			for i, err := range []error{a.Commit(k.ctx), a.CommitRecords(k.ctx, a.read[:2]...)} {
				if !errors.Is(err, samsa.ErrUnknownMember) && !errors.Is(err, samsa.ErrIllegalGeneration) && (i > 0 || err != nil) {
					t.Errorf("commit %d of a zombie: %v", i, err)
				}
			}
			k.wantCommitted("g", "t/0@2, t/1@2")
		}
		if err := a.Commit(k.ctx); !errors.Is(err, samsa.ErrUnknownMember) {
			t.Errorf("commit before the zombie knows: %v", err)
		}
		zombie()
		a.wantEvents("assigned[t/0 t/1]")
		a.start()
		a.wantEvents("lost[t/0 t/1]", "assigned[t/1]")
		zombie()
		b.leave()
		a.wantOwns("t/0 t/1")
		if err := a.CommitRecords(k.ctx, a.read[:2]...); !errors.Is(err, samsa.ErrIllegalGeneration) {
			t.Errorf("commit of records from before it was lost: %v", err)
		}
		k.wantCommitted("g", "t/0@2, t/1@2")
	})
}

// A member that is out while a round of it is under way comes back with the next Poll only.
func TestMaxPollIntervalDuringRound(t *testing.T) {
	story(t, 2, func(k *kit) {
		a := k.started("g", manual("a"))
		opts := manual("b")
		opts.Member.MaxPollInterval = time.Minute
		b := k.started("g", opts)
		a.stop()
		c := k.started("g", manual("c")) // begins a rebalance that a holds up for 5 minutes
		b.stop()
		time.Sleep(2 * time.Minute)
		if d := k.describe("g"); len(flattenOwners(d)) != 2 {
			t.Errorf("members %v, want a and c", flattenOwners(d))
		}
		a.start()
		time.Sleep(10 * time.Minute)
		a.wantOwns("t/0")
		c.wantOwns("t/1")
		if g := k.describe("g").Generation; g > 8 {
			t.Errorf("generation %d: b makes the group rebalance", g)
		}
		b.start()
		b.wantEvents("assigned[t/1]", "lost[t/1]")
	})
}

// A rebalance does not put out who takes long, but not too long, with its records.
func TestSlowWorkDuringRebalance(t *testing.T) {
	story(t, 2, func(k *kit) {
		a := k.worker("g", manual("a"))
		k.put("t", 0, "x")
		k.read(a.Consumer, 1)
		k.started("g", manual("b"))
		k.put("t", 0, "y")
		k.read(a.Consumer, 1) // begins a round
		time.Sleep(2 * time.Minute)
		if err := a.Commit(k.ctx); err != nil {
			t.Errorf("commit after slow work: %v", err)
		}
		a.start()
		a.wantEvents("assigned[t/0 t/1]", "revoked[t/1]")
	})
}

// A member that was put out while its round was under way cannot commit what it had.
func TestZombieInRound(t *testing.T) {
	story(t, 2, func(k *kit) {
		a, b := k.started("g", manual("a")), k.started("g", manual("b"))
		a.wantOwns("t/0")
		k.put("t", 0, "x")
		a.wantTook("x")
		b.stop()
		c := k.started("g", manual("c")) // it and a wait for b now
		a.stop()                         // polling; its round goes on
		_ = k.inside().Groups.Leave("g", []group.LeaveMember{{MemberID: k.memberID("g", "a")}})
		synctest.Wait() // it has joined again before b does
		b.start()
		synctest.Wait()
		if d := k.describe("g"); d.State != samsa.GroupStable || len(d.Members) != 3 {
			t.Errorf("group is %+v", d)
		}
		if err := a.CommitRecords(k.ctx, a.read[0]); !errors.Is(err, samsa.ErrUnknownMember) && !errors.Is(err, samsa.ErrIllegalGeneration) {
			t.Errorf("commit of a zombie: %v", err)
		}
		k.wantCommitted("g", "")
		a.start()
		a.wantEvents("assigned[t/0 t/1]", "revoked[t/1]", "lost[t/0]", "assigned[t/0]") // as a new member
		c.wantOwns("")
	})
}
