package retention

import (
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// Compaction puts one batch in the place of several, under the key of the last of them or one of
// its own. A round of rewrites is one commit: the new batches come and those they replace go
// together, power loss included. Nothing is fsynced for that. Commits become durable in their
// order, and what is rewritten, and the records for whose sake others go, was committed before:
// so a rewrite is never there without them.

// What a round of rewrites is kept to, so that those who wait for the committer
// meanwhile do not wait long.
const (
	roundBytes   = 1 << 20
	roundEntries = 2048
)

// Committer is who writes to the store of a log.
type Committer interface {
	// Commit applies b whole or not at all, behind every commit before it. After an error
	// the outcome is known at the next open, unless the error says that nothing was written;
	// then, as after success, b is the caller's again.
	Commit(b *store.Batch) error
}

// source is a stored batch that a rewrite replaces.
type source struct {
	lastOffset   int64
	maxTimestamp int64 // of the key
}

func sourceOf(sb log.StoredBatch) source { return source{sb.LastOffset, sb.MaxTimestamp} }

func (s source) key(id store.PartitionID) []byte {
	return store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: s.lastOffset, MaxTimestamp: s.maxTimestamp})
}

// rewriter replaces batches of one log by others that cover the same offsets, in rounds. It is
// for one goroutine, and nobody else may remove batches of the log while a rewrite is added and
// not yet flushed.
type rewriter struct {
	log    *log.Log
	w      Committer
	limits store.Limits // of a round
	round  store.Batch
}

// newRewriter returns a rewriter of l that writes through w. What it is to replace, and for
// whose sake, is in the log already.
func newRewriter(l *log.Log, w Committer) *rewriter {
	return &rewriter{log: l, w: w, limits: l.Limits()}
}

// maxSources is the largest number of sources that one rewrite may have.
func (r *rewriter) maxSources() int { return min(roundEntries, r.limits.Entries) - 1 }

// maxBytes is the largest batch, in bytes, that one rewrite may have.
func (r *rewriter) maxBytes() int { return r.limits.Bytes - (r.maxSources()+1)*store.BatchKeySize }

// fits reports whether a rewrite of so many sources and such a batch may be added before the next flush. A
// transaction to be forgotten counts as a source. To an empty round any within maxSources and maxBytes fits.
func (r *rewriter) fits(sources, size int) bool {
	if r.round.Len() == 0 {
		return true
	}
	return r.round.Len()+sources+1 <= min(roundEntries, r.limits.Entries) &&
		r.round.Bytes()+(sources+1)*store.BatchKeySize+size <= min(roundBytes, r.limits.Bytes)
}

// add puts a rewrite into the round: batch, which covers exactly the offsets of the
// sources, contiguous and in order, in their place. batch belongs to the rewriter until flush. It
// returns the source that batch is once it is stored: without timestamps as young as the youngest
// that it replaces. Aborted transactions whose markers, of which it gets the offsets, go with that are forgotten.
func (r *rewriter) add(sources []source, batch log.Batch, markers ...int64) source {
	youngest := sources[0].maxTimestamp
	for _, s := range sources {
		youngest = max(youngest, s.maxTimestamp)
	}
	own := source{batch.LastOffset(), batch.KeyTime(youngest)}
	batch.SetLeaderEpoch(r.log.Epochs().At(batch.LastOffset())) // not that of an older one, which would end before it
	r.round.Set(own.key(r.log.ID()), batch)
	for _, s := range sources {
		if s != own {
			r.round.Delete(s.key(r.log.ID()))
		}
	}
	for _, offset := range markers {
		r.log.ForgetAborted(&r.round, offset)
	}
	return own
}

// flush carries out the rewrites that were added. When it returns nil they are done. After an
// error all of them are done or none, as the store says, and they are no longer added.
func (r *rewriter) flush() error {
	if r.round.Len() == 0 {
		return nil
	}
	round := r.round
	r.round = store.Batch{}
	if err := r.w.Commit(&round); err != nil {
		return fmt.Errorf("%s: %w", r.log.TopicPartition(), err)
	}
	return nil
}
