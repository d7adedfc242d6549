package retention

import "iter"

// BySize returns the log start offset that retention.bytes asks for. As in Kafka the
// oldest batch goes as long as what remains without it is still at least
// retentionBytes; so what stays is the limit and up to one batch more.
//
// batches are those of the log in order, from the one that holds start, and are read up
// to the first that stays; total is their Size. Batches stored after total was counted
// stay. A negative retentionBytes is unlimited. The result is start, or the end of one of
// the batches.
func BySize(batches iter.Seq[Batch], start, total, retentionBytes int64) int64 {
	if retentionBytes < 0 || total <= retentionBytes {
		return start
	}
	for b := range batches {
		total -= int64(b.Bytes)
		if total < retentionBytes {
			break
		}
		start = max(start, b.LastOffset+1)
	}
	return start
}
