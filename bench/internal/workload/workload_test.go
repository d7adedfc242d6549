package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// Every workload does its work on every peer, or says that the peer cannot.
func TestWorkloads(t *testing.T) {
	limits := Limits{Records: 2500, Time: time.Minute, KeepBytes: 200_000}
	for _, p := range peer.All(peer.Settings{}) {
		for _, w := range All() {
			c := Case{Work: w.Name, Goroutines: 8, Size: 100, Batch: 100, Partitions: 3, Data: "json", Codec: p.Codec("snappy"), Acks: Stored, Rate: 10_000}.Normal()
			t.Run(p.Name+"/"+c.Axes(), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				out, err := Run(ctx, p, t.TempDir(), c, limits)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				want := int64(limits.Records)
				switch w.Name {
				case Retention:
					want = retentionTimes * limits.KeepBytes / 100
				case Group:
					want = min(out.Records, want) // those of the first answer do not count
				}
				if out.Records != want || out.Records == 0 || out.Bytes != want*100 || out.Appended < out.Bytes || out.Elapsed <= 0 {
					t.Errorf("%d records expected: %+v", want, out)
				}
				timed := w.Name == Batch || w.Name == Single || w.Name == Latency || w.Name == Retention || w.Name == Transactions
				if timed != (out.Latencies != nil) || timed && out.Latencies.TotalCount() == 0 {
					t.Errorf("latencies: %v", out.Latencies)
				}
				if w.Name == Retention && (out.PeakDisk == 0) != p.Volatile {
					t.Errorf("the directory had %d bytes", out.PeakDisk)
				}
			})
		}
	}
}

// A limit of time ends what a limit of records does not.
func TestTimeEnds(t *testing.T) {
	peers, err := peer.Select(peer.Settings{}, []string{peer.File})
	if err != nil {
		t.Fatal(err)
	}
	for _, work := range []string{Batch, Single, Cold, Tail} {
		c := Case{Work: work, Goroutines: 2, Size: 100, Batch: 10, Partitions: 2, Data: "random", Codec: "none", Acks: Stored}.Normal()
		out, err := Run(t.Context(), peers[0], t.TempDir(), c, Limits{Records: math.MaxInt, Time: time.Millisecond})
		if err != nil || out.Records == 0 {
			t.Errorf("%s: %+v, %v", work, out, err)
		}
	}
}

func TestCaseValidate(t *testing.T) {
	good := Case{Work: Single, Goroutines: 1, Size: 100, Batch: 1, Partitions: 1, Data: "json", Codec: "none", Acks: Stored}
	if err := good.Validate(); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	for _, edit := range []func(*Case){
		func(c *Case) { c.Work = "sleep" },
		func(c *Case) { c.Goroutines = 0 },
		func(c *Case) { c.Size = 0 },
		func(c *Case) { c.Size = 50 },
		func(c *Case) { c.Batch = 0 },
		func(c *Case) { c.Partitions = -1 },
		func(c *Case) { c.Data = "xml" },
		func(c *Case) { c.Codec = "brotli" },
		func(c *Case) { c.Acks = "all" },
		func(c *Case) { c.Work = Latency },
	} {
		bad := good
		edit(&bad)
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestNormal(t *testing.T) {
	full := Case{Goroutines: 8, Size: 100_000, Batch: 1000, Partitions: 4, Rate: 1000}
	for work, want := range map[string]string{
		Batch:     "goroutines 0, batch 10, partitions 4, rate 0",
		Single:    "goroutines 8, batch 1, partitions 4, rate 0",
		Latency:   "goroutines 0, batch 1, partitions 1, rate 1000",
		Retention: "goroutines 0, batch 10, partitions 1, rate 0",
	} {
		c := full
		c.Work = work
		c = c.Normal()
		if got := fmt.Sprintf("goroutines %d, batch %d, partitions %d, rate %d", c.Goroutines, c.Batch, c.Partitions, c.Rate); got != want {
			t.Errorf("%s: %s, want %s", work, got, want)
		}
	}
}

// The parts of the partitions are what the fill has put there.
func TestPartOf(t *testing.T) {
	for partitions := 1; partitions <= 4; partitions++ {
		for n := range 100 {
			r := &run{c: Case{Batch: 7, Partitions: partitions}}
			want := make([]int, partitions)
			for i, left := 0, n; left > 0; i++ {
				want[i%partitions] += min(7, left)
				left -= min(7, left)
			}
			for p := range partitions {
				if got := r.partOf(p, n); got != want[p] {
					t.Fatalf("%d records, partition %d of %d: %d, want %d", n, p, partitions, got, want[p])
				}
			}
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
