package result

import (
	"math"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/samsa-go/samsa/bench/internal/workload"
)

func round(t *testing.T, records int64, took time.Duration, latencies ...time.Duration) Round {
	t.Helper()
	r := Round{Outcome: workload.Outcome{Records: records, Bytes: records * 100, Elapsed: took, Mallocs: uint64(records), Appended: records * 100, PeakDisk: 3 << 20}, PeakRSS: 5, DiskWritten: records * 50}
	if len(latencies) > 0 {
		h := workload.NewHistogram()
		for _, l := range latencies {
			if err := h.RecordValue(int64(l)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := h.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		r.Histogram = string(b)
	}
	return r
}

// Ratios compare within a round: a machine that is three times as slow in the second one
// changes the rates, not the ratios.
func TestTables(t *testing.T) {
	c := workload.Case{Work: workload.Batch, Size: 100}
	run := &Run{
		Limits: workload.Limits{KeepBytes: 1 << 20},
		Peers:  []Peer{{Name: "samsa", Title: "Samsa"}, {Name: "file", Title: "plain file"}, {Name: "nats", Title: "NATS"}},
		Results: []Result{
			{Peer: "samsa", Case: c, Rounds: []Round{round(t, 1000, time.Second, 1000), round(t, 1000, 3*time.Second, 3000), round(t, 1000, time.Second, 2000)}},
			{Peer: "file", Case: c, Rounds: []Round{round(t, 1000, time.Second/2), round(t, 1000, 3*time.Second/2), round(t, 1000, time.Second/2)}},
			{Peer: "nats", Case: c, Failed: "no"},
		},
	}
	tables, err := Tables(run)
	if err != nil || len(tables) != 1 || len(tables[0].Rows) != 3 {
		t.Fatal(tables, err)
	}
	samsa, file, nats := tables[0].Find("samsa"), tables[0].Find("file"), tables[0].Find("nats")
	if samsa.Title != "Samsa" || samsa.Rate.Median != 1000 || math.Round(samsa.Rate.Min) != 333 || samsa.Rate.Max != 1000 || samsa.Bytes.Median != 100_000 {
		t.Errorf("%+v", samsa)
	}
	if samsa.Allocs != 1 || samsa.RSS != 5 || samsa.Written != 0.5 || samsa.Disk != 3 {
		t.Errorf("%+v", samsa)
	}
	if samsa.Latencies.TotalCount() != 3 || samsa.Quantile(0.5) != 2000 || samsa.Quantile(1) < 3000 {
		t.Errorf("latencies of all rounds: %d, median %s", samsa.Latencies.TotalCount(), samsa.Quantile(0.5))
	}
	if samsa.ToSamsa != 1 || samsa.ToFile != 0.5 || file.ToSamsa != 2 || file.Latencies != nil {
		t.Errorf("ratios: %v %v %v", samsa.ToSamsa, samsa.ToFile, file.ToSamsa)
	}
	if nats.Ok() || nats.ToSamsa != 0 || tables[0].Find("kafka") != nil {
		t.Errorf("%+v", nats)
	}
}

// Of latencies the ratio is that of the medians, and more is faster there too.
func TestRatioOfLatencies(t *testing.T) {
	c := workload.Case{Work: workload.Latency, Size: 100}
	tables, err := Tables(&Run{Results: []Result{
		{Peer: "samsa", Case: c, Rounds: []Round{round(t, 10, time.Second, 100)}},
		{Peer: "bbolt", Case: c, Rounds: []Round{round(t, 10, time.Second, 400)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := tables[0].Find("bbolt").ToSamsa; math.Abs(got-0.25) > 0.001 {
		t.Errorf("%v, want 0.25", got)
	}
}

func TestHistogramThatIsDamaged(t *testing.T) {
	r := round(t, 10, time.Second, 100)
	r.Histogram = r.Histogram[:10]
	if _, err := Tables(&Run{Results: []Result{{Peer: "samsa", Rounds: []Round{r}}}}); err == nil {
		t.Error("it was taken")
	}
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	run := &Run{Began: time.Unix(1e9, 0).UTC(), Results: []Result{{Peer: "samsa", Rounds: []Round{round(t, 10, time.Second, 100)}}, {Peer: "file", Failed: "no"}}}
	if err := run.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil || !reflect.DeepEqual(run, again) {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
