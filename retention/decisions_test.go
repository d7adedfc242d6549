package retention

import (
	"iter"
	"math"
	"slices"
	"testing"
)

func batch(lastOffset, maxTimestamp int64, size int) Batch {
	return Batch{LastOffset: lastOffset, MaxTimestamp: maxTimestamp, Bytes: size}
}

// run returns the batches as a log has them.
func run(batches ...Batch) iter.Seq[Batch] { return slices.Values(batches) }

func TestByTime(t *testing.T) {
	three := run(batch(9, 100, 1), batch(19, 300, 1), batch(29, 200, 1))
	for _, tt := range []struct {
		name           string
		batches        iter.Seq[Batch]
		start          int64
		now, retention int64
		want           int64
	}{
		{"empty log", run(), 5, 1000, 10, 5},
		{"unlimited", three, 0, math.MaxInt64, -1, 0},
		{"nothing due", three, 0, 150, 50, 0},
		{"just as old as allowed", three, 0, 150, 50, 0},
		{"one millisecond older", three, 0, 151, 50, 10},
		{"stops at the first that stays, older ones behind it too", three, 0, 300, 50, 10},
		{"all", three, 0, 351, 50, 30},
		{"no retention at all", three, 0, 301, 0, 30},
		{"start within a batch that stays", three, 4, 150, 50, 4},
		{"start within a batch that goes", three, 4, 151, 50, 10},
		{"records from the future stay", run(batch(9, math.MaxInt64, 1)), 0, 1000, 10, 0},
		{"retention longer than time", three, 0, 1000, math.MaxInt64, 0},
		{"records without a time", run(batch(9, -1, 1)), 0, 1000, 10, 10},
		{"the oldest time there is", run(batch(9, math.MinInt64, 1)), 0, 1000, 10, 10},
		{"a clock before the epoch", three, 0, math.MinInt64, 10, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ByTime(tt.batches, tt.start, tt.now, tt.retention); got != tt.want {
				t.Errorf("new start %d, want %d", got, tt.want)
			}
		})
	}
}

// The time that NextDue names is the first at which ByTime acts.
func TestNextDue(t *testing.T) {
	for _, retention := range []int64{0, 1, 1000} {
		batches := run(batch(9, 100, 1), batch(19, 50, 1))
		due, ok := NextDue(batches, retention)
		if !ok || ByTime(batches, 0, due-1, retention) != 0 || ByTime(batches, 0, due, retention) != 20 {
			t.Errorf("retention %d: due at %d, %v", retention, due, ok)
		}
	}
	if due, ok := NextDue(run(), 1); ok {
		t.Errorf("an empty log is due at %d", due)
	}
	if due, ok := NextDue(run(batch(9, 100, 1)), -1); ok {
		t.Errorf("unlimited retention is due at %d", due)
	}
	if due, _ := NextDue(run(batch(9, math.MaxInt64, 1)), 10); due != math.MaxInt64 {
		t.Errorf("due at %d, want never", due)
	}
}

func TestBySize(t *testing.T) {
	three := run(batch(9, 0, 100), batch(19, 0, 50), batch(29, 0, 200))
	for _, tt := range []struct {
		name    string
		batches iter.Seq[Batch]
		start   int64
		limit   int64
		want    int64
	}{
		{"empty log", run(), 5, 10, 5},
		{"unlimited", three, 0, -1, 0},
		{"as large as allowed", three, 0, 350, 0},
		{"a byte too large, and less without the oldest", three, 0, 349, 0},
		{"the limit remains", three, 0, 250, 10},
		{"more than the limit remains", three, 0, 249, 10},
		{"two go", three, 0, 200, 20},
		{"the newest alone is too large, and stays", three, 0, 1, 20},
		{"nothing is to stay", three, 0, 0, 30},
		{"start within a batch that stays", three, 4, 300, 4},
		{"start within a batch that goes", three, 4, 250, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := BySize(tt.batches, tt.start, Size(tt.batches), tt.limit); got != tt.want {
				t.Errorf("new start %d, want %d", got, tt.want)
			}
		})
	}
}

// What was appended after the total was counted does not push out what the limit covers.
func TestBySizeWithAnOldTotal(t *testing.T) {
	if got := BySize(run(batch(9, 0, 100), batch(19, 0, 100), batch(29, 0, 900)), 0, 200, 100); got != 10 {
		t.Errorf("new start %d, want 10", got)
	}
}

func TestByConsumption(t *testing.T) {
	three := run(batch(9, 0, 1), batch(19, 0, 1), batch(29, 0, 1))
	for _, tt := range []struct {
		name     string
		start    int64
		consumed int64
		want     int64
	}{
		{"no group", 0, -1, 0},
		{"nothing consumed", 0, 0, 0},
		{"within the first batch", 0, 9, 0},
		{"the first batch", 0, 10, 10},
		{"within the second", 0, 19, 10},
		{"everything", 0, 30, 30},
		{"beyond the end", 0, 99, 30},
		{"behind the start", 15, 3, 15},
		{"start within a batch that stays", 15, 18, 15},
		{"start within a batch that goes", 15, 20, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ByConsumption(three, tt.start, tt.consumed); got != tt.want {
				t.Errorf("new start %d, want %d", got, tt.want)
			}
		})
	}
}
