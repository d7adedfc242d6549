package harness

import (
	"slices"

	"github.com/samsa-go/samsa/bench/internal/data"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Axes choose what is measured. An empty one has its default; workloads are measured with
// every combination of the others.
type Axes struct {
	Workloads                           []string
	Sizes, Batches, Partitions, Writers []int
	Data, Codecs, Acks                  []string
	Rates                               []int
}

// The values of an axis that nobody chose.
const (
	baseSize      = 100
	baseBatch     = 1000
	baseRate      = 2000
	retentionSize = 1000
	baseWorkers   = 8
)

var baseWriters = []int{1, 8, 64}

// chosen reports whether an axis other than the workloads was chosen.
func (a Axes) chosen() bool {
	return len(a.Sizes)+len(a.Batches)+len(a.Partitions)+len(a.Writers)+len(a.Data)+len(a.Codecs)+len(a.Acks)+len(a.Rates) > 0
}

// Cases returns what is to be measured: the combinations of the axes that were chosen, or
// without those the plan of a full run, in which one axis at a time leaves the base. A
// quick plan has the base only.
func (a Axes) Cases(quick bool) []workload.Case {
	var cases []workload.Case
	add := func(a Axes) {
		for _, c := range a.product() {
			if c = c.Normal(); !slices.Contains(cases, c) {
				cases = append(cases, c)
			}
		}
	}
	if len(a.Workloads) == 0 {
		for _, w := range workload.All() {
			a.Workloads = append(a.Workloads, w.Name)
		}
	}
	if a.chosen() {
		add(a)
		return cases
	}
	for _, work := range a.Workloads {
		base := Axes{Workloads: []string{work}}
		add(base)
		for _, variant := range variants(work, quick) {
			variant.Workloads = base.Workloads
			add(variant)
		}
	}
	return cases
}

// variants are what a full run measures of a workload beside the base.
func variants(work string, quick bool) []Axes {
	synced := Axes{Acks: []string{workload.Synced}}
	switch {
	case work == workload.Single || work == workload.Queue || quick && work == workload.Batch:
		return []Axes{synced}
	case quick:
		return nil
	case work == workload.Batch:
		return []Axes{
			synced,
			{Sizes: []int{1000, 10_000, 100_000}},
			{Sizes: []int{1000}, Data: []string{data.Random}},
			{Codecs: []string{"none"}},
			{Batches: []int{10}},
			{Partitions: []int{8}},
		}
	case work == workload.Cold:
		return []Axes{{Sizes: []int{1000, 10_000, 100_000}}, {Partitions: []int{8}}}
	}
	return nil
}

// product returns every combination.
func (a Axes) product() []workload.Case {
	cases := []workload.Case{{}}
	cases = cross(cases, a.Workloads, func(c *workload.Case, v string) { c.Work = v })
	cases = cross(cases, or(a.Acks, workload.Stored), func(c *workload.Case, v string) { c.Acks = v })
	cases = cross(cases, or(a.Partitions, 1), func(c *workload.Case, v int) { c.Partitions = v })
	cases = cross(cases, or(a.Batches, baseBatch), func(c *workload.Case, v int) { c.Batch = v })
	cases = cross(cases, or(a.Codecs, "snappy"), func(c *workload.Case, v string) { c.Codec = v })
	cases = cross(cases, or(a.Rates, baseRate), func(c *workload.Case, v int) { c.Rate = v })
	cases = cross(cases, or(a.Writers, baseWriters...), func(c *workload.Case, v int) { c.Goroutines = v })
	cases = cross(cases, or(a.Data, data.JSON), func(c *workload.Case, v string) { c.Data = v })
	cases = cross(cases, or(a.Sizes, baseSize), func(c *workload.Case, v int) { c.Size = v })
	for i := range cases {
		if c := &cases[i]; c.Work == workload.Retention { // bytes are kept, so they must not shrink
			if len(a.Sizes) == 0 {
				c.Size = retentionSize
			}
			if len(a.Data) == 0 {
				c.Data = data.Random
			}
		}
		if c := &cases[i]; c.Work == workload.Queue && len(a.Writers) == 0 {
			c.Goroutines = baseWorkers
		}
	}
	return cases
}

func or[T any](values []T, defaults ...T) []T {
	if len(values) > 0 {
		return values
	}
	return defaults
}

// cross returns each case with each value.
func cross[T any](cases []workload.Case, values []T, set func(*workload.Case, T)) []workload.Case {
	var out []workload.Case
	for _, c := range cases {
		for _, v := range values {
			set(&c, v)
			out = append(out, c)
		}
	}
	return out
}
