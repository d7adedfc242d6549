package harness

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

func TestMain(m *testing.M) {
	if os.Getenv(ChildVariable) != "" {
		if err := Child(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func plan(t *testing.T, names ...string) Plan {
	t.Helper()
	peers, err := peer.Select(peer.Settings{}, names)
	if err != nil {
		t.Fatal(err)
	}
	return Plan{
		Peers:  peers,
		Cases:  Axes{Workloads: []string{workload.Batch, workload.Retention}}.Cases(true),
		Limits: workload.Limits{Records: 2000, Time: time.Minute, KeepBytes: 1 << 20},
		Rounds: 2, Dir: t.TempDir(), Timeout: time.Minute,
	}
}

// What every peer acknowledged is there after the process was killed.
func TestPeersSurviveKill(t *testing.T) {
	s := spawner{dir: t.TempDir(), timeout: time.Minute}
	for _, p := range peer.All(peer.Settings{}) {
		if p.Volatile {
			continue
		}
		a, err := s.killed(t.Context(), order{Peer: p.Name})
		if err != nil || a.Failed != "" {
			t.Errorf("%s: %s %v", p.Name, a.Failed, err)
		}
	}
}

// Each case is measured with each peer in turn, each round begins with another peer, and
// what a peer cannot do is asked once.
func TestMeasureTakesTurns(t *testing.T) {
	p := plan(t, "samsa-memory", "file")
	var steps []string
	p.Progress = func(done, all int, step string) {
		if all != 2+2*3*2 || done != len(steps) {
			t.Errorf("%s: step %d of %d after %d steps", step, done, all, len(steps))
		}
		steps = append(steps, step)
	}
	results, err := Measure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"samsa-memory conforms", "file conforms",
		"samsa-memory batch 100B", "file batch 100B", "samsa-memory batch 100B synced", "file batch 100B synced",
		"samsa-memory retention 1000B", "file retention 1000B",
		"file batch 100B", "samsa-memory batch 100B", "file batch 100B synced", "samsa-memory batch 100B synced",
		"file retention 1000B", "samsa-memory retention 1000B",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
	}
	for _, r := range results {
		cannot := r.Peer == "file" && r.Case.Work == workload.Retention || r.Peer == "samsa-memory" && r.Case.Acks == workload.Synced
		if r.Failed != "" || cannot != (r.Cannot != "") || !cannot && len(r.Rounds) != 2 {
			t.Errorf("%s on %s: %d rounds, cannot %q, failed %q", r.Case.Axes(), r.Peer, len(r.Rounds), r.Cannot, r.Failed)
		}
	}
	if err := Failures(results); err != nil {
		t.Error(err)
	}
}

// A measurement that does not end in time is a failure, which ends the case for the peer.
func TestMeasureTimesOut(t *testing.T) {
	p := plan(t, "samsa-memory")
	p.Timeout = time.Nanosecond
	results, err := Measure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if len(r.Rounds) > 0 || !strings.Contains(r.Failed, "took longer than 1ns") {
			t.Errorf("%+v", r)
		}
	}
	if err := Failures(results); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("failures: %v", err)
	}
}

// After the deadline nothing is measured, and the results say so; that is no failure.
func TestMeasureEndsAtDeadline(t *testing.T) {
	p := plan(t, "file")
	p.Deadline = time.Unix(1, 0)
	results, err := Measure(t.Context(), p)
	if err != nil || Failures(results) != nil {
		t.Fatal(err, Failures(results))
	}
	for _, r := range results {
		if len(r.Rounds) > 0 || !strings.Contains(r.Cannot, "time for the run was over") {
			t.Errorf("%+v", r)
		}
	}
}

func TestMeasureStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := plan(t, "file")
	p.Progress = func(done, _ int, _ string) {
		if done == 1 {
			cancel()
		}
	}
	if _, err := Measure(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(p.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A child that dies says why in the row.
func TestChildThatDies(t *testing.T) {
	s := spawner{dir: t.TempDir(), timeout: time.Minute}
	a, err := s.do(t.Context(), order{Do: measure, Peer: "no such peer"})
	if err != nil || !strings.Contains(a.Failed, "exit status 1") {
		t.Errorf("%+v, %v", a, err)
	}
	a, err = s.killed(t.Context(), order{Peer: "no such peer"})
	if err != nil || !strings.Contains(a.Failed, "acknowledged 0 records") {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var tl tail
	for range 1000 {
		if _, err := tl.Write([]byte("some line of a log\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tl.Write([]byte("panic: out of cheese\n\ngoroutine 1:\nmain.go:7\n")); err != nil {
		t.Fatal(err)
	}
	if len(tl.b) > tailBytes || tl.last() != "panic: out of cheese" {
		t.Errorf("%d bytes, last %q", len(tl.b), tl.last())
	}
}

// A full plan has the base of every workload and leaves it one axis at a time; axes that are
// chosen are combined.
func TestCases(t *testing.T) {
	full, quick := Axes{}.Cases(false), Axes{}.Cases(true)
	for _, c := range quick {
		if !slices.Contains(full, c) {
			t.Errorf("%s is in the quick plan only", c.Axes())
		}
	}
	for _, w := range workload.All() {
		if !slices.ContainsFunc(quick, func(c workload.Case) bool { return c.Work == w.Name }) {
			t.Errorf("%s is not in the quick plan", w.Name)
		}
	}
	for i, c := range full {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.Axes(), err)
		}
		if slices.Contains(full[:i], c) {
			t.Errorf("%s is there twice", c.Axes())
		}
	}
	chosen := Axes{Workloads: []string{workload.Batch, workload.Single}, Sizes: []int{100, 1000}, Writers: []int{2, 4}, Acks: []string{"synced"}}.Cases(false)
	if len(chosen) != 2+4 { // goroutines are not an axis of batch
		t.Errorf("%d cases: %v", len(chosen), chosen)
	}
	for _, w := range workload.All() {
		large := Axes{Sizes: []int{5000}}.Cases(false)
		if !slices.ContainsFunc(large, func(c workload.Case) bool { return c.Work == w.Name && c.Size == 5000 }) {
			t.Errorf("%s is not among the workloads when only a size is chosen", w.Name)
		}
	}
}

func TestShort(t *testing.T) {
	c := workload.Case{Work: workload.Single, Goroutines: 8, Size: 100, Partitions: 3, Acks: workload.Synced}
	if got := Short(c); got != "single x8 100B 3 partitions synced" {
		t.Error(got)
	}
}

// The failures of Samsa are errors, each of them once; those of others are not.
func TestFailures(t *testing.T) {
	err := Failures([]result.Result{{Peer: "samsa", Failed: "x"}, {Peer: "samsa", Failed: "x"}, {Peer: "b"}, {Peer: "c", Failed: "y"}, {Peer: "samsa-memory", Failed: "y"}})
	if err == nil || err.Error() != "samsa: x\nsamsa-memory: y" {
		t.Errorf("%v", err)
	}
}
