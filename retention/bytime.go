package retention

import (
	"iter"
	"math"
)

// ByTime returns the log start offset that retention.ms asks for. As in Kafka a batch
// goes, whole, once its newest record is older than the retention, by the records' own
// timestamps; the first batch from the oldest on that is not keeps all behind it. So does one
// from the future that is stored already, as the largest timestamp of a segment does in Kafka: to
// pass it over would take the log start past a record that is not old.
//
// batches are those of the log in order, from the one that holds start, and are read up
// to the first that stays. Times are in milliseconds, nowMs since the epoch; a negative
// retentionMs is unlimited. The result is start, or the end of one of the batches.
func ByTime(batches iter.Seq[Batch], start, nowMs, retentionMs int64) int64 {
	if retentionMs < 0 {
		return start
	}
	for b := range batches {
		if nowMs < dueMs(b, retentionMs) {
			break
		}
		start = max(start, b.LastOffset+1)
	}
	return start
}

// NextDue returns when ByTime will let go of the oldest batch of the log, in milliseconds
// since the epoch; ok is false when that is never: the log is empty or the retention
// unlimited.
func NextDue(batches iter.Seq[Batch], retentionMs int64) (ms int64, ok bool) {
	if retentionMs < 0 {
		return 0, false
	}
	for b := range batches {
		return dueMs(b, retentionMs), true
	}
	return 0, false
}

// dueMs is the first millisecond at which b is older than the retention.
func dueMs(b Batch, retentionMs int64) int64 {
	if b.MaxTimestamp >= math.MaxInt64-retentionMs {
		return math.MaxInt64
	}
	return b.MaxTimestamp + retentionMs + 1
}
