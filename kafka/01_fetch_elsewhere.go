package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaderFetch is the version of Fetch from which clients are told who leads (KIP-951).
const leaderFetch = 16

// elsewhere is why a partition of a Fetch has no records: the client is to go on elsewhere.
type elsewhere struct {
	is        bool
	replica   int32 // -1: at this one
	epoch     int32 // -1: at the offset that it has; else it has ended at
	endOffset int64
}

// direct finds out whether the client is to go on elsewhere: at the end of the epoch of what it has read, if that has ended before
// it, or at a replica in its rack.
func (f *fetching) direct(part *fetchedPart, lastFetched int32, rack string) {
	epochs := part.partition.Log().Epochs()
	if lastFetched >= 0 && lastFetched <= epochs.Latest() && len(epochs) > 0 {
		epoch, end := epochs.End(lastFetched, part.partition.HighWatermark())
		if epoch < lastFetched || end < part.offset {
			part.elsewhere = elsewhere{is: true, replica: -1, epoch: epoch, endOffset: end}
			return
		}
	}
	if f.c.s.cluster == nil || f.c.version < rackFetch {
		return
	}
	at := f.c.placeOf(part.partition)
	if at.leader != f.c.s.opts.NodeID || part.offset < part.partition.LogStart() || part.offset > part.partition.HighWatermark() {
		return
	}
	if replica := at.preferredReplica(f.c.s.cluster.now.Load(), rack); replica >= 0 {
		part.elsewhere = elsewhere{is: true, replica: replica, epoch: -1}
	}
}

// tell fills in the answer.
func (e elsewhere) tell(out *kmsg.FetchResponseTopicPartition) {
	switch {
	case !e.is:
	case e.epoch >= 0:
		out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = e.epoch, e.endOffset
	default:
		out.PreferredReadReplica = e.replica
	}
}

// refind looks again who leads, after something has moved while the request waited.
func (f *fetching) refind() {
	for i := range f.parts {
		if part := &f.parts[i]; part.err == nil {
			part.err = f.c.checkReads(part.partition, part.epoch)
			f.failed = f.failed || part.err != nil
		}
	}
}
