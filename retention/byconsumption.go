package retention

import "iter"

// ByConsumption returns the log start offset of a queue (cleanup.policy=consumed, which
// Kafka does not have): a batch goes once every group has passed all of it. consumed is
// the least offset that any group which has committed on the topic has committed for
// the partition: 0 when one of them has none here, and negative when there is no such
// group, so that nothing goes.
//
// batches are those of the log in order, from the one that holds start, and are read up
// to the first that stays. The result is start, or the end of one of the batches.
func ByConsumption(batches iter.Seq[Batch], start, consumed int64) int64 {
	if consumed <= start {
		return start
	}
	for b := range batches {
		if b.LastOffset >= consumed {
			break
		}
		start = max(start, b.LastOffset+1)
	}
	return start
}
