package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// meetJoin waits for the faults in the way of a join and returns the error it is to fail with.
func (c *Coordinator) meetJoin(ctx context.Context, name string, req JoinRequest) error {
	points := c.committer.Probes()
	if points.Get() == nil {
		return nil
	}
	err := points.Meet(ctx, probe.Work{Op: probe.Join, Group: name, Member: req.MemberID, Client: req.ClientID})
	if err != nil {
		return fmt.Errorf("group %s: join: %w", name, err)
	}
	return nil
}

// meetCommit does the same for a transaction with commits of offsets.
func (c *Coordinator) meetCommit(ctx context.Context, tx *writer.Tx, commits map[string]CommitRequest) error {
	if c.committer.Probes().Get() == nil {
		return nil
	}
	err := c.meet(ctx, probe.Commit, commits)
	if err == nil {
		err = c.committer.Admit(ctx, tx)
	}
	return err
}

// meetAnswer is for commits that are stored, which who gets an error does not know.
func (c *Coordinator) meetAnswer(ctx context.Context, commits map[string]CommitRequest) error {
	if c.committer.Probes().Get() == nil {
		return nil
	}
	if err := c.meet(ctx, probe.CommitAnswer, commits); err != nil {
		return family.Of(family.ErrOutcomeUnknown, err)
	}
	return nil
}

func (c *Coordinator) meet(ctx context.Context, op probe.Op, commits map[string]CommitRequest) error {
	for _, name := range slices.Sorted(maps.Keys(commits)) {
		req := commits[name]
		w := probe.Work{
			Op: op, Group: name, Member: req.MemberID, Client: c.client(name, req.MemberID),
			Partitions: slices.Collect(maps.Keys(req.Offsets)),
		}
		if err := c.committer.Probes().Meet(ctx, w); err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
	}
	return nil
}

// tellCommits tells the probe what became of commits.
func (c *Coordinator) tellCommits(commits map[string]CommitRequest, err error) {
	p := c.committer.Probes().Get()
	if p == nil {
		return
	}
	for name, req := range commits {
		offsets := make(map[log.TopicPartition]int64, len(req.Offsets))
		for tp, o := range req.Offsets {
			offsets[tp] = o.Offset
		}
		p.Committed(probe.Committed{
			Group: name, Member: req.MemberID, Client: c.client(name, req.MemberID), Offsets: offsets, Err: err,
		})
	}
}

// client returns the client id of a member, "" when the group has no such member.
func (c *Coordinator) client(name, memberID string) string {
	en, err := c.entry(name, false)
	if err != nil || memberID == "" {
		return ""
	}
	en.lock()
	defer en.mu.Unlock()
	return en.machine().client(memberID)
}

// outline is what the probe was told of a group last.
type outline struct {
	state      State
	generation int32
	members    int
}

// tell tells the probe when the group is not what it was. The caller holds en.mu.
func (en *entry) tell() {
	p := en.c.committer.Probes().Get()
	if p == nil {
		return
	}
	g := en.machine()
	now := outline{g.State(), g.Generation(), g.size()}
	if now == en.told {
		return
	}
	en.told = now
	r := probe.Rebalanced{Group: en.name, State: g.State().String(), Generation: g.Generation()}
	for _, m := range g.Describe().Members {
		r.Members = append(r.Members, probe.Member{ID: m.ID, Client: m.ClientID, Assignment: m.Assignment})
	}
	p.Rebalanced(r)
}

// Expire ends the session of the members that chosen names, as if they had given no sign of
// life for their session timeout, and returns their ids. A member that waits in a call gets
// ErrUnknownMember from it.
func (c *Coordinator) Expire(name string, chosen func(MemberDescription) bool) ([]string, error) {
	en, err := c.entry(name, false)
	if err != nil {
		return nil, err
	}
	en.lock()
	defer en.mu.Unlock()
	var ids []string
	for _, m := range en.machine().Describe().Members {
		if chosen(m) {
			ids = append(ids, m.ID)
		}
	}
	now := time.Now()
	en.carryOut(en.machine().expireMembers(now, ids))
	en.schedule(now)
	return ids, nil
}

// expireMembers does what Expire would if the sessions of these members had ended.
func (g *Group) expireMembers(now time.Time, ids []string) Effects {
	t := turn{now: now}
	for _, id := range ids {
		t.because(g.byID[id], "gave no sign of life")
		g.remove(&t, g.byID[id])
	}
	g.settle(&t, len(ids) > 0)
	return t.end(g)
}
