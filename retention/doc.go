// Package retention decides what of a partition may go, and takes superseded records out
// of compacted logs. Users import the module root.
//
// The decisions (ByTime, BySize, ByConsumption) are pure: they look at keys and answer
// with a new log start offset, which the caller stores before he deletes anything.
// The Cleaner carries out cleanup.policy=compact. Package sweep says when.
package retention

import (
	"iter"

	"github.com/samsa-go/samsa/log"
)

// Batch is what a decision sees of a stored batch; no value is read for it.
type Batch = log.BatchInfo

// Size is the number of bytes of the batches, as stored.
func Size(batches iter.Seq[Batch]) int64 {
	var total int64
	for b := range batches {
		total += int64(b.Bytes)
	}
	return total
}
