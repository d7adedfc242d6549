package samsatest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ft := runFake(func(ft *fakeTest) {
			b := samsatest.New(ft, samsatest.Topic("orders", 1))
			samsatest.Trace(ft, b)
			samsatest.Produce(ft, b, "orders", "7=paid", "8=paid", "9=paid", "10=a long story that has no end, which a line should have", "11=", "12=", "13=")
			c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{
				Group: "billing", Topics: []string{"orders"}, ClientID: "worker", Member: samsa.MemberOptions{ManualCommit: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			poll(t, c)
			time.Sleep(90 * time.Second)
			samsatest.Commits(b, "billing").Next(1).Fail()
			if err := c.Commit(ctx); err == nil {
				t.Error("the commit did not fail")
			}
			wantErr(t, c.Commit(ctx), nil)
			samsatest.Appends(b, "orders").Next(1).FailWith(errors.New("no"))
			_, _ = b.Produce(ctx, samsatest.Record("orders", "x"))
			samsatest.Crash(ft, b)
			b = samsatest.Restart(ft, b)
			samsatest.Produce(ft, b, "orders", "after")
			ft.Errorf("the test wants to see it")
		})
		want := `samsatest: what happened in fake:
  +0s        produce    orders/0@0..6 ["7=paid" "8=paid" "9=paid" "10=a long story that has no end, which a..." "11=" "and 2 more"]
  +0s        rebalance  billing CompletingRebalance generation 1 worker[]
  +0s        rebalance  billing Stable generation 1 worker[orders/0]
  +0s        fetch      orders/0@0..6 by worker
  +1m30s     fault      fail orders/0 billing by worker: unavailable for the moment: injected by the test
  +1m30s     commit     billing orders/0@7 by worker: group billing: unavailable for the moment: injected by the test
  +1m30s     commit     billing orders/0@7 by worker
  +1m30s     fault      fail orders/0: no
  +1m30s     produce    orders/0 ["x"]: orders/0: no
  +1m30s     crash      Crash
  +1m30s     restart
  +1m30s     produce    orders/0@7 ["after"]
`
		if got := strings.Join(ft.logged, "\n"); got != want {
			t.Errorf("traced\n%s\nwant\n%s", got, want)
		}
	})
}

func TestTraceIsSilentAndBounded(t *testing.T) {
	ft := runFake(func(ft *fakeTest) {
		b := samsatest.New(ft, samsatest.Topic("t", 1))
		samsatest.Trace(ft, b)
		samsatest.Produce(ft, b, "t", "v")
	})
	if len(ft.logged) > 0 {
		t.Errorf("the test passes, but it logs %q", ft.logged)
	}
	ft = runFake(func(ft *fakeTest) {
		b := samsatest.New(ft, samsatest.Topic("t", 1))
		samsatest.Trace(ft, b)
		for range 1010 {
			samsatest.Produce(ft, b, "t", "v")
		}
		ft.Errorf("the test wants to see it")
	})
	got := strings.Split(strings.TrimSpace(strings.Join(ft.logged, "\n")), "\n")
	if len(got) != 1002 || !strings.Contains(got[1], "10 events before") || !strings.Contains(got[2], "t/0@10 ") || !strings.Contains(got[1001], "t/0@1009 ") {
		t.Errorf("%d lines, the first %q and the last %q", len(got), got[:3], got[len(got)-1])
	}
}
