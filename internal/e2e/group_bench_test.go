package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// BenchmarkGroupConsume reads a million records with and without a group in turns, so that
// both meet the same machine, and reports what the group costs. Auto-commit is on.
func BenchmarkGroupConsume(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	broker := openBench(b, dir, samsa.Options{})
	createBench(b, broker)
	fillBench(b, broker, records, samsa.ProducerOptions{})
	var took [2]time.Duration
	round := 0
	for b.Loop() {
		for i, group := range []string{"", fmt.Sprint("group", round)} {
			start := time.Now()
			c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{
				Topics: []string{"bench"}, Group: group, Member: samsa.MemberOptions{AutoCommitInterval: 10 * time.Millisecond},
			})
			if err != nil {
				b.Fatal(err)
			}
			for seen := 0; seen < records; {
				got, err := c.Poll(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				seen += len(got)
			}
			closeBench(b, c)
			took[i] += time.Since(start)
		}
		round++
	}
	b.ReportMetric(float64(records*round)/took[1].Seconds(), "group-records/s")
	b.ReportMetric(float64(records*round)/took[0].Seconds(), "alone-records/s")
	b.ReportMetric(100*(float64(took[1])/float64(took[0])-1), "%-cost")
	closeBench(b, broker)
}

// BenchmarkRebalance has a member join a group of 100 over 1000 partitions and waits until
// every member has its part again; then the member leaves, and the same once more.
func BenchmarkRebalance(b *testing.B) {
	for _, assignor := range []samsa.Assignor{samsa.RangeAssignor(), samsa.CooperativeStickyAssignor()} {
		b.Run(fmt.Sprintf("assignor=%s/members=100/partitions=1000", assignor.Name()), func(b *testing.B) {
			broker := openBench(b, b.TempDir(), samsa.Options{})
			if err := broker.Topics().Create(context.Background(), "bench", samsa.TopicConfig{Partitions: 1000}); err != nil {
				b.Fatal(err)
			}
			g := rebalanced{members: make(map[*samsa.Consumer]int)}
			g.changed.L = &g.mu
			join := func() *samsa.Consumer { return g.join(b, broker, assignor) }
			for range 99 {
				join()
			}
			g.wait(99)
			for b.Loop() {
				last := join()
				g.wait(100)
				closeBench(b, last)
				g.leave(last)
				g.wait(99)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(2*b.N), "ms/rebalance")
			closeBench(b, broker)
			g.wg.Wait()
		})
	}
}

// rebalanced follows who has how many partitions.
type rebalanced struct {
	wg      sync.WaitGroup
	mu      sync.Mutex
	changed sync.Cond
	members map[*samsa.Consumer]int
}

func (g *rebalanced) join(b *testing.B, broker *samsa.Broker, assignor samsa.Assignor) *samsa.Consumer {
	count := func(by int) func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
		return func(_ context.Context, c *samsa.Consumer, tps []samsa.TopicPartition) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.members[c] += by * len(tps)
			g.changed.Broadcast()
		}
	}
	c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{Topics: []string{"bench"}, Group: "g", Member: samsa.MemberOptions{
		Assignors: []samsa.Assignor{assignor}, ManualCommit: true, OnAssigned: count(1), OnRevoked: count(-1), OnLost: count(-1),
	}})
	if err != nil {
		b.Fatal(err)
	}
	g.wg.Go(func() {
		for {
			if _, err := c.Poll(context.Background()); err != nil {
				return
			}
		}
	})
	return c
}

func (g *rebalanced) leave(c *samsa.Consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.members, c)
}

// wait waits until n members have all 1000 partitions, as evenly as can be.
func (g *rebalanced) wait(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		sum, least := 0, 1000
		for _, count := range g.members {
			sum += count
			least = min(least, count)
		}
		if len(g.members) == n && sum == 1000 && least == 1000/n {
			return
		}
		g.changed.Wait()
	}
}
